//! Records of every form come back from Kafka as they were sent, at the reported offset.

use std::time::Duration;

use kafka_producer::common::Headers;
use kafka_producer::{Acks, KafkaProducer, ProducerRecord};

use crate::harness::{ConsoleConsumer, KafkaCluster, Lease, NewTopic, wait_until};
use crate::kafka_or_skip;

const SOON: Duration = Duration::from_secs(60);

fn producer(cluster: &KafkaCluster) -> KafkaProducer {
    let builder = KafkaProducer::builder();
    builder
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()
        .unwrap()
}

fn cluster_with(topic: NewTopic<'_>) -> Lease {
    let cluster = KafkaCluster::lease();
    cluster.admin().create_topics(&[topic]);
    cluster
}

#[test]
fn one_record_is_delivered_with_default_settings() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start(1);
    cluster.admin().create_topic("orders", 1);
    let producer = producer(&cluster);
    let metadata = producer
        .send(ProducerRecord::new("orders", "value").key("k"))
        .unwrap()
        .get()
        .unwrap();
    assert_eq!(metadata.to_string(), "orders-0@0");
    producer.close(SOON).unwrap();
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "orders").read(1);
    assert_eq!(read[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(read[0].value.as_deref(), Some(&b"value"[..]));
}

#[test]
fn nulls_headers_and_timestamps_are_kept() {
    let _turn = kafka_or_skip!();
    const TIME: i64 = 1_700_000_000_123;
    let cluster = cluster_with(NewTopic::new("forms", 3));
    let producer = producer(&cluster);
    let mut headers = Headers::new();
    headers
        .add("trace", "one")
        .add_null("nothing")
        .add("trace", "two")
        .add("empty", "");
    let records = [
        ProducerRecord::new("forms", "all")
            .key("k")
            .headers(headers),
        ProducerRecord::new("forms", "no key"),
        ProducerRecord::tombstone("forms").key("no value"),
        ProducerRecord::tombstone("forms"),
        ProducerRecord::new("forms", "").key(""),
    ];
    let mut acked = Vec::new();
    for record in &records {
        let record = record.reborrow().partition(2).timestamp(TIME);
        acked.push(producer.send(record).unwrap().get().unwrap());
    }
    producer.close(SOON).unwrap();

    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "forms").read(5);
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    let forms: Vec<_> = read
        .iter()
        .map(|record| (record.key.clone(), record.value.clone()))
        .collect();
    assert_eq!(
        forms,
        [
            (bytes("k"), bytes("all")),
            (None, bytes("no key")),
            (bytes("no value"), None),
            (None, None),
            (bytes(""), bytes("")),
        ]
    );
    let named = |key: &str, value| (key.to_owned(), value);
    assert_eq!(
        read[0].headers,
        [
            named("trace", bytes("one")),
            named("nothing", None),
            named("trace", bytes("two")),
            named("empty", bytes("")),
        ]
    );
    for (read, acked) in read.iter().zip(&acked) {
        assert_eq!((read.partition, read.offset), (2, acked.offset()));
        assert_eq!(read.timestamp, Some(("CreateTime".to_owned(), TIME)));
        assert_eq!(acked.timestamp(), Some(TIME));
    }
    assert_eq!(acked[0].serialized_key_size(), Some(1));
    assert_eq!(acked[3].serialized_value_size(), None);
    cluster.admin().delete_topic("forms");
}

#[test]
fn the_broker_sets_the_time_where_the_topic_says_so() {
    let _turn = kafka_or_skip!();
    let topic = NewTopic::new("log-append", 1);
    let cluster = cluster_with(topic.config("message.timestamp.type", "LogAppendTime"));
    let producer = producer(&cluster);
    let record = ProducerRecord::new("log-append", "value").timestamp(1);
    let metadata = producer.send(record).unwrap().get().unwrap();
    producer.close(SOON).unwrap();
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "log-append").read(1);
    let (kind, time) = read[0].timestamp.clone().unwrap();
    assert_eq!(kind, "LogAppendTime");
    assert_eq!(metadata.timestamp(), Some(time));
    assert!(time > 1_700_000_000_000, "{time}");
    cluster.admin().delete_topic("log-append");
}

#[test]
fn acks_0_and_1_are_what_they_say() {
    let _turn = kafka_or_skip!();
    let cluster = cluster_with(NewTopic::new("acks", 1));
    for (first, acks) in [(0, Acks::None), (500, Acks::Leader)] {
        let producer = KafkaProducer::builder()
            .bootstrap_servers(cluster.bootstrap_servers())
            .acks(acks)
            .build()
            .unwrap();
        let send = |number: i64| producer.send(ProducerRecord::new("acks", number.to_string()));
        let futures: Vec<_> = (first..first + 500).map(|i| send(i).unwrap()).collect();
        // Without a response the offset is unknown.
        let is_told = acks == Acks::Leader;
        for (number, future) in (first..).zip(&futures) {
            let metadata = future.get().unwrap();
            assert_eq!(metadata.has_offset(), is_told);
            assert_eq!(metadata.offset(), if is_told { number } else { -1 });
        }
        producer.close(SOON).unwrap();
        // A record without a response may be written later than those of another connection.
        wait_until("records of this producer", SOON, || {
            (cluster.admin().end_offsets("acks") == [first + 500]).then_some(())
        });
    }
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "acks").read(1_000);
    let values: Vec<_> = read
        .into_iter()
        .map(|record| record.value.unwrap())
        .collect();
    let sent: Vec<_> = (0..1_000).map(|i| i.to_string().into_bytes()).collect();
    assert_eq!(values, sent);
    cluster.admin().delete_topic("acks");
}
