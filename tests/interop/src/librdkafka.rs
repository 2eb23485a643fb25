//! librdkafka's own producer in the scenarios: the control.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::brokers::TOPIC;
use crate::history::Outcome;
use crate::load::{Done, Record, Subject};

const FLUSH_LIMIT: Duration = Duration::from_secs(60);

struct Callbacks;

impl ClientContext for Callbacks {}

impl ProducerContext for Callbacks {
    /// It asks for `Sync`, which a mutex makes of anything.
    type DeliveryOpaque = Box<Mutex<Done>>;

    fn delivery(&self, result: &DeliveryResult<'_>, done: Box<Mutex<Done>>) {
        let done = done.into_inner().expect("nothing panics while it is held");
        done(match result {
            Ok(message) => Outcome::Acked {
                partition: message.partition(),
                // With `acks=0` nobody tells it.
                offset: Some(message.offset()).filter(|&offset| offset >= 0),
            },
            // It knows more, but its Rust interface does not say.
            Err(_) => Outcome::MaybeWritten,
        });
    }
}

/// Its thread alone polls: where several do, they call back out of order.
pub(crate) struct Librdkafka(ThreadedProducer<Callbacks>);

impl Subject for Librdkafka {
    fn start(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_servers);
        for (key, value) in properties {
            config.set(*key, *value);
        }
        Self(
            config
                .create_with_context(Callbacks)
                .expect("the settings exist"),
        )
    }

    fn send(&self, record: Record<'_>, done: Done) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers {
            let value = value.as_ref();
            headers = headers.insert(Header { key, value });
        }
        let mut record = BaseRecord {
            topic: TOPIC,
            partition: record.partition,
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp,
            headers: Some(headers),
            delivery_opaque: Box::new(Mutex::new(done)),
        };
        while let Err((error, back)) = self.0.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full);
            thread::sleep(Duration::from_millis(1));
            record = back;
        }
    }

    fn flush(&self) {
        let deadline = Instant::now() + FLUSH_LIMIT;
        while self.0.in_flight_count() > 0 {
            assert!(
                Instant::now() < deadline,
                "records are not done within {FLUSH_LIMIT:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

crate::scenarios::scenarios!(Librdkafka);
