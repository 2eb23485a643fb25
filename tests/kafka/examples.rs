//! The examples do on a real cluster what they do on the test broker.

#[path = "../../examples/callbacks.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod callbacks;
#[path = "../../examples/console_producer/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod console_producer;
#[path = "../../examples/quickstart.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod quickstart;
#[path = "../../examples/transactional.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod transactional;

use console_producer::options::{self, Command};

use crate::harness::{ConsoleConsumer, KafkaCluster, group_offsets};
use crate::kafka_or_skip;

fn arguments(cluster: &KafkaCluster, more: &str) -> Vec<String> {
    let servers = cluster.bootstrap_servers();
    let words = ["--bootstrap-server", &servers].into_iter();
    words
        .chain(more.split_whitespace())
        .map(str::to_owned)
        .collect()
}

#[test]
fn quickstart_and_callbacks_run() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let admin = cluster.admin();
    admin.create_topic("quickstart", 6);
    let line = arguments(&cluster, "--topic quickstart --records 10000");
    quickstart::run(&quickstart::Options::parse(line.into_iter()).unwrap()).unwrap();
    assert_eq!(admin.end_offsets("quickstart").iter().sum::<i64>(), 10_001);
    admin.delete_topic("quickstart");

    admin.create_topic("callbacks", 2);
    let line = arguments(&cluster, "--topic callbacks --records 20");
    callbacks::run(line.into_iter()).unwrap();
    assert_eq!(admin.end_offsets("callbacks").iter().sum::<i64>(), 40);
    admin.delete_topic("callbacks");
}

#[test]
fn console_producer_sends_its_input() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    cluster.admin().create_topic("lines", 1);
    let line = "--topic lines --property parse.key=true --property key.separator=:";
    let options = match options::parse(arguments(&cluster, line).into_iter()).unwrap() {
        Command::Produce(options) => *options,
        Command::Help => panic!("{line} asks for help"),
    };
    let failed = console_producer::run(options, &mut &b"a:1\nb:2\nc:3\n"[..], b"").unwrap();
    assert_eq!(failed, 0);
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "lines").read(3);
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
    let lines: Vec<_> = read
        .into_iter()
        .map(|record| (text(record.key), text(record.value)))
        .collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(lines, [pair("a", "1"), pair("b", "2"), pair("c", "3")]);
    cluster.admin().delete_topic("lines");
}

#[test]
fn transactional_commits_its_lines_and_its_offset() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let admin = cluster.admin();
    admin.create_topic("copies", 1);
    admin.create_topic("lines", 1);
    let line = arguments(&cluster, "--records 250");
    transactional::run(&transactional::Options::parse(line.into_iter()).unwrap()).unwrap();
    let servers = cluster.bootstrap_servers();
    let copies = ConsoleConsumer::new(servers.clone(), "copies")
        .read_committed()
        .read(250);
    assert_eq!(copies.len(), 250);
    let offsets = group_offsets(&servers, "copiers", "lines");
    assert_eq!(offsets.into_iter().collect::<Vec<_>>(), [(0, 250)]);
    admin.delete_topic("copies");
    admin.delete_topic("lines");
}
