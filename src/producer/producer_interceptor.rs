//! What sees every record on its way out and every answer on its way back. Java: `ProducerInterceptor`.

use std::error::Error as StdError;

use super::record_data::RecordData;
use super::{ProducerRecord, RecordMetadata};
use crate::common::Headers;
use crate::error::{Error, Result};

/// Sees each record before it is sent, and may change it; sees each outcome.
///
/// The types are those of the producer's records: an interceptor sees keys and values as the program gave them, before they
/// are serialized. An error or a panic of an interceptor is logged and stops nothing.
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
    /// Called on the thread that sends, before the record is serialized and given a partition. May change all of it; what
    /// it left is what the next interceptor sees, and what is sent in the end.
    ///
    /// # Errors
    ///
    /// Whatever; the record goes on as it was before this call, with a line in the log.
    fn on_send(
        &self,
        _record: &mut ProducerRecord<'_, K, V>,
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(())
    }

    /// Called once for each record with its outcome, before the callback of the send, on the I/O thread unless the send
    /// failed at once. So it must be quick, and must not block.
    ///
    /// With an error, `metadata` has the topic, and the partition if one was chosen, and nothing else.
    fn on_acknowledgement(
        &self,
        _metadata: &RecordMetadata,
        _error: Option<&Error>,
        _headers: &Headers,
    ) {
    }

    /// Called once, when the producer is closed or dropped, and the last record has its outcome. A `close` inside a callback
    /// leaves it to the one that follows. Only where the last handle is dropped inside a callback do outcomes come after it.
    fn close(&self) {}
}
