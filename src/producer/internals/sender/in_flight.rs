//! The batches of requests without a response. Java: `Sender.inFlightBatches`.

use std::time::{Duration, Instant};

use crate::common::{NodeId, TopicPartition, Uuid};
use crate::producer::internals::ready_signal::PartitionHandle;
use crate::producer::internals::sequences::BatchSequence;
use crate::producer::internals::{DrainedBatch, ProduceRequestResult, ProducerBatch};
use crate::sync::Arc;

/// A Produce request without a response.
#[derive(Debug)]
pub(super) struct InFlightProduce {
    node: NodeId,
    created: Instant,
    /// The batches in the order of the request's body.
    slots: Vec<InFlightBatch>,
    /// When the first of the batches reaches its delivery timeout; `None` if no batch is left.
    next_expiry: Option<Instant>,
}

/// One batch's entry in a request. It stays when the batch is gone, because the response also
/// matters to the sequences.
#[derive(Debug)]
pub(super) struct InFlightBatch {
    pub(super) partition: Arc<PartitionHandle>,
    /// The topic's id in the request. A version with ids uses the same id in the response, even if
    /// the topic has another id by then.
    pub(super) topic_id: Uuid,
    pub(super) sequence: Option<BatchSequence>,
    /// The batch's result, which holds its fate.
    pub(super) result: Arc<ProduceRequestResult>,
    /// `None` once it failed without waiting for the response.
    pub(super) batch: Option<DrainedBatch>,
}

impl InFlightBatch {
    /// Creates the entry of a batch whose request is about to be passed to the client.
    pub(super) fn new(batch: DrainedBatch) -> Self {
        batch.result().fate().begin_attempt();
        Self {
            partition: Arc::clone(batch.partition()),
            topic_id: batch.topic_id(),
            sequence: batch.sequence(),
            result: Arc::clone(batch.result()),
            batch: Some(batch),
        }
    }

    pub(super) fn topic_partition(&self) -> &TopicPartition {
        self.partition.topic_partition()
    }
}

impl InFlightProduce {
    pub(super) fn new(
        node: NodeId,
        created: Instant,
        slots: Vec<InFlightBatch>,
        delivery_timeout: Duration,
    ) -> Self {
        let mut request = Self {
            node,
            created,
            slots,
            next_expiry: None,
        };
        request.update_next_expiry(delivery_timeout);
        request
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn created(&self) -> Instant {
        self.created
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    pub(super) fn has_batches(&self) -> bool {
        self.slots.iter().any(|slot| slot.batch.is_some())
    }

    /// Returns the entries, in the order of the request's body.
    pub(super) fn slots(&self) -> &[InFlightBatch] {
        &self.slots
    }

    pub(super) fn into_slots(self) -> Vec<InFlightBatch> {
        self.slots
    }

    /// Takes the batches that have reached their delivery timeout.
    pub(super) fn take_expired(
        &mut self,
        delivery_timeout: Duration,
        now: Instant,
        expired: &mut Vec<ProducerBatch>,
    ) {
        if self.next_expiry.is_none_or(|expiry| expiry > now) {
            return;
        }
        for slot in &mut self.slots {
            let batch = slot.batch.take();
            match batch {
                Some(batch) if batch.has_reached_delivery_timeout(delivery_timeout, now) => {
                    expired.push(*batch);
                }
                kept => slot.batch = kept,
            }
        }
        self.update_next_expiry(delivery_timeout);
    }

    /// Takes every batch.
    pub(super) fn take_batches(&mut self) -> Vec<ProducerBatch> {
        self.next_expiry = None;
        self.slots
            .iter_mut()
            .filter_map(|slot| slot.batch.take().map(|batch| *batch))
            .collect()
    }

    /// Takes every batch, and makes the response ineffective.
    pub(super) fn abandon(&mut self) -> Vec<ProducerBatch> {
        for slot in &mut self.slots {
            slot.sequence = None;
        }
        self.take_batches()
    }

    fn update_next_expiry(&mut self, delivery_timeout: Duration) {
        let batches = self.slots.iter().filter_map(|slot| slot.batch.as_ref());
        self.next_expiry = batches
            .filter_map(|batch| batch.created().checked_add(delivery_timeout))
            .min();
    }
}
