//! Calls of the mock that Java does not have: several records at once, and timeouts.

use std::time::Duration;

use super::MockProducer;
use crate::error::Result;
use crate::producer::record_futures::send_all;
use crate::producer::send_timeout::{SendTimeoutError, await_response};
use crate::producer::{ProducerRecord, RecordFutures, RecordMetadata, Serializer};
use crate::utils::{SystemTime, Time};

impl<KS: Serializer, VS: Serializer> MockProducer<KS, VS> {
    /// Sends every record, and returns all deliveries as one; see [`KafkaProducer::send_all`](crate::KafkaProducer::send_all).
    pub fn send_all<'a>(
        &self,
        records: impl IntoIterator<Item = ProducerRecord<'a, KS::Input, VS::Input>>,
    ) -> RecordFutures
    where
        KS::Input: 'a,
        VS::Input: 'a,
    {
        send_all(records, |record, _| self.send(record))
    }

    /// Does the same as [`send`](Self::send), and waits for the outcome, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`KafkaProducer::send_timeout`](crate::KafkaProducer::send_timeout). A mock always
    /// has metadata and memory. An injected [error](Self::set_send_error) of the kind `Timeout`
    /// simulates the wait for metadata, and one of the kind `BufferExhausted` the wait for memory.
    ///
    /// # Blocking
    ///
    /// At most `timeout`, until the test sets the outcome on another thread.
    pub fn send_timeout(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        timeout: Duration,
    ) -> Result<RecordMetadata, SendTimeoutError> {
        self.io_thread.check_may_block("send_timeout")?;
        let deadline = SystemTime.now().checked_add(timeout);
        let future = self.do_send(record, None)?;
        await_response(future, deadline, timeout)
    }

    /// Does the same as [`flush`](Self::flush). A mock does not need the time.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush).
    pub fn flush_timeout(&self, _timeout: Duration) -> Result<()> {
        self.flush()
    }
}
