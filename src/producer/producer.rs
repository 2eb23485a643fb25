//! The common interface of real producers and mocks. Java: `Producer`.

use std::collections::HashMap;
use std::time::Duration;

use super::record_data::RecordData;
use super::{
    ConsumerGroupMetadata, Health, OffsetAndMetadata, ProducerRecord, RecordFuture, RecordMetadata,
    SendTimeoutError, TrySendError,
};
use crate::common::{PartitionInfo, TopicPartition, Uuid};
use crate::error::{Error, Result};
use crate::metrics::MetricsSnapshot;
use crate::sync::Arc;
use crate::utils::log;

/// A real producer or a mock. A program can hold an `Arc<dyn Producer>` and be tested without
/// brokers.
///
/// The methods are those of [`KafkaProducer`](crate::KafkaProducer), with the same errors and the
/// same blocking.
///
/// ```
/// use std::sync::Arc;
/// use kafka_producer::{MockProducer, Producer, ProducerRecord};
///
/// struct Orders {
///     producer: Arc<dyn Producer>,
/// }
///
/// impl Orders {
///     fn accept(&self, id: &str) -> kafka_producer::Result<()> {
///         self.producer.send(ProducerRecord::new("orders", "accepted").key(id))?.get()?;
///         Ok(())
///     }
/// }
///
/// let mock = Arc::new(MockProducer::new(true));
/// let orders = Orders { producer: mock.clone() };
/// orders.accept("17")?;
/// assert_eq!(mock.history(), [ProducerRecord::new("orders", "accepted").key("17")]);
/// # Ok::<(), kafka_producer::Error>(())
/// ```
pub trait Producer<K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]>:
    Send + Sync
{
    /// Sends a record.
    ///
    /// # Errors
    ///
    /// The call refuses the record. A later failure is the future's result.
    fn send(&self, record: ProducerRecord<'_, K, V>) -> Result<RecordFuture>;

    /// Sends a record, and calls `callback` exactly once with the outcome.
    /// [`ProducerExt`](super::ProducerExt) and trait objects have `send_with_callback`, which takes
    /// an unboxed closure.
    ///
    /// # Errors
    ///
    /// The call refuses the record.
    fn send_with_boxed_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()>;

    /// Sends a record without waiting; see [`KafkaProducer::try_send`](crate::KafkaProducer::try_send).
    ///
    /// # Errors
    ///
    /// The producer cannot accept the record, now or ever. The error returns the record.
    fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, K, V>,
    ) -> Result<RecordFuture, TrySendError<'a, K, V>>;

    /// Sends all batches immediately, and waits until each record that was sent before has an
    /// outcome.
    ///
    /// # Errors
    ///
    /// The call cannot wait. A failed delivery is not an error of this call.
    fn flush(&self) -> Result<()>;

    /// Sends a record and waits for its delivery, at most for `timeout`; see
    /// [`KafkaProducer::send_timeout`](crate::KafkaProducer::send_timeout).
    ///
    /// # Errors
    ///
    /// The time runs out, or the record is not delivered. The error says which.
    fn send_timeout(
        &self,
        record: ProducerRecord<'_, K, V>,
        timeout: Duration,
    ) -> Result<RecordMetadata, SendTimeoutError>;

    /// Does the same as [`flush`](Self::flush), but waits no longer than `timeout`; see
    /// [`KafkaProducer::flush_timeout`](crate::KafkaProducer::flush_timeout).
    ///
    /// # Errors
    ///
    /// `Pending` if the time runs out, and those of [`flush`](Self::flush).
    fn flush_timeout(&self, timeout: Duration) -> Result<()>;

    /// Initializes transactions; see
    /// [`KafkaProducer::init_transactions`](crate::KafkaProducer::init_transactions).
    ///
    /// # Errors
    ///
    /// The producer is not transactional, was initialized before, or cannot be initialized.
    fn init_transactions(&self) -> Result<()>;

    /// Opens a transaction; see [`KafkaProducer::begin_transaction`](crate::KafkaProducer::begin_transaction).
    ///
    /// # Errors
    ///
    /// Transactions were not initialized, or one is open.
    fn begin_transaction(&self) -> Result<()>;

    /// Adds the offsets of a consumer group to the transaction; see
    /// [`KafkaProducer::send_offsets_to_transaction`](crate::KafkaProducer::send_offsets_to_transaction).
    ///
    /// # Errors
    ///
    /// No transaction is open, or the group refuses the offsets.
    fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()>;

    /// Commits the transaction; see [`KafkaProducer::commit_transaction`](crate::KafkaProducer::commit_transaction).
    ///
    /// # Errors
    ///
    /// No transaction is open, or it cannot be committed.
    fn commit_transaction(&self) -> Result<()>;

    /// Aborts the transaction; see [`KafkaProducer::abort_transaction`](crate::KafkaProducer::abort_transaction).
    ///
    /// # Errors
    ///
    /// No transaction is open, or it cannot be aborted.
    fn abort_transaction(&self) -> Result<()>;

    /// Returns the partitions of a topic.
    ///
    /// # Errors
    ///
    /// The topic does not become known in time.
    fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>>;

    /// Returns every metric of this producer; see
    /// [`KafkaProducer::metrics`](crate::KafkaProducer::metrics).
    fn metrics(&self) -> MetricsSnapshot;

    /// Waits for the id that a broker assigned to this producer for telemetry; see
    /// [`KafkaProducer::client_instance_id`](crate::KafkaProducer::client_instance_id).
    ///
    /// # Errors
    ///
    /// Telemetry is disabled, or there is no id in time.
    fn client_instance_id(&self, timeout: Duration) -> Result<Uuid>;

    /// Returns what the producer knows of its own state; see [`KafkaProducer::health`](crate::KafkaProducer::health).
    fn health(&self) -> Health;

    /// Sends what was accepted, for at most `timeout`, and stops. Calling it again does nothing.
    ///
    /// # Errors
    ///
    /// Some records were not delivered.
    fn close(&self, timeout: Duration) -> Result<()>;

    /// Sends a record of a transaction, whose commit reports a failure. Saves the cost of a future.
    #[doc(hidden)]
    fn send_without_future(&self, record: ProducerRecord<'_, K, V>) -> Result<()> {
        self.send(record).map(drop)
    }

    /// Sends a record, but fails instead of waiting, as if the time for that had passed.
    #[doc(hidden)]
    fn send_now(&self, record: ProducerRecord<'_, K, V>) -> Result<RecordFuture> {
        self.send(record)
    }

    /// Fails if `call` would wait for the thread that it runs on.
    #[doc(hidden)]
    fn check_may_block(&self, _call: &str) -> Result<()> {
        Ok(())
    }

    /// Logs a failed abort of the closure form.
    #[doc(hidden)]
    fn log_failed_abort(&self, error: &Error) {
        log::error!("could not abort a transaction: {error}");
    }
}

