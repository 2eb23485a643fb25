//! The configuration values that are one of a few names. Java: `CompressionType`, `ClientDnsLookup`,
//! `MetadataRecoveryStrategy`, and the strings that `acks` takes.

pub use crate::client::{ClientDnsLookup, MetadataRecoveryStrategy};
pub use crate::network::SecurityProtocol;
pub use crate::record::CompressionType;
use crate::utils::choice;

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
