//! Kafka 2.8: one broker, one ZooKeeper.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::admin::Admin;
use super::jars::{self, Release};
use super::process::{self, Output, Process};
use super::{cluster, poll_until, ports};

const START_ATTEMPTS: u32 = 3;
const START_LIMIT: Duration = Duration::from_secs(90);
const NODE: i32 = 0;

/// A broker of 2.8.2 on loopback; dropping it kills it and removes its files. The judges of
/// the current release read it too.
#[derive(Debug)]
pub(crate) struct LegacyKafka {
    /// The broker, then ZooKeeper.
    processes: Vec<Process>,
    admin: Admin,
    directory: PathBuf,
}

impl LegacyKafka {
    /// Waits until topics can be created. Replication factors are 1, ids of topics are not used in
    /// Produce.
    pub(crate) fn start() -> Self {
        let jars = Release::V2_8.jars();
        let mut failure = String::new();
        for _ in 0..START_ATTEMPTS {
            match Self::try_start(jars) {
                Ok(kafka) => return kafka,
                Err(reason) => failure = reason,
            }
            if !failure.contains("Address already in use") {
                break;
            }
        }
        panic!("Kafka 2.8 did not start: {failure}");
    }

    fn try_start(jars: &Path) -> Result<Self, String> {
        let directory = process::new_directory("legacy");
        let listeners = ports::reserve(2);
        let (zookeeper_port, port) = (ports::number(&listeners[0]), ports::number(&listeners[1]));
        drop(listeners);

        let data = |name: &str| directory.join(name).display().to_string();
        let zookeeper_properties = [
            format!("dataDir={}", data("zookeeper")),
            format!("clientPort={zookeeper_port}"),
            "clientPortAddress=127.0.0.1".to_owned(),
            "admin.enableServer=false".to_owned(),
        ];
        let server_properties = [
            format!("broker.id={NODE}"),
            format!("listeners=PLAINTEXT://127.0.0.1:{port}"),
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
        // The broker waits for ZooKeeper by itself, 18 s by default.
        let broker = start("broker", "kafka.Kafka", &server_properties);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let admin = Admin::new([(NODE, address)]);
        let mut kafka = Self {
            processes: vec![broker, zookeeper],
            admin,
            directory,
        };
        kafka.await_ready()?;
        Ok(kafka)
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