/// Forwards the methods of [`Producer`] to those of a `$target`: its own first, or those of the
/// trait.
macro_rules! forward_to {
    ($target:ty, $key:ty, $value:ty) => {
        fn send(
            &self,
            record: $crate::producer::ProducerRecord<'_, $key, $value>,
        ) -> $crate::error::Result<$crate::producer::RecordFuture> {
            <$target>::send(self, record)
        }

        fn try_send<'a>(
            &self,
            record: $crate::producer::ProducerRecord<'a, $key, $value>,
        ) -> $crate::error::Result<
            $crate::producer::RecordFuture,
            $crate::producer::TrySendError<'a, $key, $value>,
        > {
            <$target>::try_send(self, record)
        }

        fn send_timeout(
            &self,
            record: $crate::producer::ProducerRecord<'_, $key, $value>,
            timeout: std::time::Duration,
        ) -> $crate::error::Result<
            $crate::producer::RecordMetadata,
            $crate::producer::SendTimeoutError,
        > {
            <$target>::send_timeout(self, record, timeout)
        }

        fn flush(&self) -> $crate::error::Result<()> {
            <$target>::flush(self)
        }

        fn flush_timeout(&self, timeout: std::time::Duration) -> $crate::error::Result<()> {
            <$target>::flush_timeout(self, timeout)
        }

        fn init_transactions(&self) -> $crate::error::Result<()> {
            <$target>::init_transactions(self)
        }

        fn begin_transaction(&self) -> $crate::error::Result<()> {
            <$target>::begin_transaction(self)
        }

        fn send_offsets_to_transaction(
            &self,
            offsets: &std::collections::HashMap<
                $crate::common::TopicPartition,
                $crate::producer::OffsetAndMetadata,
            >,
            group: &$crate::producer::ConsumerGroupMetadata,
        ) -> $crate::error::Result<()> {
            <$target>::send_offsets_to_transaction(self, offsets, group)
        }

        fn commit_transaction(&self) -> $crate::error::Result<()> {
            <$target>::commit_transaction(self)
        }

        fn abort_transaction(&self) -> $crate::error::Result<()> {
            <$target>::abort_transaction(self)
        }

        fn partitions_for(
            &self,
            topic: &str,
        ) -> $crate::error::Result<Vec<$crate::common::PartitionInfo>> {
            <$target>::partitions_for(self, topic)
        }

        fn metrics(&self) -> $crate::metrics::MetricsSnapshot {
            <$target>::metrics(self)
        }

        fn client_instance_id(
            &self,
            timeout: std::time::Duration,
        ) -> $crate::error::Result<$crate::common::Uuid> {
            <$target>::client_instance_id(self, timeout)
        }

        fn health(&self) -> $crate::producer::Health {
            <$target>::health(self)
        }

        fn close(&self, timeout: std::time::Duration) -> $crate::error::Result<()> {
            <$target>::close(self, timeout)
        }
    };
}
pub(crate) use forward_to;

/// A pointer to a producer is a producer.
macro_rules! pointers {
    ($($pointer:ty),+) => {
        $(
            impl<K, V, P> Producer<K, V> for $pointer
            where
                K: RecordData + ?Sized,
                V: RecordData + ?Sized,
                P: Producer<K, V> + ?Sized,
            {
                forward_to!(P, K, V);

                fn send_with_boxed_callback(
                    &self,
                    record: ProducerRecord<'_, K, V>,
                    callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
                ) -> Result<()> {
                    P::send_with_boxed_callback(self, record, callback)
                }

                fn send_without_future(&self, record: ProducerRecord<'_, K, V>) -> Result<()> {
                    P::send_without_future(self, record)
                }

                fn send_now(&self, record: ProducerRecord<'_, K, V>) -> Result<RecordFuture> {
                    P::send_now(self, record)
                }

                fn check_may_block(&self, call: &str) -> Result<()> {
                    P::check_may_block(self, call)
                }

                fn log_failed_abort(&self, error: &Error) {
                    P::log_failed_abort(self, error);
                }
            }
        )+
    };
}

pointers!(&P, Box<P>, Arc<P>);
