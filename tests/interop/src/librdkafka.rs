//! librdkafka's own producer in the scenarios, as a control.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::brokers::TOPIC;
use crate::history::Outcome;
use crate::load::{Done, Record, Subject};

const FLUSH_LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Callbacks {
    /// The number of records without a result.
    pending: Mutex<usize>,
    all_done: Condvar,
}

impl ClientContext for Callbacks {}

impl ProducerContext for Callbacks {
    /// The type must be `Sync`, which a mutex makes of any type.
    type DeliveryOpaque = Box<Mutex<Done>>;

    fn delivery(&self, result: &DeliveryResult<'_>, done: Box<Mutex<Done>>) {
        let done = done.into_inner().expect("nobody panics with it");
        done(match result {
            Ok(message) => Outcome::Acked {
                partition: message.partition(),
                // With `acks=0` it does not learn the offset.
                offset: Some(message.offset()).filter(|&offset| offset >= 0),
            },
            // librdkafka knows more, but its Rust interface does not expose it.
            Err(_) => Outcome::MaybeWritten,
        });
        let mut pending = self.pending.lock().expect("nobody panics with it");
        *pending -= 1;
        if *pending == 0 {
            self.all_done.notify_all();
        }
    }
}

/// Only its own thread polls: with several, callbacks run out of order.
pub(crate) struct Librdkafka(ThreadedProducer<Callbacks>);

impl Subject for Librdkafka {
    fn start(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_servers);
        // Otherwise it may learn only after minutes of a leader that moves while it requests
        // metadata for an earlier move.
        config.set("topic.metadata.refresh.interval.ms", "1000");
        for (key, value) in properties {
            config.set(*key, *value);
        }
        Self(
            config
                .create_with_context(Callbacks::default())
                .expect("the settings exist"),
        )
    }

    fn send(&self, record: Record<'_>, done: Done) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers {
            let value = value.as_ref();
            headers = headers.insert(Header { key, value });
        }
        let record = BaseRecord {
            topic: TOPIC,
            partition: record.partition,
            payload: record.value,
            key: record.key,
            timestamp: record.timestamp,
            headers: Some(headers),
            delivery_opaque: Box::new(Mutex::new(done)),
        };
        let callbacks = self.0.context();
        *callbacks.pending.lock().expect("nobody panics with it") += 1;
        let sent = self.0.send(record);
        // Its queue holds 100,000 records.
        sent.map_err(|(error, _)| error).expect("it has room");
    }

    /// The crate's own `flush` polls too.
    fn flush(&self) {
        let callbacks = self.0.context();
        let pending = callbacks.pending.lock().expect("nobody panics with it");
        let waited = callbacks
            .all_done
            .wait_timeout_while(pending, FLUSH_LIMIT, |pending| *pending > 0);
        let left = *waited.expect("nobody panics with it").0;
        assert_eq!(left, 0, "records are not done within {FLUSH_LIMIT:?}");
    }
}

crate::scenarios::scenarios!(Librdkafka);
