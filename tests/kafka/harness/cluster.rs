//! Kafka in KRaft mode. Every node is a broker and a controller.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use super::admin::Admin;
use super::jars::{self, Release};
use super::layout::{Layout, Listener};
use super::process::{self, Output, Process};
use super::{poll_until, ports};

const START_ATTEMPTS: u32 = 3;
const START_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(120);
const FORMAT_LIMIT: Duration = Duration::from_secs(120);

/// A cluster on loopback ports; dropping it kills the nodes and removes their files.
///
/// Node ids are 1 to the number of nodes. Three nodes are also the quorum, so take down only one at
/// a time.
#[derive(Debug)]
pub(crate) struct KafkaCluster {
    nodes: Vec<Node>,
    admin: Admin,
    directory: PathBuf,
    layout: Layout,
}

#[derive(Debug)]
struct Node {
    id: i32,
    release: Release,
    class_path: Option<PathBuf>,
    java_options: Vec<String>,
    directory: PathBuf,
    /// The ports of the layout's listeners.
    ports: Vec<u16>,
    process: Mutex<NodeProcess>,
}

#[derive(Debug)]
struct NodeProcess {
    /// `None` while the node is down.
    running: Option<Process>,
    starts: u32,
}

/// Why a cluster did not start.
#[derive(Debug)]
enum StartError {
    /// Another process took a port between the harness's check and the broker's start.
    PortTaken,
    Failed(String),
}

impl KafkaCluster {
    /// Starts `count` nodes with replication factor `count`. `min.insync.replicas` is 2 for 3
    /// nodes.
    pub(crate) fn start(count: usize) -> Self {
        Self::start_layout(Layout::new(count))
    }

    /// Like [`start`](Self::start), with lines of `server.properties` that override the usual ones.
    pub(crate) fn start_with(count: usize, properties: &[(&str, &str)]) -> Self {
        Self::start_layout(Layout::new(count).properties(properties))
    }

    /// Starts one node of a release.
    pub(crate) fn start_release(release: Release) -> Self {
        Self::start_layout(Layout::new(1).release(release))
    }

    /// Like [`start`](Self::start), with a feature level below the release's own, such as
    /// `transaction.version=1`.
    pub(crate) fn start_with_feature(count: usize, feature: &str) -> Self {
        Self::start_layout(Layout::new(count).features(&[feature]))
    }

    /// Starts a cluster of this layout.
    pub(crate) fn start_layout(layout: Layout) -> Self {
        archive_classes();
        for _ in 1..START_ATTEMPTS {
            match Self::try_start(layout.clone()) {
                Ok(cluster) => return cluster,
                Err(StartError::PortTaken) => {}
                Err(StartError::Failed(reason)) => panic!("{reason}"),
            }
        }
        Self::try_start(layout)
            .unwrap_or_else(|error| panic!("after {START_ATTEMPTS} attempts: {error:?}"))
    }

    /// Returns three nodes that tests use in turn. See [`Lease`].
    pub(crate) fn lease() -> Lease {
        Self::lease_of(Layout::new(3))
    }

    /// Like [`lease`](Self::lease), with transactions of version 1.
    pub(crate) fn lease_of_version_1() -> Lease {
        Self::lease_of(Layout::new(3).features(&["transaction.version=1"]))
    }

    /// Returns a cluster of this layout that tests use in turn. See [`Lease`].
    pub(crate) fn lease_of(layout: Layout) -> Lease {
        // A waiting cluster of another layout is stopped first.
        let waiting = spare().take().filter(|cluster| cluster.layout == layout);
        Lease(Some(waiting.unwrap_or_else(|| Self::start_layout(layout))))
    }

