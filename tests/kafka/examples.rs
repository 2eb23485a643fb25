//! The examples do on a real cluster what they do on the test broker.

#[path = "../../examples/callbacks.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod callbacks;
#[path = "../../examples/console_producer/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod console_producer;
#[path = "../../examples/producer_perf/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod producer_perf;
#[path = "../../examples/quickstart.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod quickstart;
#[path = "../../examples/transactional.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod transactional;
#[path = "../../examples/verifiable_producer/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod verifiable_producer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use console_producer::options::{self, Command};
use serde_json::Value;

use crate::harness::{ConsoleConsumer, KafkaCluster, group_offsets, run_tool, tool_help};
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
    let line = "--topic lines --reader-property parse.key=true --reader-property key.separator=:";
    let options = match options::parse(arguments(&cluster, line).into_iter()).unwrap() {
        Command::Produce(options) => *options,
        Command::Help | Command::Version => panic!("{line} asks for nothing to be sent"),
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

/// Returns the options that a help text describes: those at the beginning of a line.
fn options_of(help: &str) -> BTreeSet<String> {
    let described = help.lines().filter_map(|line| {
        let text = line.trim_start();
        if line.len() - text.len() > 2 {
            return None;
        }
        let text = text.strip_prefix("-h, ").unwrap_or(text);
        let name = text.split_whitespace().next()?;
        let is_name = name
            .strip_prefix("--")?
            .starts_with(|c: char| c.is_ascii_lowercase());
        is_name.then(|| name.to_owned())
    });
    described.collect()
}

/// The examples have every option of Kafka's own tools.
#[test]
fn the_tools_take_every_option_of_kafkas() {
    let _turn = kafka_or_skip!();
    type Parse = fn([String; 2]) -> Option<String>;
    let tools: [(&str, usize, Parse); 3] = [
        ("ConsoleProducer", 25, |words| {
            options::parse(words.into_iter()).err()
        }),
        ("ProducerPerformance", 21, |words| {
            let parsed = producer_perf::options::parse(words.into_iter());
            parsed.err().map(|error| error.to_string())
        }),
        ("VerifiableProducer", 11, |words| {
            let parsed = verifiable_producer::options::parse(words.into_iter());
            parsed.err().map(|error| error.to_string())
        }),
    ];
    for (tool, count, parse) in tools {
        let options = options_of(&tool_help(&format!("org.apache.kafka.tools.{tool}")));
        assert!(options.len() >= count, "{tool}: {options:?}");
        for option in options {
            let refusal = parse([option.clone(), "1".to_owned()]).unwrap_or_default();
            let unknown = format!("{option} is no option");
            assert!(!refusal.contains(&unknown), "{tool} has {option}");
        }
        let refusal = parse(["--no-such".to_owned(), "1".to_owned()]).unwrap_or_default();
        assert!(refusal.contains("--no-such is no option"), "{refusal}");
    }
}

/// Returns a line without its numbers, which are times and offsets, and without the text of an
/// error, which differs between clients.
fn shape(line: &str) -> BTreeMap<String, String> {
    let line: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
    let shape = |(key, value): (String, Value)| {
        let is_own = value.is_number() || key == "message";
        let text = if is_own {
            String::new()
        } else {
            value.to_string()
        };
        (key, text)
    };
    line.into_iter().map(shape).collect()
}

#[test]
fn verifiable_producer_prints_the_lines_of_kafkas() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let servers = cluster.bootstrap_servers();
    cluster.admin().create_topic("verified", 1);
    let fails = std::env::temp_dir().join(format!("verified-{}", std::process::id()));
    std::fs::write(&fails, "max.request.size=1\n").unwrap();
    for more in [
        "--topic verified --max-messages 3",
        "--topic verified --max-messages 3 --value-prefix 7 --repeating-keys 2 --acks 1 --throughput 1000",
        "--topic verified --max-messages 2 --acks 0 --message-create-time 1700000000000",
        &format!(
            "--topic verified --max-messages 2 --command-config {}",
            fails.display()
        ),
    ] {
        let words: Vec<_> = more.split_whitespace().collect();
        let javas = run_tool(
            "org.apache.kafka.tools.VerifiableProducer",
            &servers,
            &words,
        );
        let parsed = verifiable_producer::options::parse(arguments(&cluster, more).into_iter());
        let verifiable_producer::options::Command::Produce(options) = parsed.unwrap() else {
            panic!("{more}");
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let printed = Arc::clone(&lines);
        let print = Arc::new(move |line: &str| printed.lock().unwrap().push(line.to_owned()));
        verifiable_producer::run(&options, &AtomicBool::new(false), print).unwrap();
        let ours = std::mem::take(&mut *lines.lock().unwrap());
        let javas: Vec<_> = javas.lines().map(shape).collect();
        let ours: Vec<_> = ours.iter().map(|line| shape(line)).collect();
        assert_eq!(ours, javas, "{more}");
        assert!(ours.len() >= 5);
    }
    std::fs::remove_file(&fails).unwrap();
    // Twice three, three and two.
    let read = ConsoleConsumer::new(servers, "verified").read(16);
    let values = read.iter().filter_map(|record| record.value.as_deref());
    assert_eq!(values.filter(|value| value.starts_with(b"7.")).count(), 6);
    cluster.admin().delete_topic("verified");
}

#[test]
fn producer_perf_commits_its_transactions() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    cluster.admin().create_topic("measured", 3);
    let line = "--topic measured --num-records 5000 --record-size 100 --throughput -1 --transaction-duration-ms 50 \
                --key-distribution range --record-key-range 100 --print-metrics";
    let parsed = producer_perf::options::parse(arguments(&cluster, line).into_iter()).unwrap();
    let producer_perf::options::Command::Measure(options) = parsed else {
        panic!("{line}");
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let printed = Arc::clone(&lines);
    let print = move |line: &str| printed.lock().unwrap().push(line.to_owned());
    assert_eq!(producer_perf::run(*options, print).unwrap(), 0);
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "measured")
        .read_committed()
        .read(5000);
    let keys: BTreeSet<_> = read.into_iter().map(|record| record.key.unwrap()).collect();
    assert_eq!(keys.len(), 100);
    let lines = lines.lock().unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("5000 records sent, "))
    );
    let name = "producer-metrics:record-send-total:";
    let total = lines.iter().find(|line| line.starts_with(name)).unwrap();
    let total: f64 = total.rsplit(' ').next().unwrap().parse().unwrap();
    // A retry counts again.
    assert!(total >= 5000.0, "{total}");
    cluster.admin().delete_topic("measured");
}
