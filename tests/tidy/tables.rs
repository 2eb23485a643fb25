//! The layers, the owners of dependencies and types, and the arrows between modules of a folder.

use super::circles::Allowed;

/// Each layer, and the layers that it may name besides itself. Code for tests may name any.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("utils", &["sync"]),
    ("common", &["sync", "utils"]),
    ("protocol", &["sync", "utils", "common"]),
    ("record", &["sync", "utils", "common", "protocol"]),
    ("metrics", &["sync", "utils", "common"]),
    (
        "network",
        &["sync", "utils", "common", "protocol", "record", "metrics"],
    ),
    // The public error has partitions and error codes. Layers left of `client` have own enums.
    ("error", &["sync", "utils", "common", "protocol"]),
    (
        "client",
        &[
            "sync", "utils", "common", "protocol", "record", "metrics", "network", "error",
        ],
    ),
    (
        "producer",
        &[
            "sync", "utils", "common", "protocol", "record", "metrics", "network", "error",
            "client",
        ],
    ),
    // The producer of Kafka 0.8 has its own connections to the brokers.
    (
        "classic",
        &[
            "sync", "utils", "common", "protocol", "record", "metrics", "network",
        ],
    ),
    // What the benches need from the rest.
    (
        "_internals",
        &[
            "sync", "utils", "common", "protocol", "record", "metrics", "network", "error",
            "client", "producer",
        ],
    ),
    // The test broker is the other side of the protocol: it knows the formats but not the producer.
    (
        "testing",
        &["sync", "utils", "common", "protocol", "record", "error"],
    ),
    ("manual", &[]),
];

/// Where each dependency may be named, by prefix. An empty prefix means everywhere.
pub(crate) const OWNERS: &[(&str, &[&str])] = &[
    ("mio", &["src/network"]),
    ("socket2", &["src/network", "src/testing"]),
    ("parking_lot", &["src/sync"]),
    ("arc_swap", &["src/sync"]),
    ("libgssapi", &["src/network/sasl/gssapi/system"]),
    (
        "byteorder",
        &[
            "src/protocol/readable",
            "src/protocol/writable",
            "src/record",
            "src/utils/murmur2",
        ],
    ),
    ("crc32c", &["src/record"]),
    ("bytes", &["src/producer/record_data"]),
    ("uuid", &["src/producer/record_data", "src/common"]),
    (
        "serde_core",
        &[
            "src/producer/json_serializer",
            "src/producer/producer_config/serde",
        ],
    ),
    ("serde_json", &["src/producer/json_serializer"]),
    ("metrics_crate", &["src/metrics/facade"]),
    ("prefetch_index", &["src/utils/prefetch"]),
    ("log", &[""]),
    ("hashbrown", &[""]),
    ("quanta", &["src/utils/wall_clock"]),
    (
        "fastrand",
        &[
            "src/common/uuid",
            "src/utils/exponential_backoff",
            "src/network/sasl",
            "src/classic",
            "src/client",
            "src/producer/internals/built_in_partitioner",
            "src/producer/partitioners",
        ],
    ),
    (
        "rustls",
        &[
            "src/network/ssl",
            "src/network/http",
            "src/utils/crypto_provider",
            "src/testing",
        ],
    ),
    ("ureq", &["src/network/http", "src/network/ssl/http_tls"]),
    ("rustls_graviola", &["src/utils/crypto_provider"]),
    ("rustls_native_certs", &["src/network/ssl"]),
    (
        "zeroize",
        &[
            "src/utils/secret",
            "src/utils/scram_formatter",
            "src/network",
            "src/producer/producer_config",
        ],
    ),
    (
        "sha2",
        &[
            "src/utils/scram_formatter",
            "src/network/ssl/stores",
            "src/network/sasl/msk_iam",
        ],
    ),
    (
        "hmac",
        &[
            "src/utils/scram_formatter",
            "src/network/ssl/stores",
            "src/network/sasl/msk_iam",
        ],
    ),
    (
        "pbkdf2",
        &["src/utils/scram_formatter", "src/network/ssl/stores"],
    ),
    ("sha1", &["src/network/ssl/stores"]),
    ("aes", &["src/network/ssl/stores"]),
    ("cbc", &["src/network/ssl/stores"]),
    ("des", &["src/network/ssl/stores"]),
    ("rc2", &["src/network/ssl/stores"]),
    ("subtle", &["src/utils/scram_formatter"]),
    (
        "base64",
        &["src/utils/scram_formatter", "src/network", "src/testing"],
    ),
    ("getrandom", &["src/network/sasl"]),
    ("libc", &["src/network/plaintext_transport_layer"]),
    ("flate2", &["src/record/compression/gzip"]),
    ("snap", &["src/record/compression/snappy"]),
    ("lz4_flex", &["src/record/compression/lz4"]),
    (
        "zstd",
        &["src/record/compression/zstd", "src/record/compression/mod"],
    ),
];

/// Types that open connections, and who may name them.
pub(crate) const SOCKETS: [&str; 4] = ["TcpStream", "TcpListener", "UdpSocket", "*"];
pub(crate) const SOCKET_OWNERS: [&str; 2] = ["network", "testing"];

/// Which modules of a folder may name which others. `super` is the folder's own module.
pub(crate) const FOLDERS: &[Allowed] = &[
    (
        "testing/fake_broker",
        &[
            ("model", &[]),
            ("script", &["model"]),
            ("api", &["script", "model"]),
            ("wire", &["api", "script", "model"]),
            ("handles", &["wire", "script", "model", "super"]),
            ("builder", &["wire", "model", "super", "tls"]),
        ],
    ),
    (
        "producer/internals",
        &[
            ("patience", &[]),
            ("buffer_pool", &["patience"]),
            (
                "batch",
                &[
                    "buffer_pool",
                    "fate",
                    "io_thread",
                    "ready_signal",
                    "sequences",
                ],
            ),
            ("built_in_partitioner", &[]),
            ("fate", &[]),
            ("io_thread", &[]),
            ("ready_signal", &["io_thread"]),
            ("sequences", &["fate"]),
            ("transactions", &["sequences", "fate"]),
            (
                "record_accumulator",
                &[
                    "batch",
                    "buffer_pool",
                    "built_in_partitioner",
                    "io_thread",
                    "patience",
                    "ready_signal",
                    "sequences",
                    "transactions",
                ],
            ),
            (
                "sender",
                &[
                    "batch",
                    "fate",
                    "ready_signal",
                    "record_accumulator",
                    "sender_metrics",
                    "sequences",
                    "transactions",
                ],
            ),
        ],
    ),
    // Decisions, and what the sender reports to the sequences, know nothing of the loop.
    (
        "producer/internals/sender",
        &[("decision", &[]), ("in_flight", &[]), ("ledger", &[])],
    ),
];

/// Modules without sockets, threads or clock, and the types that they use instead.
pub(crate) const PURE: &[&str] = &[
    "src/testing/fake_broker/model",
    "src/testing/fake_broker/api",
];
pub(crate) const IMPURE: &[&[&str]] = &[
    &["std", "net"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
    &["socket2"],
    &["crate", "utils", "Time"],
    &["crate", "utils", "SystemTime"],
    &["crate", "utils", "KafkaThread"],
];
