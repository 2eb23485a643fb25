//! An in-process cluster that speaks Kafka's protocol on loopback, scripted by tests.
//!
//! Java: no counterpart in `kafka-clients`, whose tests use `MockClient`; it behaves as `KafkaApis`, `ReplicaManager` and
//! `UnifiedLog`, `TransactionCoordinator` and `GroupCoordinator` of the broker do, as far as a producer can see.
//! Threads: see `connection.rs` and `server.rs`. Locks: see `core.rs`.

mod activity;
mod api;
mod api_versions;
mod builder;
mod cluster;
mod connection;
mod coordinators;
mod core;
mod describe;
mod facts;
mod groups;
mod handler;
mod init_producer_id;
mod log;
mod metadata;
mod produce;
mod producer_state;
mod script;
mod server;
mod topic;
mod transaction_coordinator;
mod transaction_index;
mod transaction_metadata;
mod transactional;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use api::Api;
pub use builder::FakeBrokerBuilder;
pub use facts::{
    BatchHeader, CommittedOffset, Request, RequestedTransaction, SentBatch, StoredBatch,
    StoredMarker, StoredRecord, Transaction, TransactionState,
};
pub use script::{Action, Failure, Hold, Rule};
pub use topic::TopicConfig;

use self::core::Core;
use crate::common::{NodeId, Uuid};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ErrorCode;
use crate::sync::Arc;
use crate::utils::{SystemTime, Time};

/// A Kafka cluster in the test's own process, on loopback ports that were free.
///
/// It answers every [`Api`] as brokers do: batches are checked (CRC, sizes, counts, codecs), the sequences of idempotent
/// producers too, with the 5 batches that a broker remembers of each; `acks=0` is not answered; partitions have one leader,
/// and other nodes refuse and say who it is. Transactions have a coordinator, which fences, adds, commits and aborts, in both
/// versions that Kafka has ([`transaction_version`](FakeBrokerBuilder::transaction_version)). There are no consumers: a test
/// reads what one would see ([`committed_records`](Self::committed_records)). There is no security. The
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
///     .bootstrap_servers(&broker.bootstrap_servers())
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
    /// Hooks see the broker through a view that ends nothing when it goes.
    is_owner: bool,
}

impl FakeBroker {
    /// A builder for a cluster of one node that creates topics on demand, with Kafka's defaults.
    pub fn builder() -> FakeBrokerBuilder {
        FakeBrokerBuilder::new()
    }

