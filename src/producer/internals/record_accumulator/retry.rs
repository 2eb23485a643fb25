//! What happens to batches that were not acknowledged: put back, split, aborted. Java: `RecordAccumulator`.

use std::cmp::Ordering as CmpOrdering;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{PartitionQueue, RecordAccumulator};
use crate::common::TopicPartition;
use crate::error::{Error, Result};
use crate::producer::internals::sequences::{BatchSequence, compare_sequences};
use crate::producer::internals::{ProduceRequestResult, ProducerBatch};
use crate::sync::{Arc, Ordering};

impl RecordAccumulator {
    /// Puts a batch back for another attempt, after a backoff of at most `limit`: among the sequenced batches at the front in
    /// the order of their sequences, or at the very front where there are no sequences.
    pub(crate) fn reenqueue(&self, mut batch: ProducerBatch, now: Instant, limit: Duration) {
        let backoff = self.backoff.backoff(batch.attempts()).min(limit);
        batch.reenqueued(now, backoff);
        self.insert(batch);
    }

    fn insert(&self, batch: ProducerBatch) {
        let partition = Arc::clone(batch.partition());
        let mut state = partition.state.lock();
        partition.register_expiry(&mut state, self.expiry_of(&batch));
        insert_in_sequence_order(&mut state.batches, batch);
        self.undrained.fetch_add(1, Ordering::AcqRel);
        partition.publish_len(&state);
        drop(state);
        partition.announce();
    }

    /// Takes a batch that a broker found too large apart, in halves of its size, and puts the parts back in its place.
    /// `assign` says which sequences the parts have, given their record counts and results; it is asked only if the batch has any.
    /// Says how many parts there are. The parts do not wait out a backoff, and do not count as retries.
    ///
    /// # Errors
    ///
    /// Gives the batch back where it cannot be read, which is a bug.
    pub(crate) fn split_and_reenqueue(
        &self,
        batch: ProducerBatch,
        assign: impl FnOnce(&BatchSequence, &[(u32, Arc<ProduceRequestResult>)]) -> Vec<BatchSequence>,
    ) -> std::result::Result<usize, Box<(ProducerBatch, Error)>> {
        let partition = Arc::clone(batch.partition());
        let topic = partition.topic_partition().topic();
        let target = batch.half();
        let sequence = batch.sequence();
        let kind = self.config.compression.kind;
        self.ratio
            .set_estimation(topic, kind, batch.compression_ratio().max(1.0));
        if let Some(queues) = self.queues_of(topic) {
            queues
                .batch_ceiling
                .fetch_min(target.max(self.config.batch_size), Ordering::Relaxed);
        }
        let mut parts = batch.split(target, &self.config.compression)?;
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
        let Some(partition) = self.queue(topic_partition) else {
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
        partition.announce();
        Ok(())
    }

    /// Has the I/O thread look at the partition in its next round.
    pub(crate) fn announce(&self, topic_partition: &TopicPartition) {
        if let Some(partition) = self.queue(topic_partition) {
            partition.announce();
        }
    }

    /// Fails every batch that waits here, and says how many records that were. With the accumulator closed none can
    /// follow. Java: `abortIncompleteBatches`.
    pub(crate) fn abort_batches(&self, error: &Error) -> usize {
        let mut records = 0;
        for batch in self.take_all() {
            records += batch.record_count() as usize;
            batch.complete_exceptionally(error.clone(), Vec::new());
        }
        records
    }

    /// Takes every batch out of every deque.
    pub(crate) fn take_all(&self) -> Vec<ProducerBatch> {
        self.take_matching(&self.all_queues(), |_| true)
    }

    /// Takes the batches that were never given sequences, and so never sent. Java: `abortUndrainedBatches`.
    pub(crate) fn take_unsequenced(&self) -> Vec<ProducerBatch> {
        self.take_matching(&self.all_queues(), |batch| batch.sequence().is_none())
    }

    /// Takes the batches that were given sequences, and so may have been sent.
    pub(crate) fn take_all_sequenced(&self) -> Vec<ProducerBatch> {
        self.take_matching(&self.all_queues(), |batch| batch.sequence().is_some())
    }

    /// Takes every batch that waits for the partition.
    pub(crate) fn take_partition(&self, topic_partition: &TopicPartition) -> Vec<ProducerBatch> {
        let queue = self.queue(topic_partition);
        self.take_matching(queue.as_slice(), |_| true)
    }

    /// Takes the batches of the partition that have these sequences.
    pub(crate) fn take_sequenced(
        &self,
        topic_partition: &TopicPartition,
        sequences: &[BatchSequence],
    ) -> Vec<ProducerBatch> {
        if sequences.is_empty() {
            return Vec::new();
        }
        let queue = self.queue(topic_partition);
        self.take_matching(queue.as_slice(), |batch| {
            batch.sequence().is_some_and(|own| sequences.contains(&own))
        })
    }

    fn take_matching(
        &self,
        queues: &[Arc<PartitionQueue>],
        matches: impl Fn(&ProducerBatch) -> bool,
    ) -> Vec<ProducerBatch> {
        let mut taken = Vec::new();
        for partition in queues {
            let mut state = partition.state.lock();
            let batches = std::mem::take(&mut state.batches);
            let (matching, kept): (VecDeque<_>, _) = batches.into_iter().partition(&matches);
            state.batches = kept;
            // The next batch is news, whatever held up those that are gone.
            state.is_blocked &= !state.batches.is_empty();
            partition.publish_len(&state);
            drop(state);
            self.undrained.fetch_sub(matching.len(), Ordering::AcqRel);
            taken.extend(matching);
        }
        taken
    }

    /// Whether a record that was appended has no outcome yet. Waits for appends that are under way: whoever made the producer
    /// refuse records before sees every one that it did not refuse.
    pub(crate) fn has_incomplete_batches(&self) -> bool {
        // The locks of all partitions are taken only where the answer depends on them.
        !self.incomplete.is_empty() || {
            self.await_appends();
            !self.incomplete.is_empty()
        }
    }

    /// The partition's handle, for what only has its name.
    #[cfg(test)]
    pub(crate) fn partition_queue(
        &self,
        topic_partition: &TopicPartition,
    ) -> Option<Arc<PartitionQueue>> {
        self.queue(topic_partition)
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
