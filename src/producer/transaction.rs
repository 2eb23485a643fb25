//! The closure form of transactions, for every producer: real, mock, or a trait object. Java has no
//! counterpart.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;

use super::producer::Producer;
use super::record_data::RecordData;
use super::{
    ConsumerGroupMetadata, OffsetAndMetadata, ProducerRecord, RecordFuture, RecordMetadata,
};
use crate::common::TopicPartition;
use crate::error::{Error, Result};

/// An open transaction, inside the closure of [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
///
/// Threads may share it. Records that other threads send with the producer meanwhile are part of it
/// too.
pub struct Transaction<'p, K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]> {
    producer: &'p dyn Producer<K, V>,
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> dyn Producer<K, V> + '_ {
    /// Runs `body` in a transaction; see [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use kafka_producer::{MockProducer, Producer, ProducerRecord};
    ///
    /// let mock = Arc::new(MockProducer::new(true).with_transactional_id("payments"));
    /// let producer: Arc<dyn Producer> = mock.clone();
    /// producer.init_transactions()?;
    /// producer.transaction(|transaction| transaction.send(ProducerRecord::new("debits", "17")))?;
    /// assert_eq!(mock.history().len(), 1);
    /// # Ok::<(), kafka_producer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    pub fn transaction<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Transaction<'_, K, V>) -> Result<T, E>,
    ) -> Result<T, E> {
        // The I/O thread could neither commit nor abort it.
        self.check_may_block("transaction")?;
        self.begin_transaction()?;
        let guard = AbortOnDrop(self);
        let value = body(&Transaction { producer: self })?;
        let committed = self.commit_transaction();
        std::mem::forget(guard);
        match committed {
            Ok(()) => Ok(value),
            Err(error) if error.is_abortable() => Err(abort_after(self, error).into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Aborts after a refused commit, and returns the error to report: the abort's own if that ends the
/// producer, and otherwise the commit's. A partition's leader returns the same error whether or not
/// the producer is fenced; only the coordinator knows.
fn abort_after<K, V>(producer: &(dyn Producer<K, V> + '_), refusal: Error) -> Error
where
    K: RecordData + ?Sized,
    V: RecordData + ?Sized,
{
    match producer.abort_transaction() {
        Ok(()) => refusal,
        // The coordinator's own error says more than the refusal.
        Err(error) if error.is_fatal() && error.source().is_some() => error,
        Err(error) if error.is_fatal() => error.caused_by(refusal),
        Err(error) => {
            producer.log_failed_abort(&error);
            refusal
        }
    }
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> Transaction<'_, K, V> {
    /// Sends a record in the transaction. If it is not delivered, the commit fails.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send`](crate::KafkaProducer::send).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::send`](crate::KafkaProducer::send).
    pub fn send(&self, record: ProducerRecord<'_, K, V>) -> Result<()> {
        self.producer.send_without_future(record)
    }

    /// Sends a record in the transaction, and returns a future for its offset. A delivered record
    /// is visible only after the commit.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send`](crate::KafkaProducer::send).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::send`](crate::KafkaProducer::send).
    pub fn send_with_future(&self, record: ProducerRecord<'_, K, V>) -> Result<RecordFuture> {
        self.producer.send(record)
    }

    /// Sends a record in the transaction, and calls `callback` with the outcome of its delivery,
    /// which is before the commit.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send_with_callback`](crate::KafkaProducer::send_with_callback).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::send`](crate::KafkaProducer::send).
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.producer.send_with_callback(record, callback)
    }

    /// Adds the offsets of a consumer group to the transaction.
    ///
    /// # Errors
    ///
    /// Those of
    /// [`KafkaProducer::send_offsets_to_transaction`](crate::KafkaProducer::send_offsets_to_transaction).
    ///
    /// # Blocking
    ///
    /// At most `max.block.ms`.
    pub fn send_offsets(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        self.producer.send_offsets_to_transaction(offsets, group)
    }
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> fmt::Debug for Transaction<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// Aborts the transaction when it is dropped, even by a panic, unless it is forgotten.
struct AbortOnDrop<'p, K: RecordData + ?Sized, V: RecordData + ?Sized>(
    &'p (dyn Producer<K, V> + 'p),
);

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> Drop for AbortOnDrop<'_, K, V> {
    fn drop(&mut self) {
        if let Err(error) = self.0.abort_transaction() {
            self.0.log_failed_abort(&error);
        }
    }
}