    fn view_of(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            is_owner: false,
        }
    }

    // Where it is.

    /// The addresses of all nodes, as `bootstrap.servers` takes them.
    pub fn bootstrap_servers(&self) -> String {
        let servers = self.core.servers.iter();
        let addresses: Vec<_> = servers.map(|server| server.address().to_string()).collect();
        addresses.join(",")
    }

    /// The ids of all nodes: 1, 2, ...
    pub fn nodes(&self) -> Vec<NodeId> {
        self.core.servers.iter().map(|server| server.node).collect()
    }

    /// The port of a node, which it keeps while it is stopped.
    pub fn port(&self, node: NodeId) -> Option<u16> {
        Some(self.core.server(node)?.address().port())
    }

    // Topics.

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// When there is one of this name or of one that differs from it in `.` and `_` only, or the name or the number of partitions
    /// is not legal.
    pub fn create_topic(&self, topic: &str, config: TopicConfig) -> Result<()> {
        self.change(topic, |cluster| {
            cluster.create_topic(topic, config).map(drop)
        })
    }

    /// Deletes a topic with everything in it.
    ///
    /// # Errors
    ///
    /// When there is no such topic.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        self.change(topic, |cluster| {
            let removed = cluster.topics.remove(topic);
            removed
                .map(drop)
                .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        })
    }

    /// Deletes a topic and creates it anew in one step: empty, with a new id and leader epochs from 0.
    ///
    /// # Errors
    ///
    /// When there is no such topic.
    pub fn recreate_topic(&self, topic: &str) -> Result<()> {
        self.change(topic, |cluster| {
            let removed = cluster.topics.remove(topic);
            let removed = removed.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            cluster.create_topic(topic, removed.config).map(drop)
        })
    }

    /// Grows a topic to `count` partitions.
    ///
    /// # Errors
    ///
    /// When there is no such topic, or it has as many partitions already.
    pub fn add_partitions(&self, topic: &str, count: i32) -> Result<()> {
        self.change(topic, |cluster| cluster.add_partitions(topic, count))
    }

    /// The id of a topic.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.core
            .cluster
            .lock()
            .topics
            .get(topic)
            .map(|topic| topic.id)
    }

    /// Forgets the idempotent producers of a partition, as brokers do with producers whose records are all gone.
    ///
    /// # Errors
    ///
    /// When there is no such partition.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> Result<()> {
        self.change_partition(topic, partition, |partition| {
            partition.log.forget_producers()
        })
    }

    /// Puts another cluster with this id behind the same addresses: its topics have the same names, and new ids and no records;
    /// it knows no producer, and gives out the same producer ids anew. Cuts all connections.
    ///
    /// # Errors
    ///
    /// When a node cannot be disconnected.
    pub fn replace_cluster(&self, cluster_id: &str) -> Result<()> {
        self.core.cluster.lock().replace(cluster_id);
        for node in self.nodes() {
            self.disconnect(node)?;
        }
        Ok(())
    }

    /// Deletes the records before `offset`, and forgets producers that have no others.
    ///
    /// # Errors
    ///
    /// When there is no such partition.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        self.change_partition(topic, partition, |partition| {
            partition.log.delete_records_before(offset);
        })
    }

    // Leaders.

    /// The node that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.core.cluster.lock().partition(topic, partition)?.leader
    }

    /// The leader epoch of a partition, which goes up whenever the leader changes.
    pub fn leader_epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        let cluster = self.core.cluster.lock();
        Some(cluster.partition(topic, partition)?.leader_epoch)
    }

    /// Makes a node the leader of a partition.
    ///
    /// # Errors
    ///
    /// When there is no such partition, or no such node that runs.
    pub fn move_leader(&self, topic: &str, partition: i32, node: NodeId) -> Result<()> {
        self.change(topic, |cluster| {
            if !cluster.is_up(node) {
                return Err(ErrorCode::BROKER_NOT_AVAILABLE);
            }
            let partition = cluster.partition_mut(topic, partition);
            let partition = partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            if !partition.replicas.contains(&node) {
                partition.replicas.push(node);
            }
            partition.lead_by(Some(node));
            cluster.write_markers();
            Ok(())
        })
    }

    /// Leaves a partition without a leader, until [`move_leader`](Self::move_leader).
    ///
    /// # Errors
    ///
    /// When there is no such partition.
    pub fn remove_leader(&self, topic: &str, partition: i32) -> Result<()> {
        self.change_partition(topic, partition, |partition| partition.lead_by(None))
    }

    // Nodes and connections.

    /// Stops a node: its connections end, new ones are refused, and replicas on other nodes take over what it led. Once this
    /// returns the node handles nothing, not even a request that it has read.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn stop_node(&self, node: NodeId) -> Result<()> {
        let server = self.server(node)?;
        self.core.stop_node(node);
        server.close();
        Ok(())
    }

    /// Starts a stopped node, on the port that it had.
    ///
    /// # Errors
    ///
    /// When there is no such node, or it cannot have its port.
    pub fn start_node(&self, node: NodeId) -> Result<()> {
        self.server(node)?;
        let mut cluster = self.core.cluster.lock();
        if !cluster.is_up(node) {
            cluster.broker_started(node);
        }
        drop(cluster);
        self.open_listener(node)
    }

    /// Refuses new connections of a node, and keeps those that are open.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn close_listener(&self, node: NodeId) -> Result<()> {
        self.server(node)?.close();
        Ok(())
    }

    /// Takes new connections again.
    ///
    /// # Errors
    ///
    /// When there is no such node, or it cannot have its port.
    pub fn open_listener(&self, node: NodeId) -> Result<()> {
        self.server(node)?.open(&self.core).map_err(|error| {
            let text = format!("node {node} cannot listen on its port");
            Error::new(ErrorKind::Internal, text).caused_by(error)
        })
    }

    /// Whether a node closes every new connection as soon as it has accepted it.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn accept_then_close(&self, node: NodeId, closes_at_once: bool) -> Result<()> {
        self.server(node)?.close_at_once(closes_at_once);
        Ok(())
    }

    /// Ends all connections of a node now. Requests that it has read are still handled.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn disconnect(&self, node: NodeId) -> Result<()> {
        self.server(node)?;
        self.core.disconnect(node);
        Ok(())
    }

    /// Changes the address that Metadata gives for a node, which may be one where nobody or somebody else listens.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn advertise(&self, node: NodeId, host: &str, port: u16) -> Result<()> {
        self.change_broker(node, |broker| {
            host.clone_into(&mut broker.host);
            broker.port = port;
        })
    }

    /// Changes the versions of an API that a node speaks; connections learn of it by the next ApiVersions.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn set_versions(
        &self,
        node: NodeId,
        api: Api,
        versions: RangeInclusive<i16>,
    ) -> Result<()> {
        self.change_broker(node, |broker| broker.set_versions(api, Some(versions)))
    }

    /// Takes an API from a node, as if it were too old to have it.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn remove_api(&self, node: NodeId, api: Api) -> Result<()> {
        self.change_broker(node, |broker| broker.set_versions(api, None))
    }

    // The script.

    /// Starts a rule for the next request of this kind.
    pub fn on(&self, api: Api) -> Rule<'_> {
        Rule::new(self, api)
    }

    /// Asks a closure what to do with each request; `None` leaves it to other hooks, then to the rules.
    ///
    /// It runs on the connection's thread and may use the broker.
    pub fn on_request(
        &self,
        hook: impl Fn(&Self, &Request) -> Option<Action> + Send + Sync + 'static,
    ) {
        self.core.script.lock().hooks.push(Arc::new(hook));
    }

    /// Forgets all rules and hooks.
    pub fn clear_script(&self) {
        self.core.script.lock().clear();
    }

    /// The number of rules that wait for requests, rules for [`always`](Rule::always) aside. Zero says that everything
    /// that was scripted took place.
    pub fn unspent_rules(&self) -> usize {
        self.core.script.lock().unspent_rules()
    }

    /// A gate for [`Action::hold`] and [`Action::hold_request`].
    pub fn new_hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.core.activity))
    }

    // What came, and what is there.

    /// The records of a partition, in order; those of open and aborted transactions too.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<StoredRecord> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.records(partition))
    }

    /// The records of all partitions of a topic, partition by partition; those of open and aborted transactions too.
    pub fn all_records(&self, topic: &str) -> Vec<StoredRecord> {
        let cluster = self.core.cluster.lock();
        let partitions = cluster
            .topics
            .get(topic)
            .into_iter()
            .flat_map(|t| &t.partitions);
        (0..)
            .zip(partitions)
            .flat_map(|(number, partition)| partition.log.records(number))
            .collect()
    }

    /// The batches of a partition, in order. [`markers`](Self::markers) are not among them.
    pub fn batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let cluster = self.core.cluster.lock();
        let found = cluster.partition(topic, partition);
        found.map_or_else(Vec::new, |found| found.log.batches())
    }

    /// The offset that the next record of a partition gets; 0 where there is no such partition.
    pub fn log_end_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.end_offset())
    }

    /// The first offset of a partition; 0 where there is no such partition.
    pub fn log_start_offset(&self, topic: &str, partition: i32) -> i64 {
        let cluster = self.core.cluster.lock();
        cluster
            .partition(topic, partition)
            .map_or(0, |found| found.log.start_offset())
    }

    /// The number of records in a topic, those of open and aborted transactions too.
    pub fn record_count(&self, topic: &str) -> u64 {
        let cluster = self.core.cluster.lock();
        let partitions = cluster
            .topics
            .get(topic)
            .into_iter()
            .flat_map(|t| &t.partitions);
        let counts = partitions.map(|p| p.log.record_count());
        counts.map(i64::unsigned_abs).sum()
    }

    /// Every request that could be read, oldest first, whatever became of it. Each is here as soon as the script has said
    /// what becomes of it: a hook does not find the request that it is asked about.
    pub fn requests(&self) -> Vec<Request> {
        self.core.journal.lock().requests.clone()
    }

    /// The number of requests of a kind so far.
    pub fn request_count(&self, api: Api) -> usize {
        self.count_requests(|request| request.api == api)
    }

    /// The number of requests so far that `is_counted` holds for, such as those of one version to one node.
    pub fn count_requests(&self, is_counted: impl Fn(&Request) -> bool) -> usize {
        let journal = self.core.journal.lock();
        journal
            .requests
            .iter()
            .filter(|request| is_counted(request))
            .count()
    }

    /// What came that a broker closes the connection for: unreadable requests, and versions that it does not speak.
    pub fn protocol_violations(&self) -> Vec<String> {
        self.core.journal.lock().violations.clone()
    }

    /// The number of connections that are open now.
    pub fn connection_count(&self) -> usize {
        self.core.connections.lock().open()
    }

    /// The number of connections that were accepted so far.
    pub fn accepted_connections(&self) -> u64 {
        self.core.connections.lock().accepted()
    }

    // Waiting.

    /// Waits until `is_true`, which is asked whenever something happened. False: `timeout` passed first.
    pub fn wait_for(&self, timeout: Duration, is_true: impl Fn(&Self) -> bool) -> bool {
        let deadline = SystemTime.now().checked_add(timeout);
        self.core.activity.wait_until(deadline, || is_true(self))
    }

    /// Waits until `count` requests of a kind came. False: `timeout` passed first.
    pub fn await_requests(&self, api: Api, count: usize, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.request_count(api) >= count)
    }

    /// Waits until a topic has `count` records. False: `timeout` passed first.
    pub fn await_records(&self, topic: &str, count: u64, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.record_count(topic) >= count)
    }

    /// Waits until exactly `count` connections are open. False: `timeout` passed first.
    pub fn await_connections(&self, count: usize, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.connection_count() == count)
    }

    fn server(&self, node: NodeId) -> Result<&server::NodeServer> {
        let server = self.core.server(node);
        server.ok_or_else(|| illegal(format!("there is no node {node}")))
    }

    fn change(
        &self,
        topic: &str,
        change: impl FnOnce(&mut cluster::Cluster) -> Result<(), ErrorCode>,
    ) -> Result<()> {
        let changed = change(&mut self.core.cluster.lock());
        self.core.activity.announce();
        changed.map_err(|code| illegal(format!("topic '{topic}': {code}")))
    }

    fn change_partition(
        &self,
        topic: &str,
        partition: i32,
        change: impl FnOnce(&mut topic::Partition),
    ) -> Result<()> {
        self.change(topic, |cluster| {
            let partition = cluster.partition_mut(topic, partition);
            change(partition.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?);
            Ok(())
        })
    }

    fn change_broker(&self, node: NodeId, change: impl FnOnce(&mut cluster::Broker)) -> Result<()> {
        let mut cluster = self.core.cluster.lock();
        let broker = cluster.broker_mut(node);
        change(broker.ok_or_else(|| illegal(format!("there is no node {node}")))?);
        Ok(())
    }
}

fn illegal(text: String) -> Error {
    Error::new(ErrorKind::IllegalArgument, text)
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        if self.is_owner {
            self.core.shut_down();
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
