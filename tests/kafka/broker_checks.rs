//! The checks that a broker makes before it looks at a producer's state: timestamps, topics, ids,
//! and the metadata of offsets. The test broker returns the same codes as Kafka, and creates topics
//! in the same steps.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_producer::testing::{FakeBroker, TopicConfig};

use crate::harness::{
    Identity, KafkaCluster, NOBODY, NewTopic, RawBatch, RawOffset, RawProducer, topic_in_metadata,
    wait_until,
};
use crate::kafka_or_skip;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
const RESPONSE_LIMIT: Duration = Duration::from_secs(60);

const LOG_APPEND_TIME: i16 = 1 << 3;
const INTERNAL_TOPICS: [&str; 2] = ["__consumer_offsets", "__transaction_state"];
/// A producer id that no broker has assigned.
const STRANGER: Identity = Identity {
    producer_id: 77,
    epoch: 3,
};

/// The two brokers, and the requests to which they respond differently.
struct Comparison {
    kafka: SocketAddr,
    fake: SocketAddr,
    differences: Vec<String>,
}

impl Comparison {
    /// Sends the same request to both and compares the responses.
    fn check<T: PartialEq + Debug>(&mut self, what: &str, send: impl Fn(SocketAddr) -> T) {
        let (kafka, fake) = (send(self.kafka), send(self.fake));
        if kafka != fake {
            let text = format!("{what}: Kafka returns {kafka:?}, the test broker {fake:?}");
            self.differences.push(text);
        }
    }
}

