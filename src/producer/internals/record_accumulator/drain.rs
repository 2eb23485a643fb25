//! Takes the batches for one request per node. Java: `RecordAccumulator.drain`.
//!
//! Differs from Java: a partition whose head may not be sent is skipped, instead of ending the
//! node's drain. The order is that in which partitions became ready, and each drained one goes to
//! the end (KAFKA-13834).

use std::collections::VecDeque;
use std::time::Instant;

use super::Scheduler;
use super::parked::Parked;
use super::parking::SlotId;
use crate::common::{Node, NodeId};
use crate::error::{Error, Result};
use crate::producer::internals::sequences::{BatchSequence, DrainGate, NextBatch};
use crate::producer::internals::{DrainedBatch, ProduceRequestResult, ProducerBatch};
use crate::record::CompressionType;
use crate::sync::{Arc, Ordering};
use crate::utils::log;

/// The result of [`Scheduler::drain`].
#[derive(Debug, Default)]
pub(crate) struct Drained {
    /// Frozen batches by destination node, at most one per partition.
    pub(crate) batches: Vec<(NodeId, Vec<DrainedBatch>)>,
    /// Batches that could not be frozen because their codec failed. They already have sequences.
    pub(crate) failed: Vec<(ProducerBatch, Error)>,
    /// Whether a head was taken or has changed, so the next ready check may find more to send. Java
    /// then polls without waiting.
    pub(crate) is_check_due: bool,
}

/// The result of taking the head of a ready partition.
enum Take {
    Batch {
        batch: DrainedBatch,
        /// More batches wait behind it.
        leaves_more: bool,
    },
    /// The request has no room for it.
    DoesNotFit,
    /// There is no batch.
    Gone,
    /// The sequences do not allow it yet.
    Blocked,
    /// It is another batch than when the partition became ready, and must wait.
    BackingOff,
}

impl Scheduler {
    /// Takes, for each node, the heads of its ready partitions while they fit into `max_size`
    /// bytes. If the first batch is larger, it is sent alone. Each batch counts as in flight until
    /// [`Self::end_flight`], whatever its outcome.
    pub(crate) fn drain(
        &mut self,
        nodes: &[Node],
        max_size: usize,
        now: Instant,
        gate: Option<&dyn DrainGate>,
    ) -> Drained {
        let mut drained = Drained::default();
        let mut again = std::mem::take(&mut self.to_look_at);
        for node in nodes {
            let batches = self.drain_node(node.id(), max_size, now, gate, &mut again);
            self.freeze(node.id(), batches, &mut drained);
        }
        let urgent = self.accumulator.is_urgent();
        let took_any = !drained.batches.is_empty() || !drained.failed.is_empty();
        drained.is_check_due = took_any || !again.is_empty();
        for partition in again.drain(..) {
            self.look_at(partition, urgent, now);
        }
        self.to_look_at = again;
        drained
    }

    fn drain_node(
        &mut self,
        node: NodeId,
        max_size: usize,
        now: Instant,
        gate: Option<&dyn DrainGate>,
        again: &mut Vec<SlotId>,
    ) -> Vec<DrainedBatch> {
        let mut batches = Vec::new();
        let mut size = 0;
        let mut full = 0;
        while let Some(partition) = self.parking.first_ready(node) {
            let room = if batches.is_empty() {
                usize::MAX
            } else {
                max_size.saturating_sub(size)
            };
            let place = match self.take_head(partition, room, now, gate) {
                Take::Batch {
                    mut batch,
                    leaves_more,
                } => {
                    full += u32::from(batch.is_full());
                    size += self.real_size(&mut batch);
                    batches.push(batch);
                    if leaves_more {
                        again.push(partition);
                    }
                    Parked::Nowhere
                }
                Take::DoesNotFit => break,
                Take::BackingOff => {
                    again.push(partition);
                    Parked::Nowhere
                }
                Take::Blocked => Parked::Blocked,
                Take::Gone => Parked::Nowhere,
            };
            self.parking.park(partition, place);
        }
        let left = self.parking.first_ready(node).is_some();
        let cost = self.cost_of_gathering();
        if let Some(pace) = self.parking.pace(node) {
            pace.drained(full, left, cost, now);
        }
        if !batches.is_empty() {
            self.filled = Some(now);
        }
        batches
    }

