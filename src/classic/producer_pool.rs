//! The connections to leaders, by broker id. Java: `kafka.producer.ProducerPool`.

use std::collections::BTreeMap;

use super::error::{Error, ErrorKind, Result};
use super::producer_config::ProducerConfig;
use super::sync_producer::{Context, SyncProducer};
use crate::common::{Node, NodeId};
use crate::utils::log;

/// A [`SyncProducer`] for each broker that leads a partition, or did so before.
#[derive(Debug)]
pub(crate) struct ProducerPool {
    config: ProducerConfig,
    context: Context,
    sync_producers: BTreeMap<NodeId, SyncProducer>,
}

impl ProducerPool {
    pub(crate) fn new(config: &ProducerConfig, context: &Context) -> Self {
        Self {
            config: config.clone(),
            context: context.clone(),
            sync_producers: BTreeMap::new(),
        }
    }

    /// Creates a connection for each of these leaders. It replaces an existing one.
    pub(crate) fn update_producer(&mut self, leaders: impl IntoIterator<Item = Node>) {
        let leaders: BTreeMap<NodeId, Node> = leaders
            .into_iter()
            .map(|leader| (leader.id(), leader))
            .collect();
        for (id, leader) in leaders {
            let producer = SyncProducer::new(&self.config, leader, &self.context);
            if let Some(mut old) = self.sync_producers.insert(id, producer) {
                old.close();
            }
        }
    }

    pub(crate) fn producer(&mut self, broker: NodeId) -> Result<&mut SyncProducer> {
        self.sync_producers.get_mut(&broker).ok_or_else(|| {
            let text = format!("Sync producer for broker id {broker} does not exist");
            Error::new(ErrorKind::UnavailableProducer, text)
        })
    }

    pub(crate) fn close(&mut self) {
        log::info!("Closing all sync producers");
        self.sync_producers
            .values_mut()
            .for_each(SyncProducer::close);
    }
}
