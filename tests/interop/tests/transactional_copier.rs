//! The copier example on real Kafka: while it and nodes are killed again and again, it copies each
//! record once.
//!
//! Runs with `KAFKA_PRODUCER_REQUIRE_KAFKA=1`, as `tests/kafka` does.

#![allow(
    clippy::disallowed_methods,
    reason = "real brokers and processes run on the real clock"
)]

#[path = "../../kafka/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a test needs some of it")]
mod harness;
#[path = "../examples/transactional_copier.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod transactional_copier;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kafka_producer::{KafkaProducer, ProducerRecord};

use harness::process::{Output, Process};
use harness::{ConsoleConsumer, KafkaCluster, group_offsets, is_long_run, wait_until};

const PARTITIONS: i32 = 6;
/// The number of records for each kill.
const RECORDS: u64 = 10_000;
/// How much a copier writes before it is killed, at least. Less than there is for it to copy.
const LIFE: i64 = 6_000;
const LIMIT: Duration = Duration::from_secs(180);
/// Holds the options if this process is to be a copier.
const OPTIONS: &str = "KAFKA_PRODUCER_COPIER";

/// Not a test but the program that the test below starts as a process and kills.
#[test]
fn copier() {
    let Ok(options) = std::env::var(OPTIONS) else {
        return;
    };
    let words = options.split_whitespace().map(str::to_owned);
    let options = transactional_copier::Options::parse(words).expect("they are options");
    let copied = transactional_copier::run(&options).expect("it copies");
    println!("{copied:?}");
}

#[test]
fn a_copier_that_is_killed_again_and_again_copies_each_record_once() {
    let _turn = kafka_or_skip!();
    copy_under_kills(&KafkaCluster::lease(), "copied-2");
}

#[test]
fn a_copier_with_transactions_of_version_1_copies_each_record_once() {
    let _turn = kafka_or_skip!();
    copy_under_kills(&KafkaCluster::lease_of_version_1(), "copied-1");
}

fn copy_under_kills(cluster: &KafkaCluster, output: &str) {
    let (servers, input) = (cluster.bootstrap_servers(), format!("{output}-from"));
    let admin = cluster.admin();
    admin.create_topic(&input, PARTITIONS);
    admin.create_topic(output, PARTITIONS);
    let kills = if is_long_run() { 6 } else { 2 };
    let records = kills * RECORDS;
    let written = write(&servers, &input, records);

    let line = format!(
        "--bootstrap-server {servers} --input-topic {input} --output-topic {output} --transaction-size 500 --abort-every 5"
    );
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{output}.log"));
    let _ = fs::remove_file(&log);
    let end_of_copies = || admin.end_offsets(output).iter().sum::<i64>();
    for kill in 0..kills {
        let before = end_of_copies();
        let mut copier = start_copier(&line, &log);
        // It has written something since its start, and has more to do.
        wait_until("copies of the copier", LIMIT, || {
            let ended = copier.exit_status();
            assert!(ended.is_none(), "{ended:?}, see {}", log.display());
            (end_of_copies() > before + LIFE).then_some(())
        });
        let node = (kill % 3) as i32 + 1;
        if kill % 2 == 1 {
            cluster.kill(node);
        }
        drop(copier);
        if kill % 2 == 1 {
            cluster.restart(node);
            for topic in [&input, output, "__transaction_state"] {
                admin.await_in_sync(topic);
            }
        }
    }
    let mut last = start_copier(&format!("{line} --until-end"), &log);
    let ended = wait_until("end of the last copier", LIMIT, || last.exit_status());
    assert!(ended.success(), "see {}", log.display());
    let copied = fs::read_to_string(&log).expect("there is a log");
    eprintln!("{output}: {kills} kills; {}", last_line(&copied));

    admin.await_stable(output);
    let read = read(&servers, output, records + 1);
    assert_eq!(read.values().map(Vec::len).sum::<usize>() as u64, records);
    assert!(read == written, "each once, and in order");
    let offsets = group_offsets(&servers, "copiers", &input);
    let ends: BTreeMap<i32, i64> = (0..).zip(admin.end_offsets(&input)).collect();
    assert_eq!(offsets, ends);
    let _ = fs::remove_file(&log);
    for topic in [&input, output] {
        admin.delete_topic(topic);
    }
}

type Values = BTreeMap<i32, Vec<String>>;

fn write(servers: &str, topic: &str, records: u64) -> Values {
    let producer = KafkaProducer::builder().bootstrap_servers(servers).build();
    let producer = producer.expect("the settings agree");
    let mut values = Values::new();
    for number in 0..records {
        let (partition, value) = ((number % PARTITIONS as u64) as i32, number.to_string());
        let record = ProducerRecord::new(topic, &value).partition(partition);
        let sent = producer.send_with_callback(record, |result| drop(result.expect("delivered")));
        sent.expect("the record can be sent");
        values.entry(partition).or_default().push(value);
    }
    producer.close(LIMIT).expect("all of it is delivered");
    values
}

fn read(servers: &str, topic: &str, most: u64) -> Values {
    let mut values = Values::new();
    let consumer = ConsoleConsumer::new(servers.to_owned(), topic).read_committed();
    consumer.read_each(most, |record| {
        let value = record.value.expect("each has a value");
        let value = String::from_utf8(value).expect("it is a number");
        values.entry(record.partition).or_default().push(value);
    });
    values
}

/// Killed when it is dropped.
fn start_copier(line: &str, log: &Path) -> Process {
    let this = std::env::current_exe().expect("Linux knows it");
    let program = [
        "env".to_owned(),
        format!("{OPTIONS}={line}"),
        this.display().to_string(),
        "--exact".to_owned(),
        "copier".to_owned(),
        "--nocapture".to_owned(),
    ];
    Process::start("copier", &program, log, Output::Log)
}

fn last_line(text: &str) -> &str {
    let copied = text.lines().rfind(|line| line.contains("Copied"));
    copied.unwrap_or("nothing said")
}
