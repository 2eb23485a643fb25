//! Handles another cluster behind the same addresses: rebuilt, restored, or reached by mistake.
//! Java has no counterpart.
//!
//! Two clusters assign the same producer ids. The new one may take a batch with the old id and
//! sequences for a duplicate of another producer's batch, and acknowledge it without writing it. So
//! nothing of the old cluster is sent to the new one before the producer has another id.
//!
//! The metadata contain the cluster's id. After a lost connection,
//! [`NetworkClient`](crate::client::NetworkClient) sends nothing on newer connections until it has
//! new metadata. The change is thus known before the first batch leaves.

use super::in_flight::InFlightProduce;
use super::{Ledger, Sender};
use crate::client::{KafkaClient, printable};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::ProducerBatch;
use crate::sync::Arc;
use crate::utils::log;

impl<C: KafkaClient> Sender<C> {
    /// Discards what belongs to the old cluster if the metadata now come from another one.
    pub(super) fn maybe_change_cluster(&mut self) {
        let snapshot = self.metadata.snapshot();
        // Bootstrap metadata have no id.
        let Some(id) = snapshot.cluster_id() else {
            return;
        };
        if self.cluster_id.as_deref() == Some(id) {
            return;
        }
        let id: Arc<str> = Arc::from(id);
        drop(snapshot);
        if let Some(old) = self.cluster_id.replace(Arc::clone(&id)) {
            self.change_cluster(&old, &id);
        }
    }

    fn change_cluster(&mut self, old: &str, new: &str) {
        let text = format!(
            "the brokers belong to cluster '{}', and belonged to cluster '{}' before",
            printable(new),
            printable(old)
        );
        log::warn!("{text}; records in flight may be in either cluster, or in neither");
        match &self.ledger {
            Ledger::Plain => return,
            Ledger::Transactional(manager) => return manager.fail_for_other_cluster(text),
            Ledger::Idempotent(producer) => producer.forget_producer_id(&text),
        }
        // A response of the old cluster is ignored.
        self.init_producer_id = None;
        let mut batches: Vec<_> = self
            .in_flight
            .values_mut()
            .flat_map(InFlightProduce::abandon)
            .collect();
        self.in_flight_expiry.clear();
        // Records that were never sent stay, and go to the new cluster.
        batches.extend(self.scheduler.take_all_sequenced());
        batches.sort_by_key(ProducerBatch::age_order);
        let error = Error::new(ErrorKind::Network, text);
        for batch in batches {
            batch.partition().announce();
            self.count_failed(&batch);
            batch.complete_exceptionally(error.clone(), Vec::new());
        }
    }
}
