//! Methods with closures for every producer. In Java they are part of [`Producer`] itself.

use super::producer::Producer;
use super::record_data::RecordData;
use super::record_futures::send_all;
use super::{ProducerRecord, RecordFutures, RecordMetadata, Transaction};
use crate::error::{Error, Result};

/// Methods that take closures, for every [`Producer`]. A [`KafkaProducer`](crate::KafkaProducer), a
/// [`MockProducer`](crate::MockProducer) and a `dyn Producer` have these methods without this
/// trait. Import it in programs that are generic over their producer.
///
/// ```
/// use kafka_producer::{MockProducer, Producer, ProducerExt, ProducerRecord};
///
/// fn accept(producer: &impl Producer, id: &str) -> kafka_producer::Result<()> {
///     producer.send_with_callback(ProducerRecord::new("orders", id), |result| match result {
///         Ok(metadata) => println!("{metadata}"),
///         Err(error) => eprintln!("{error}"),
///     })
/// }
///
/// let mock = MockProducer::new(true);
/// accept(&mock, "17")?;
/// assert_eq!(mock.history().len(), 1);
/// # Ok::<(), kafka_producer::Error>(())
/// ```
pub trait ProducerExt<K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]>:
    Producer<K, V>
{
    /// Sends a record, and calls `callback` exactly once with the outcome.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send_with_callback`](crate::KafkaProducer::send_with_callback).
    fn send_with_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.send_with_boxed_callback(record, Box::new(callback))
    }

    /// Sends every record, and returns all deliveries as one; see [`KafkaProducer::send_all`](crate::KafkaProducer::send_all).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::send_all`](crate::KafkaProducer::send_all).
    fn send_all<'a>(
        &self,
        records: impl IntoIterator<Item = ProducerRecord<'a, K, V>>,
    ) -> RecordFutures
    where
        K: 'a,
        V: 'a,
    {
        send_all(records, |record, may_wait| match may_wait {
            true => self.send(record),
            false => self.send_now(record),
        })
    }

    /// Runs `body` in a transaction; see [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    fn transaction<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Transaction<'_, K, V>) -> Result<T, E>,
    ) -> Result<T, E> {
        let producer: &dyn Producer<K, V> = &self;
        producer.transaction(body)
    }
}

impl<K, V, P> ProducerExt<K, V> for P
where
    K: RecordData + ?Sized,
    V: RecordData + ?Sized,
    P: Producer<K, V> + ?Sized,
{
}

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> dyn Producer<K, V> + '_ {
    /// Sends every record, and returns all deliveries as one; see [`KafkaProducer::send_all`](crate::KafkaProducer::send_all).
    ///
    /// # Blocking
    ///
    /// As long as [`KafkaProducer::send_all`](crate::KafkaProducer::send_all).
    pub fn send_all<'a>(
        &self,
        records: impl IntoIterator<Item = ProducerRecord<'a, K, V>>,
    ) -> RecordFutures
    where
        K: 'a,
        V: 'a,
    {
        ProducerExt::send_all(self, records)
    }

    /// Sends a record, and calls `callback` exactly once with the outcome.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send_with_callback`](crate::KafkaProducer::send_with_callback).
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, K, V>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.send_with_boxed_callback(record, Box::new(callback))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::producer::{MockProducer, Producer};
    use crate::sync::Arc;

    fn record() -> ProducerRecord<'static> {
        ProducerRecord::new("t", "v")
    }

    #[test]
    fn references_boxes_and_arcs_of_producers_are_producers() {
        let mock = || MockProducer::new(true).with_transactional_id("id");
        let by_reference = MockProducer::new(true);
        let reference: &MockProducer = &by_reference;
        assert!(Producer::send(&reference, record()).is_ok());
        assert!(Producer::try_send(&Box::new(reference), record()).is_ok());
        assert_eq!(by_reference.history().len(), 2);
        let shared: Arc<dyn Producer> = Arc::new(mock());
        shared.init_transactions().unwrap();
        let sent = shared.transaction(|transaction| transaction.send(record()));
        sent.unwrap();
        let refused = shared.send_with_callback(record(), drop);
        assert!(refused.is_err(), "there is no transaction");
        let boxed: Box<dyn Producer> = Box::new(Arc::new(MockProducer::new(true)));
        boxed.send_with_callback(record(), drop).unwrap();
    }

    #[test]
    fn try_send_gives_the_record_back() {
        let mock = MockProducer::new(true);
        mock.close(Duration::ZERO).unwrap();
        let unsent = Producer::try_send(&mock, record().key("k")).unwrap_err();
        assert_eq!(unsent.record, record().key("k"));
        assert_eq!(unsent.error.kind(), crate::ErrorKind::Closed);
    }
}
