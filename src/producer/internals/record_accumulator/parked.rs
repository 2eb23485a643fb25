//! The place where a partition waits until the I/O thread can act on it.
//!
//! The rule is in [`next_place`], which depends only on what the I/O thread sees of the partition.

use std::time::Instant;

use crate::common::NodeId;

/// The place where a partition waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    /// Nowhere: it waits for a batch, or for the look after the current one.
    Nowhere,
    /// The ready queue of its leader: the head can be sent.
    Ready(NodeId),
    /// It waits until its linger or its backoff ends.
    Until(Instant),
    /// It waits until the metadata contain a leader.
    NoLeader,
    /// It waits until the sequences allow the head, after the next response or with a new producer
    /// id.
    Blocked,
    /// It waits until its batch in flight has an outcome (`max.in.flight.requests.per.connection`
    /// is 1).
    Muted,
}

impl Parked {
    /// Returns whether the I/O thread is certain to look at the partition again without an
    /// announcement.
    pub(super) fn is_looked_at_again(self) -> bool {
        match self {
            Self::Ready(_) | Self::Blocked | Self::Muted => true,
            // Later batches change the partition's place.
            Self::Nowhere | Self::Until(_) | Self::NoLeader => false,
        }
    }
}

/// The facts that determine where a partition with batches waits. The head is the batch to send
/// next.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadFacts {
    /// `None` if the metadata contain no leader.
    pub(super) leader: Option<NodeId>,
    /// When the head has lingered for `linger.ms`.
    pub(super) lingered: Instant,
    /// Set until the head's backoff ends.
    pub(super) backing_off_until: Option<Instant>,
    /// The head takes no more records, or another batch is behind it.
    pub(super) is_full: bool,
    /// The head was sent before, or is a part of a batch that was.
    pub(super) is_back: bool,
    /// A caller waits for a record of the head.
    pub(super) is_expedited: bool,
    /// A batch of the partition is in flight.
    pub(super) has_batch_in_flight: bool,
}

impl HeadFacts {
    /// Returns whether the head is sent although it may have room. `urgent` means a flush, a close
    /// or a lack of memory.
    ///
    /// If a batch is in flight, an expedited batch waits until it has lingered. The response lets
    /// the callers of the first batch send again, and their next records belong into the same
    /// batch. Otherwise many blocking callers would form two groups that take turns.
    pub(super) fn is_hurried(&self, urgent: bool, now: Instant) -> bool {
        urgent
            || self.lingered <= now
            || self.is_back
            || (self.is_expedited && !self.has_batch_in_flight)
    }
}

/// Returns where a partition with this head waits.
pub(super) fn next_place(head: &HeadFacts, urgent: bool, now: Instant) -> Parked {
    let Some(leader) = head.leader else {
        return Parked::NoLeader;
    };
    if let Some(until) = head.backing_off_until {
        return Parked::Until(until);
    }
    if head.is_full || head.is_hurried(urgent, now) {
        Parked::Ready(leader)
    } else {
        Parked::Until(head.lingered)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::utils::{MockTime, Time};

    const LEADER: NodeId = NodeId(1);
    const READY: Parked = Parked::Ready(LEADER);

    /// Returns where a partition waits after `change`, if its open head has lingered for 4 of 10
    /// ms.
    fn place(change: impl FnOnce(&mut HeadFacts, Instant), urgent: bool) -> (Parked, Instant) {
        let now = MockTime::new().now();
        let mut head = HeadFacts {
            leader: Some(LEADER),
            lingered: now + Duration::from_millis(6),
            backing_off_until: None,
            is_full: false,
            is_back: false,
            is_expedited: false,
            has_batch_in_flight: false,
        };
        change(&mut head, now);
        (next_place(&head, urgent, now), now)
    }

    #[test]
    fn an_open_head_waits_for_the_end_of_its_linger() {
        let (place, now) = place(|_, _| {}, false);
        assert_eq!(place, Parked::Until(now + Duration::from_millis(6)));
    }

    #[test]
    fn each_reason_alone_makes_the_head_ready() {
        type Change = fn(&mut HeadFacts, Instant);
        let reasons: [(&str, Change); 5] = [
            ("full", |head, _| head.is_full = true),
            ("lingered", |head, now| head.lingered = now),
            ("retried or split", |head, _| head.is_back = true),
            ("expedited", |head, _| head.is_expedited = true),
            ("full behind one in flight", |head, _| {
                head.is_full = true;
                head.has_batch_in_flight = true;
            }),
        ];
        for (reason, change) in reasons {
            assert_eq!(place(change, false).0, READY, "{reason}");
        }
        assert_eq!(place(|_, _| {}, true).0, READY, "urgent");
    }

    #[test]
    fn an_expedited_head_stays_behind_a_batch_in_flight_until_it_has_lingered() {
        let behind = |head: &mut HeadFacts| {
            head.is_expedited = true;
            head.has_batch_in_flight = true;
        };
        let (waiting, now) = place(|head, _| behind(head), false);
        assert_eq!(waiting, Parked::Until(now + Duration::from_millis(6)));
        let lingered = |head: &mut HeadFacts, now| {
            behind(head);
            head.lingered = now;
        };
        assert_eq!(place(lingered, false).0, READY);
        assert_eq!(place(|head, _| behind(head), true).0, READY);
    }

    #[test]
    fn nothing_cuts_a_backoff_short() {
        for urgent in [false, true] {
            let (waiting, now) = place(
                |head, now| {
                    head.backing_off_until = Some(now + Duration::from_millis(90));
                    head.is_back = true;
                    head.is_full = true;
                    head.is_expedited = true;
                    head.lingered = now;
                },
                urgent,
            );
            assert_eq!(waiting, Parked::Until(now + Duration::from_millis(90)));
        }
    }

    #[test]
    fn a_partition_without_a_leader_waits_for_one_whatever_its_head() {
        for urgent in [false, true] {
            let (waiting, _) = place(
                |head, now| {
                    head.leader = None;
                    head.is_full = true;
                    head.backing_off_until = Some(now + Duration::from_millis(90));
                },
                urgent,
            );
            assert_eq!(waiting, Parked::NoLeader);
        }
    }
}
