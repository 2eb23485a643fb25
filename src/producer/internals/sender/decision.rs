//! What to do with a batch after an answer, or after none. Java: `Sender.completeBatch`, `Sender.canRetry`, `Errors`.
//!
//! Pure functions: the sender carries the decisions out.
//!
//! Differs from Java: every answer is also classed by whether the attempt may be in the log.

use std::time::Duration;

use crate::client::printable;
use crate::error::{Error, ErrorKind, TimeoutReason};
use crate::producer::internals::fate::Certainty;
use crate::producer::internals::sequences::Attempt;
use crate::protocol::ErrorCode;
use crate::protocol::messages::PartitionProduceResponse;

/// What one attempt to write one batch came to. Java: `ProduceResponse.PartitionResponse`.
#[derive(Debug)]
pub(super) struct PartitionOutcome {
    /// `NONE` for success. Where no broker answered, the code that Java puts in its place.
    pub(super) code: ErrorCode,
    pub(super) base_offset: i64,
    pub(super) log_append_time: i64,
    /// The records that the broker named as the reason of the refusal, by index in the batch (KIP-467).
    pub(super) record_errors: Vec<(u32, Option<String>)>,
    pub(super) message: Option<String>,
    /// Whether the attempt may be in the log, where it is not acknowledged.
    pub(super) is_indefinite: bool,
    /// The error, where it was not a broker that sent the code.
    pub(super) local: Option<Error>,
}

impl PartitionOutcome {
    pub(super) fn success(base_offset: i64, log_append_time: i64) -> Self {
        Self {
            code: ErrorCode::NONE,
            base_offset,
            log_append_time,
            record_errors: Vec::new(),
            message: None,
            is_indefinite: false,
            local: None,
        }
    }

    /// The outcome of an attempt that no broker answered.
    pub(super) fn local(code: ErrorCode, error: Error, is_indefinite: bool) -> Self {
        Self {
            code,
            is_indefinite,
            local: Some(error),
            ..Self::success(-1, -1)
        }
    }

    /// The connection ended before the answer.
    pub(super) fn disconnected(cause: &str, was_written: bool) -> Self {
        let text =
            format!("the connection was lost before the answer to a produce request: {cause}");
        Self::local(
            ErrorCode::NETWORK_EXCEPTION,
            Error::new(ErrorKind::Network, text),
            was_written,
        )
    }

    /// The connection was given up because it took too long.
    pub(super) fn timed_out(cause: &str, waited: Duration, was_written: bool) -> Self {
        let reason = TimeoutReason {
            waiting_for: "the answer to a produce request",
            waited,
            config: Some("request.timeout.ms"),
        };
        let text = format!("a produce request timed out: {cause}");
        Self::local(
            ErrorCode::REQUEST_TIMED_OUT,
            Error::timed_out(text, reason),
            was_written,
        )
    }

    /// The node cannot be asked in a version that carries the batch.
    pub(super) fn unsupported_version(message: &str) -> Self {
        let error = Error::new(ErrorKind::UnsupportedVersion, message);
        Self::local(ErrorCode::UNSUPPORTED_VERSION, error, false)
    }

    /// The broker answered, but with nothing that can be understood, or not for this partition.
    pub(super) fn unintelligible(message: &str) -> Self {
        let error = Error::new(ErrorKind::Protocol, message);
        Self::local(ErrorCode::NETWORK_EXCEPTION, error, true)
    }

    /// A duplicate is in the log too: an attempt before this one put it there.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.code.is_none() || self.code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER
    }

    /// Whether the attempt may have its effect later: the request may be under way still, or what was appended is still being
    /// replicated. What a former leader has appended is in the log of the next one by now, or never.
    pub(super) fn may_take_effect_later(&self) -> bool {
        self.is_indefinite && self.code != ErrorCode::NOT_LEADER_OR_FOLLOWER
    }

    /// Returns whether the log may hold the batch because of this attempt, if the attempt is not acknowledged.
    pub(super) fn certainty(&self) -> Certainty {
        match self.is_indefinite {
            true => Certainty::Maybe,
            false => Certainty::NotWritten,
        }
    }

    pub(super) fn attempt(&self) -> Attempt {
        match self.code {
            _ if self.is_indefinite => Attempt::Indefinite,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => Attempt::OutOfSequence,
            ErrorCode::UNKNOWN_PRODUCER_ID => Attempt::UnknownProducer,
            ErrorCode::INVALID_PRODUCER_ID_MAPPING => Attempt::ProducerRefused,
            _ => Attempt::Refused,
        }
    }

    /// The error of every record that the broker did not name.
    pub(super) fn error(&self) -> Error {
        if let Some(error) = &self.local {
            return error.clone();
        }
        if !self.record_errors.is_empty() {
            let text = "the batch was refused because of other records in it";
            return Error::new(ErrorKind::Broker, text);
        }
        Error::from_code(self.code, refusal(self.code, self.message.as_deref()))
    }

    /// The errors of the records that the broker named: with the partition's code where it named one, and otherwise
    /// INVALID_RECORD.
    pub(super) fn errors_by_index(&self) -> Vec<(u32, Error)> {
        let code = match self.record_errors.as_slice() {
            [_] => self.code,
            _ => ErrorCode::INVALID_RECORD,
        };
        let error = |message: &Option<String>| {
            let message = message.as_deref().or(self.message.as_deref());
            Error::from_code(code, refusal(code, message))
        };
        let errors = self.record_errors.iter();
        errors
            .map(|(index, message)| (*index, error(message)))
            .collect()
    }
}

