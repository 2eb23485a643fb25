//! Takes the batches for one request per node. Java: `RecordAccumulator.drain`.
//!
//! Differs from Java: a partition whose head may not be sent is passed over instead of ending the node's drain, and the
//! order is that in which partitions became ready, each drained one going to the end (KAFKA-13834).

use std::collections::VecDeque;
use std::time::Instant;

use super::{PartitionQueue, RecordAccumulator};
use crate::common::{Node, NodeId};
use crate::error::{Error, Result};
use crate::producer::internals::sequences::{BatchSequence, DrainGate, NextBatch};
use crate::producer::internals::{ProduceRequestResult, ProducerBatch};
use crate::record::CompressionType;
use crate::sync::{Arc, Ordering};
use crate::utils::log;

/// What [`RecordAccumulator::drain`] took.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    /// Frozen batches, at most one of each partition, by the node that they go to.
    pub(crate) batches: Vec<(NodeId, Vec<ProducerBatch>)>,
    /// Batches that could not be frozen because their codec failed. Their sequences are given out.
    pub(crate) failed: Vec<(ProducerBatch, Error)>,
    /// Whether a partition was given another place, so that the next ready check is due at another time than the last one
    /// said.
    pub(crate) placed_again: bool,
}

/// What a look at the head of a ready partition came to.
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is made, and never kept"
)]
enum Head {
    Taken(ProducerBatch),
    /// The request is full without it.
    DoesNotFit,
    /// There is none, or it may not be sent before the partition is announced again.
    NotNow,
    /// It is another one than when the partition was queued, and has to wait.
    PlaceAgain,
}

impl RecordAccumulator {
    /// Takes, for each node, the heads of its ready partitions while they fit in `max_size` bytes. A first batch that is
    /// larger than that is sent alone. Each batch counts as in flight until [`Self::end_flight`], whatever becomes of it.
    pub(crate) fn drain(
        &self,
        nodes: &[Node],
        max_size: usize,
        now: Instant,
        gate: Option<&dyn DrainGate>,
    ) -> Drained {
        let mut drained = Drained::default();
        let mut again = Vec::new();
        for node in nodes {
            let batches = self.drain_node(node.id(), max_size, now, gate, &mut again);
            self.freeze(node.id(), batches, &mut drained);
        }
        let mut io = self.io.lock();
        let urgent = self.is_urgent();
        drained.placed_again = !again.is_empty();
        for partition in again {
            self.place(&mut io, partition, urgent, now);
        }
        drained
    }

    fn drain_node(
        &self,
        node: NodeId,
        max_size: usize,
        now: Instant,
        gate: Option<&dyn DrainGate>,
        again: &mut Vec<Arc<PartitionQueue>>,
    ) -> Vec<ProducerBatch> {
        let mut io = self.io.lock();
        let mut batches = Vec::new();
        let mut size = 0;
        let mut has_full = false;
        while let Some(queue) = io.nodes.get_mut(&node) {
            let Some(partition) = queue.partitions.pop_front() else {
                break;
            };
            let room = if batches.is_empty() {
                usize::MAX
            } else {
                max_size.saturating_sub(size)
            };
            match self.take_head(&partition, node, room, now, gate) {
                Head::Taken(mut batch) => {
                    has_full |= batch.is_full();
                    size += self.real_size(&mut batch);
                    batches.push(batch);
                    again.push(partition);
                }
                Head::DoesNotFit => {
                    queue.partitions.push_front(partition);
                    break;
                }
                Head::PlaceAgain => again.push(partition),
                Head::NotNow => {
                    let mut state = partition.state.lock();
                    if state.is_blocked && !std::mem::replace(&mut state.in_blocked, true) {
                        drop(state);
                        io.blocked.push(partition);
                    }
                }
            }
        }
        if let Some(queue) = io.nodes.get_mut(&node) {
            let left = !queue.partitions.is_empty();
            queue.pace.drained(has_full, left, now);
        }
        if !batches.is_empty() {
            io.drained = Some(now);
        }
        batches
    }

    /// The bytes that the batch is going to take. A batch that compresses is finished for that: were requests filled by
    /// estimates, data that compress less than those before would make one that no broker takes.
    fn real_size(&self, batch: &mut ProducerBatch) -> usize {
        if self.config.compression.kind != CompressionType::None {
            if let Err(error) = batch.close_for_record_appends() {
                // The freezing fails for the same reason, and fails the batch.
                log::debug!("{error}");
            }
        }
        batch.estimated_size_in_bytes()
    }

    /// Takes the head of a partition that has just been popped from its ready queue, and gives it its sequences.
    fn take_head(
        &self,
        partition: &PartitionQueue,
        node: NodeId,
        room: usize,
        now: Instant,
        gate: Option<&dyn DrainGate>,
    ) -> Head {
        let mut state = partition.state.lock();
        state.queued_on = None;
        let Some(head) = state.batches.front().filter(|_| !state.muted) else {
            return Head::NotNow;
        };
        if head.estimated_size_in_bytes() > room {
            state.queued_on = Some(node);
            return Head::DoesNotFit;
        }
        if head.backing_off_until(now).is_some() {
            return Head::PlaceAgain;
        }
        let topic_partition = partition.topic_partition();
        let log = state.route.log_view();
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
        let Some(mut batch) = taken else {
            state.is_blocked = true;
            return Head::NotNow;
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
        let topic_id = state.route.topic_id;
        partition.publish_len(&state);
        // Counted here, before the partition is placed again: what follows this batch does not wait for company.
        partition.begin_flight();
        drop(state);
        self.undrained.fetch_sub(1, Ordering::AcqRel);
        batch.mark_drained(topic_id, now);
        Head::Taken(batch)
    }

    /// Freezes what was taken, with no lock held: the end of the compressed stream, the header, the CRC.
    fn freeze(&self, node: NodeId, mut batches: Vec<ProducerBatch>, drained: &mut Drained) {
        let mut index = 0;
        while let Some((batch, rest)) = batches.get_mut(index..).and_then(<[_]>::split_first_mut) {
            if let Some(next) = rest.first() {
                next.prefetch_records();
            }
            match self.freeze_batch(batch) {
                Ok(()) => index += 1,
                Err(error) => drained.failed.push((batches.remove(index), error)),
            }
        }
        if !batches.is_empty() {
            drained.batches.push((node, batches));
        }
    }

    fn freeze_batch(&self, batch: &mut ProducerBatch) -> Result<()> {
        batch.close()?;
        if !batch.in_retry() {
            self.ratio.update_estimation(
                batch.topic_partition().topic(),
                self.config.compression.kind,
                batch.compression_ratio(),
            );
        }
        Ok(())
    }
}

/// Takes the batch that has this sequence. It is the head, unless a gap keeps the head back.
fn take_sequenced(
    batches: &mut VecDeque<ProducerBatch>,
    sequence: &BatchSequence,
) -> Option<ProducerBatch> {
    let index = batches
        .iter()
        .position(|batch| batch.sequence() == Some(*sequence))?;
    batches.remove(index)
}
