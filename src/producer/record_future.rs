//! The delivery of one record, which `send` returns. Java: `FutureRecordMetadata`.
//!
//! It costs a record only a reference to the result of its batch. Dropping it does not affect the
//! delivery.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::RecordMetadata;
use super::internals::{IoThreadId, Outcome, ProduceRequestResult, RecordFacts, record_result};
use super::receipt::Receipt;
use super::user_code::contain;
use crate::error::{Delivery, Error, ErrorKind, Result, TimeoutReason};
use crate::sync::{Arc, Condvar, Mutex};
use crate::utils::{SystemTime, Time, log};

/// The delivery of one record.
///
/// Waiting for the result while the record's batch is open makes the batch sendable immediately, so
/// `send(record)?.get()?` does not wait for `linger.ms`. Records of other threads can still join
/// the batch until it is sent.
///
/// It is also a [`Future`]: `producer.try_send(record)?.await`. [`join`](Self::join) combines
/// several.
#[must_use = "a delivery that nobody looks at can fail unnoticed; give `send` a callback, or drop this on purpose, as in a \
              transaction, whose commit tells"]
pub struct RecordFuture(Inner);

enum Inner {
    /// The record is at `index` of a batch.
    Batch {
        result: Arc<ProduceRequestResult>,
        index: u32,
        facts: RecordFacts,
    },
    /// The result was known when `send` returned. Boxed, because it is rare, and every send moves a
    /// future.
    Done(Box<Result<RecordMetadata>>),
    /// A test double completes it explicitly.
    Slot(Arc<Slot>, IoThreadId),
}

/// A result from outside of a batch.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<SlotState>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    result: Option<Result<RecordMetadata>>,
    /// The waiting task.
    waker: Option<Waker>,
}

/// Completes its [`RecordFuture`]. If it is dropped without a result, the future keeps waiting.
#[derive(Debug)]
pub(crate) struct RecordCompleter(Arc<Slot>);

impl RecordCompleter {
    pub(crate) fn complete(self, result: Result<RecordMetadata>) {
        let mut state = self.0.state.lock();
        state.result.get_or_insert(result);
        let waker = state.waker.take();
        drop(state);
        self.0.done.notify_all();
        if let Some(waker) = waker {
            if let Err(panic) = contain("a task's waker", || waker.wake()) {
                log::error!("{panic}");
            }
        }
    }
}

impl Receipt for RecordFuture {
    type Share = Arc<ProduceRequestResult>;

    #[inline(always)]
    fn in_batch(result: Self::Share, index: u32, facts: RecordFacts) -> Self {
        Self(Inner::Batch {
            result,
            index,
            facts,
        })
    }

    fn failed(error: Error) -> Self {
        Self::done(Err(error))
    }
}

impl RecordFuture {
    pub(crate) fn done(result: Result<RecordMetadata>) -> Self {
        Self(Inner::Done(Box::new(result)))
    }

    /// Creates a future and its completer, for a mock that runs its callbacks as this I/O thread.
    pub(crate) fn pair(io_thread: IoThreadId) -> (RecordCompleter, Self) {
        let slot = Arc::new(Slot::default());
        let completer = RecordCompleter(Arc::clone(&slot));
        (completer, Self(Inner::Slot(slot, io_thread)))
    }

    /// Waits for the delivery.
    ///
    /// # Errors
    ///
    /// The record was not delivered; [`Error::delivery`] says whether the log may still hold it.
    /// `WouldDeadlock` inside a callback of the same producer: the record is still being sent, so
    /// [`Error::delivery`] is [`MaybeWritten`](Delivery::MaybeWritten). `Forked` in a forked child,
    /// while the parent continues the delivery.
    ///
    /// # Blocking
    ///
    /// At most `delivery.timeout.ms` after the send, plus the rest of a request in flight. If
    /// recent responses were fast, the thread polls for this one for up to 50 us before it sleeps.
    pub fn get(&self) -> Result<RecordMetadata> {
        self.wait(None)
            .unwrap_or_else(|| Err(wait_ended(Duration::MAX)))
    }

