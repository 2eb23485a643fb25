//! What happens to batches that were not acknowledged: put back, split, aborted. Java: `RecordAccumulator`.

use std::cmp::Ordering as CmpOrdering;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Scheduler;
use super::parked::Parked;
use super::parking::Parking;
use super::partition_queue::{PartitionQueue, QueueState};
use crate::common::TopicPartition;
use crate::error::{Error, Result};
use crate::producer::internals::ready_signal::PartitionHandle;
use crate::producer::internals::sequences::{BatchSequence, compare_sequences};
use crate::producer::internals::{ProduceRequestResult, ProducerBatch};
use crate::sync::{Arc, Ordering};
use crate::utils::log;

impl Scheduler {
    /// Puts a batch back for another attempt, after a backoff of at most `limit`: among the sequenced batches at the front in
    /// the order of their sequences, or at the very front where there are no sequences.
    pub(crate) fn reenqueue(&mut self, mut batch: ProducerBatch, now: Instant, limit: Duration) {
        let backoff = self.backoff.backoff(batch.attempts()).min(limit);
        batch.reenqueued(now, backoff);
        self.insert(batch);
    }

    fn insert(&mut self, batch: ProducerBatch) {
        // A partition of which a batch was drained has a slot until the batch is settled or put back.
        let slot = self.slot_of(batch.partition());
        let Some(slot) = slot.and_then(|id| self.parking.slot(id)) else {
            log::error!("the queue of {} is gone", batch.topic_partition());
            return;
        };
        let queue = &slot.queue;
        let mut state = queue.state.lock();
        let expiry = self.accumulator.expiry_of(&batch);
        self.accumulator
            .expiries
            .register(queue, &mut state, expiry);
        insert_in_sequence_order(&mut state.batches, batch);
        self.accumulator.undrained.fetch_add(1, Ordering::AcqRel);
        queue.publish_len(&state);
        drop(state);
        queue.handle().announce();
    }

    /// Splits a batch that the broker rejected as too large into halves of its size, and puts the
    /// parts back in its place. `assign` says which sequences the parts have, given their record
    /// counts and results; it is asked only if the batch has any. Says how many parts there are.
    /// The parts do not wait out a backoff, and do not count as retries.
    ///
    /// # Errors
    ///
    /// Gives the batch back where it cannot be read, which is a bug.
    pub(crate) fn split_and_reenqueue(
        &mut self,
        batch: ProducerBatch,
        assign: impl FnOnce(&BatchSequence, &[(u32, Arc<ProduceRequestResult>)]) -> Vec<BatchSequence>,
    ) -> std::result::Result<usize, Box<(ProducerBatch, Error)>> {
        let partition = Arc::clone(batch.partition());
        let topic = partition.topic_partition().topic();
        let target = batch.half();
        let sequence = batch.sequence();
        let accumulator = &self.accumulator;
        let config = &accumulator.config;
        accumulator.ratio.set_estimation(
            topic,
            config.compression.kind,
            batch.compression_ratio().max(1.0),
        );
        if let Some(queues) = accumulator.queues_of(topic) {
            queues
                .batch_ceiling
                .fetch_min(target.max(config.batch_size), Ordering::Relaxed);
        }
        let mut parts = batch.split(target, &config.compression)?;
        if let Some(sequence) = sequence {
            let results: Vec<_> = parts
                .iter()
                .map(|part| (part.record_count(), Arc::clone(part.result())))
                .collect();
            for (part, sequence) in parts.iter_mut().zip(assign(&sequence, &results)) {
                part.set_sequence(sequence);
            }
        }
        let count = parts.len();
        for part in parts.into_iter().rev() {
            self.insert(part);
        }
        Ok(count)
    }

    /// Writes new sequences into the batches at the front of the partition, after an epoch bump.
    ///
    /// # Errors
    ///
    /// When the bytes of one are not a batch, which is a bug.
    pub(crate) fn renumber(
        &self,
        topic_partition: &TopicPartition,
        sequences: &[BatchSequence],
    ) -> Result<()> {
        let Some(partition) = self.accumulator.queue(topic_partition) else {
            return Ok(());
        };
        let mut state = partition.state.lock();
        let sequenced = state
            .batches
            .iter_mut()
            .filter(|batch| batch.sequence().is_some());
        for (batch, sequence) in sequenced.zip(sequences) {
            batch.reset_sequence(*sequence)?;
        }
        drop(state);
        partition.handle().announce();
        Ok(())
    }

    /// Has the I/O thread look at the partition in its next round.
    pub(crate) fn announce(&self, topic_partition: &TopicPartition) {
        if let Some(partition) = self.accumulator.queue(topic_partition) {
            partition.handle().announce();
        }
    }

    /// Asks for another look at every partition that waits, after a change that concerns all: a new producer id.
    pub(crate) fn recheck_all(&self) {
        self.accumulator.signal.recheck_all();
    }

