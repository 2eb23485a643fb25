//! Bad input of every kind. Each has its own kind of error, whose text and causes say what was
//! wrong, where, and what limits it or helps. Nothing else is affected.

#![allow(clippy::disallowed_methods, reason = "tests may read the clock")]

mod brokers;
mod closed;
mod config;
pub(crate) mod peer;
mod records;
mod topics;

use std::time::Duration;

use kafka_producer::testing::FakeBroker;
use kafka_producer::{Error, KafkaProducer, KafkaProducerBuilder, ProducerRecord, RecordMetadata};

use crate::support::chain::chain;

/// Long enough for a busy machine. No test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a send that must fail waits, and the first metadata may take. Texts have it as 2000 ms.
const MAX_BLOCK: Duration = Duration::from_secs(2);

/// A producer that waits only briefly.
fn impatient(servers: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(servers)
        .max_block(MAX_BLOCK)
        .reconnect_backoff(Duration::from_millis(5))
        .reconnect_backoff_max(Duration::from_millis(20))
        .retry_backoff(Duration::from_millis(5))
        .retry_backoff_max(Duration::from_millis(20))
}

fn producer_for(broker: &FakeBroker) -> KafkaProducer {
    impatient(&broker.bootstrap_servers()).build().unwrap()
}

/// Sends one record and returns its result, from `send` or from the future.
fn deliver(producer: &KafkaProducer, record: ProducerRecord<'_>) -> Result<RecordMetadata, Error> {
    producer.send(record)?.get_timeout(PATIENCE)
}

/// Returns the only cause of an error.
fn cause(error: &Error) -> String {
    let texts = chain(error);
    assert_eq!(texts.len(), 2, "{texts:?}");
    texts[1].clone()
}

/// Checks that the producer works: a record to `topic` is delivered.
fn assert_works(producer: &KafkaProducer, broker: &FakeBroker, topic: &str) {
    let before = broker.record_count(topic);
    deliver(producer, ProducerRecord::new(topic, "all is well")).unwrap();
    assert_eq!(broker.record_count(topic), before + 1);
}
