//! What a real producer and a mock have in common. Java: `Producer`.

use std::time::Duration;

use super::producer_record::RecordData;
use super::{KafkaProducer, ProducerRecord, RecordFuture, RecordMetadata, Serializer};
use crate::common::PartitionInfo;
use crate::error::Result;

/// A producer, real or mock, so that a program can hold an `Arc<dyn Producer>` and be tested without brokers.
///
/// The methods are those of [`KafkaProducer`]; what is said there of blocking and of errors holds
/// here.
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
    /// When the record is refused at once. What goes wrong later is the future's result.
    fn send(&self, record: ProducerRecord<'_, K, V>) -> Result<RecordFuture>;

    /// Sends a record, and calls `callback` exactly once with the outcome.
    ///
    /// # Errors
    ///
    /// When the record is refused at once.
    fn send_with_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()>;

    /// Makes every record that was sent before sendable at once, and waits until each has an outcome.
    ///
    /// # Errors
    ///
    /// When the wait cannot be made. That a record was not delivered is no error of this call.
    fn flush(&self) -> Result<()>;

    /// What is known of a topic's partitions.
    ///
    /// # Errors
    ///
    /// When nothing is known of the topic, and nothing could be found out in time.
    fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>>;

    /// Sends what was accepted, for at most `timeout`, and stops. Calling it again does nothing.
    ///
    /// # Errors
    ///
    /// When not everything was delivered.
    fn close(&self, timeout: Duration) -> Result<()>;
}

impl<KS: Serializer, VS: Serializer> Producer<KS::Input, VS::Input> for KafkaProducer<KS, VS> {
    fn send(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.send(record)
    }

    fn send_with_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()> {
        self.send_with_callback(record, callback)
    }

    fn flush(&self) -> Result<()> {
        self.flush()
    }

    fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        self.partitions_for(topic)
    }

    fn close(&self, timeout: Duration) -> Result<()> {
        self.close(timeout)
    }
}
