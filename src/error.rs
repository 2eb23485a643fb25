//! The error type of the public API. Java: the exceptions in `org.apache.kafka.common.errors`.

mod failed_record;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub(crate) use self::failed_record::{FailedRecord, FailedRecordPlace, FailedRecordSource};
use crate::common::TopicPartition;
use crate::protocol::ErrorCode;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::utils::choice;

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a call or a delivery failed. One word wide and cheap to clone, because one
/// refused batch fails many records.
///
/// [`kind`](Self::kind), [`delivery`](Self::delivery), [`is_retriable`](Self::is_retriable),
/// [`is_abortable`](Self::is_abortable) and [`is_fatal`](Self::is_fatal) tell a program what to do.
/// The text is for people.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<ErrorCode>,
    topic_partition: Option<TopicPartition>,
    timeout: Option<TimeoutReason>,
    delivery: Delivery,
    ends_producer: bool,
    aborts_transaction: bool,
    transaction: Option<TransactionMark>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    record: Option<FailedRecordPlace>,
}

choice! {
    /// The kind of an [`Error`].
    ErrorKind {
        /// A configuration value is missing, malformed, out of range, or contradicts another. Java: `ConfigException`.
        Config = "Config",
        /// No name of `bootstrap.servers` was resolved within `bootstrap.resolve.timeout.ms`. From
        /// then on every call fails with this: close the producer and build another. Java:
        /// `BootstrapResolutionException` (KIP-909).
        BootstrapResolution = "BootstrapResolution",
        /// The operation timed out. If the client set the limit, [`Error::timeout`] says what it
        /// waited for, how long, and which setting bounds it.
        /// Java: `TimeoutException`.
        Timeout = "Timeout",
        /// The wait of `get_timeout`, `send_timeout` or `flush_timeout` ended before the delivery.
        /// The record is still being sent: wait again, because sending it again would duplicate it.
        /// Java: `java.util.concurrent.TimeoutException`.
        Pending = "Pending",
        /// No buffer memory became free within `max.block.ms`. A kind of timeout. Java:
        /// `BufferExhaustedException`.
        BufferExhausted = "BufferExhausted",
        /// The record or its batch is larger than `max.request.size`, `buffer.memory` or the broker
        /// allows.
        /// Java: `RecordTooLargeException`.
        RecordTooLarge = "RecordTooLarge",
        /// A serializer refused the record, or panicked. Java: `SerializationException`.
        Serialization = "Serialization",
        /// The topic's name is illegal, or the broker refuses the topic. Java:
        /// `InvalidTopicException`.
        InvalidTopic = "InvalidTopic",
        /// An argument is never valid, such as a negative partition. Java:
        /// `IllegalArgumentException`.
        IllegalArgument = "IllegalArgument",
        /// The call does not fit the producer's state. Java: `IllegalStateException`.
        IllegalState = "IllegalState",
        /// The producer is closed, or was closed while the call waited. Java: `IllegalStateException`, `KafkaException`.
        Closed = "Closed",
        /// The producer was built in another process. This process is a fork of it, without the
        /// producer's I/O thread. Build a producer in this process. Java has no such case.
        Forked = "Forked",
        /// A blocking call was made inside a callback, where it would wait for itself. Java:
        /// `KafkaException` (4.1).
        WouldDeadlock = "WouldDeadlock",
        /// `try_send` cannot take the record now without blocking.
        WouldBlock = "WouldBlock",
        /// The principal is not allowed to do this. Java: `AuthorizationException` and its subclasses.
        Authorization = "Authorization",
        /// The connection could not be authenticated. Java: `AuthenticationException`.
        Authentication = "Authentication",
        /// The broker does not support a version that this needs. Java:
        /// `UnsupportedVersionException`.
        UnsupportedVersion = "UnsupportedVersion",
        /// The connection to the broker was lost. Java: `NetworkException`, `DisconnectException`.
        Network = "Network",
        /// The broker refused the request. [`Error::code`] says why. Java: `ApiException`.
        Broker = "Broker",
        /// The broker violated the protocol. Java: `SchemaException`, `InvalidReceiveException`.
        Protocol = "Protocol",
        /// Another producer took over, or the producer's state on the brokers is lost. Java: `ProducerFencedException`.
        Fenced = "Fenced",
        /// The transaction failed earlier and must be aborted, or it was aborted. The source is the
        /// first failure. Java: `KafkaException`, `TransactionAbortedException`.
        Transaction = "Transaction",
        /// The user's partitioner panicked. A panic in a serializer is a `Serialization` with this
        /// as its source. Panics in callbacks and interceptors are logged.
        Panic = "Panic",
        /// The library broke an invariant of its own, or the operating system refused a thread or a socket.
        Internal = "Internal",
    }
}

