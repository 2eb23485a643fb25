//! Records that fail in `send`, before they are in a batch. They are copied into their error.

use super::KafkaProducer;
use super::send::Destination;
use crate::error::{Error, ErrorKind, FailedRecord};
use crate::producer::internals::{AppendRecord, Patience};
use crate::producer::{ProducerRecord, Serializer, serialize};
use crate::sync::Arc;

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Returns the error of a record that was not serialized. Attaches the bytes that it would have
    /// had. With `try_send` the caller gets the record itself back.
    #[cold]
    pub(super) fn with_record(
        &self,
        error: Error,
        record: &ProducerRecord<'_, KS::Input, VS::Input>,
        patience: Patience,
    ) -> Error {
        let is_lost = matches!(
            error.kind(),
            // The serializers refused it, are closed, or belong to another process.
            ErrorKind::Serialization | ErrorKind::Closed | ErrorKind::Forked
        );
        if is_lost || patience == Patience::Never || error.has_record() {
            return error;
        }
        let topic = &*record.topic;
        let mut headers = record.headers.clone();
        let (key, value) = (record.key.as_ref(), record.value.as_ref());
        let key = serialize(&self.key_serializer, "key", topic, &mut headers, key);
        let value = serialize(&self.value_serializer, "value", topic, &mut headers, value);
        let (Ok(key), Ok(value)) = (key, value) else {
            return error;
        };
        error.of_record(FailedRecord {
            topic: Arc::from(topic),
            partition: record.partition,
            timestamp: record.timestamp,
            key: key.as_bytes().map(<[u8]>::to_vec),
            value: value.as_bytes().map(<[u8]>::to_vec),
            headers,
        })
    }

    /// Returns the error of a serialized record that did not get into a batch.
    #[cold]
    #[inline(never)]
    pub(super) fn with_serialized_record(
        &self,
        error: Error,
        to: &Destination<'_>,
        record: &AppendRecord<'_>,
        patience: Patience,
    ) -> Error {
        // `try_send` gives the record itself back.
        if patience == Patience::Never {
            return error;
        }
        error.of_record(FailedRecord {
            topic: Arc::from(to.info.name()),
            partition: to.partition,
            timestamp: Some(record.timestamp()),
            headers: record.headers().clone(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
        })
    }
}
