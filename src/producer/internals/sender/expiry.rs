//! Fails the batches that reach `delivery.timeout.ms`, in flight or not. Java:
//! `Sender.sendProducerData`, `getExpiredInflightBatches`.
//!
//! Differs from Java: responses that have arrived are handled first, and a transaction learns of
//! expired batches in the same round.

use std::time::{Duration, Instant};

use super::Sender;
use super::in_flight::InFlightProduce;
use crate::client::KafkaClient;
use crate::producer::internals::ProducerBatch;

impl<C: KafkaClient> Sender<C> {
    /// Handles responses that have arrived, if a batch in flight is about to expire.
    ///
    /// The thread may be late, because the process or the machine was suspended. A response may
    /// wait in a socket by then, and it decides about its batch. So a batch expires only after the
    /// client found nothing in a poll that began after the batch's time. Each further poll ends a
    /// request in flight, so there are few of them.
    pub(super) fn read_before_expiry(&mut self, now: Instant) {
        while self
            .next_in_flight_expiry(now)
            .is_some_and(|expiry| expiry <= now)
        {
            if !self.poll_client(Duration::ZERO, now) {
                return;
            }
        }
    }

    /// Fails the batches older than `delivery.timeout.ms`, wherever they are. The oldest fail
    /// first, so that the callbacks of a partition run in the order of its records.
    pub(super) fn expire_batches(&mut self, now: Instant) {
        let in_flight = self.take_expired_in_flight(now);
        let waiting = self.scheduler.expired_batches(now);
        let mut expired: Vec<_> = in_flight
            .into_iter()
            .map(|batch| (batch, true))
            .chain(waiting.into_iter().map(|batch| (batch, false)))
            .collect();
        expired.sort_by_key(|(batch, _)| batch.age_order());
        for (batch, is_in_flight) in expired {
            let last = batch.last_failure().cloned().filter(|_| is_in_flight);
            let error = self.expiry_error(&batch, last, now);
            self.log_failure(&batch, &error, now);
            if !is_in_flight {
                self.fail_batch(batch, error, Vec::new());
                continue;
            }
            // Its attempt has no outcome. Even if no byte has left yet, the request is queued and
            // may leave at any time. So the record may be written.
            self.ledger
                .expired(batch.topic_partition(), batch.sequence());
            let error = self.ledger.note_failure(error);
            self.count_failed(&batch);
            batch.complete_exceptionally(error, Vec::new());
        }
    }

    fn take_expired_in_flight(&mut self, now: Instant) -> Vec<ProducerBatch> {
        let mut expired = Vec::new();
        if self
            .next_in_flight_expiry(now)
            .is_none_or(|expiry| expiry > now)
        {
            return expired;
        }
        for request in self.in_flight.values_mut() {
            request.take_expired(self.config.delivery_timeout, now, &mut expired);
        }
        expired
    }

    /// Returns when the first batch in flight expires. Returns an earlier time if that is still in
    /// the future.
    pub(super) fn next_in_flight_expiry(&mut self, now: Instant) -> Option<Instant> {
        let requests = self.in_flight.values();
        self.in_flight_expiry.get(now, || {
            requests.filter_map(InFlightProduce::next_expiry).min()
        })
    }
}
