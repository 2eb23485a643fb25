//! kacrab. Values are shared with it, not copied.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kacrab::producer::{Producer, ProducerError, ProducerRecord, SendFuture};

use super::latencies::Due;
use super::tokio_clients::Tokio;
use super::workload::{DELIVERIES, Options, Record};
use super::{Client, Work};
use crate::Failure;

/// How long to wait where it reports a full buffer.
const PAUSE: Duration = Duration::from_micros(500);

pub(super) struct Kacrab {
    producer: Producer,
    topics: Vec<Arc<str>>,
    tokio: Tokio,
}

impl Kacrab {
    fn record(&self, record: Record) -> ProducerRecord {
        let topic = Arc::clone(&self.topics[record.topic]);
        let message = ProducerRecord::unassigned(topic).value(Bytes::from_static(record.value));
        match record.key {
            Some(key) => message.key(Bytes::from_static(key)),
            None => message,
        }
    }
}

impl Client for Kacrab {
    type Delivery = Option<SendFuture>;

    fn connect(options: &Options) -> Result<Self, Failure> {
        let tokio = Tokio::start()?;
        let mut builder = Producer::builder()
            .set("bootstrap.servers", &*options.servers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", options.codec);
        for (key, value) in options.java_settings() {
            builder = builder.set(&*key, &*value);
        }
        Ok(Self {
            producer: tokio.block_on(builder.build())?,
            topics: options
                .topics
                .iter()
                .map(|topic| Arc::from(*topic))
                .collect(),
            tokio,
        })
    }

    fn on_thread(&self, work: impl FnOnce() -> Work) -> Work {
        self.tokio.entered(work)
    }

    fn send(&self, record: Record) {
        loop {
            let sent = self
                .producer
                .send_with_callback(self.record(record), |result| {
                    DELIVERIES.count(result.is_ok());
                });
            match sent {
                Ok(_) => return,
                Err(ProducerError::Backpressure) => thread::sleep(PAUSE),
                Err(_) => return DELIVERIES.count(false),
            }
        }
    }

    fn send_due(&self, record: Record, due: Due) {
        loop {
            let sent = self
                .producer
                .send_with_callback(self.record(record), move |result| due.end(result.is_ok()));
            match sent {
                Ok(_) => return,
                Err(ProducerError::Backpressure) => thread::sleep(PAUSE),
                Err(_) => return due.end(false),
            }
        }
    }

    fn send_for_delivery(&self, record: Record) -> Self::Delivery {
        loop {
            match self.producer.send(self.record(record)) {
                Ok(delivery) => return Some(delivery),
                Err(ProducerError::Backpressure) => thread::sleep(PAUSE),
                Err(_) => return None,
            }
        }
    }

    fn wait(&self, delivery: Self::Delivery) -> bool {
        delivery.is_some_and(|delivery| self.tokio.wait(delivery).is_ok())
    }

    fn flush(&self) {
        if let Err(error) = self.tokio.block_on(self.producer.flush()) {
            eprintln!("kacrab: flush: {error}");
        }
    }
}
