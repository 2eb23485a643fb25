//! Full batches that follow each other closely go into one request.
//!
//! A request, its answer and the wake-ups around them cost more than all else that is done for a batch of `batch.size`. So
//! the I/O thread sends the first full batch at once, and what becomes full in the millisecond after it then, or when there
//! are 128 KiB: a little later, and in one request. A caller need not wake it meanwhile, because it looks by itself.
//!
//! Not kept waiting is whatever else can be sent: what a caller waits for, what has lingered, a retry, a flush, anything while
//! memory is short; nor a batch behind another one of its partition that is in flight, because where answers take long the
//! next requests are to be on their way by then. Where `linger.ms` is less than 5, nothing waits.
//!
//! Differs from Java: there a full batch is sent in the next round of the sender, and each wakes it.

use std::time::{Duration, Instant};

use super::{RecordAccumulator, Scheduler};
use crate::producer::internals::ready_signal::{PartitionHandle, Watch};

/// How long full batches gather after a request with full batches.
const PACE: Duration = Duration::from_millis(1);

/// How long the first batch of a partition may go unseen while answers are due. Nothing is paced where `linger.ms` is less.
const PATIENCE: Duration = Duration::from_millis(5);

/// Answers that are due for longer than this are not counted on: a broker that does not answer is waited for in one sleep.
const ANSWERS_SOON: Duration = Duration::from_millis(50);

/// The bytes in full batches that are enough for a request.
const MUCH: usize = 128 << 10;

/// What of a node's ready partitions may wait for company.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Until then full batches gather.
    until: Option<Instant>,
    /// The bytes in the full batches that wait.
    gathered: usize,
    /// Something is there that may not wait.
    hurried: bool,
}

impl Pace {
    /// The head of a partition became ready: `gathers` if it is full and may wait, with this many bytes.
    pub(super) fn ready(&mut self, gathers: bool, bytes: usize) {
        self.gathered += bytes;
        self.hurried |= !gathers;
    }

    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Until when the node's ready partitions are to wait, if they are.
    pub(super) fn holds_until(&self, now: Instant) -> Option<Instant> {
        self.until
            .filter(|until| *until > now && !self.hurried && self.gathered < MUCH)
    }

    /// A request was filled; `left` if something is ready that did not fit. Full batches pace those that follow them.
    pub(super) fn drained(&mut self, has_full: bool, left: bool, now: Instant) {
        if has_full {
            self.until = now.checked_add(PACE);
        }
        self.gathered = 0;
        self.hurried = left;
    }

    /// Nothing of the node is ready.
    pub(super) fn nothing_waits(&mut self) {
        self.gathered = 0;
        self.hurried = false;
    }

    fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }
}

impl RecordAccumulator {
    pub(super) fn is_paced(&self) -> bool {
        self.config.linger >= PATIENCE
    }

    /// Whether the I/O thread need not be woken for news of this partition that were just announced.
    pub(super) fn may_go_unseen(&self, partition: &PartitionHandle, is_full: bool) -> bool {
        match self.signal.watch() {
            Watch::Asleep => false,
            _ if !is_full => true,
            Watch::Patient => false,
            Watch::Pacing => {
                let waiting = self.signal.add_waiting(self.config.batch_size);
                waiting < MUCH && !partition.has_batch_in_flight()
            }
        }
    }
}

impl Scheduler {
    /// To be called before each wait, with whether responses are due. Returns the longest that it may be.
    pub(crate) fn begin_wait(&self, responses_due: bool, now: Instant) -> Duration {
        let watch = self.next_watch(responses_due, now);
        if self.accumulator.signal.begin_watch(watch) {
            return Duration::ZERO;
        }
        match watch {
            Watch::Asleep => Duration::MAX,
            Watch::Patient => PATIENCE,
            Watch::Pacing => PACE,
        }
    }

    fn next_watch(&self, responses_due: bool, now: Instant) -> Watch {
        if !self.accumulator.is_paced() {
            return Watch::Asleep;
        }
        let is_recent = |drained| now.saturating_duration_since(drained) < ANSWERS_SOON;
        if self.parking.paces().any(|pace| pace.is_on(now)) {
            Watch::Pacing
        } else if responses_due && self.drained.is_some_and(is_recent) {
            Watch::Patient
        } else {
            Watch::Asleep
        }
    }
}