/// Whether the log may hold a record whose delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a record is known not to be in the log, or unknown; there is no third case"
)]
pub enum Delivery {
    /// The log does not hold the record: sending it again makes no duplicate.
    NotWritten,
    /// The log may hold the record: a request with it was passed to a socket, and is not known to
    /// be refused.
    MaybeWritten,
}

/// What a timed-out operation was waiting for, for how long, and which setting limits it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutReason {
    /// What the operation waited for.
    pub waiting_for: &'static str,
    /// How long it waited.
    pub waited: Duration,
    /// The configuration key that limits the wait, such as `max.block.ms`. `None` if the caller set
    /// the limit.
    pub config: Option<&'static str>,
}

/// Whether a transaction was aborted. Every error of the transaction shares it, so that none of
/// them requires another abort afterwards.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionMark(Arc<AtomicBool>);

impl TransactionMark {
    pub(crate) fn set_aborted(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Error {
    /// Creates an error without code, partition or cause, for a record that was not written.
    #[cold]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            code: None,
            topic_partition: None,
            timeout: None,
            delivery: Delivery::NotWritten,
            ends_producer: false,
            aborts_transaction: false,
            transaction: None,
            source: None,
            record: None,
        }))
    }

    /// Creates the error of an operation that timed out.
    #[cold]
    pub(crate) fn timed_out(message: impl Into<String>, reason: TimeoutReason) -> Self {
        Self::new(ErrorKind::Timeout, message).with(|inner| inner.timeout = Some(reason))
    }

    /// Creates the error for a broker's error code. The text also names the limit, right or setting
    /// to change.
    #[cold]
    pub(crate) fn from_code(code: ErrorCode, message: impl Into<String>) -> Self {
        let kind = match code {
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                ErrorKind::RecordTooLarge
            }
            ErrorCode::INVALID_TOPIC_EXCEPTION => ErrorKind::InvalidTopic,
            ErrorCode::REQUEST_TIMED_OUT => ErrorKind::Timeout,
            ErrorCode::NETWORK_EXCEPTION => ErrorKind::Network,
            ErrorCode::UNSUPPORTED_VERSION => ErrorKind::UnsupportedVersion,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => ErrorKind::Authorization,
            ErrorCode::SASL_AUTHENTICATION_FAILED
            | ErrorCode::UNSUPPORTED_SASL_MECHANISM
            | ErrorCode::ILLEGAL_SASL_STATE => ErrorKind::Authentication,
            ErrorCode::PRODUCER_FENCED => ErrorKind::Fenced,
            _ => ErrorKind::Broker,
        };
        let message = match code.remedy() {
            Some(remedy) => format!("{}; {remedy}", message.into()),
            None => message.into(),
        };
        Self::new(kind, message).with(|inner| inner.code = Some(code))
    }

    /// Changes the kind.
    pub(crate) fn with_kind(self, kind: ErrorKind) -> Self {
        self.with(|inner| inner.kind = kind)
    }

    /// Marks this as the error that ends the producer.
    pub(crate) fn into_fatal(self) -> Self {
        self.with(|inner| {
            inner.ends_producer = true;
            inner.aborts_transaction = false;
        })
    }

    /// Marks this as an error after which the transaction must be aborted.
    pub(crate) fn into_abortable(self, transaction: &TransactionMark) -> Self {
        self.in_transaction(transaction)
            .with(|inner| inner.aborts_transaction = !inner.ends_producer)
    }

    /// Marks this as an error of this transaction.
    pub(crate) fn in_transaction(self, transaction: &TransactionMark) -> Self {
        self.with(|inner| inner.transaction = Some(transaction.clone()))
    }

    /// Makes this error abortable in the same transaction as `other`, if `other` is abortable.
    pub(crate) fn abortable_like(self, other: &Self) -> Self {
        match &other.0.transaction {
            Some(transaction) if other.0.aborts_transaction => self.into_abortable(transaction),
            _ => self,
        }
    }

    /// Adds the partition.
    pub(crate) fn for_partition(self, topic_partition: TopicPartition) -> Self {
        self.with(|inner| inner.topic_partition = Some(topic_partition))
    }

    /// Sets the [`Delivery`].
    pub(crate) fn with_delivery(self, delivery: Delivery) -> Self {
        if self.0.delivery == delivery {
            self
        } else {
            self.with(|inner| inner.delivery = delivery)
        }
    }

    /// Adds the cause, and the broker's code in the cause.
    pub(crate) fn caused_by_answer(self, cause: Self) -> Self {
        let code = cause.code().or(self.0.code);
        self.with(|inner| inner.code = code).caused_by(cause)
    }

    /// Adds the cause. The error's own text should not repeat that of the cause.
    pub(crate) fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.with(|inner| inner.source = Some(Arc::new(source)))
    }

    /// Attaches the record at `index` of `source`.
    pub(crate) fn with_record(self, source: Arc<dyn FailedRecordSource>, index: u32) -> Self {
        self.with(|inner| inner.record = Some(FailedRecordPlace { source, index }))
    }

    /// Detaches the record. Returns the error without it, and the place of the record.
    pub(crate) fn split_record(self) -> (Self, Option<FailedRecordPlace>) {
        match self.0.record.clone() {
            None => (self, None),
            place => (self.with(|inner| inner.record = None), place),
        }
    }

    pub(crate) fn has_record(&self) -> bool {
        self.0.record.is_some()
    }

    pub(crate) fn record_place(&self) -> Option<&FailedRecordPlace> {
        self.0.record.as_ref()
    }

    /// Changes the error. Changes a copy if it is shared.
    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the broker's error code, if a broker sent one, even if this library does not know
    /// the number. If `delivery.timeout.ms` passed while the record was retried, this is the code
    /// of the last response.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.code
    }

    /// Returns the partition, if the error is about one.
    pub fn topic_partition(&self) -> Option<&TopicPartition> {
        self.0.topic_partition.as_ref()
    }

    /// Returns whether the log may hold the record although its delivery failed.
    ///
    /// After [`Delivery::NotWritten`] the record can be sent again without creating a duplicate.
    /// After [`Delivery::MaybeWritten`] the caller must choose between a possible duplicate and a
    /// possible loss, because the idempotence of the first send does not cover another one. For an
    /// error of `commit_transaction`, this says whether the transaction may have been committed.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// Returns `true` if the same call may succeed later without a change. Java:
    /// `RetriableException`.
    pub fn is_retriable(&self) -> bool {
        // The code of a timeout is that of the last response, and does not matter here.
        let is_retriable_kind = matches!(
            self.0.kind,
            ErrorKind::Timeout
                | ErrorKind::BufferExhausted
                | ErrorKind::Network
                | ErrorKind::WouldBlock
        );
        is_retriable_kind || self.0.code.is_some_and(ErrorCode::is_retriable)
    }

    /// Returns `true` if the producer has ended: close it, and open another one if needed.
    ///
    /// This is the case if the producer is closed, if it belongs to another process, if another
    /// producer took over, and if an idempotent producer cannot continue after a broker's response,
    /// such as missing rights in a Produce response.
    pub fn is_fatal(&self) -> bool {
        self.0.ends_producer
            || matches!(
                self.0.kind,
                ErrorKind::Fenced | ErrorKind::Closed | ErrorKind::Forked
            )
    }

    /// Returns `true` if the transaction must be aborted, after which the next one can begin.
    ///
    /// This is the case for a failure inside a transaction that is not [fatal](Self::is_fatal): an
    /// undelivered record, uncommitted offsets, a refused commit. Once the transaction is aborted,
    /// this returns `false`, and [`is_aborted`](Self::is_aborted) returns `true`. Java: the same
    /// exceptions, without this distinction.
    pub fn is_abortable(&self) -> bool {
        self.0.aborts_transaction && !self.is_fatal() && !self.is_aborted()
    }

    /// Returns `true` if the transaction of this error has been aborted. Read-committed consumers
    /// see nothing of it, and its work can be repeated in the next one.
    ///
    /// The same error changes from [abortable](Self::is_abortable) to aborted when
    /// `abort_transaction` succeeds. The closure form,
    /// [`transaction`](crate::KafkaProducer::transaction), aborts by itself, so its errors are
    /// already aborted.
    pub fn is_aborted(&self) -> bool {
        let transaction = self.0.transaction.as_ref();
        transaction.is_some_and(TransactionMark::is_aborted) && !self.is_fatal()
    }

    /// Returns `true` if this is a timeout, including a full buffer. If the caller limited the wait
    /// for a delivery, as with `get_timeout`, the kind is [`Pending`](ErrorKind::Pending) instead:
    /// the delivery itself has not timed out.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout | ErrorKind::BufferExhausted)
    }

    /// Returns what a timed-out operation was waiting for, how long, and which setting limits it.
    pub fn timeout(&self) -> Option<&TimeoutReason> {
        self.0.timeout.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A broker's response has its own text, which names no partition. The text of a timeout
        // does.
        let is_response = self.0.code.is_some() && self.0.timeout.is_none();
        if let (true, Some(topic_partition)) = (is_response, &self.0.topic_partition) {
            if topic_partition.partition() >= 0 {
                write!(f, "{topic_partition}: ")?;
            }
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(code) = self.0.code {
            debug.field("code", &code);
        }
        if let Some(topic_partition) = &self.0.topic_partition {
            debug.field("topic_partition", topic_partition);
        }
        if let Some(timeout) = &self.0.timeout {
            debug.field("timeout", timeout);
        }
        debug.field("delivery", &self.0.delivery);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_wide_send_and_sync() {
        fn assert_send_sync<T: Send + Sync + 'static>() {}
        assert_send_sync::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }

    #[test]
    fn a_brokers_answer_is_told_with_the_partition() {
        let error = Error::from_code(ErrorCode::INVALID_RECORD, "no key");
        let of = |partition| TopicPartition::new("t", partition);
        assert_eq!(error.to_string(), "no key");
        assert_eq!(
            error.clone().for_partition(of(3)).to_string(),
            "t-3: no key"
        );
        assert_eq!(error.for_partition(of(-1)).to_string(), "no key");
        let own = Error::new(ErrorKind::Closed, "closed").for_partition(of(3));
        assert_eq!(own.to_string(), "closed");
    }

    #[test]
    fn a_brokers_code_names_what_to_change() {
        let error = Error::from_code(ErrorCode::MESSAGE_TOO_LARGE, "refused");
        assert!(error.to_string().starts_with("refused; the limit is "));
    }

    #[test]
    fn a_timeout_with_a_response_as_its_cause_stays_a_retriable_timeout() {
        let reason = TimeoutReason {
            waiting_for: "the delivery of a record",
            waited: Duration::from_millis(7),
            config: Some("delivery.timeout.ms"),
        };
        let response = Error::from_code(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, "a gap");
        let error = Error::timed_out("t-3 is late", reason)
            .caused_by_answer(response)
            .for_partition(TopicPartition::new("t", 3));
        assert_eq!(error.code(), Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert!(error.is_timeout() && error.is_retriable());
        assert_eq!(error.to_string(), "t-3 is late");
        assert_eq!(error.source().unwrap().to_string(), "a gap");
        let debug = format!("{error:?}");
        assert!(debug.contains("waited: 7ms"), "{debug}");
    }

    #[test]
    fn what_ends_the_producer_is_fatal() {
        let error = Error::from_code(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, "no rights");
        assert!(!error.is_fatal());
        assert!(error.into_fatal().is_fatal());
        assert!(Error::new(ErrorKind::Closed, "closed").is_fatal());
    }

    #[test]
    fn what_is_fatal_is_not_abortable() {
        let error = Error::new(ErrorKind::Timeout, "late");
        assert!(!error.is_abortable());
        let transaction = TransactionMark::default();
        let abortable = error.into_abortable(&transaction);
        assert!(abortable.is_abortable() && !abortable.is_fatal());
        let fatal = abortable.into_fatal();
        assert!(fatal.is_fatal() && !fatal.is_abortable());
        let fatal = fatal.into_abortable(&transaction);
        transaction.set_aborted();
        assert!(!fatal.is_abortable() && !fatal.is_aborted());
    }

    #[test]
    fn an_abort_changes_every_error_of_its_transaction_and_no_other() {
        let [first, second] = [TransactionMark::default(), TransactionMark::default()];
        let error = || Error::new(ErrorKind::Timeout, "late");
        let of_first = error().into_abortable(&first);
        let like_first = error().abortable_like(&of_first);
        let of_second = error().into_abortable(&second);
        let unmarked = error().abortable_like(&error());
        first.set_aborted();
        for error in [of_first, like_first] {
            assert!(!error.is_abortable() && error.is_aborted());
        }
        assert!(of_second.is_abortable() && !of_second.is_aborted());
        assert!(!unmarked.is_abortable() && !unmarked.is_aborted());
    }

    #[test]
    fn a_clone_is_not_changed_by_later_details() {
        let error = Error::from_code(ErrorCode::NETWORK_EXCEPTION, "lost");
        let detailed = error.clone().with_delivery(Delivery::MaybeWritten);
        assert_eq!(error.delivery(), Delivery::NotWritten);
        assert_eq!(detailed.delivery(), Delivery::MaybeWritten);
        assert!(detailed.is_retriable());
    }
}
