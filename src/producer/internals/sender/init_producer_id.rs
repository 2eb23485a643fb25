//! Requests a producer id for a producer without transactions. Java:
//! `Sender.maybeSendAndPollTransactionalRequest`.
//!
//! Differs from Java: nothing here waits for a connection or a backoff. The next round tries again,
//! and meanwhile the thread handles batches, responses and timeouts.

use std::time::{Duration, Instant};

use super::Sender;
use crate::client::{ClientRequest, KafkaClient, RequestFailure};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::sequences::{InitOutcome, ProducerIdAndEpoch};
use crate::protocol::messages::InitProducerIdRequest;
use crate::protocol::{RequestBody, ResponseBody};
use crate::utils::log;

impl<C: KafkaClient> Sender<C> {
    /// Requests a producer id from any node, if there is none. Returns the time until the next
    /// attempt makes sense.
    pub(super) fn maybe_send_init_producer_id(&mut self, now: Instant) -> Duration {
        let Some(producer) = self.ledger.idempotent().cloned() else {
            return Duration::MAX;
        };
        match producer.init_producer_id_delay(now) {
            None => return Duration::MAX,
            Some(Duration::ZERO) => {}
            Some(delay) => return delay,
        }
        let Some(node) = self.client.least_loaded_node(now) else {
            self.metadata.request_update();
            return self.pause();
        };
        if !self.client.ready(&node, now) {
            // Another node may become a better choice long before this connection finally fails.
            return self.client.poll_delay(node.id(), now).min(self.pause());
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            producer_id: ProducerIdAndEpoch::NONE.producer_id,
            producer_epoch: ProducerIdAndEpoch::NONE.epoch,
        };
        let request = ClientRequest::new(
            node.id(),
            RequestBody::InitProducerId(request),
            self.config.request_timeout,
        );
        let sent = self.client.send(request, now);
        match sent {
            Ok(correlation_id) => {
                self.init_producer_id = Some(correlation_id);
                producer.init_producer_id_sent();
                Duration::MAX
            }
            Err(_) => self.pause(),
        }
    }

    pub(super) fn handle_init_producer_id_response(
        &mut self,
        outcome: Result<Option<ResponseBody>, RequestFailure>,
        now: Instant,
    ) {
        let Some(producer) = self.ledger.idempotent().cloned() else {
            return;
        };
        let outcome = match outcome {
            Ok(Some(ResponseBody::InitProducerId(response))) => {
                let id = ProducerIdAndEpoch {
                    producer_id: response.producer_id,
                    epoch: response.producer_epoch,
                };
                producer.handle_init_producer_id_response(response.error_code, id, now)
            }
            Err(RequestFailure::UnsupportedVersion { message, node }) => {
                let text = format!("node {node} cannot assign producer ids: {message}");
                let error = Error::new(ErrorKind::UnsupportedVersion, text);
                producer.transition_to_fatal_error(error);
                InitOutcome::Fatal
            }
            other => {
                log::debug!("InitProducerId had no response and will be retried: {other:?}");
                producer.init_producer_id_failed(now)
            }
        };
        match outcome {
            InitOutcome::Ready => self.scheduler.recheck_all(),
            InitOutcome::Retry | InitOutcome::Fatal => {}
            InitOutcome::AbortBatches(error) => self.abort_all_batches(&error),
        }
    }
}
