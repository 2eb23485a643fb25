//! The protocol version of transactions, and the matching versions of requests (KIP-890).

use std::ops::RangeInclusive;

use crate::protocol::{ApiKey, RequestBody};

/// The protocol of the open transaction. It does not change before the transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionVersion {
    /// Separate requests add partitions and groups, and the epoch stays the same across
    /// transactions.
    V1,
    /// KIP-890, part 2: brokers add partitions and groups themselves, and the end of each
    /// transaction bumps the epoch.
    V2,
}

impl TransactionVersion {
    /// Returns the version for the cluster's finalized level of `transaction.version`; 0 if it has
    /// none.
    pub(crate) fn from_feature_level(level: i16) -> Self {
        if level >= 2 { Self::V2 } else { Self::V1 }
    }
}

/// The first versions that belong to transactions of version 2 (KIP-890, part 2).
const FIRST_PRODUCE_V2: i16 = 12;
const FIRST_END_TXN_V2: i16 = 5;
const FIRST_TXN_OFFSET_COMMIT_V2: i16 = 5;

/// The last version of TxnOffsetCommit that identifies topics by name.
const LAST_TXN_OFFSET_COMMIT_BY_NAME: i16 = 5;

/// Returns the versions of a request that fit the protocol of the open transaction. The version
/// tells a broker which protocol the client follows.
pub(crate) fn usable_versions(key: ApiKey, version: TransactionVersion) -> RangeInclusive<i16> {
    let first_v2 = match key {
        ApiKey::Produce => FIRST_PRODUCE_V2,
        ApiKey::EndTxn => FIRST_END_TXN_V2,
        ApiKey::TxnOffsetCommit => FIRST_TXN_OFFSET_COMMIT_V2,
        _ => return key.versions(),
    };
    let all = key.versions();
    match version {
        TransactionVersion::V1 => *all.start()..=first_v2 - 1,
        TransactionVersion::V2 => first_v2..=*all.end(),
    }
}

/// Returns the versions of a transactional request that can carry its contents.
pub(crate) fn usable_versions_of(
    body: &RequestBody,
    version: TransactionVersion,
) -> RangeInclusive<i16> {
    let versions = usable_versions(body.api_key(), version);
    match body {
        RequestBody::TxnOffsetCommit(commit) if !commit.has_topic_ids() => {
            *versions.start()..=LAST_TXN_OFFSET_COMMIT_BY_NAME.min(*versions.end())
        }
        _ => versions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::Uuid;
    use crate::protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitTopic};
    use crate::sync::Arc;

    #[test]
    fn versions_tell_the_protocols_apart() {
        let v1 = |key| usable_versions(key, TransactionVersion::V1);
        let v2 = |key| usable_versions(key, TransactionVersion::V2);
        assert_eq!(v1(ApiKey::Produce), 3..=11);
        assert_eq!(v2(ApiKey::Produce), 12..=13);
        assert_eq!((v1(ApiKey::EndTxn), v2(ApiKey::EndTxn)), (0..=4, 5..=5));
        assert_eq!(v1(ApiKey::TxnOffsetCommit), 0..=4);
        assert_eq!(v2(ApiKey::TxnOffsetCommit), 5..=6);
        assert_eq!(v1(ApiKey::InitProducerId), v2(ApiKey::InitProducerId));
    }

    // Java: TransactionManagerTest (4.4).
    #[test]
    fn offsets_go_by_topic_id_only_if_every_id_is_known() {
        let known = Uuid::from_bytes([7; 16]);
        let usable = |ids: &[Uuid], version| {
            let topics = ids.iter().map(|topic_id| TxnOffsetCommitTopic {
                name: Arc::from("t"),
                topic_id: *topic_id,
                partitions: Vec::new(),
            });
            let request = TxnOffsetCommitRequest {
                topics: topics.collect(),
                ..TxnOffsetCommitRequest::default()
            };
            usable_versions_of(&request.into(), version)
        };
        let v2 = TransactionVersion::V2;
        assert_eq!(usable(&[known, known], v2), 5..=6);
        assert_eq!(usable(&[known, Uuid::ZERO], v2), 5..=5);
        assert_eq!(usable(&[known, known], TransactionVersion::V1), 0..=4);
    }
}
