//! A hook for every record and every outcome. Java: `ProducerInterceptor`.

use std::error::Error as StdError;

use super::record_data::RecordData;
use super::{ProducerRecord, RecordMetadata};
use crate::common::Headers;
use crate::error::{Error, Result};

/// Sees each record before it is sent, and may change it. Also sees each outcome.
///
/// The types are those of the producer's records: an interceptor sees keys and values before they
/// are serialized. An error or a panic of an interceptor is logged, and the record is still sent.
///
/// ```
/// use kafka_producer::{ProducerInterceptor, ProducerRecord};
///
/// struct Traced;
///
/// impl ProducerInterceptor for Traced {
///     fn on_send(
///         &self,
///         record: &mut ProducerRecord<'_>,
///     ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         record.headers.add("trace", "1");
///         Ok(())
///     }
/// }
/// ```
pub trait ProducerInterceptor<K: RecordData + ?Sized = [u8], V: RecordData + ?Sized = [u8]>:
    Send + Sync
{
    /// Called on the thread that sends, before the record is serialized and partitioned. May change
    /// the whole record. The next interceptor sees the changed record, and the last version is
    /// sent.
    ///
    /// # Errors
    ///
    /// Any error. It is logged, and the record is sent as it was before this call.
    fn on_send(
        &self,
        _record: &mut ProducerRecord<'_, K, V>,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }

    /// Called once for each record with its outcome, before the callback of the send, on the I/O
    /// thread unless the send failed at once. It must be quick, and must not block.
    ///
    /// With an error, `metadata` has only the topic, and the partition if one was chosen.
    fn on_acknowledgement(
        &self,
        _metadata: &RecordMetadata,
        _error: Option<&Error>,
        _headers: &Headers,
    ) {
    }

    /// Called once, when the producer is closed or dropped, and the last record has its outcome.
    /// After a `close` inside a callback, the next `close` or the drop calls it. Outcomes come
    /// after it only if the last handle is dropped inside a callback.
    fn close(&self) {}
}
