//! The record of a failed delivery. Java has no counterpart: a program must keep a copy of each
//! record until it is acknowledged.

use super::{Data, ProducerRecord};
use crate::error::{Error, FailedRecord};
use crate::sync::Arc;

impl Error {
    /// Returns the record whose delivery failed, as bytes. It can be sent again, or written
    /// somewhere else.
    ///
    /// ```
    /// use kafka_producer::{Delivery, Error, KafkaProducer, ProducerRecord};
    ///
    /// fn send(producer: &KafkaProducer, order: &str) -> kafka_producer::Result<()> {
    ///     producer.send_with_callback(ProducerRecord::new("orders", order), |result| {
    ///         let Err(error) = result else { return };
    ///         match error.record() {
    ///             Some(record) => dead_letter(&record, error.delivery()),
    ///             None => eprintln!("{error}"),
    ///         }
    ///     })
    /// }
    ///
    /// fn dead_letter(record: &ProducerRecord<'_>, delivery: Delivery) {
    ///     // key, value, headers, topic, partition and timestamp are available
    ///     # let _ = (&record.topic, record.partition, delivery);
    /// }
    /// ```
    ///
    /// Topic, key, value, headers and timestamp are those that the log would have: after
    /// interceptors and serializers, even if these take other types. The partition is the one that
    /// was chosen. To send the record elsewhere, set the partition to `None` and the topic to
    /// another one. [`delivery`](Self::delivery) says whether sending it again may duplicate it.
    ///
    /// Returns `None` if the error is not about a record, if the record is still being sent
    /// (`Pending`), and beyond the limit below. Also returns `None` if the record never became
    /// bytes (`Serialization`, and sends that a closed producer refuses), and for errors of
    /// `try_send`, which returns the record itself.
    ///
    /// # Memory
    ///
    /// A record that succeeds costs nothing. The errors of a failed batch share the batch's own
    /// bytes. The batch returns its reservation of `buffer.memory` first, so keeping errors does
    /// not reduce the memory for later sends. The bytes are freed with the last error or future of
    /// one of the batch's records. All that a producer keeps in this way is limited to another
    /// `buffer.memory` of encoded records; batches that fail beyond that keep nothing. The first
    /// call for a batch decodes the batch, which then takes its uncompressed size. A record that
    /// failed within the call of `send` is copied into its error.
    pub fn record(&self) -> Option<ProducerRecord<'static>> {
        let place = self.record_place()?;
        let record = place.source.record(place.index)?;
        Some(record.into_record())
    }

    /// Attaches the record to the error.
    pub(crate) fn of_record(self, record: FailedRecord) -> Self {
        self.with_record(Arc::new(record), 0)
    }
}

impl FailedRecord {
    /// Copies a record whose key and value are already bytes.
    pub(crate) fn copy_of(record: &ProducerRecord<'_>) -> Self {
        let copy = |data: &Data<'_, [u8]>| data.as_ref().map(<[u8]>::to_vec);
        Self {
            topic: Arc::from(&*record.topic),
            partition: record.partition,
            timestamp: record.timestamp,
            headers: record.headers.clone(),
            key: copy(&record.key),
            value: copy(&record.value),
        }
    }

    fn into_record(self) -> ProducerRecord<'static> {
        let data = |bytes: Option<Vec<u8>>| bytes.map_or(Data::Null, Data::Owned);
        ProducerRecord {
            topic: self.topic.to_string().into(),
            partition: self.partition,
            timestamp: self.timestamp,
            headers: self.headers,
            key: data(self.key),
            value: data(self.value),
        }
    }
}
