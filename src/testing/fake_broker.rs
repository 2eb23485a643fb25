//! An in-process cluster that speaks Kafka's protocol on loopback sockets and follows a test's
//! script.
//!
//! Java: no counterpart in `kafka-clients`, whose tests use `MockClient`. As far as a producer can
//! see, it behaves like the broker's `KafkaApis`, `ReplicaManager`, `UnifiedLog`,
//! `TransactionCoordinator` and `GroupCoordinator`.
//! Threads: see `wire`.
//! Locks: see `wire/core.rs`.

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

/// A Kafka cluster in the test's own process, on free loopback ports.
///
/// It responds to every [`Api`] as brokers do:
///
/// - It validates batches: CRC, sizes, counts and codecs, and the sequences of idempotent
///   producers. Like a broker, it remembers the last 5 batches of each producer.
/// - A Produce request with `acks=0` gets no response.
/// - Each partition has one leader. Other nodes refuse requests for it and name the leader.
/// - Transactions have a coordinator that fences producers, adds partitions, commits and aborts, in
///   both versions of Kafka's protocol
///   ([`transaction_version`](FakeBrokerBuilder::transaction_version)).
/// - There are no consumers. A test reads what one would see with
///   [`committed_records`](Self::committed_records).
/// - With the feature `sasl` it can require SASL ([`sasl_plain`](FakeBrokerBuilder::sasl_plain) and
///   others).
///
/// The [module](crate::testing) lists the differences from Kafka.
///
/// A test chooses the faults. [`on`](Self::on) scripts the next requests and
/// [`on_request`](Self::on_request) inspects each one. [`stop_node`](Self::stop_node),
/// [`move_leader`](Self::move_leader) and similar methods change the cluster.
///
/// ```
/// use kafka_producer::testing::{Action, Api, FakeBroker};
/// use kafka_producer::{KafkaProducer, ProducerRecord};
///
/// # fn main() -> kafka_producer::Result<()> {
/// let broker = FakeBroker::builder().nodes(3).topic("orders", 6).start()?;
/// // The broker handles the first Produce request, but its response is lost.
/// broker.on(Api::Produce).then(Action::apply().disconnect());
///
/// let producer = KafkaProducer::builder()
///     .bootstrap_servers(broker.bootstrap_servers())
///     .build()?;
/// producer.send(ProducerRecord::new("orders", "value").key("k"))?.get()?;
///
/// // The batch was sent twice, and is in the log once.
/// assert_eq!(broker.request_count(Api::Produce), 2);
/// assert_eq!(broker.all_records("orders").len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// Dropping the broker ends its threads and connections, and waits for that. Methods that change a
/// topic or a node return an error if it does not exist; methods that read return nothing.
pub struct FakeBroker {
    core: Arc<Core>,
    /// By number. Their acceptors hold the core; the core does not hold them.
    servers: Arc<Vec<NodeServer>>,
    /// `false` for the views that hooks get, whose drop ends nothing.
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
