//! An in-process cluster that speaks Kafka's protocol on loopback, scripted by tests.
//!
//! Java: no counterpart in `kafka-clients`, whose tests use `MockClient`; it behaves as `KafkaApis`, `ReplicaManager` and
//! `UnifiedLog`, `TransactionCoordinator` and `GroupCoordinator` of the broker do, as far as a producer can see.
//! Threads: see `wire`. Locks: see `wire/core.rs`.

mod api;
mod builder;
mod handles;
mod model;
mod script;
#[cfg(feature = "tls")]
mod tls;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;

pub use builder::FakeBrokerBuilder;
pub use model::api::Api;
pub use model::facts::{
    BatchHeader, CommittedOffset, Request, RequestedTransaction, SentBatch, StoredBatch,
    StoredMarker, StoredRecord, Transaction, TransactionState,
};
pub use model::failure::Failure;
pub use model::telemetry::{TelemetryPush, TelemetrySubscription};
pub use model::topic_config::TopicConfig;
pub use script::action::Action;
pub use script::hold::Hold;
pub use script::rule::Rule;

use self::wire::core::Core;
use self::wire::server::NodeServer;
use crate::sync::Arc;

/// A Kafka cluster in the test's own process, on loopback ports that were free.
///
/// It answers every [`Api`] as brokers do: batches are checked (CRC, sizes, counts, codecs), the sequences of idempotent
/// producers too, with the 5 batches that a broker remembers of each; `acks=0` is not answered; partitions have one leader,
/// and other nodes refuse and say who it is. Transactions have a coordinator, which fences, adds, commits and aborts, in both
/// versions that Kafka has ([`transaction_version`](FakeBrokerBuilder::transaction_version)). There are no consumers: a test
/// reads what one would see ([`committed_records`](Self::committed_records)). With the feature `sasl` it can require SASL
/// ([`sasl_plain`](FakeBrokerBuilder::sasl_plain) and others). The
/// [module](crate::testing) lists what differs from Kafka, and why.
///
/// What goes wrong is up to the test: [`on`](Self::on) scripts the next requests, [`on_request`](Self::on_request) looks at
/// each, and [`stop_node`](Self::stop_node), [`move_leader`](Self::move_leader) and the like change the cluster.
///
/// ```
/// use kafka_producer::testing::{Action, Api, FakeBroker};
/// use kafka_producer::{KafkaProducer, ProducerRecord};
///
/// # fn main() -> kafka_producer::Result<()> {
/// let broker = FakeBroker::builder().nodes(3).topic("orders", 6).start()?;
/// // The first Produce request is carried out, but nobody is told.
/// broker.on(Api::Produce).then(Action::apply().disconnect());
///
/// let producer = KafkaProducer::builder()
///     .bootstrap_servers(broker.bootstrap_servers())
///     .build()?;
/// producer.send(ProducerRecord::new("orders", "value").key("k"))?.get()?;
///
/// // It was sent twice, and is there once.
/// assert_eq!(broker.request_count(Api::Produce), 2);
/// assert_eq!(broker.all_records("orders").len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// Dropping it ends its threads and connections, and waits for that. Methods that change a topic or a node fail when there
/// is none of that name or number; methods that read return nothing then.
pub struct FakeBroker {
    core: Arc<Core>,
    /// By number. Their acceptors know the core, and not the other way round.
    servers: Arc<Vec<NodeServer>>,
    /// Hooks see the broker through a view that ends nothing when it goes.
    is_owner: bool,
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        if self.is_owner {
            for server in self.servers.iter() {
                self.core.stop_node(server.node);
                server.close();
            }
            self.core.join_readers();
        }
    }
}

impl fmt::Debug for FakeBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeBroker")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .finish_non_exhaustive()
    }
}