impl From<PartitionProduceResponse> for PartitionOutcome {
    fn from(response: PartitionProduceResponse) -> Self {
        let record_errors = response.record_errors.into_iter().filter_map(|record| {
            let index = u32::try_from(record.batch_index).ok()?;
            Some((index, record.batch_index_error_message))
        });
        Self {
            code: response.error_code,
            base_offset: response.base_offset,
            log_append_time: response.log_append_time_ms,
            record_errors: record_errors.collect(),
            message: response.error_message,
            is_indefinite: !response.error_code.is_none()
                && !response.error_code.is_refusal_before_append(),
            local: None,
        }
    }
}

/// What is known of a batch when its answer comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchFacts {
    pub(super) record_count: u32,
    pub(super) attempts: u32,
    pub(super) has_reached_delivery_timeout: bool,
    pub(super) is_idempotent: bool,
    /// Whether the transaction manager can make good an error about the sequence or the producer id.
    pub(super) can_retry_out_of_sequence: bool,
    /// Whether the answer says that the producer cannot go on.
    pub(super) ends_producer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The batch is in the log; a duplicate without an offset.
    Complete,
    /// The batch is taken apart, and its parts are sent.
    Split,
    /// The same bytes are sent again.
    Retry,
    Fail,
    /// The batch fails, and the producer with it.
    FailProducer,
}

/// Java: the order of tests in `Sender.completeBatch`.
pub(super) fn classify(code: ErrorCode, batch: BatchFacts, retries: u32) -> Decision {
    if code.is_none() || code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
        return Decision::Complete;
    }
    if !batch.has_reached_delivery_timeout {
        if code == ErrorCode::MESSAGE_TOO_LARGE && batch.record_count > 1 {
            return Decision::Split;
        }
        let is_retriable = code.is_retriable()
            || (batch.is_idempotent && is_out_of_sequence(code) && batch.can_retry_out_of_sequence);
        if is_retriable && batch.attempts < retries {
            return Decision::Retry;
        }
    }
    if batch.is_idempotent && (batch.ends_producer || is_fatal(code)) {
        return Decision::FailProducer;
    }
    Decision::Fail
}

/// Whether the broker refused because of the sequence or the producer id, so that another one may be taken.
fn is_out_of_sequence(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_ID_MAPPING
    )
}

/// The errors after which an idempotent producer cannot go on. Java: `maybeTransitionToErrorState`.
fn is_fatal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::PRODUCER_FENCED
            | ErrorCode::UNSUPPORTED_VERSION
    )
}

