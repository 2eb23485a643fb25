//! Kafka 2.8: one broker, one ZooKeeper.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::admin::Admin;
use super::jars::{self, Release};
use super::layout::{Layout, Listener};
use super::process::{self, Output, Process};
use super::{cluster, layout, poll_until, ports};

const START_ATTEMPTS: u32 = 3;
const START_LIMIT: Duration = Duration::from_secs(180);
const NODE: i32 = 0;

/// A broker of 2.8.2 on loopback. Dropping it kills it and removes its files. The tools of the
/// current release can read it.
#[derive(Debug)]
pub(crate) struct LegacyKafka {
    /// The broker, then ZooKeeper.
    processes: Vec<Process>,
    admin: Admin,
    directory: PathBuf,
    layout: Layout,
    /// The ports of the layout's listeners.
    ports: Vec<u16>,
}

impl LegacyKafka {
    /// Starts it, and waits until topics can be created. Replication factors are 1, and Produce
    /// does not use topic ids.
    pub(crate) fn start() -> Self {
        Self::start_layout(&Layout::new(1).release(Release::V2_8))
    }

    /// Like [`start`](Self::start), with the listeners, properties and SCRAM users of a layout.
    pub(crate) fn start_layout(layout: &Layout) -> Self {
        let jars = Release::V2_8.jars();
        let mut failure = String::new();
        for _ in 0..START_ATTEMPTS {
            match Self::try_start(jars, layout.clone()) {
                Ok(kafka) => return kafka,
                Err(reason) => failure = reason,
            }
            if !failure.contains("Address already in use") {
                break;
            }
        }
        panic!("Kafka 2.8 did not start: {failure}");
    }

    fn try_start(jars: &Path, layout: Layout) -> Result<Self, String> {
        let directory = process::new_directory("legacy");
        let reserved = ports::reserve(2 + layout.listeners.len());
        let mut ports: Vec<u16> = reserved.iter().map(ports::number).collect();
        let listener_ports = ports.split_off(2);
        let (zookeeper_port, port) = (ports[0], ports[1]);
        drop(reserved);

        let data = |name: &str| directory.join(name).display().to_string();
        let zookeeper_properties = [
            format!("dataDir={}", data("zookeeper")),
            format!("clientPort={zookeeper_port}"),
            "clientPortAddress=127.0.0.1".to_owned(),
            "admin.enableServer=false".to_owned(),
        ];
        let mut server_properties = vec![
            format!("broker.id={NODE}"),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
            format!("zookeeper.connect=127.0.0.1:{zookeeper_port}"),
            format!("log.dirs={}", data("data")),
            "offsets.topic.replication.factor=1".to_owned(),
            "offsets.topic.num.partitions=3".to_owned(),
            "transaction.state.log.replication.factor=1".to_owned(),
            "transaction.state.log.min.isr=1".to_owned(),
            "transaction.state.log.num.partitions=3".to_owned(),
            "group.initial.rebalance.delay.ms=0".to_owned(),
            "auto.create.topics.enable=false".to_owned(),
        ];
        server_properties.extend(layout.listener_lines(port, None, &listener_ports));
        let properties = layout.properties.iter();
        server_properties.extend(properties.map(|(key, value)| format!("{key}={value}")));
        let start = |name: &str, main_class: &str, properties: &[String]| {
            let file = directory.join(format!("{name}.properties"));
            fs::write(&file, properties.join("\n")).expect("the target directory can be written");
            let log = directory.join(format!("{name}.log"));
            let mut program = jars::java(jars, &jars::BROKER_FLAGS, &log, main_class);
            program.push(file.display().to_string());
            Process::start(
                name,
                &program,
                &directory.join(format!("{name}.console")),
                Output::Log,
            )
        };
        let zookeeper = start(
            "zookeeper",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            &zookeeper_properties,
        );
        // The broker waits for ZooKeeper itself, by default 18 s.
        let broker = start("broker", "kafka.Kafka", &server_properties);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let admin = Admin::new([(NODE, address)]);
        let mut kafka = Self {
            processes: vec![broker, zookeeper],
            admin,
            directory,
            layout,
            ports: listener_ports,
        };
        kafka.await_ready()?;
        kafka.add_users(jars, zookeeper_port);
        Ok(kafka)
    }

    /// Adds the users of [`Layout::features`], such as
    /// `SCRAM-SHA-256=[name=alice,password=secret]`.
    fn add_users(&self, jars: &Path, zookeeper_port: u16) {
        for user in &self.layout.features {
            let (mechanism, name, password) = layout::scram_user(user);
            let log = self.directory.join("users.log");
            let mut program =
                jars::java(jars, &jars::TOOL_FLAGS, &log, "kafka.admin.ConfigCommand");
            let zookeeper = format!("127.0.0.1:{zookeeper_port}");
            program.extend(["--zookeeper", &zookeeper, "--alter"].map(str::to_owned));
            program.extend(["--entity-type", "users", "--entity-name", name].map(str::to_owned));
            let config = format!("{mechanism}=[password={password}]");
            program.extend(["--add-config".to_owned(), config]);
            let tool = Process::start("users", &program, &log, Output::Piped);
            let (status, output) = tool.run(b"", START_LIMIT, process::read_all);
            let done = status.is_some_and(|status| status.success());
            assert!(done, "no user was added: {output}{}", process::tail(&log));
        }
    }

    fn await_ready(&mut self) -> Result<(), String> {
        let ready = poll_until(START_LIMIT, || {
            if let Some(status) = self.processes[0].exit_status() {
                return Some(Err(format!("the broker ended with {status}")));
            }
            let known = self.admin.brokers_known_to(NODE);
            known.is_ok_and(|known| known == [NODE]).then_some(Ok(()))
        });
        let ready = ready.unwrap_or_else(|| Err(format!("not ready after {START_LIMIT:?}")));
        ready.map_err(|reason| {
            let said: Vec<String> = [
                "zookeeper.log",
                "zookeeper.console",
                "broker.log",
                "broker.console",
            ]
            .iter()
            .map(|name| process::tail(&self.directory.join(name)))
            .collect();
            format!("{reason}: {}", said.join("\n"))
        })
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.admin.bootstrap_servers()
    }

    /// The address of a listener of the layout.
    #[allow(dead_code, reason = "tests of TLS and SASL have their features")]
    pub(crate) fn address(&self, listener: Listener) -> String {
        self.layout.address(listener, &self.ports)
    }

    /// The segment files of a topic, for [`dump_log`](super::dump_log).
    pub(crate) fn segments(&self, topic: &str) -> Vec<PathBuf> {
        cluster::segments(&self.directory.join("data"), topic)
    }
}

impl Drop for LegacyKafka {
    fn drop(&mut self) {
        self.processes.clear();
        process::remove_directory(&self.directory);
    }
}
