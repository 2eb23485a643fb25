//! When the next metadata update is due. Java: the refresh half of `Metadata`; KIP-580.
//!
//! Differs from Java: the jitter of a wait is drawn once, when the wait begins. Java draws it in
//! each call, so frequent calls make a short wait likely.

use std::time::{Duration, Instant};

use super::MetadataConfig;
use crate::utils::ExponentialBackoff;

/// Longer than any process runs. Keeps sums of instants in range.
const FAR_FUTURE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Requested updates, the age, and two backoffs: one grows with failed updates, the other with
/// updates without changes.
#[derive(Debug)]
pub(super) struct RefreshSchedule {
    backoff: ExponentialBackoff,
    max_age: Duration,
    needs_full: bool,
    needs_partial: bool,
    /// The time of the last update, successful or not. `None` before the first, and after a topic
    /// was added.
    last_refresh: Option<Instant>,
    /// The time of the last refresh of everything.
    last_full_refresh: Option<Instant>,
    failed_attempts: u32,
    equivalent_responses: u32,
    wait_after_attempts: Duration,
    wait_after_equivalent: Duration,
}

impl RefreshSchedule {
    pub(super) fn new(config: &MetadataConfig) -> Self {
        let backoff = ExponentialBackoff::new(config.refresh_backoff, config.refresh_backoff_max);
        Self {
            backoff,
            max_age: config.max_age.min(FAR_FUTURE),
            needs_full: false,
            needs_partial: false,
            last_refresh: None,
            last_full_refresh: None,
            failed_attempts: 0,
            equivalent_responses: 0,
            wait_after_attempts: backoff.backoff(0),
            wait_after_equivalent: Duration::ZERO,
        }
    }

    pub(super) fn is_requested(&self) -> bool {
        self.needs_full || self.needs_partial
    }

    /// Requests an update of everything. The backoffs apply.
    pub(super) fn request_full(&mut self) {
        self.needs_full = true;
    }

    /// Requests an update of the new topics. The backoffs apply.
    pub(super) fn request_partial(&mut self) {
        self.needs_partial = true;
    }

    /// Requests an update of a topic that was just added. It ignores the backoff after a successful
    /// update, because no earlier response included the topic. The backoff after a failed update
    /// applies: a cluster without a usable response for one topic will not have one for another,
    /// and a program may add topics in a loop.
    pub(super) fn request_partial_for_added_topic(&mut self) {
        self.request_partial();
        if self.failed_attempts == 0 {
            self.last_refresh = None;
            self.reset_equivalent_responses();
        }
    }

    pub(super) fn last_full_refresh(&self) -> Option<Instant> {
        self.last_full_refresh
    }

    /// Returns when the next update is due; `None` means now.
    pub(super) fn next_update_at(&self) -> Option<Instant> {
        let expires = self.last_full_refresh.map(|last| last + self.max_age);
        let after_attempts = self.after_last_refresh(self.wait_after_attempts);
        let after_equivalent = self.after_last_refresh(self.wait_after_equivalent);
        if self.is_requested() {
            // Updates without changes do not affect one that is due by age.
            after_attempts.max(after_equivalent.min(expires))
        } else {
            after_attempts.max(expires)
        }
    }

    /// Notes that an update is about to be requested. Returns whether it need only include the new
    /// topics.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let is_fresh = self
            .last_full_refresh
            .is_some_and(|last| now < last + self.max_age);
        if !is_fresh {
            self.reset_equivalent_responses();
        }
        is_fresh && !self.needs_full
    }

    /// Notes an accepted response. `needs_partial`: topics were added after its request.
    pub(super) fn succeeded(&mut self, is_partial: bool, needs_partial: bool, now: Instant) {
        self.needs_partial = needs_partial;
        self.last_refresh = Some(now);
        if !is_partial {
            self.needs_full = false;
            self.last_full_refresh = Some(now);
        }
        self.set_failed_attempts(0);
        // Reset if something in the response turns out to be new.
        self.equivalent_responses = self.equivalent_responses.saturating_add(1);
        self.wait_after_equivalent = self.backoff.backoff(self.equivalent_responses - 1);
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.last_refresh = Some(now);
        self.set_failed_attempts(self.failed_attempts.saturating_add(1));
        self.reset_equivalent_responses();
    }

    /// Notes a change: the next requested update may follow soon.
    pub(super) fn reset_equivalent_responses(&mut self) {
        self.equivalent_responses = 0;
        self.wait_after_equivalent = Duration::ZERO;
    }

    fn set_failed_attempts(&mut self, attempts: u32) {
        self.failed_attempts = attempts;
        self.wait_after_attempts = self.backoff.backoff(attempts.saturating_sub(1));
    }

    fn after_last_refresh(&self, wait: Duration) -> Option<Instant> {
        self.last_refresh.map(|last| last + wait.min(FAR_FUTURE))
    }
}