    fn try_start(layout: Layout) -> Result<Self, StartError> {
        let directory = process::new_directory("cluster");
        let count = layout.nodes;
        let reserved = ports::reserve((2 + layout.listeners.len()) * count);
        let mut free = reserved.iter().map(ports::number);
        let brokers: Vec<u16> = free.by_ref().take(count).collect();
        let controllers: Vec<u16> = free.by_ref().take(count).collect();
        let ids = 1..=count as i32;

        let mut nodes = Vec::new();
        for (id, (&broker, &controller)) in ids.clone().zip(brokers.iter().zip(&controllers)) {
            let node_directory = directory.join(format!("node{id}"));
            fs::create_dir(&node_directory).expect("the target directory can be written");
            let ports: Vec<u16> = free.by_ref().take(layout.listeners.len()).collect();
            let mut lines = server_properties(id, &controllers, &node_directory);
            lines.extend(layout.listener_lines(broker, Some(controller), &ports));
            // A later line overrides an earlier one.
            let properties = layout.properties.iter();
            lines.extend(properties.map(|(key, value)| format!("{key}={value}")));
            fs::write(node_directory.join("server.properties"), lines.join("\n"))
                .expect("the target directory can be written");
            let process = Mutex::new(NodeProcess {
                running: None,
                starts: 0,
            });
            nodes.push(Node {
                id,
                release: layout.release,
                class_path: layout.class_path.clone(),
                java_options: layout.java_options.clone(),
                directory: node_directory,
                ports,
                process,
            });
        }
        drop(free);
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let admin = Admin::new(ids.zip(brokers.into_iter().map(address)));
        let cluster = Self {
            nodes,
            admin,
            directory,
            layout,
        };

        cluster.format();
        drop(reserved);
        cluster.nodes.iter().for_each(Node::start);
        cluster
            .nodes
            .iter()
            .try_for_each(|node| cluster.await_ready(node, count))?;
        Ok(cluster)
    }

    fn format(&self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // 16 bytes in base64. Each cluster has its own id, so that nodes that meet on a reused port
        // do not join.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let cluster_id = format!("kafka{:08x}{count:08x}A", std::process::id());
        thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.format(&cluster_id, &self.layout.features));
            }
        });
    }

    /// Waits until `node` serves and knows of `brokers` brokers.
    fn await_ready(&self, node: &Node, brokers: usize) -> Result<(), StartError> {
        let ready = poll_until(START_LIMIT, || {
            let status = node
                .process()
                .running
                .as_mut()
                .and_then(Process::exit_status);
            if let Some(status) = status {
                return Some(Err(node.start_error(&format!("ended with {status}"))));
            }
            let known = self.admin.brokers_known_to(node.id);
            known
                .is_ok_and(|known| known.len() >= brokers)
                .then_some(Ok(()))
        });
        ready.unwrap_or_else(|| {
            Err(node.start_error(&format!("is not ready after {START_LIMIT:?}")))
        })
    }

    /// Returns an [`Admin`] for the nodes that are up.
    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.admin.bootstrap_servers()
    }

    /// Returns the addresses of a listener of the layout, for `bootstrap.servers`.
    #[allow(dead_code, reason = "tests of TLS and SASL have their features")]
    pub(crate) fn addresses(&self, listener: Listener) -> String {
        let nodes = self.nodes.iter();
        let addresses: Vec<String> = nodes
            .map(|node| self.layout.address(listener, &node.ports))
            .collect();
        addresses.join(",")
    }

    pub(crate) fn node_ids(&self) -> Vec<i32> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// The segment files of a topic's replicas on one node, for [`dump_log`](super::dump_log).
    pub(crate) fn segments(&self, node: i32, topic: &str) -> Vec<PathBuf> {
        segments(&self.node(node).directory.join("data"), topic)
    }

    /// Sends SIGKILL. Returns when the process has ended.
    pub(crate) fn kill(&self, node: i32) {
        self.admin.set_up(node, false);
        drop(self.node(node).take_running());
    }

    /// Sends SIGTERM: the node hands its leaderships over, then ends.
    pub(crate) fn stop(&self, node: i32) {
        let mut running = self.node(node).take_running();
        running.signal("TERM");
        self.admin.set_up(node, false);
        assert!(
            running.wait(STOP_LIMIT).is_some(),
            "node {node} did not stop within {STOP_LIMIT:?}"
        );
    }

    /// Sends SIGSTOP: the node's connections stay open, and nothing answers on them.
    pub(crate) fn pause(&self, node: i32) {
        self.admin.set_up(node, false);
        self.signal(node, "STOP");
    }

    /// Sends SIGCONT. The node may believe for a moment that it still leads.
    pub(crate) fn resume(&self, node: i32) {
        self.signal(node, "CONT");
        self.admin.set_up(node, true);
    }

    /// Starts a node that was killed or stopped, and returns when it serves. Its replicas catch up
    /// after that: see [`Admin::await_in_sync`].
    pub(crate) fn restart(&self, node: i32) {
        let node = self.node(node);
        assert!(node.process().running.is_none(), "node {} is up", node.id);
        node.start();
        if let Err(error) = self.await_ready(node, 1) {
            panic!("node {} did not come back: {error:?}", node.id);
        }
        self.admin.set_up(node.id, true);
    }

    /// Returns the process id of a node that is up.
    pub(crate) fn process_id(&self, node: i32) -> u32 {
        self.node(node)
            .process()
            .running
            .as_ref()
            .expect("the node is up")
            .id()
    }

    /// Returns the directory of its files, which exists until it is dropped.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn signal(&self, node: i32, signal: &str) {
        self.node(node)
            .process()
            .running
            .as_ref()
            .expect("the node is up")
            .signal(signal);
    }

    fn node(&self, id: i32) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .expect("a node of this cluster")
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            if thread::panicking() {
                let log = node.log(node.process().starts);
                eprintln!("node {} said last:\n{}", node.id, process::tail(&log));
            }
            node.process().running = None;
        }
        process::remove_directory(&self.directory);
    }
}