    /// Waits for the delivery, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get), and `Pending` if `timeout` passes first. The record is then
    /// still being sent: call this again, and do not send the record again.
    ///
    /// # Blocking
    ///
    /// At most `timeout`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<RecordMetadata> {
        self.get_until(SystemTime.now().checked_add(timeout), timeout)
    }

    /// Waits like [`get_timeout`](Self::get_timeout), for a wait that began `timeout` before
    /// `deadline`. `None` is a deadline that is never reached.
    pub(super) fn get_until(
        &self,
        deadline: Option<Instant>,
        timeout: Duration,
    ) -> Result<RecordMetadata> {
        self.wait(deadline)
            .unwrap_or_else(|| Err(wait_ended(timeout)))
    }

    /// Returns whether the result was known when the send returned, because the record never got
    /// into a batch.
    pub(super) fn is_known_from_the_start(&self) -> bool {
        matches!(self.0, Inner::Done(_))
    }

    /// Returns the result if it is known, without waiting. Does not expedite the batch.
    pub fn try_get(&self) -> Option<Result<RecordMetadata>> {
        match &self.0 {
            Inner::Batch {
                result,
                index,
                facts,
            } => match result.poll_record(*index) {
                Some((outcome, index)) => Some(metadata_of(result, &outcome, index, facts)),
                None => never_done(result).map(Err),
            },
            Inner::Done(result) => Some((**result).clone()),
            Inner::Slot(slot, _) => slot.state.lock().result.clone(),
        }
    }

    /// Returns `true` if the result is known. Does not expedite the batch.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Inner::Batch { result, index, .. } => {
                result.poll_record(*index).is_some() || never_done(result).is_some()
            }
            Inner::Done(_) => true,
            Inner::Slot(slot, _) => slot.state.lock().result.is_some(),
        }
    }

    /// Returns whether the send ran out of time while it waited for metadata or memory.
    pub(super) fn was_refused_for_time(&self) -> bool {
        match &self.0 {
            Inner::Done(result) => matches!(&**result, Err(error) if error.is_timeout()),
            Inner::Batch { .. } | Inner::Slot(..) => false,
        }
    }

    /// Makes the batch sendable immediately.
    pub(super) fn expedite(&self) {
        if let Inner::Batch { result, .. } = &self.0 {
            result.expedite();
        }
    }

    /// Waits for the result. Returns `None` if the deadline passes first.
    fn wait(&self, deadline: Option<Instant>) -> Option<Result<RecordMetadata>> {
        match &self.0 {
            Inner::Batch {
                result,
                index,
                facts,
            } => {
                if !result.is_done() {
                    if let Err(error) = result.io_thread().check_may_block("get") {
                        // Only this wait fails. The record is still being sent.
                        return Some(Err(may_be_written(error)));
                    }
                    result.expedite();
                }
                let (outcome, index) = result.wait_record(*index, deadline)?;
                Some(metadata_of(result, &outcome, index, facts))
            }
            Inner::Done(result) => Some((**result).clone()),
            Inner::Slot(slot, io_thread) => {
                let mut state = slot.state.lock();
                if state.result.is_none() {
                    if let Err(error) = io_thread.check_may_block("get") {
                        return Some(Err(may_be_written(error)));
                    }
                }
                while state.result.is_none() {
                    let timed_out = match deadline {
                        Some(deadline) => slot.done.wait_until(&mut state, deadline).timed_out(),
                        None => {
                            slot.done.wait(&mut state);
                            false
                        }
                    };
                    if timed_out && state.result.is_none() {
                        return None;
                    }
                }
                state.result.clone()
            }
        }
    }
}

/// Awaits the delivery, with any async runtime. Dropping the future does not affect the record. See
/// the manual's page [`async_programs`](crate::manual::async_programs).
///
/// Like [`get`](Self::get), it makes the batch sendable immediately. Unlike `get`, it cannot refuse
/// to wait inside a callback: a `block_on` there stops the I/O thread. The I/O thread wakes the
/// task when the result is known, and once more before if the batch is split. A poll after the end
/// returns the same result again.
impl Future for RecordFuture {
    type Output = Result<RecordMetadata>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.0 {
            Inner::Batch {
                result,
                index,
                facts,
            } => {
                // Before any lock, which in a forked child may be held forever.
                if !result.is_done() {
                    if let Some(error) = never_done(result) {
                        return Poll::Ready(Err(error));
                    }
                }
                match result.poll_record_for(*index, context.waker()) {
                    Some((outcome, index)) => {
                        Poll::Ready(metadata_of(result, &outcome, index, facts))
                    }
                    None => Poll::Pending,
                }
            }
            Inner::Done(result) => Poll::Ready((**result).clone()),
            Inner::Slot(slot, _) => slot.poll(context.waker().clone()),
        }
    }
}

impl Slot {
    fn poll(&self, waker: Waker) -> Poll<Result<RecordMetadata>> {
        let mut state = self.state.lock();
        if let Some(result) = &state.result {
            let result = result.clone();
            drop(state);
            return Poll::Ready(result);
        }
        let replaced = state.waker.replace(waker);
        // Dropping a waker runs the program's code.
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

fn metadata_of(
    result: &ProduceRequestResult,
    outcome: &Outcome,
    index: u32,
    facts: &RecordFacts,
) -> Result<RecordMetadata> {
    let place = record_result(outcome, index)?;
    Ok(facts.metadata(result.topic_partition(), index, place))
}

/// Returns why the batch can never complete in this process, if so. In a forked child a task would
/// otherwise wait forever.
fn never_done(result: &ProduceRequestResult) -> Option<Error> {
    SystemTime.unix_millis();
    let checked = IoThreadId::check_recent_process(result.io_thread().process());
    checked.err().map(may_be_written)
}

/// Marks a failed wait: the I/O thread still has the record.
fn may_be_written(error: Error) -> Error {
    error.with_delivery(Delivery::MaybeWritten)
}

fn wait_ended(timeout: Duration) -> Error {
    Error::timed_out(
        format!("the record was not delivered within {} ms (the timeout of the call); it is still being sent", timeout.as_millis()),
        TimeoutReason { waiting_for: "the delivery of a record", waited: timeout, config: None },
    )
    .with_kind(ErrorKind::Pending)
    .with_delivery(Delivery::MaybeWritten)
}

impl fmt::Debug for RecordFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordFuture")
            .field(&self.try_get())
            .finish()
    }
}