/// The code, and the broker's own words where it has any.
fn refusal(code: ErrorCode, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("the broker answered {code}: {}", printable(message)),
        None => format!("the broker answered {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: BatchFacts = BatchFacts {
        record_count: 2,
        attempts: 0,
        has_reached_delivery_timeout: false,
        is_idempotent: true,
        can_retry_out_of_sequence: true,
        ends_producer: false,
    };
    const PLAIN: BatchFacts = BatchFacts {
        is_idempotent: false,
        ..BATCH
    };

    fn decide(code: ErrorCode, batch: BatchFacts) -> Decision {
        classify(code, batch, 3)
    }

    // Java: SenderTest.testCanRetryWithoutIdempotence.
    #[test]
    fn can_retry_without_idempotence() {
        assert_eq!(
            decide(ErrorCode::TOPIC_AUTHORIZATION_FAILED, PLAIN),
            Decision::Fail
        );
        assert_eq!(
            decide(ErrorCode::NOT_LEADER_OR_FOLLOWER, PLAIN),
            Decision::Retry
        );
        assert_eq!(
            decide(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, PLAIN),
            Decision::Fail
        );
        assert_eq!(
            decide(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, PLAIN),
            Decision::Fail
        );
    }

    #[test]
    fn every_retriable_code_is_retried_until_a_bound_is_reached() {
        for number in -1..=133 {
            let code = ErrorCode::from_i16(number);
            let expected = code.is_retriable() || is_out_of_sequence(code);
            assert_eq!(decide(code, BATCH) == Decision::Retry, expected, "{code}");
            let used_up = BatchFacts {
                attempts: 3,
                ..BATCH
            };
            assert_ne!(decide(code, used_up), Decision::Retry, "{code}");
            let too_late = BatchFacts {
                has_reached_delivery_timeout: true,
                ..BATCH
            };
            assert_ne!(decide(code, too_late), Decision::Retry, "{code}");
        }
    }

    #[test]
    fn success_counts_even_when_it_is_late() {
        let late = BatchFacts {
            has_reached_delivery_timeout: true,
            attempts: 9,
            ..BATCH
        };
        assert_eq!(decide(ErrorCode::NONE, late), Decision::Complete);
        assert_eq!(
            decide(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, late),
            Decision::Complete
        );
    }

    #[test]
    fn only_batches_of_several_records_are_split() {
        assert_eq!(decide(ErrorCode::MESSAGE_TOO_LARGE, BATCH), Decision::Split);
        let single = BatchFacts {
            record_count: 1,
            ..BATCH
        };
        assert_eq!(decide(ErrorCode::MESSAGE_TOO_LARGE, single), Decision::Fail);
        assert_eq!(
            decide(ErrorCode::RECORD_LIST_TOO_LARGE, BATCH),
            Decision::Fail
        );
    }

    // Java: SenderTest.testClusterAuthorizationExceptionInProduceRequest and its neighbours.
    #[test]
    fn some_errors_end_an_idempotent_producer() {
        for code in [
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ErrorCode::UNSUPPORTED_VERSION,
            ErrorCode::PRODUCER_FENCED,
        ] {
            assert_eq!(decide(code, BATCH), Decision::FailProducer);
        }
        assert_eq!(
            decide(ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, BATCH),
            Decision::Fail
        );
        assert_eq!(
            decide(ErrorCode::INVALID_PRODUCER_EPOCH, BATCH),
            Decision::Fail
        );
    }

    // Positive control of reliability.md 4.4: "treat Maybe as NotWritten".
    #[test]
    fn only_a_refusal_before_the_append_is_definite() {
        let outcome = |code| {
            PartitionOutcome::from(PartitionProduceResponse {
                error_code: code,
                ..Default::default()
            })
        };
        // KAFKA-13574 keeps 6 out, and 64 is what an outside trial made of 0 by flipping a bit: no broker sends it here.
        let definite = [
            2, 3, 10, 17, 18, 19, 21, 29, 31, 32, 35, 42, 43, 44, 45, 47, 48, 49, 51, 53, 59, 74,
            76, 87, 90, 100, 103, 120,
        ];
        for number in i16::MIN..=i16::MAX {
            let code = ErrorCode::from_i16(number);
            let expected = number != 0 && !definite.contains(&number);
            assert_eq!(outcome(code).is_indefinite, expected, "{code}");
        }
        assert_eq!(
            outcome(ErrorCode::UNKNOWN_PRODUCER_ID).attempt(),
            Attempt::UnknownProducer
        );
        assert_eq!(
            outcome(ErrorCode::NOT_ENOUGH_REPLICAS).attempt(),
            Attempt::Refused
        );
        assert_eq!(
            outcome(ErrorCode::REQUEST_TIMED_OUT).attempt(),
            Attempt::Indefinite
        );
        assert_eq!(
            PartitionOutcome::disconnected("", false).attempt(),
            Attempt::Refused
        );
    }

    // Java: SenderTest.testRecordErrorPropagatedToApplication, testDefaultErrorMessage, testCustomErrorMessage.
    #[test]
    fn errors_of_records_name_their_own_reason() {
        let mut outcome = PartitionOutcome {
            code: ErrorCode::INVALID_TIMESTAMP,
            ..PartitionOutcome::success(-1, -1)
        };
        assert!(outcome.errors_by_index().is_empty());
        assert_eq!(outcome.error().code(), Some(ErrorCode::INVALID_TIMESTAMP));
        assert!(outcome.error().to_string().contains("INVALID_TIMESTAMP"));

        outcome.message = Some("of the partition".to_owned());
        outcome.record_errors = vec![(3, None)];
        let errors = outcome.errors_by_index();
        assert_eq!(errors[0].0, 3);
        assert_eq!(errors[0].1.code(), Some(ErrorCode::INVALID_TIMESTAMP));
        let text = |index: usize| errors[index].1.to_string();
        assert_eq!(
            text(0),
            "the broker answered INVALID_TIMESTAMP (32): of the partition; the limits are \
             message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic"
        );
        assert_eq!(outcome.error().code(), None);

        outcome.record_errors = vec![(0, Some("of the record".to_owned())), (1, None)];
        let errors = outcome.errors_by_index();
        assert_eq!(errors[0].1.code(), Some(ErrorCode::INVALID_RECORD));
        let text = |index: usize| errors[index].1.to_string();
        assert_eq!(
            text(0),
            "the broker answered INVALID_RECORD (87): of the record"
        );
        assert_eq!(
            text(1),
            "the broker answered INVALID_RECORD (87): of the partition"
        );
    }
}
