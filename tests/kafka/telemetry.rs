//! Metrics that brokers request (KIP-714): a broker's plugin receives what the producer's own
//! snapshot says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use kafka_producer::{KafkaProducer, MetricsSnapshot, ProducerRecord};

use crate::harness::{
    KafkaCluster, Layout, compile_plugin, plugin_directory, subscribe_to_metrics, wait_until,
};
use crate::kafka_or_skip;
use crate::otlp::{Labels, name_in_snapshot, numbers, resource_labels};

const SOON: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(300);
const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/kafka/telemetry/FileTelemetryExporter.java"
);

/// A push, as the plugin recorded it.
struct Received {
    client_instance_id: String,
    is_terminating: bool,
    client_id: String,
    payload: Vec<u8>,
}

/// Returns every push so far, oldest first.
fn received(directory: &Path) -> Vec<Received> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| {
            let columns: Vec<&str> = name.split(',').collect();
            let [_, id, is_terminating, client_id] = columns[..] else {
                panic!("{name}");
            };
            Received {
                client_instance_id: id.to_owned(),
                is_terminating: is_terminating == "true",
                client_id: client_id.to_owned(),
                payload: fs::read(directory.join(name)).unwrap(),
            }
        })
        .collect()
}

/// A cluster of one node with the plugin, which writes into the directory.
fn cluster_with_plugin(directory: &Path) -> KafkaCluster {
    let classes = compile_plugin(Path::new(SOURCE));
    let directory = directory.display().to_string();
    let layout = Layout::new(1).class_path(&classes).properties(&[
        ("metric.reporters", "FileTelemetryExporter"),
        ("telemetry.directory", &directory),
    ]);
    KafkaCluster::start_layout(layout)
}

/// Sends 15 orders and 2 bills in two transactions, with pushes between them. Returns the client
/// instance id.
fn send_and_close(producer: &KafkaProducer, directory: &Path) -> String {
    producer.init_transactions().unwrap();
    let send = |topic| {
        let record = ProducerRecord::new(topic, "value");
        producer.send(record).unwrap().get().unwrap();
    };
    let transaction = |orders: usize| {
        producer.begin_transaction().unwrap();
        (0..orders).for_each(|_| send("orders"));
        send("bills");
        producer.commit_transaction().unwrap();
    };
    transaction(10);
    let id = producer.client_instance_id(SOON).unwrap().to_string();
    wait_until("two pushes", SOON, || {
        (received(directory).len() >= 2).then_some(())
    });
    transaction(5);
    producer.close(SOON).unwrap();
    id
}

/// Returns the sums of all pushes. Kafka's brokers request deltas, whose sums are the totals.
fn totals(pushes: &[Received]) -> BTreeMap<(String, Labels), f64> {
    let mut totals = BTreeMap::new();
    for push in pushes {
        for ((name, labels), pushed) in numbers(&push.payload) {
            assert_eq!(pushed.is_delta, pushed.is_sum, "{name}");
            assert!(!labels.contains_key("client_id"), "{name}");
            if pushed.is_sum {
                *totals.entry((name, labels)).or_default() += pushed.value;
            }
        }
    }
    totals
}

/// Compares the totals with the snapshot, except for metrics that the last push itself changes,
/// such as the bytes.
fn compare(totals: &BTreeMap<(String, Labels), f64>, snapshot: &MetricsSnapshot) {
    let mut compared = 0;
    for ((name, labels), total) in totals {
        if !name.contains(".record.") && !name.contains(".txn.") {
            continue;
        }
        let (group, own) = name_in_snapshot(name, labels);
        let tags: Vec<_> = labels
            .iter()
            .map(|(tag, value)| (&**tag, &**value))
            .collect();
        let metric = snapshot.find(group, &own, &tags).unwrap();
        let expected = metric.value().as_number().unwrap();
        let tolerance = 1e-6 * expected.max(1.0);
        assert!((total - expected).abs() < tolerance, "{name} {labels:?}");
        compared += 1;
    }
    assert!(compared >= 14, "{compared}");
}

/// Checks that every numeric metric of the snapshot is in the payload.
fn assert_complete(payload: &[u8], snapshot: &MetricsSnapshot) {
    let pushed = numbers(payload);
    for metric in snapshot {
        if metric.value().as_number().is_none() {
            continue;
        }
        let name = format!(".{}", metric.name().name().replace('-', "."));
        let tags = metric.name().tags();
        let labels: Labels = tags
            .filter(|(tag, _)| *tag != "client-id")
            .map(|(tag, value)| (tag.replace('-', "_"), value.to_owned()))
            .collect();
        let mut keys = pushed.keys();
        let is_there = keys.any(|(pushed, of)| pushed.ends_with(&name) && *of == labels);
        assert!(is_there, "{}", metric.name());
    }
}

#[test]
fn a_plugin_of_the_broker_receives_what_the_snapshot_says() {
    let _turn = kafka_or_skip!();
    let directory = plugin_directory();
    let cluster = cluster_with_plugin(&directory);
    let servers = cluster.bootstrap_servers();
    cluster.admin().create_topic("orders", 2);
    cluster.admin().create_topic("bills", 1);
    subscribe_to_metrics(&servers, "*", INTERVAL);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(&servers)
        .client_id("pushing")
        .client_rack("rack-1")
        .transactional_id("tx-1")
        .build()
        .unwrap();
    let id = send_and_close(&producer, &directory);

    let pushes = received(&directory);
    let (last, before) = pushes.split_last().unwrap();
    assert!(last.is_terminating);
    assert!(before.iter().all(|push| !push.is_terminating));
    let labels = [("client_rack", "rack-1"), ("transactional_id", "tx-1")];
    let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
    let labels = BTreeMap::from(labels);
    for push in &pushes {
        assert_eq!(push.client_instance_id, id);
        assert_eq!(push.client_id, "pushing");
        assert_eq!(resource_labels(&push.payload), labels);
    }
    let totals = totals(&pushes);
    let snapshot = producer.metrics();
    compare(&totals, &snapshot);
    assert_complete(&last.payload, &snapshot);
    let of_topic = |name: &str, topic: &str| {
        let name = format!("org.apache.kafka.producer.topic.{name}");
        let labels = BTreeMap::from([("topic".to_owned(), topic.to_owned())]);
        totals[&(name, labels)]
    };
    // A record that is retried is sent twice: a leader may just have been elected.
    let once = |topic| of_topic("record.send.total", topic) - of_topic("record.retry.total", topic);
    assert_eq!((once("orders"), once("bills")), (15.0, 2.0));
}

/// Kafka's brokers without a plugin have no telemetry, whatever the subscriptions.
#[test]
fn a_broker_without_a_plugin_assigns_no_id() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    cluster.admin().create_topic("quiet", 1);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()
        .unwrap();
    let record = ProducerRecord::new("quiet", "value");
    producer.send(record).unwrap().get().unwrap();
    let error = producer
        .client_instance_id(Duration::from_millis(200))
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    producer.close(SOON).unwrap();
}
