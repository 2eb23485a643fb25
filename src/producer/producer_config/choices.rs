//! The configuration values that are one of a few names. Java: `CompressionType`, `ClientDnsLookup`,
//! `MetadataRecoveryStrategy`, and the strings that `acks` takes.

use std::fmt;

use crate::record;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The value as a configuration file spells it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value of this name, in either case.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                [$(Self::$variant),+]
                    .into_iter()
                    .find(|choice| choice.as_str().eq_ignore_ascii_case(name))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// How many replicas must have a record before the broker confirms it (`acks`).
    Acks {
        /// Nobody confirms: a record counts as sent once the socket has it, and its offset stays unknown.
        None = "0",
        /// The leader confirms when it has the record. A leader that dies then may lose it.
        Leader = "1",
        /// The leader confirms when every in-sync replica has the record; `-1` means the same.
        All = "all",
    }
}

impl Acks {
    /// The number that stands in a Produce request.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

choice! {
    /// The codec that batches are compressed with (`compression.type`).
    CompressionType {
        /// No compression.
        None = "none",
        /// Cargo feature `gzip`, on by default.
        Gzip = "gzip",
        /// Cargo feature `snappy`, on by default.
        Snappy = "snappy",
        /// Cargo feature `lz4`, on by default.
        Lz4 = "lz4",
        /// Cargo feature `zstd`, off by default because it needs a C compiler.
        Zstd = "zstd",
    }
}

impl CompressionType {
    /// The codec as the layer that builds batches knows it.
    pub(crate) const fn codec(self) -> record::CompressionType {
        match self {
            Self::None => record::CompressionType::None,
            Self::Gzip => record::CompressionType::Gzip,
            Self::Snappy => record::CompressionType::Snappy,
            Self::Lz4 => record::CompressionType::Lz4,
            Self::Zstd => record::CompressionType::Zstd,
        }
    }
}

choice! {
    /// What is done with a host name that has more than one address (`client.dns.lookup`).
    ClientDnsLookup {
        /// Each address is tried in turn.
        UseAllDnsIps = "use_all_dns_ips",
        /// Each bootstrap name is replaced by the canonical names of all its addresses, as Kerberos needs it.
        ResolveCanonicalBootstrapServersOnly = "resolve_canonical_bootstrap_servers_only",
    }
}

choice! {
    /// What is done when no known broker can be reached any more (`metadata.recovery.strategy`).
    MetadataRecoveryStrategy {
        /// Start again from the addresses in `bootstrap.servers`.
        Rebootstrap = "rebootstrap",
        /// Go on trying the brokers known last.
        None = "none",
    }
}

choice! {
    /// A partitioner that the library brings along, as `partitioner.class` names it.
    PartitionerClass {
        /// `RoundRobinPartitioner`.
        RoundRobin = "RoundRobinPartitioner",
        /// `UniformStickyPartitioner`.
        UniformSticky = "UniformStickyPartitioner",
        /// `DefaultPartitioner`, the one of Kafka 2.4 to 3.2.
        Default = "DefaultPartitioner",
    }
}
