//! The deliveries of several records as one. Java has no counterpart.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{RecordFuture, RecordMetadata};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::utils::{Count, SystemTime, Time};

/// The deliveries of several records, in order. [`send_all`](crate::KafkaProducer::send_all)
/// returns it, and [`RecordFuture::join`] creates it.
///
/// Wait for it with [`get`](Self::get), or await it. Iterate over it to get the single deliveries.
///
/// ```
/// use kafka_producer::{MockProducer, ProducerRecord, RecordFutures};
///
/// let producer = MockProducer::new(true);
/// let lines = ["first", "second", "third"];
/// let sent = producer.send_all(lines.map(|line| ProducerRecord::new("lines", line)));
/// match sent.get() {
///     Ok(delivered) => assert_eq!(delivered.len(), 3),
///     Err(error) => eprintln!("{} of {} were delivered: {error}", error.succeeded(), sent.len()),
/// }
/// # Ok::<(), kafka_producer::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "deliveries that nobody looks at can fail unnoticed"]
pub struct RecordFutures {
    futures: Vec<RecordFuture>,
    /// The deliveries before this one are done. Polls use it to register one wake-up at a time.
    next: usize,
}

/// Some of several records were not delivered. Has the result of each record.
///
/// `?` converts it into an [`Error`], the [first one](Self::first_error).
#[derive(Clone, Debug)]
pub struct JoinError {
    results: Vec<Result<RecordMetadata>>,
    first_error: Error,
}

impl RecordFuture {
    /// Combines several deliveries, to wait for them together.
    pub fn join(futures: impl IntoIterator<Item = Self>) -> RecordFutures {
        futures.into_iter().collect()
    }
}

impl RecordFutures {
    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.futures.len()
    }

    /// Returns `true` if there are no records.
    pub fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    /// Returns the deliveries, in the order of the records.
    pub fn iter(&self) -> std::slice::Iter<'_, RecordFuture> {
        self.futures.iter()
    }

    /// Returns `true` if every result is known. Does not expedite the batches.
    pub fn is_done(&self) -> bool {
        self.futures.iter().all(RecordFuture::is_done)
    }

    /// Waits for all deliveries, and returns the metadata in the order of the records.
    ///
    /// # Errors
    ///
    /// One or more records were not delivered. The error has the result of each record.
    ///
    /// # Blocking
    ///
    /// As long as [`RecordFuture::get`]: about `delivery.timeout.ms` for all of them together.
    pub fn get(&self) -> Result<Vec<RecordMetadata>, JoinError> {
        self.wait(RecordFuture::get)
    }

    /// Waits for all deliveries, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get). If the time runs out, the records that are still being sent
    /// have results of the kind `Pending`.
    ///
    /// # Blocking
    ///
    /// At most `timeout` for all of them together.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<RecordMetadata>, JoinError> {
        let deadline: Option<Instant> = SystemTime.now().checked_add(timeout);
        self.wait(|future| future.get_until(deadline, timeout))
    }

    fn wait(
        &self,
        get: impl Fn(&RecordFuture) -> Result<RecordMetadata>,
    ) -> Result<Vec<RecordMetadata>, JoinError> {
        self.expedite();
        join(self.futures.iter().map(get).collect())
    }

    /// Makes all batches sendable now, so that later ones do not linger while the call waits for
    /// the first.
    fn expedite(&self) {
        for future in &self.futures {
            future.expedite();
        }
    }
}

/// Awaits all deliveries, with any async runtime. A poll after the end returns the same results
/// again.
impl Future for RecordFutures {
    type Output = Result<Vec<RecordMetadata>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.next == 0 {
            self.expedite();
        }
        let this = &mut *self;
        while let Some(future) = this.futures.get_mut(this.next) {
            if Pin::new(future).poll(context).is_pending() {
                return Poll::Pending;
            }
            this.next += 1;
        }
        let known = |future: &RecordFuture| future.try_get().unwrap_or_else(|| future.get());
        Poll::Ready(join(this.futures.iter().map(known).collect()))
    }
}

