//! The configuration values that are one of a few names. Java: `CompressionType`,
//! `ClientDnsLookup`, `MetadataRecoveryStrategy`, and the strings for `acks` and
//! `buffer.memory.allocation.strategy`.

pub use crate::client::{ClientDnsLookup, MetadataRecoveryStrategy};
pub use crate::metrics::RecordingLevel;
pub use crate::network::SecurityProtocol;
pub use crate::record::CompressionType;
use crate::utils::choice;

choice! {
    /// How many replicas must have a record before the broker acknowledges it (`acks`).
    Acks {
        /// No acknowledgement: a record counts as sent once it is written to the socket, and its
        /// offset is unknown.
        None = "0",
        /// The leader acknowledges once it has the record. If the leader then fails, the record may
        /// be lost.
        Leader = "1",
        /// The leader acknowledges once every in-sync replica has the record. `-1` means the same.
        All = "all",
    }
}

choice! {
    /// How batches take their share of `buffer.memory` (`buffer.memory.allocation.strategy`, KIP-1332).
    BufferMemoryAllocationStrategy {
        /// A batch takes `batch.size` bytes when it opens.
        Full = "full",
        /// A batch takes memory as it grows, in chunks, up to `batch.size`.
        Incremental = "incremental",
    }
}

impl Acks {
    /// Returns the number in a Produce request.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

choice! {
    /// A built-in partitioner, by its name in `partitioner.class`.
    PartitionerClass {
        /// `RoundRobinPartitioner`.
        RoundRobin = "RoundRobinPartitioner",
        /// `UniformStickyPartitioner`.
        UniformSticky = "UniformStickyPartitioner",
        /// `DefaultPartitioner`, the one of Kafka 2.4 to 3.2.
        Default = "DefaultPartitioner",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use super::*;
    use crate::error::ErrorKind;

    fn reads_what_it_prints<T>(choices: &[T])
    where
        T: Display + Debug + PartialEq + FromStr<Err: Display + Debug>,
    {
        for choice in choices {
            assert_eq!(&choice.to_string().parse::<T>().unwrap(), choice);
        }
        let error = "neither".parse::<T>().unwrap_err().to_string();
        let names = choices.iter().map(T::to_string).collect::<Vec<_>>();
        assert!(error.starts_with("`neither` is not a name of "), "{error}");
        assert!(error.contains(&names.join(", ")), "{error}");
    }

    #[test]
    fn every_choice_reads_what_it_prints() {
        reads_what_it_prints(&[Acks::None, Acks::Leader, Acks::All]);
        reads_what_it_prints(&[CompressionType::None, CompressionType::Gzip]);
        reads_what_it_prints(&[SecurityProtocol::Plaintext, SecurityProtocol::Ssl]);
        reads_what_it_prints(&[
            PartitionerClass::RoundRobin,
            PartitionerClass::UniformSticky,
            PartitionerClass::Default,
        ]);
        reads_what_it_prints(&[
            ClientDnsLookup::UseAllDnsIps,
            ClientDnsLookup::ResolveCanonicalBootstrapServersOnly,
        ]);
        reads_what_it_prints(&[ErrorKind::Config, ErrorKind::BootstrapResolution]);
    }
}