#[test]
fn the_test_broker_checks_what_kafka_checks() {
    let _turn = kafka_or_skip!();
    let properties = [
        ("auto.create.topics.enable", "true"),
        ("num.partitions", "2"),
    ];
    let cluster = KafkaCluster::start_with(1, &properties);
    create_topics(&cluster);
    let fake = fake_broker();
    let address = |servers: String| servers.parse().unwrap();
    let mut comparison = Comparison {
        kafka: address(cluster.bootstrap_servers()),
        fake: address(fake.bootstrap_servers()),
        differences: Vec::new(),
    };
    timestamps(&mut comparison);
    for topic in INTERNAL_TOPICS
        .into_iter()
        .chain(["__share_group_state", "missing"])
    {
        internal_topics(&mut comparison, topic);
    }
    for id in ["nobody", ""] {
        transactional_ids(&mut comparison, id);
        offsets_of_ids(&mut comparison, id);
    }
    order_of_produce_checks(&mut comparison);
    offset_metadata(&mut comparison);
    topic_creation(&mut comparison);
    let differences = comparison.differences;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// `__consumer_offsets` and `__transaction_state` exist after a coordinator was looked up.
fn create_topics(cluster: &KafkaCluster) {
    let (before, after) = ((2 * HOUR_MS).to_string(), MINUTE_MS.to_string());
    cluster.admin().create_topics(&[
        NewTopic::new("default", 1),
        NewTopic::new("ranged", 1)
            .config("message.timestamp.before.max.ms", &before)
            .config("message.timestamp.after.max.ms", &after),
        NewTopic::new("appended", 1).config("message.timestamp.type", "LogAppendTime"),
        NewTopic::new("compacted", 1).config("cleanup.policy", "compact"),
    ]);
    initialized(cluster.bootstrap_servers().parse().unwrap());
}

fn fake_broker() -> FakeBroker {
    let ranged = TopicConfig::new(1)
        .message_timestamp_before_max_ms(2 * HOUR_MS)
        .message_timestamp_after_max_ms(MINUTE_MS);
    let builder = FakeBroker::builder()
        .default_topic(TopicConfig::new(2))
        .topic("default", 1)
        .topic_with("ranged", ranged)
        .topic_with("appended", TopicConfig::new(1).log_append_time())
        .topic_with("compacted", TopicConfig::new(1).compacted());
    let internal = INTERNAL_TOPICS.into_iter();
    let builder = internal.fold(builder, |builder, topic| builder.topic(topic, 3));
    builder.start().unwrap()
}

/// A transactional producer with its identity.
fn initialized(address: SocketAddr) -> (RawProducer, Identity) {
    let producer = RawProducer::new(address, "id");
    let identity = wait_until("producer id", RESPONSE_LIMIT, || {
        let (code, identity) = producer.init(5, NOBODY, TRANSACTION_TIMEOUT);
        identity.filter(|_| code == 0)
    });
    (producer, identity)
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as i64
}

/// A batch without a producer id.
fn plain(timestamps: &[i64]) -> RawBatch {
    RawBatch {
        identity: NOBODY,
        sequence: -1,
        attributes: 0,
        timestamps: timestamps.to_vec(),
        has_keys: true,
        value_size: 1,
    }
}

/// The times are far enough from the limits that the machine may stop for minutes.
fn timestamps_to_try(now: i64) -> Vec<(&'static str, Vec<i64>)> {
    vec![
        ("now", vec![now]),
        ("almost an hour ahead", vec![now + HOUR_MS - 5 * MINUTE_MS]),
        (
            "more than an hour ahead",
            vec![now + HOUR_MS + 5 * MINUTE_MS],
        ),
        ("10 minutes ahead", vec![now + 10 * MINUTE_MS]),
        ("an hour ago", vec![now - HOUR_MS]),
        ("three hours ago", vec![now - 3 * HOUR_MS]),
        ("forty years ago", vec![now - 40 * YEAR_MS]),
        ("the epoch", vec![0]),
        ("none", vec![-1]),
        ("-2", vec![-2]),
        ("before the epoch", vec![-YEAR_MS]),
        ("seconds", vec![now / 1000]),
        ("microseconds", vec![now * 1000]),
        ("the largest", vec![i64::MAX]),
        ("half of the smallest", vec![i64::MIN / 2]),
        ("almost the smallest", vec![i64::MIN + 1]),
        ("the smallest", vec![i64::MIN]),
        (
            "two of four ahead",
            vec![now, now + 2 * HOUR_MS, now, now + YEAR_MS],
        ),
        ("none and the largest", vec![-1, i64::MAX]),
        ("now and -2", vec![now, -2]),
        ("now and the smallest", vec![now, i64::MIN]),
        (
            "past and future",
            vec![now - 3 * HOUR_MS, now, now + 3 * HOUR_MS],
        ),
        ("15 ahead", vec![now + YEAR_MS; 15]),
    ]
}

fn timestamps(comparison: &mut Comparison) {
    let now = now_ms();
    let send = |address, topic, version, batch: &RawBatch| {
        let producer = RawProducer::idempotent(address);
        let mut produced = producer.send(version, -1, &[(topic, 0, batch)]);
        let produced = produced.remove(0);
        let is_append_time = produced.log_append_time_ms >= now;
        let (code, offset) = (produced.code, produced.base_offset);
        (code, offset, is_append_time, produced.record_errors)
    };
    for topic in ["default", "ranged", "appended", "compacted"] {
        for (name, timestamps) in timestamps_to_try(now) {
            for (version, attributes) in [(3, 0), (7, 0), (8, 0), (12, 0), (12, LOG_APPEND_TIME)] {
                let mut batch = plain(&timestamps);
                batch.attributes = attributes;
                let what = format!("{topic}, Produce v{version}, attributes {attributes}: {name}");
                comparison.check(&what, |address| send(address, topic, version, &batch));
            }
        }
    }
    let mut batch = plain(&[now, now + YEAR_MS, now]);
    batch.has_keys = false;
    for topic in ["compacted", "default"] {
        let what = format!("{topic}: no keys, and one timestamp ahead");
        comparison.check(&what, |address| send(address, topic, 12, &batch));
    }
}

fn internal_topics(comparison: &mut Comparison, topic: &str) {
    let batch = plain(&[now_ms()]);
    for (version, acks) in [(3, -1), (12, -1), (12, 1), (12, 7)] {
        let what = format!("Produce v{version} with acks {acks} to {topic}");
        comparison.check(&what, |address| {
            let producer = RawProducer::idempotent(address);
            producer.send(version, acks, &[(topic, 0, &batch)])[0].code
        });
    }
    for version in [3, 12] {
        let what = format!("transactional Produce v{version} to {topic}");
        comparison.check(&what, |address| {
            let producer = RawProducer::new(address, "id").named("nobody");
            producer.produce(version, STRANGER, (topic, 0))
        });
    }
    comparison.check(&format!("AddPartitionsToTxn of {topic}"), |address| {
        let (producer, identity) = initialized(address);
        producer.add_partitions(3, identity, (topic, &[0]))
    });
    comparison.check(&format!("Metadata of {topic}"), |address| {
        topic_in_metadata(address, topic, false)
    });
}

/// The requests with an id that no producer has or can have.
fn transactional_ids(comparison: &mut Comparison, id: &str) {
    let producer = |address| RawProducer::new(address, "id").named(id);
    for kind in [0, 1, 3] {
        let what = format!("FindCoordinator of '{id}', kind {kind}");
        comparison.check(&what, |address| {
            producer(address).find_coordinator(kind, id)
        });
    }
    for version in [0, 1, 3] {
        for (topic, partition) in [("default", 0), ("default", 9), ("missing", 0)] {
            let what = format!("AddPartitionsToTxn v{version} of '{id}' for {topic}-{partition}");
            comparison.check(&what, |address| {
                producer(address).add_partitions(version, STRANGER, (topic, &[partition]))
            });
        }
    }
    for version in [0, 4] {
        for group in ["g", ""] {
            let what = format!("AddOffsetsToTxn v{version} of '{id}' for group '{group}'");
            comparison.check(&what, |address| {
                producer(address).add_offsets(version, STRANGER, group)
            });
        }
    }
    for version in [0, 4, 5] {
        for is_commit in [true, false] {
            let what = format!("EndTxn v{version} of '{id}', commit {is_commit}");
            comparison.check(&what, |address| {
                producer(address).end(version, STRANGER, is_commit)
            });
        }
    }
    if id.is_empty() {
        comparison.check("InitProducerId of ''", |address| {
            producer(address).init(5, NOBODY, TRANSACTION_TIMEOUT)
        });
    }
}

fn offsets_of_ids(comparison: &mut Comparison, id: &str) {
    for version in [0, 2, 3, 4, 5] {
        for group in ["g", ""] {
            for (topic, partition) in [("default", 0), ("default", 9), ("missing", 0)] {
                let what = format!(
                    "TxnOffsetCommit v{version} of '{id}' for group '{group}', {topic}-{partition}"
                );
                comparison.check(&what, |address| {
                    let offset = RawOffset {
                        group,
                        topic,
                        partition,
                        offset: 3,
                        metadata: None,
                    };
                    let producer = RawProducer::new(address, "id").named(id);
                    producer.commit_offset(version, STRANGER, offset)
                });
            }
        }
    }
}

fn order_of_produce_checks(comparison: &mut Comparison) {
    let batch = RawBatch::transactional(STRANGER, 0);
    for id in [Some("nobody"), Some(""), None] {
        for version in [3, 8, 10, 11, 12] {
            for (topic, partition) in [("default", 0), ("default", 9), ("missing", 0)] {
                for acks in [-1, 7] {
                    let what =
                        format!("Produce v{version} of {id:?} to {topic}-{partition}, acks {acks}");
                    comparison.check(&what, |address| {
                        let producer = match id {
                            Some(id) => RawProducer::new(address, "id").named(id),
                            None => RawProducer::idempotent(address),
                        };
                        producer.send(version, acks, &[(topic, partition, &batch)])[0].code
                    });
                }
            }
        }
    }
    let other = Identity {
        producer_id: STRANGER.producer_id + 1,
        ..STRANGER
    };
    let others = RawBatch::transactional(other, 0);
    comparison.check("Produce of two producers in one request", |address| {
        let producer = RawProducer::new(address, "id");
        let batches = [("default", 0, &batch), ("ranged", 0, &others)];
        let produced = producer.send(12, -1, &batches);
        produced.iter().map(|one| one.code).collect::<Vec<_>>()
    });
}

/// The limit is 4096 UTF-16 units, whatever their size in UTF-8.
fn offset_metadata(comparison: &mut Comparison) {
    let kafka = comparison.kafka;
    let texts = [
        String::new(),
        "m".repeat(4096),
        "m".repeat(4097),
        "m".repeat(30_000),
        "\u{20ac}".repeat(4096),
        "\u{20ac}".repeat(4097),
        "\u{1f600}".repeat(2048),
        "\u{1f600}".repeat(2049),
    ];
    for (metadata, version) in texts
        .iter()
        .flat_map(|text| [(text, 0), (text, 3), (text, 5)])
    {
        let (bytes, start) = (metadata.len(), metadata.chars().next());
        let what = format!("TxnOffsetCommit v{version} with {bytes} bytes of {start:?}");
        comparison.check(&what, |address| {
            let (producer, identity) = initialized(address);
            if version < 5 {
                producer.add_offsets(3, identity, "g");
            }
            let offset = RawOffset {
                group: "g",
                topic: "default",
                partition: 0,
                offset: 3,
                metadata: Some(metadata),
            };
            let (code, _) = producer.commit_offset(version, identity, offset);
            let (end_code, _) = producer.end(if version < 5 { 4 } else { 5 }, identity, true);
            // The test broker writes markers before it responds.
            if address == kafka {
                producer.await_complete();
            }
            (code, end_code)
        });
    }
}

/// Sends requests until a new topic accepts a record. Equal codes in a row count once.
fn creation_codes(address: SocketAddr, topic: &str) -> (Vec<i16>, Vec<i16>) {
    let note = |codes: &mut Vec<i16>, code| {
        if codes.last() != Some(&code) {
            codes.push(code);
        }
        (code == 0).then_some(())
    };
    let (mut metadata, mut produce) = (Vec::new(), Vec::new());
    wait_until("topic in the metadata", RESPONSE_LIMIT, || {
        let topic = topic_in_metadata(address, topic, true);
        let is_led = topic.partitions.iter().all(|(code, _)| *code == 0);
        note(&mut metadata, topic.code).filter(|()| is_led)
    });
    let batch = plain(&[now_ms()]);
    wait_until("first record of the topic", RESPONSE_LIMIT, || {
        let producer = RawProducer::idempotent(address);
        note(
            &mut produce,
            producer.send(12, -1, &[(topic, 1, &batch)])[0].code,
        )
    });
    (metadata, produce)
}

fn topic_creation(comparison: &mut Comparison) {
    const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    let kafka = comparison.kafka;
    for number in 0..8 {
        let topic = format!("new-{number}");
        comparison.check(&format!("creation of {topic}"), |address| {
            let (metadata, mut produce) = creation_codes(address, &topic);
            assert_eq!(metadata, [UNKNOWN_TOPIC_OR_PARTITION, 0], "{address}");
            // Kafka's leader has sometimes opened the log in time.
            if produce == [0] && address == kafka {
                produce.insert(0, NOT_LEADER_OR_FOLLOWER);
            }
            produce
        });
    }
    // The name of the second topic collides with the first. The client only learns that the topic
    // does not exist.
    for topic in ["coll.a", "coll_a", "a/b", "coll.b", "coll_a"] {
        comparison.check(&format!("Metadata of {topic}"), |address| {
            let ask = || topic_in_metadata(address, topic, true);
            let first = ask();
            if topic.starts_with("coll.") {
                creation_codes(address, topic);
            }
            (first, ask())
        });
    }
}
