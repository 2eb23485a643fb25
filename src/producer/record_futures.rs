//! The deliveries of several records, as one. Java has no such thing.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{RecordFuture, RecordMetadata};
use crate::error::{Delivery, Error, ErrorKind, Result};
use crate::utils::{Count, SystemTime, Time};

/// The deliveries of several records, in their order: what [`send_all`](crate::KafkaProducer::send_all) returns, and
/// [`RecordFuture::join`] makes.
///
/// It is waited for with [`get`](Self::get), or awaited. It can be taken apart again by iteration.
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
    /// Those before this one are done. For polls, which so ask for one wake-up at a time.
    next: usize,
}

/// Not every record of several was delivered. Has the result of each.
///
/// As an [`Error`], by `?`, it is the [first error](Self::first_error).
#[derive(Clone, Debug)]
pub struct JoinError {
    results: Vec<Result<RecordMetadata>>,
    first_error: Error,
}

impl RecordFuture {
    /// Makes one of several deliveries, to be waited for together.
    pub fn join(futures: impl IntoIterator<Item = Self>) -> RecordFutures {
        futures.into_iter().collect()
    }
}

impl RecordFutures {
    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.futures.len()
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    /// Returns the deliveries, in the order of the records.
    pub fn iter(&self) -> std::slice::Iter<'_, RecordFuture> {
        self.futures.iter()
    }

    /// Returns whether every result is known. Does not hurry the batches.
    pub fn is_done(&self) -> bool {
        self.futures.iter().all(RecordFuture::is_done)
    }

    /// Waits for all deliveries, and returns the metadata in the order of the records.
    ///
    /// # Errors
    ///
    /// When one or more were not delivered. The error has the result of each record.
    ///
    /// # Blocking
    ///
    /// As [`RecordFuture::get`]: about `delivery.timeout.ms`, for all together.
    pub fn get(&self) -> Result<Vec<RecordMetadata>, JoinError> {
        self.wait(RecordFuture::get)
    }

    /// Waits for all deliveries, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). What is still being sent when the time is up has a result of the kind `Pending`.
    ///
    /// # Blocking
    ///
    /// At most `timeout`, for all together.
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

    /// Has all batches sent now, so that the later ones do not linger while the first is waited for.
    fn expedite(&self) {
        for future in &self.futures {
            future.expedite();
        }
    }
}

/// Waits for all deliveries, in a program with a runtime. A poll after the end gives the same results again.
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

/// In a callback and in a forked child the wait fails, and the record is still on its way. A send that fails there is
/// `NotWritten`.
fn is_pending(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Pending => true,
        ErrorKind::WouldDeadlock | ErrorKind::Forked => error.delivery() == Delivery::MaybeWritten,
        _ => false,
    }
}

impl JoinError {
    /// Returns the error of the first record that failed. If none failed but some are still being sent, it is of the kind
    /// `Pending`.
    pub fn first_error(&self) -> &Error {
        &self.first_error
    }

    /// Returns how many records were delivered.
    pub fn succeeded(&self) -> usize {
        self.results.iter().filter(|result| result.is_ok()).count()
    }

    /// Returns how many records failed. Those that are still being sent are not among them.
    pub fn failed(&self) -> usize {
        self.errors().filter(|error| !is_pending(error)).count()
    }

    /// Returns how many records were still being sent when the time of `get_timeout` was up.
    pub fn pending(&self) -> usize {
        self.errors().filter(|error| is_pending(error)).count()
    }

    /// Returns the result of each record, in their order.
    pub fn results(&self) -> &[Result<RecordMetadata>] {
        &self.results
    }

    /// Returns the result of each record, in their order.
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

/// Sends each record with `send`, which is told whether it may wait. What it refuses is the result of that record.
///
/// After a record that no time was left for, the next ones do not wait: in an outage every one would wait for
/// `max.block.ms`. One that is taken changes nothing, because it may have needed no wait.
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