    /// A batch of the partition left the in-flight requests, which may let the next one go.
    pub(crate) fn end_flight(&self, partition: &Arc<PartitionHandle>) {
        partition.end_flight();
        // A partition that waits nowhere has no batch, or is announced already.
        if self.parking.place_of(partition) != Parked::Nowhere {
            partition.announce();
        }
    }

    /// Keeps further batches of the partition back until [`Self::unmute_partition`].
    pub(crate) fn mute_partition(&mut self, partition: &PartitionHandle) {
        if let Some(id) = Parking::known(partition) {
            self.parking.park(id, Parked::Muted);
        }
    }

    pub(crate) fn unmute_partition(&mut self, partition: &Arc<PartitionHandle>) {
        if let Some(id) = Parking::known(partition) {
            self.parking.park(id, Parked::Nowhere);
        }
        partition.announce();
    }

    /// Fails every batch that waits here, and says how many records that were. With the accumulator closed none can
    /// follow. The sender does the same, and counts them. Java: `abortIncompleteBatches`.
    #[cfg(test)]
    pub(crate) fn abort_batches(&mut self, error: &Error) -> usize {
        let mut records = 0;
        for batch in self.take_all() {
            records += batch.record_count() as usize;
            batch.complete_exceptionally(error.clone(), Vec::new());
        }
        records
    }

    /// Takes every batch out of every deque.
    pub(crate) fn take_all(&mut self) -> Vec<ProducerBatch> {
        self.take_matching(&self.accumulator.all_queues(), |_| true)
    }

    /// Takes the batches that were never given sequences, and so never sent. Java: `abortUndrainedBatches`.
    pub(crate) fn take_unsequenced(&mut self) -> Vec<ProducerBatch> {
        self.take_matching(&self.accumulator.all_queues(), |batch| {
            batch.sequence().is_none()
        })
    }

    /// Takes the batches that were given sequences, and so may have been sent.
    pub(crate) fn take_all_sequenced(&mut self) -> Vec<ProducerBatch> {
        self.take_matching(&self.accumulator.all_queues(), |batch| {
            batch.sequence().is_some()
        })
    }

    /// Takes every batch that waits for the partition.
    pub(crate) fn take_partition(
        &mut self,
        topic_partition: &TopicPartition,
    ) -> Vec<ProducerBatch> {
        let queue = self.accumulator.queue(topic_partition);
        self.take_matching(queue.as_slice(), |_| true)
    }

    /// Takes the batches of the partition that have these sequences.
    pub(crate) fn take_sequenced(
        &mut self,
        topic_partition: &TopicPartition,
        sequences: &[BatchSequence],
    ) -> Vec<ProducerBatch> {
        if sequences.is_empty() {
            return Vec::new();
        }
        let queue = self.accumulator.queue(topic_partition);
        self.take_matching(queue.as_slice(), |batch| {
            batch.sequence().is_some_and(|own| sequences.contains(&own))
        })
    }

    fn take_matching(
        &mut self,
        queues: &[Arc<PartitionQueue>],
        matches: impl Fn(&ProducerBatch) -> bool,
    ) -> Vec<ProducerBatch> {
        let mut taken = Vec::new();
        for queue in queues {
            taken.extend(self.take_from(queue, |state| {
                let batches = std::mem::take(&mut state.batches);
                let (matching, kept) = batches.into_iter().partition::<VecDeque<_>, _>(&matches);
                state.batches = kept;
                matching.into()
            }));
        }
        taken
    }

    /// Takes batches out of a partition's deque, with all that follows from it. A partition that has none left waits for
    /// the next one, unless it is muted.
    pub(super) fn take_from(
        &mut self,
        queue: &PartitionQueue,
        take: impl FnOnce(&mut QueueState) -> Vec<ProducerBatch>,
    ) -> Vec<ProducerBatch> {
        let mut state = queue.state.lock();
        let taken = take(&mut state);
        queue.publish_len(&state);
        let is_empty = state.batches.is_empty();
        if is_empty {
            queue.handle().want_news();
        }
        drop(state);
        let accumulator = &self.accumulator;
        accumulator
            .undrained
            .fetch_sub(taken.len(), Ordering::AcqRel);
        if is_empty {
            self.parking.vacate(queue.handle());
        }
        taken
    }
}

/// Walks past the batches that have smaller sequences, which are all at the front; anything else comes after.
fn insert_in_sequence_order(batches: &mut VecDeque<ProducerBatch>, batch: ProducerBatch) {
    let index = match batch.sequence() {
        None => 0,
        Some(sequence) => batches
            .iter()
            .take_while(|other| {
                other
                    .sequence()
                    .is_some_and(|other| precedes(&other, &sequence))
            })
            .count(),
    };
    batches.insert(index, batch);
}

fn precedes(a: &BatchSequence, b: &BatchSequence) -> bool {
    if a.producer != b.producer {
        return (a.producer.producer_id, a.producer.epoch)
            < (b.producer.producer_id, b.producer.epoch);
    }
    compare_sequences(a.base_sequence, b.base_sequence) == CmpOrdering::Less
}
