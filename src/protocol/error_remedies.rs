//! The limit, right or setting behind an error code, for the texts of errors. Java: the messages of
//! the exceptions do not name any.

use super::ErrorCode;

impl ErrorCode {
    /// Returns what to change so that the request succeeds, or `None` if no particular remedy is
    /// known.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::MESSAGE_TOO_LARGE => {
                "the limit is max.message.bytes of the topic, or message.max.bytes of the broker"
            }
            Self::RECORD_LIST_TOO_LARGE => "the limit is segment.bytes of the topic",
            Self::NOT_ENOUGH_REPLICAS | Self::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
                "the topic's min.insync.replicas needs more replicas in sync than there are"
            }
            Self::TOPIC_AUTHORIZATION_FAILED => {
                "the principal needs the rights Describe and Write on the topic"
            }
            Self::GROUP_AUTHORIZATION_FAILED => {
                "the principal needs the right Read on the consumer group"
            }
            Self::CLUSTER_AUTHORIZATION_FAILED => {
                "the principal needs the right IdempotentWrite on the cluster, or Write on a topic from Kafka 2.8 on; \
                 enable.idempotence=false needs neither"
            }
            Self::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
                "the principal needs the rights Describe and Write on the transactional.id"
            }
            Self::INVALID_TIMESTAMP => {
                "the limits are message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic"
            }
            Self::INVALID_TRANSACTION_TIMEOUT => {
                "transaction.timeout.ms must not exceed transaction.max.timeout.ms of the brokers"
            }
            Self::UNSUPPORTED_COMPRESSION_TYPE => {
                "the broker does not know the codec: change compression.type"
            }
            Self::UNSUPPORTED_FOR_MESSAGE_FORMAT => {
                "the topic's message.format.version is older than Kafka 0.11"
            }
            Self::OFFSET_METADATA_TOO_LARGE => {
                "the limit is offset.metadata.max.bytes of the brokers"
            }
            Self::KAFKA_STORAGE_ERROR => "a disk of the broker failed: the broker's log says which",
            Self::INVALID_REQUIRED_ACKS => "acks must be 0, 1 or all",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_one_clause() {
        let codes = (-1..200).map(ErrorCode::from_i16);
        let remedies: Vec<_> = codes.filter_map(ErrorCode::remedy).collect();
        assert_eq!(remedies.len(), 15);
        for remedy in remedies {
            let is_clause = remedy.starts_with(char::is_lowercase) && !remedy.ends_with('.');
            assert!(is_clause && !remedy.contains("  "), "{remedy}");
        }
    }
}
