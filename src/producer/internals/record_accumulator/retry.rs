//! Returns batches without an acknowledgement to their partitions: puts them back, splits or aborts
//! them. Java: `RecordAccumulator`.

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
    /// Puts a batch back for another attempt, after a backoff of at most `limit`. With sequences,
    /// it is sorted among the batches at the front; without, it goes to the very front.
    pub(crate) fn reenqueue(&mut self, mut batch: ProducerBatch, now: Instant, limit: Duration) {
        let backoff = self.backoff.backoff(batch.attempts()).min(limit);
        batch.reenqueued(now, backoff);
        self.insert(batch);
    }

    fn insert(&mut self, batch: ProducerBatch) {
        // If a batch of a partition was drained, the partition has a slot until the batch has an
        // outcome or is put back.
        let slot = self.slot_of(batch.partition());
        let Some(slot) = slot.and_then(|id| self.parking.slot(id)) else {
            log::error!(
                "the queue of {} no longer exists; its batch fails",
                batch.topic_partition()
            );
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

    /// Splits a batch that the broker rejected as too large into halves, and puts the parts back in
    /// its place. If the batch has sequences, `assign` returns those of the parts, given their
    /// record counts and results. The parts have no backoff, and the split does not count as a
    /// retry.
    ///
    /// # Errors
    ///
    /// Returns the batch if it cannot be read, which is a bug.
    pub(crate) fn split_and_reenqueue(
        &mut self,
        batch: ProducerBatch,
        assign: impl FnOnce(&BatchSequence, &[(u32, Arc<ProduceRequestResult>)]) -> Vec<BatchSequence>,
    ) -> std::result::Result<(), Box<(ProducerBatch, Error)>> {
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
        for part in parts.into_iter().rev() {
            self.insert(part);
        }
        Ok(())
    }

    /// Writes new sequences into the batches at the front of the partition, after an epoch bump.
    ///
    /// # Errors
    ///
    /// The bytes of a batch are not a batch, which is a bug.
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

    /// Makes the I/O thread look at the partition in its next round.
    pub(crate) fn announce(&self, topic_partition: &TopicPartition) {
        if let Some(partition) = self.accumulator.queue(topic_partition) {
            partition.handle().announce();
        }
    }

    /// Makes the I/O thread look at every waiting partition, after a change that affects all: a new
    /// producer id.
    pub(crate) fn recheck_all(&self) {
        self.accumulator.signal.recheck_all();
    }

    /// Notes that a batch of the partition is no longer in flight, which may allow the next one.
    pub(crate) fn end_flight(&self, partition: &Arc<PartitionHandle>) {
        partition.end_flight();
        // A partition that waits nowhere has no batch, or is already announced.
        if self.parking.place_of(partition) != Parked::Nowhere {
            partition.announce();
        }
    }

    /// Blocks further batches of the partition until [`Self::unmute_partition`].
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

    /// Fails every batch that waits here, and returns the number of their records. If the
    /// accumulator is closed, no batch can follow. Java: `abortIncompleteBatches`.
    #[cfg(test)]
    pub(crate) fn abort_batches(&mut self, error: &Error) -> usize {
        let mut records = 0;
        for batch in self.take_all() {
            records += batch.record_count() as usize;
            batch.complete_exceptionally(error.clone(), Vec::new());
        }
        records
    }

    /// Takes every batch from every deque.
    pub(crate) fn take_all(&mut self) -> Vec<ProducerBatch> {
        self.take_matching(&self.accumulator.all_queues(), |_| true)
    }

    /// Takes the batches without sequences, which were never sent. Java: `abortUndrainedBatches`.
    pub(crate) fn take_unsequenced(&mut self) -> Vec<ProducerBatch> {
        self.take_matching(&self.accumulator.all_queues(), |batch| {
            batch.sequence().is_none()
        })
    }

    /// Takes the batches with sequences, which may have been sent.
    pub(crate) fn take_all_sequenced(&mut self) -> Vec<ProducerBatch> {
        self.take_matching(&self.accumulator.all_queues(), |batch| {
            batch.sequence().is_some()
        })
    }

    /// Takes every waiting batch of the partition.
    pub(crate) fn take_partition(
        &mut self,
        topic_partition: &TopicPartition,
    ) -> Vec<ProducerBatch> {
        let queue = self.accumulator.queue(topic_partition);
        self.take_matching(queue.as_slice(), |_| true)
    }

    /// Takes the partition's batches with these sequences.
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

    /// Takes batches from a partition's deque, and updates everything that depends on it. A
    /// partition without batches waits for the next one, unless it is muted.
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

/// Inserts behind the batches with smaller sequences, which are all at the front.
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
