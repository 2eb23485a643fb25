//! Calls with a timeout of their own. Java has none of them.

use std::time::Duration;

use super::KafkaProducer;
use crate::error::{Delivery, Error, ErrorKind, Result, TimeoutReason};
use crate::producer::internals::ProducerCall;
use crate::producer::send_timeout::{SendTimeoutError, await_response};
use crate::producer::{ProducerRecord, RecordMetadata, Serializer};
use crate::utils::Time;

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Sends a record and waits for its delivery, with one deadline for everything: metadata,
    /// buffer memory and response.
    ///
    /// ```
    /// # use kafka_producer::{KafkaProducer, ProducerRecord, SendStep};
    /// # use std::time::Duration;
    /// # fn handle(producer: &KafkaProducer) -> u16 {
    /// match producer.send_timeout(ProducerRecord::new("orders", "value"), Duration::from_millis(200)) {
    ///     Ok(_) => 201,
    ///     // In flight: it may still be written, and `unfinished.future` has the outcome.
    ///     Err(unfinished) if unfinished.step == Some(SendStep::Response) => 202,
    ///     Err(_) => 503,
    /// }
    /// # }
    /// ```
    ///
    /// `max.block.ms` still bounds the wait for metadata and memory, if it is shorter than
    /// `timeout`. With [`Duration::MAX`] this is `send(record)?.get()`. With [`Duration::ZERO`] it
    /// does not wait. The record is then sent if metadata and memory are available, and the step is
    /// [`Response`](crate::SendStep::Response). In every case the record's batch is sent without
    /// waiting for `linger.ms`.
    ///
    /// For a deadline, pass `deadline.saturating_duration_since(Instant::now())`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError::step`] says what the call was waiting for when the time ran out. After
    /// [`Metadata`](crate::SendStep::Metadata) and [`Memory`](crate::SendStep::Memory) the record
    /// was not sent and never will be: its [`delivery`](Error::delivery) is `NotWritten`. After
    /// [`Response`](crate::SendStep::Response) the kind is `Pending` and the delivery
    /// `MaybeWritten`: the record is still being sent, so sending it again would duplicate it.
    /// [`SendTimeoutError::future`] is its delivery, to wait for or to drop.
    ///
    /// Other failures are those of [`send`](Self::send) and of [`RecordFuture::get`](crate::RecordFuture::get). Inside a
    /// callback it fails with `WouldDeadlock`, and sends nothing.
    ///
    /// # Blocking
    ///
    /// At most `timeout`.
    pub fn send_timeout(
        &self,
        mut record: ProducerRecord<'_, KS::Input, VS::Input>,
        timeout: Duration,
    ) -> Result<RecordMetadata, SendTimeoutError> {
        self.check_may_block("send_timeout")?;
        let deadline = self.time.now().checked_add(timeout);
        let patience = self.patience_of(timeout);
        let future = self.do_send(&mut record, None, patience)?;
        await_response(future, deadline, timeout)
    }

    /// Does the same as [`flush`](Self::flush), but waits no longer than `timeout`.
    ///
    /// With [`Duration::ZERO`] it does not wait. Batches that are open when the time runs out are
    /// still sent without waiting for `linger.ms`. They may wait for the response to an earlier
    /// batch of their partition.
    ///
    /// # Errors
    ///
    /// `Pending` if records had no outcome when the time ran out. They are still being sent, and
    /// their futures and callbacks receive the outcome. Otherwise those of [`flush`](Self::flush).
    ///
    /// # Blocking
    ///
    /// At most `timeout`.
    pub fn flush_timeout(&self, timeout: Duration) -> Result<()> {
        match self.flush_within("flush_timeout", Some(timeout))? {
            0 => Ok(()),
            open => Err(flush_ended(open, timeout)),
        }
    }

    /// Flushes on behalf of `call`. Returns the number of batches without an outcome when the time
    /// ran out.
    pub(super) fn flush_within(&self, call: &str, timeout: Option<Duration>) -> Result<usize> {
        self.accumulator.io_thread().check_may_block(call)?;
        let start = self.time.now();
        self.accumulator.begin_flush();
        self.accumulator.signal().wake();
        let deadline = timeout.and_then(|timeout| start.checked_add(timeout));
        let open = self.accumulator.await_flush_completion(deadline);
        self.accumulator.end_flush();
        self.note_time(ProducerCall::Flush, start);
        Ok(open)
    }
}

fn flush_ended(open: usize, timeout: Duration) -> Error {
    let batches = if open == 1 { "batch" } else { "batches" };
    let text = format!(
        "{open} {batches} of records had no outcome after {} ms (the timeout of the flush); they are still being sent",
        timeout.as_millis()
    );
    let reason = TimeoutReason {
        waiting_for: "the delivery of all records that were sent",
        waited: timeout,
        config: None,
    };
    Error::timed_out(text, reason)
        .with_kind(ErrorKind::Pending)
        .with_delivery(Delivery::MaybeWritten)
}
