//! Sends the requests of transactions, before the records that need them. Java:
//! `Sender.maybeSendAndPollTransactionalRequest`, `awaitNodeReady`.
//!
//! Differs from Java: nothing here waits for a connection or a backoff. While a request for one
//! partition is in flight, records of partitions that are already in the transaction are sent. The
//! request that ends the transaction waits for the outcomes of all records, and also for the
//! responses to requests whose records expired, so that none of them is still on its way when the
//! next transaction begins.

use std::time::{Duration, Instant};

use super::Sender;
use crate::client::{ClientRequest, KafkaClient, RequestFailure};
use crate::common::Node;
use crate::error::{Error, ErrorKind};
use crate::producer::internals::transactions::{
    ClusterFacts, NextRequest, TransactionManager, TxnRequest, usable_versions_of,
};
use crate::protocol::{ApiKey, ResponseBody};
use crate::utils::log;

/// The feature whose level determines the protocol of transactions (KIP-890).
const TRANSACTION_VERSION: &str = "transaction.version";
/// The first version of InitProducerId with which a producer can request its next epoch (KIP-360).
const FIRST_VERSION_THAT_BUMPS: i16 = 3;

impl<C: KafkaClient> Sender<C> {
    /// Sends the transaction manager's next request, if there is one. Returns the time until the
    /// next attempt makes sense.
    pub(super) fn maybe_send_transactional_request(&mut self, now: Instant) -> Duration {
        let Some(manager) = self.ledger.transactions().cloned() else {
            return Duration::MAX;
        };
        self.abort_undrained_batches(&manager);
        loop {
            if self.transactional_request.is_some() {
                return Duration::MAX;
            }
            // In this order: once a transaction is being ended no record is added to it.
            let is_drained = manager.is_completing()
                && !self.accumulator().has_incomplete_batches()
                && self.in_flight.is_empty();
            let request = match manager.next_request(is_drained, self.cluster_facts(now)) {
                NextRequest::Nothing => return Duration::MAX,
                NextRequest::Wait(delay) => return delay,
                NextRequest::Send(request) => request,
            };
            match manager.coordinator(&request) {
                Some(node) => return self.send_to_coordinator(&manager, request, node, now),
                None => manager.look_for_coordinator(request, now),
            }
        }
    }

    /// Sends to the coordinator, or to any node if that is `None`.
    fn send_to_coordinator(
        &mut self,
        manager: &TransactionManager,
        mut request: TxnRequest,
        coordinator: Option<Node>,
        now: Instant,
    ) -> Duration {
        let is_for_coordinator = coordinator.is_some();
        let Some(node) = coordinator.or_else(|| self.client.least_loaded_node(now)) else {
            self.metadata.request_update();
            manager.put_back(request);
            fail_if_unauthenticated(manager, self.metadata.connection_failure());
            return self.pause();
        };
        if !self.client.ready(&node, now) {
            let failure = self.metadata.connection_failure_of(&node);
            if is_unauthenticated(failure.as_ref()) {
                manager.put_back(request);
                fail_if_unauthenticated(manager, failure);
                return Duration::ZERO;
            }
            let delay = self.client.poll_delay(node.id(), now);
            if is_for_coordinator && self.client.connection_failed(node.id()) {
                manager.look_for_coordinator(request, now);
                return Duration::ZERO;
            }
            manager.put_back(request);
            return delay.min(self.pause());
        }
        request.renew_topic_ids(&self.metadata.snapshot());
        let body = manager.request_body(&request);
        let (_, version) = manager.transactional_id();
        let versions = usable_versions_of(&body, version);
        let can_bump = self
            .client
            .api_version(node.id(), ApiKey::InitProducerId)
            .is_some_and(|version| version >= FIRST_VERSION_THAT_BUMPS);
        let to_send = ClientRequest::new(node.id(), body, self.config.request_timeout);
        match self.client.send(to_send.in_versions(versions), now) {
            Ok(correlation_id) => {
                manager.request_sent(&request, can_bump);
                self.transactional_request = Some((correlation_id, request));
                Duration::MAX
            }
            Err(_) => {
                manager.put_back(request);
                self.pause()
            }
        }
    }

    pub(super) fn handle_transactional_response(
        &self,
        mut request: TxnRequest,
        outcome: Result<Option<ResponseBody>, RequestFailure>,
        now: Instant,
    ) {
        let Some(manager) = self.ledger.transactions() else {
            return;
        };
        match outcome {
            Ok(Some(body)) => {
                // The topic was deleted, and may have been created again. The retry needs its new
                // id.
                for topic in request.refuse_unknown_topic_ids(&body) {
                    self.metadata.add(&topic, now);
                    self.metadata.request_update_for_topic(&topic);
                }
                manager.handle_response(request, body, self.cluster_facts(now));
            }
            Ok(None) => manager.handle_disconnect(request, true, now),
            Err(RequestFailure::Disconnected {
                was_written, cause, ..
            }) => {
                log::debug!("no response to {:?}: {cause}", request.kind);
                manager.handle_disconnect(request, was_written, now);
            }
            Err(RequestFailure::InvalidResponse { message }) => {
                let text = format!("{:?} has no usable response: {message}", request.kind);
                self.warn_once(text, now);
                manager.handle_disconnect(request, true, now);
            }
            Err(RequestFailure::UnsupportedVersion { message, node }) => {
                let text = format!("node {node} cannot serve transactions: {message}");
                manager.handle_unsupported_version(&request, &text);
            }
        }
        // Partitions may have joined the transaction, or the epoch may have changed.
        self.scheduler.recheck_all();
    }

    fn cluster_facts(&self, now: Instant) -> ClusterFacts {
        ClusterFacts {
            now,
            transaction_version: self.client.finalized_feature_level(TRANSACTION_VERSION),
        }
    }

    /// Fails the batches that were never sent, in a transaction that can only be aborted. Batches
    /// that were sent are retried until their outcome is known. If one of them were in the log
    /// unnoticed, the sequences would no longer match.
    fn abort_undrained_batches(&mut self, manager: &TransactionManager) {
        let Some(reason) = manager.reason_to_abort_batches() else {
            return;
        };
        if self.accumulator().has_undrained() {
            for batch in self.scheduler.take_unsequenced() {
                self.count_failed(&batch);
                batch.complete_exceptionally(reason.clone(), Vec::new());
            }
        }
    }

    /// Returns whether a transaction must be ended before the producer closes. An open one is
    /// aborted.
    pub(super) fn ends_open_transaction(&self) -> bool {
        let Some(manager) = self.ledger.transactions() else {
            return false;
        };
        if !manager.has_ongoing_transaction() {
            return false;
        }
        manager.is_completing() || manager.begin_abort().is_ok()
    }

    /// Fails the calls that are still queued.
    pub(super) fn fail_transactional_requests(&mut self, reason: &Error) {
        if let Some((_, request)) = self.transactional_request.take() {
            request.fail(reason);
        }
        if let Some(manager) = self.ledger.transactions() {
            manager.close(reason);
        }
    }
}

fn is_unauthenticated(failure: Option<&Error>) -> bool {
    failure.is_some_and(|error| error.kind() == ErrorKind::Authentication)
}

/// Ends the producer if no broker accepts its credentials, so that a waiting call fails
/// immediately. Java: `TransactionManager.authenticationFailed`.
fn fail_if_unauthenticated(manager: &TransactionManager, failure: Option<Error>) {
    if let Some(error) = failure.filter(|error| is_unauthenticated(Some(error))) {
        manager.transition_to_fatal_error(error);
    }
}