    /// Returns the exact size of the batch. For this, a compressed batch is finished: if estimates
    /// filled a request, data that compress worse than earlier ones could make it larger than a
    /// broker accepts.
    fn real_size(&self, batch: &mut ProducerBatch) -> usize {
        if self.accumulator.config.compression.kind != CompressionType::None {
            if let Err(error) = batch.close_for_record_appends() {
                // Freezing fails for the same reason, and then the batch fails.
                log::debug!("{error}");
            }
        }
        batch.estimated_size_in_bytes()
    }

    /// Takes the head of a ready partition, and gives it its sequences. Parks the partition
    /// elsewhere, unless the head does not fit.
    fn take_head(
        &self,
        id: SlotId,
        room: usize,
        now: Instant,
        gate: Option<&dyn DrainGate>,
    ) -> Take {
        let Some(slot) = self.parking.slot(id) else {
            return Take::Gone;
        };
        let (queue, partition) = (&slot.queue, slot.queue.handle());
        let topic_partition = partition.topic_partition();
        let route = self.routes.of(topic_partition);
        let mut state = queue.state.lock();
        let head = state.batches.front();
        if head.is_some_and(|head| head.estimated_size_in_bytes() > room) {
            return Take::DoesNotFit;
        }
        partition.want_news();
        let Some(head) = head else {
            return Take::Gone;
        };
        if head.backing_off_until(now).is_some() {
            return Take::BackingOff;
        }
        let log = route.log_view();
        let next = match gate {
            Some(gate) => {
                let has_sequence = head.sequence().is_some();
                gate.next_to_drain(topic_partition, has_sequence, log, now)
            }
            None => NextBatch::Head,
        };
        let taken = match next {
            NextBatch::None => None,
            NextBatch::Head => state.batches.pop_front(),
            NextBatch::Retry(sequence) => take_sequenced(&mut state.batches, &sequence),
        };
        let Some(mut batch) = taken.map(Box::new) else {
            return Take::Blocked;
        };
        match (gate, next) {
            (Some(gate), NextBatch::Head) => {
                let count = batch.record_count();
                let result = Arc::<ProduceRequestResult>::clone(batch.result());
                let sequence = gate.assign_sequence(topic_partition, count, result, log);
                batch.set_sequence(sequence);
            }
            (Some(gate), NextBatch::Retry(sequence)) => {
                gate.add_in_flight(topic_partition, &sequence);
            }
            (None, _) | (_, NextBatch::None) => {}
        }
        let leaves_more = !state.batches.is_empty();
        queue.publish_len(&state);
        // Counted before the next look at the partition, because an expedited batch behind this one
        // must linger.
        partition.begin_flight();
        drop(state);
        self.accumulator.undrained.fetch_sub(1, Ordering::AcqRel);
        batch.mark_drained(route.topic_id);
        Take::Batch { batch, leaves_more }
    }

    /// Freezes the taken batches without a lock: the end of the compressed stream, the header, the
    /// CRC.
    fn freeze(&self, node: NodeId, mut batches: Vec<DrainedBatch>, drained: &mut Drained) {
        let mut index = 0;
        while let Some((batch, rest)) = batches.get_mut(index..).and_then(<[_]>::split_first_mut) {
            if let Some(next) = rest.first() {
                next.prefetch_records();
            }
            match self.freeze_batch(batch) {
                Ok(()) => index += 1,
                Err(error) => drained.failed.push((*batches.remove(index), error)),
            }
        }
        if !batches.is_empty() {
            drained.batches.push((node, batches));
        }
    }

    fn freeze_batch(&self, batch: &mut ProducerBatch) -> Result<()> {
        batch.close()?;
        if !batch.in_retry() {
            let accumulator = &self.accumulator;
            accumulator.ratio.update_estimation(
                batch.topic_partition().topic(),
                accumulator.config.compression.kind,
                batch.compression_ratio(),
            );
        }
        Ok(())
    }
}

/// Takes the batch with this sequence. It is the head, unless a gap in the sequences blocks the
/// head.
fn take_sequenced(
    batches: &mut VecDeque<ProducerBatch>,
    sequence: &BatchSequence,
) -> Option<ProducerBatch> {
    let index = batches
        .iter()
        .position(|batch| batch.sequence() == Some(*sequence))?;
    batches.remove(index)
}
