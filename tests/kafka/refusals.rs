//! Refusals of brokers: batches that are too large are split, records that are too large fail
//! alone, and batches with too few replicas are retried.

use std::time::Duration;

use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord,
};

use crate::harness::{Admin, ConsoleConsumer, KafkaCluster, NewTopic, dump_log, wait_until};
use crate::kafka_or_skip;

const SOON: Duration = Duration::from_secs(60);
/// Room for 30 records of [`noise`].
const MAX_MESSAGE_BYTES: usize = 4_000;
const FOLLOWER: i32 = 3;

fn builder(cluster: &KafkaCluster) -> KafkaProducerBuilder {
    KafkaProducer::builder().bootstrap_servers(cluster.bootstrap_servers())
}

/// Returns a hundred characters that do not compress well, different for each number.
fn noise(number: u64) -> String {
    let mut random = fastrand::Rng::with_seed(number);
    let text: String = (0..90).map(|_| random.alphanumeric()).collect();
    format!("{number:09} {text}")
}

#[test]
fn batches_over_the_topics_limit_are_split_until_they_fit() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let codecs = [Some("none"), Some("lz4").filter(|_| cfg!(feature = "lz4"))];
    for codec in codecs.into_iter().flatten() {
        let topic = format!("split-{codec}");
        split(&cluster, &topic, codec);
        cluster.admin().delete_topic(&topic);
    }
}

fn split(cluster: &KafkaCluster, topic: &str, codec: &str) {
    const RECORDS: u64 = 5_000;
    let limit = MAX_MESSAGE_BYTES.to_string();
    let new = NewTopic::new(topic, 2).config("max.message.bytes", &limit);
    cluster.admin().create_topics(&[new]);
    let producer = builder(cluster).set("compression.type", codec).unwrap();
    let producer = producer.build().unwrap();
    let send = |number: u64| {
        let record = ProducerRecord::new(topic, noise(number));
        producer
            .send(record.partition((number % 2) as i32))
            .unwrap()
    };
    let futures: Vec<_> = (0..RECORDS).map(send).collect();
    let huge = "x".repeat(2 * MAX_MESSAGE_BYTES);
    // It is alone in its batch, and a codec would make it small.
    let is_too_large = codec == "none";
    if is_too_large {
        producer.flush().unwrap();
        let record = ProducerRecord::new(topic, huge).partition(0);
        let error = producer.send(record).unwrap().get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RecordTooLarge, "{error}");
        assert_eq!(error.code(), Some(ErrorCode::MESSAGE_TOO_LARGE));
        assert_eq!(error.delivery(), Delivery::NotWritten);
    }
    for (number, future) in (0..RECORDS).zip(&futures) {
        assert_eq!(future.get().unwrap().offset(), (number / 2) as i64);
    }
    producer.close(SOON).unwrap();

    let mut next = [0, 1];
    ConsoleConsumer::new(cluster.bootstrap_servers(), topic).read_each(RECORDS, |record| {
        let next = &mut next[record.partition as usize];
        assert_eq!(record.value, Some(noise(*next).into_bytes()));
        *next += 2;
    });
    assert_eq!(next, [RECORDS, RECORDS + 1]);
    let dump = dump_log(&cluster.segments(1, topic));
    assert_eq!((dump.records, dump.anomalies), (RECORDS, Vec::new()));
    let sizes: Vec<_> = dump.batches.iter().map(|batch| batch.size).collect();
    assert!(
        sizes.iter().all(|&size| size <= MAX_MESSAGE_BYTES),
        "{sizes:?}"
    );
    eprintln!("{topic}: {} batches", sizes.len());
}

#[test]
fn a_record_waits_for_enough_replicas_as_long_as_it_may() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let admin = cluster.admin();
    let topic = NewTopic::new("all-three", 1).config("min.insync.replicas", "3");
    admin.create_topics(&[topic]);
    admin.reassign("all-three", &[(0, vec![1, 2, FOLLOWER])]);
    cluster.kill(FOLLOWER);
    await_isr(admin, "all-three", 2);

    let patient = builder(&cluster).build().unwrap();
    let record = ProducerRecord::new("all-three", "in time");
    let in_time = patient.send(record).unwrap();
    let impatient = builder(&cluster)
        .linger(Duration::ZERO)
        .request_timeout(Duration::from_secs(2))
        .delivery_timeout(Duration::from_secs(4))
        .build()
        .unwrap();
    // One in some hundreds is in flight again when its time is over, and may be written.
    let is_told = (0..3).any(|_| {
        let late = impatient.send(ProducerRecord::new("all-three", "late"));
        let error = late.unwrap().get().unwrap_err();
        assert!(is_of_replicas_or_time(&error), "{error:?}");
        error.delivery() == Delivery::NotWritten
    });
    assert!(is_told, "refused three times, and yet in doubt");
    assert!(!in_time.is_done());

    cluster.restart(FOLLOWER);
    assert_eq!(in_time.get().unwrap().offset(), 0);
    impatient.close(SOON).unwrap();
    patient.close(SOON).unwrap();
    admin.await_in_sync("all-three");
    assert_eq!(admin.end_offsets("all-three"), [1]);
    admin.delete_topic("all-three");
}

/// Java: the last refusal, or the expiry of a batch in its backoff.
fn is_of_replicas_or_time(error: &Error) -> bool {
    error.code() == Some(ErrorCode::NOT_ENOUGH_REPLICAS)
        || error
            .timeout()
            .is_some_and(|timeout| timeout.config == Some("delivery.timeout.ms"))
}

fn await_isr(admin: &Admin, topic: &str, count: usize) {
    wait_until("smaller set of replicas in sync", SOON, || {
        let states = admin.partitions(topic);
        states
            .iter()
            .all(|state| state.isr.len() == count)
            .then_some(())
    });
}