/// A cluster for one test. The next test gets it too, unless this one has panicked or left a node
/// down, or the next one needs another layout.
#[derive(Debug)]
pub(crate) struct Lease(Option<KafkaCluster>);

impl Deref for Lease {
    type Target = KafkaCluster;

    fn deref(&self) -> &KafkaCluster {
        self.0.as_ref().expect("it is there until the drop")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let is_whole = !thread::panicking() && self.admin.all_up();
        if let Some(cluster) = self.0.take().filter(|_| is_whole) {
            *spare() = Some(cluster);
        }
    }
}

fn spare() -> MutexGuard<'static, Option<KafkaCluster>> {
    static SPARE: Mutex<Option<KafkaCluster>> = Mutex::new(None);
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    fn process(&self) -> MutexGuard<'_, NodeProcess> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_running(&self) -> Process {
        self.process().running.take().expect("the node is up")
    }

    fn properties(&self) -> String {
        self.directory
            .join("server.properties")
            .display()
            .to_string()
    }

    /// Every start has a log file of its own, because each start truncates its file.
    fn log(&self, start: u32) -> PathBuf {
        self.directory.join(format!("log.{start}"))
    }

    fn console(&self) -> PathBuf {
        self.directory.join("console")
    }

    fn format(&self, cluster_id: &str, features: &[String]) {
        let jars = self.release.jars();
        let log = self.directory.join("format.log");
        let mut program = jars::java(jars, &jars::TOOL_FLAGS, &log, "kafka.tools.StorageTool");
        program.extend(["format", "-t", cluster_id, "-c"].map(str::to_owned));
        program.push(self.properties());
        for feature in features {
            let option = match feature.starts_with("SCRAM-") {
                true => "--add-scram",
                false => "--feature",
            };
            program.extend([option.to_owned(), feature.clone()]);
        }
        let tool = Process::start("format", &program, &self.console(), Output::Piped);
        let (status, output) = tool.run(b"", FORMAT_LIMIT, process::read_all);
        let done = status.is_some_and(|status| status.success());
        assert!(
            done,
            "format failed: {output}{}",
            process::tail(&self.console())
        );
    }

    fn start(&self) {
        let jars = self.release.jars();
        let mut process = self.process();
        process.starts += 1;
        let log = self.log(process.starts);
        let options = self.java_options.iter().map(String::as_str);
        let flags: Vec<&str> = jars::BROKER_FLAGS.into_iter().chain(options).collect();
        let mut program = jars::java_with(
            jars,
            self.class_path.as_deref(),
            &flags,
            &log,
            "kafka.Kafka",
        );
        program.push(self.properties());
        let name = format!("node{}", self.id);
        process.running = Some(Process::start(
            &name,
            &program,
            &self.console(),
            Output::Log,
        ));
    }

    fn start_error(&self, what: &str) -> StartError {
        let mut said = process::tail(&self.log(self.process().starts));
        said.push_str(&process::tail(&self.console()));
        if said.contains("Address already in use") {
            return StartError::PortTaken;
        }
        StartError::Failed(format!("node {} {what}: {said}", self.id))
    }
}