impl FromIterator<RecordFuture> for RecordFutures {
    fn from_iter<I: IntoIterator<Item = RecordFuture>>(futures: I) -> Self {
        Self {
            futures: futures.into_iter().collect(),
            next: 0,
        }
    }
}

impl Extend<RecordFuture> for RecordFutures {
    fn extend<I: IntoIterator<Item = RecordFuture>>(&mut self, futures: I) {
        self.futures.extend(futures);
    }
}

impl IntoIterator for RecordFutures {
    type Item = RecordFuture;
    type IntoIter = std::vec::IntoIter<RecordFuture>;

    fn into_iter(self) -> Self::IntoIter {
        self.futures.into_iter()
    }
}

impl<'a> IntoIterator for &'a RecordFutures {
    type Item = &'a RecordFuture;
    type IntoIter = std::slice::Iter<'a, RecordFuture>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn join(results: Vec<Result<RecordMetadata>>) -> Result<Vec<RecordMetadata>, JoinError> {
    let mut first_pending = None;
    let mut first_failure = None;
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        let first = match is_pending(error) {
            true => &mut first_pending,
            false => &mut first_failure,
        };
        first.get_or_insert(error);
    }
    match first_failure.or(first_pending).cloned() {
        None => Ok(results.into_iter().flatten().collect()),
        Some(first_error) => Err(JoinError {
            results,
            first_error,
        }),
    }
}

/// Returns whether the record is still being sent. In a callback and in a forked child only the
/// wait fails. A send that fails there is `NotWritten`.
fn is_pending(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Pending => true,
        ErrorKind::WouldDeadlock | ErrorKind::Forked => error.delivery() == Delivery::MaybeWritten,
        _ => false,
    }
}

impl JoinError {
    /// Returns the error of the first failed record. If none failed but some are still being sent,
    /// returns an error of the kind `Pending`.
    pub fn first_error(&self) -> &Error {
        &self.first_error
    }

    /// Returns how many records were delivered.
    pub fn succeeded(&self) -> usize {
        self.results.iter().filter(|result| result.is_ok()).count()
    }

    /// Returns how many records failed. Does not count those that are still being sent.
    pub fn failed(&self) -> usize {
        self.errors().filter(|error| !is_pending(error)).count()
    }

    /// Returns how many records were still being sent when the time of `get_timeout` ran out.
    pub fn pending(&self) -> usize {
        self.errors().filter(|error| is_pending(error)).count()
    }

    /// Returns the result of each record, in order.
    pub fn results(&self) -> &[Result<RecordMetadata>] {
        &self.results
    }

    /// Returns the result of each record, in order.
    pub fn into_results(self) -> Vec<Result<RecordMetadata>> {
        self.results
    }

    fn errors(&self) -> impl Iterator<Item = &Error> {
        self.results
            .iter()
            .filter_map(|result| result.as_ref().err())
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, pending) = (self.failed(), self.pending());
        let all = Count(self.results.len(), "record");
        write!(f, "{failed} of {all} failed")?;
        if pending > 0 {
            write!(f, ", and {pending} had no outcome in time")?;
        }
        write!(f, "; the first: {}", self.first_error)
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.first_error)
    }
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        error.first_error
    }
}

/// Sends each record with `send`, whose argument says whether it may wait. An error of `send` is
/// the result of that record.
///
/// Once the time was too short for a record, the following ones do not wait: in an outage each
/// would wait for `max.block.ms`. A later success does not change that, because the record may have
/// needed no wait.
pub(crate) fn send_all<R>(
    records: impl IntoIterator<Item = R>,
    mut send: impl FnMut(R, bool) -> Result<RecordFuture>,
) -> RecordFutures {
    let mut may_wait = true;
    let sent = records.into_iter().map(|record| {
        let future = match send(record, may_wait) {
            Ok(future) => future,
            Err(error) => RecordFuture::done(Err(error)),
        };
        may_wait &= !future.was_refused_for_time();
        future
    });
    sent.collect()
}
