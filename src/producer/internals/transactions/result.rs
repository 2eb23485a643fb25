//! The outcome of a transactional call, for which its caller waits. Java:
//! `TransactionalRequestResult`.
//!
//! Locks: one mutex and one condition variable each. No other lock is taken under it.

use std::time::Duration;

use crate::error::{Delivery, Error, Result, TimeoutReason};
use crate::sync::{Arc, Condvar, Mutex};
use crate::utils::{SystemTime, Time};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct TransactionalRequestResult {
    /// The name of the call, for errors.
    operation: &'static str,
    state: Mutex<ResultState>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct ResultState {
    outcome: Option<Result<()>>,
    /// The caller has seen the outcome, so that its next call is a new one.
    is_acked: bool,
    effect: Effect,
    /// The error of the last attempt, for a timeout to report.
    refusal: Option<Error>,
}

/// Whether brokers have done what was requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Effect {
    #[default]
    NotDone,
    /// They may have done it, although no response says so.
    MaybeDone,
    /// They have. Only something that the producer needs afterwards is missing.
    Done,
}

impl TransactionalRequestResult {
    pub(crate) fn new(operation: &'static str) -> Arc<Self> {
        Arc::new(Self {
            operation,
            state: Mutex::default(),
            done: Condvar::new(),
        })
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    pub(super) fn complete(&self) {
        self.finish(Ok(()));
    }

    pub(crate) fn fail(&self, error: Error) {
        self.finish(Err(error));
    }

    /// Sets the outcome. Only the first one counts: a committed transaction stays committed.
    fn finish(&self, outcome: Result<()>) {
        let mut state = self.state.lock();
        let outcome = match outcome {
            Err(error) if state.effect != Effect::Done => {
                Err(error.with_delivery(state.delivery()))
            }
            _ => Ok(()),
        };
        state.outcome.get_or_insert(outcome);
        drop(state);
        self.done.notify_all();
    }

    /// Notes that the request was refused and will be retried.
    pub(super) fn set_refusal(&self, refusal: Error) {
        self.state.lock().refusal = Some(refusal);
    }

    /// Notes whether a request may have succeeded without a response.
    pub(super) fn set_may_be_done(&self, may_be_done: bool) {
        self.state.lock().effect = match may_be_done {
            true => Effect::MaybeDone,
            false => Effect::NotDone,
        };
    }

    /// Marks the call as successful, whatever follows before it is complete.
    pub(super) fn settle(&self) {
        self.state.lock().effect = Effect::Done;
    }

    #[cfg(test)]
    pub(crate) fn is_completed(&self) -> bool {
        self.state.lock().outcome.is_some()
    }

    pub(super) fn is_acked(&self) -> bool {
        self.state.lock().is_acked
    }

    /// Waits for the outcome, at most `max_block`.
    ///
    /// # Errors
    ///
    /// `Timeout`, after which the same call continues the wait; otherwise those of the outcome.
    ///
    /// # Blocking
    ///
    /// At most `max_block`.
    pub(crate) fn wait(&self, max_block: Duration) -> Result<()> {
        self.wait_after(Duration::ZERO, max_block)
    }

    /// Does the same as [`wait`](Self::wait), in a call that has already spent `spent` of
    /// `max_block`.
    pub(crate) fn wait_after(&self, spent: Duration, max_block: Duration) -> Result<()> {
        let time = SystemTime;
        let deadline = time.now().checked_add(max_block.saturating_sub(spent));
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = state.outcome.clone() {
                state.is_acked = true;
                return outcome;
            }
            let timed_out = match deadline {
                None => {
                    self.done.wait(&mut state);
                    false
                }
                Some(deadline) => self.done.wait_until(&mut state, deadline).timed_out(),
            };
            if timed_out && state.outcome.is_none() {
                let error = self.timed_out(max_block).with_delivery(state.delivery());
                return Err(match state.refusal.clone() {
                    Some(refusal) => error.caused_by(refusal),
                    None => error,
                });
            }
        }
    }

    fn timed_out(&self, waited: Duration) -> Error {
        let text = format!(
            "{} timed out after {} ms (max.block.ms); call it again to keep waiting",
            self.operation,
            waited.as_millis()
        );
        let reason = TimeoutReason {
            waiting_for: "the end of a transactional call",
            waited,
            config: Some("max.block.ms"),
        };
        Error::timed_out(text, reason)
    }
}

impl ResultState {
    fn delivery(&self) -> Delivery {
        match self.effect {
            Effect::NotDone => Delivery::NotWritten,
            Effect::MaybeDone | Effect::Done => Delivery::MaybeWritten,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_timed_out_wait_can_be_taken_up_again() {
        let result = TransactionalRequestResult::new("commit_transaction");
        let error = result.wait(Duration::ZERO).unwrap_err();
        assert!(error.is_timeout() && !error.is_fatal(), "{error:?}");
        assert!(error.to_string().starts_with("commit_transaction"));
        assert!(!result.is_acked());
        result.complete();
        assert!(!result.is_acked(), "nobody has seen it");
        result.wait(Duration::ZERO).unwrap();
        assert!(result.is_acked());
    }

    // Java: KafkaProducerTest (4.4). The wait for metadata and the wait for the result share
    // max.block.ms.
    #[test]
    fn a_wait_lasts_for_what_is_left_of_max_block() {
        let result = TransactionalRequestResult::new("send_offsets_to_transaction");
        let max_block = Duration::from_secs(3600);
        let error = result.wait_after(max_block, max_block).unwrap_err();
        assert_eq!(error.timeout().map(|reason| reason.waited), Some(max_block));
        result.complete();
        result.wait_after(max_block, max_block).unwrap();
    }

    #[test]
    fn the_first_outcome_counts() {
        let result = TransactionalRequestResult::new("commit_transaction");
        result.complete();
        result.fail(Error::new(ErrorKind::Fenced, "too late"));
        assert!(result.wait(Duration::ZERO).is_ok());
    }

    #[test]
    fn what_fails_after_a_commit_does_not_undo_it() {
        let result = TransactionalRequestResult::new("commit_transaction");
        result.settle();
        assert!(!result.is_completed());
        result.fail(Error::new(ErrorKind::Fenced, "too late"));
        assert!(result.wait(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_commit_that_may_have_happened_says_so() {
        let result = TransactionalRequestResult::new("commit_transaction");
        assert_eq!(
            result.wait(Duration::ZERO).unwrap_err().delivery(),
            Delivery::NotWritten
        );
        result.set_may_be_done(true);
        assert_eq!(
            result.wait(Duration::ZERO).unwrap_err().delivery(),
            Delivery::MaybeWritten
        );
        result.fail(Error::new(ErrorKind::Fenced, "another producer"));
        assert_eq!(
            result.wait(Duration::ZERO).unwrap_err().delivery(),
            Delivery::MaybeWritten
        );
    }
}
