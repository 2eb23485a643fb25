//! Records of every form come back from Kafka as they were sent, at the place that was said.

use std::time::Duration;

use kafka_producer::{KafkaProducer, ProducerRecord};

use crate::harness::{ConsoleConsumer, KafkaCluster};
use crate::kafka_or_skip;

#[test]
fn one_record_with_default_settings() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start(1);
    cluster.admin().create_topic("orders", 1);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(&cluster.bootstrap_servers())
        .build()
        .unwrap();
    let metadata = producer
        .send(ProducerRecord::new("orders", "value").key("k"))
        .unwrap()
        .get()
        .unwrap();
    assert_eq!(
        (metadata.topic(), metadata.partition(), metadata.offset()),
        ("orders", 0, 0)
    );
    producer.close(Duration::from_secs(10)).unwrap();
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "orders").read(1);
    assert_eq!(read[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(read[0].value.as_deref(), Some(&b"value"[..]));
}
