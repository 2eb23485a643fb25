//! Our producer in the scenarios, and its partitions compared with librdkafka's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_producer::common::Headers;
use kafka_producer::{Delivery, KafkaProducer, ProducerRecord};
use rdkafka::message::Message;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::brokers::{Brokers, TOPIC};
use crate::history::Outcome;
use crate::librdkafka::Librdkafka;
use crate::load::{Done, Load, Record, Subject};

struct Ours(KafkaProducer);

impl Subject for Ours {
    fn start(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Self {
        let mut builder = KafkaProducer::builder().bootstrap_servers(bootstrap_servers);
        for (key, value) in properties {
            builder = builder.set(key, value).expect("Java has that key");
        }
        Self(builder.build().expect("the settings agree"))
    }

    fn send(&self, record: Record<'_>, done: Done) {
        let mut headers = Headers::new();
        for (key, value) in record.headers {
            match value {
                Some(value) => headers.add(key, &value[..]),
                None => headers.add_null(key),
            };
        }
        let record = ProducerRecord::new(TOPIC, record.value)
            .key(record.key)
            .headers(headers)
            .partition(record.partition)
            .timestamp(record.timestamp);
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

/// librdkafka's `murmur2_random` agrees with Java's partitioner on keys.
#[test]
fn keys_go_where_librdkafkas_murmur2_sends_them() {
    let theirs = partitions_of_keys::<Librdkafka>(&[("partitioner", "murmur2_random")]);
    let ours = partitions_of_keys::<Ours>(&[]);
    assert_eq!(ours.len(), 1_000);
    assert_eq!(ours, theirs);
}

fn partitions_of_keys<S: Subject>(properties: &[(&str, &str)]) -> BTreeMap<Vec<u8>, i32> {
    let brokers = Brokers::start();
    let producer = S::start(&brokers.bootstrap_servers(), properties);
    for number in 0..1_000 {
        let key = format!("key {number}");
        let record = Record {
            key: Some(key.as_bytes()),
            ..Record::default()
        };
        producer.send(record, Box::new(|_| ()));
    }
    producer.flush();
    let mut partitions = BTreeMap::new();
    brokers.read_each(|message| {
        let key = message.key().expect("every record has a key").to_vec();
        partitions.insert(key, message.partition());
    });
    partitions
}

/// The lowest and highest level of each codec. The scenarios use the defaults.
#[test]
fn every_level_of_compression_can_be_read() {
    for (codec, key, level) in [
        ("gzip", "compression.gzip.level", "1"),
        ("gzip", "compression.gzip.level", "9"),
        ("zstd", "compression.zstd.level", "-131072"),
        ("zstd", "compression.zstd.level", "22"),
    ] {
        let brokers = Brokers::start();
        // One batch: the highest level of zstd takes half a gigabyte and as many milliseconds.
        let properties = [
            ("compression.type", codec),
            (key, level),
            ("linger.ms", "5000"),
        ];
        let producer = Ours::start(&brokers.bootstrap_servers(), &properties);
        let value = b"value".repeat(20);
        let record = Record {
            partition: Some(0),
            value: Some(&value),
            ..Record::default()
        };
        for _ in 0..100 {
            producer.send(record, Box::new(|_| ()));
        }
        producer.flush();
        let read = brokers.read_shapes();
        assert_eq!(read.len(), 100);
        assert!(read.iter().all(|read| read.value.as_ref() == Some(&value)));
    }
}

/// Brokers of all versions that the mock brokers support: from Kafka 2.1 to 3.7.
#[test]
fn every_version_of_each_request_is_understood() {
    for (api, versions) in [
        // The mock brokers leave the log start offset out of version 5, which otherwise equals
        // version 6.
        (RDKafkaApiKey::Produce, 3..=4),
        (RDKafkaApiKey::Produce, 6..=10),
        (RDKafkaApiKey::Metadata, 4..=12),
        (RDKafkaApiKey::InitProducerId, 0..=4),
        (RDKafkaApiKey::ApiVersion, 0..=2),
    ] {
        for version in versions {
            let brokers = Brokers::start();
            let set = brokers.cluster.apiversion(api, Some(0), Some(version));
            set.expect("it knows the version");
            deliver(&brokers, &Load::keyed(&[], 25));
        }
    }
}

/// A connection that breaks while it is being opened is opened again.
#[test]
fn connections_that_break_at_once_are_opened_again() {
    let brokers = Brokers::start();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
    ];
    brokers
        .cluster
        .request_errors(RDKafkaApiKey::ApiVersion, &errors);
    deliver(&brokers, &Load::keyed(&[], 250));
}

/// Sends everything, and checks that all of it arrived.
fn deliver(brokers: &Brokers, load: &Load<'_>) {
    let verdict = brokers.judge(load.send::<Ours>(&brokers.bootstrap_servers(), |_| ()));
    verdict.assert_clean();
    let sent = verdict.sent;
    assert_eq!((verdict.acked, verdict.read), (sent, sent), "{verdict}");
}

/// An error in a topic's metadata is waited out for at most `max.block.ms`, with new requests
/// meanwhile.
#[test]
fn a_topic_is_sent_to_once_its_error_is_over() {
    let brokers = Brokers::start();
    let set_error = |error| {
        let set = brokers.cluster.topic_error(TOPIC, error);
        set.expect("the topic exists");
    };
    set_error(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    let producer = Ours::start(&brokers.bootstrap_servers(), &[("max.block.ms", "50")]).0;
    let send = || producer.send(ProducerRecord::new(TOPIC, "value"))?.get();

    let error = send().expect_err("the topic has an error");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.delivery(), Delivery::NotWritten, "{error}");

    set_error(RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = send() {
        assert!(error.is_timeout(), "{error}");
        assert!(Instant::now() < deadline, "the topic is well: {error}");
    }
    let mut read = 0;
    brokers.read_each(|_| read += 1);
    assert_eq!(read, 1);
}
