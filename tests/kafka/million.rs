//! One million keyed records from four threads are in the log once each, in order, in the
//! partitions that Java would choose. With a codec it is the same number with
//! `KAFKA_PRODUCER_LONG=1`, and 200,000 otherwise.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{
    ConsoleConsumer, KafkaCluster, NewTopic, console_produce, dump_log, is_long_run,
};
use crate::kafka_or_skip;
use crate::load::{self, Load};

const RECORDS: u64 = 1_000_000;
/// The number of records for each codec in a short run.
const FEWER_RECORDS: u64 = 200_000;
const PARTITIONS: i32 = 6;
const KEYS: u64 = 1_000;

#[test]
fn uncompressed_records_are_all_there_and_where_java_puts_them() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let homes = send_and_check(&cluster, "none");
    assert_eq!(homes, javas_choice(&cluster));
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_records_are_all_there() {
    let _turn = kafka_or_skip!();
    send_and_check(&KafkaCluster::lease(), "gzip");
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_records_are_all_there() {
    let _turn = kafka_or_skip!();
    send_and_check(&KafkaCluster::lease(), "snappy");
}

#[cfg(feature = "lz4")]
#[test]
fn lz4_records_are_all_there() {
    let _turn = kafka_or_skip!();
    send_and_check(&KafkaCluster::lease(), "lz4");
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_records_are_all_there() {
    let _turn = kafka_or_skip!();
    send_and_check(&KafkaCluster::lease(), "zstd");
}

/// Returns how many records to send: the full number without compression, and in a long run.
fn record_count(codec: &str) -> u64 {
    match codec {
        "none" => RECORDS,
        _ if is_long_run() => RECORDS,
        _ => FEWER_RECORDS,
    }
}

/// Sends the records and checks the log with Kafka's tools. Returns the partitions of each key.
fn send_and_check(cluster: &KafkaCluster, codec: &str) -> BTreeMap<Vec<u8>, BTreeSet<i32>> {
    let records = record_count(codec);
    let topic = format!("million-{codec}");
    cluster.admin().create_topic(&topic, PARTITIONS);
    let sent = Load::new(&topic, records)
        .set("compression.type", codec)
        .send(&cluster.bootstrap_servers());
    let checked = sent.check(cluster.admin());
    checked.assert_all_acked();
    segments_are_sound(cluster, &topic, codec, records);
    cluster.admin().delete_topic(&topic);
    checked.homes
}

fn segments_are_sound(cluster: &KafkaCluster, topic: &str, codec: &str, records: u64) {
    // The replicas have the same bytes.
    let dump = dump_log(&cluster.segments(1, topic));
    assert_eq!(dump.anomalies, Vec::<String>::new());
    assert_eq!(dump.records, records);
    let mut producers = BTreeSet::new();
    for batch in &dump.batches {
        assert_eq!(batch.codec, codec);
        producers.insert((batch.producer_id, batch.producer_epoch));
        // With one producer id and no refusals, sequences equal offsets.
        assert_eq!(i64::from(batch.base_sequence), batch.base_offset);
    }
    assert_eq!(producers.len(), 1, "{producers:?}");
    let batches = dump.batches.len() as u64;
    eprintln!(
        "{topic}: {batches} batches, {} records each",
        records / batches
    );
}

/// Returns the partition that Kafka's own producer chooses for each key.
fn javas_choice(cluster: &KafkaCluster) -> BTreeMap<Vec<u8>, BTreeSet<i32>> {
    let topic = NewTopic::new("javas-choice", PARTITIONS).replication_factor(1);
    cluster.admin().create_topics(&[topic]);
    let records: Vec<_> = (0..KEYS)
        .map(|number| (Some(load::key(number)), Some(String::new())))
        .collect();
    console_produce(
        &cluster.bootstrap_servers(),
        "javas-choice",
        "none",
        &records,
    );
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "javas-choice").read(KEYS);
    cluster.admin().delete_topic("javas-choice");
    let homes = read.into_iter();
    homes
        .map(|record| (record.key.unwrap(), BTreeSet::from([record.partition])))
        .collect()
}