/// Runs one node, and lets its JVM archive the classes that it has loaded. The JVMs after it map them
/// instead of reading and checking them. A broker's start then takes 2.2 s of a processor instead
/// of 3.4 s.
fn archive_classes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let archive = jars::class_archive(Release::CURRENT.jars());
        if archive.exists() {
            return;
        }
        let partial = archive.with_extension(format!("partial-{}", std::process::id()));
        let option = format!("-XX:ArchiveClassesAtExit={}", partial.display());
        if let Ok(cluster) = KafkaCluster::try_start(Layout::new(1).java_option(option)) {
            cluster.stop(1);
            // Without the file, JVMs start as they did.
            _ = fs::rename(&partial, &archive);
        }
    });
}

fn server_properties(id: i32, controllers: &[u16], directory: &Path) -> Vec<String> {
    let nodes = controllers.len();
    let voters: Vec<String> = (1..)
        .zip(controllers)
        .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
        .collect();
    let mut lines = vec![
        format!("node.id={id}"),
        format!("controller.quorum.voters={}", voters.join(",")),
        format!("log.dirs={}", directory.join("data").display()),
        format!("default.replication.factor={nodes}"),
        format!("min.insync.replicas={}", nodes.min(2)),
        format!("offsets.topic.replication.factor={nodes}"),
        format!("transaction.state.log.replication.factor={nodes}"),
        format!("transaction.state.log.min.isr={}", nodes.min(2)),
    ];
    let fixed = [
        "process.roles=broker,controller",
        "controller.listener.names=CONTROLLER",
        "inter.broker.listener.name=PLAINTEXT",
        "offsets.topic.num.partitions=3",
        "transaction.state.log.num.partitions=3",
        "group.initial.rebalance.delay.ms=0",
        // A node that was killed or paused loses its leaderships after 3 s instead of 9.
        "broker.session.timeout.ms=3000",
        "broker.heartbeat.interval.ms=500",
        // An expired transaction is aborted at once, and not within 10 s.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=100",
        // Leaders move only when a test moves them.
        "auto.leader.rebalance.enable=false",
        // A misspelt topic must be an error.
        "auto.create.topics.enable=false",
    ];
    lines.extend(fixed.map(str::to_owned));
    lines
}

/// Returns the `.log` files of a topic in a broker's data directory, in order.
pub(super) fn segments(data: &Path, topic: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(data).expect("the node has a data directory") {
        let path = entry.expect("the node has a data directory").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let of_topic = name.rsplit_once('-').is_some_and(|(name, _)| name == topic);
        if !of_topic {
            continue;
        }
        for file in fs::read_dir(&path).expect("a partition is a directory") {
            let file = file.expect("a partition is a directory").path();
            if file.extension().is_some_and(|extension| extension == "log") {
                files.push(file);
            }
        }
    }
    files.sort_unstable();
    files
}
