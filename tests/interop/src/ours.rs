//! Our producer in the scenarios, and against librdkafka's choice of partitions.

use std::collections::BTreeMap;

use kafka_producer::{Delivery, KafkaProducer, ProducerRecord};

use crate::brokers::{Brokers, TOPIC};
use crate::history::{History, Outcome, Payload};
use crate::librdkafka::Librdkafka;
use crate::scenarios::{Done, Subject};

struct Ours(KafkaProducer);

impl Subject for Ours {
    fn start(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Self {
        let mut builder = KafkaProducer::builder().bootstrap_servers(bootstrap_servers);
        for (key, value) in properties {
            builder = builder.set(key, value).expect("Java has that key");
        }
        Self(builder.build().expect("the settings agree"))
    }

    fn send(&self, payload: &Payload, done: Done) {
        let mut record = ProducerRecord::new(TOPIC, &payload.value);
        if let Some(key) = &payload.key {
            record = record.key(key);
        }
        let sent = self.0.send_with_callback(record, |result| {
            done(match result {
                Ok(metadata) => Outcome::Acked {
                    partition: metadata.partition(),
                    offset: metadata.has_offset().then(|| metadata.offset()),
                },
                Err(error) if error.delivery() == Delivery::NotWritten => Outcome::NotWritten,
                Err(_) => Outcome::MaybeWritten,
            });
        });
        sent.expect("the record can be sent");
    }

    fn flush(&self) {
        self.0.flush().expect("this is no callback");
    }
}

crate::scenarios::scenarios!(Ours);

/// librdkafka's `murmur2_random` is made to agree with Java's partitioner on keys.
#[test]
fn keys_go_where_librdkafkas_murmur2_sends_them() {
    let theirs = partitions_of_keys::<Librdkafka>(&[("partitioner", "murmur2_random")]);
    let ours = partitions_of_keys::<Ours>(&[]);
    assert_eq!(ours.len(), 1_000);
    assert_eq!(ours, theirs);
}

fn partitions_of_keys<S: Subject>(properties: &[(&str, &str)]) -> BTreeMap<Vec<u8>, i32> {
    let brokers = Brokers::start();
    let history = History::new(0, 1);
    let producer = S::start(&brokers.bootstrap_servers(), properties);
    for number in 0..1_000 {
        let payload = history.invoke(0, Some(&format!("key {number}")), 0);
        producer.send(&payload, Box::new(|_| ()));
    }
    producer.flush();
    let mut partitions = BTreeMap::new();
    brokers.read_each(|record| {
        let key = record.key.expect("every record has a key").to_vec();
        partitions.insert(key, record.partition);
    });
    partitions
}
