//! kafka-producer.

use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord, RecordFuture};

use super::Client;
use super::latencies::Due;
use super::workload::{DELIVERIES, Options, Record};
use crate::Failure;

pub(super) struct Ours {
    producer: KafkaProducer,
    topics: Vec<&'static str>,
}

/// The same with `buffer.memory.allocation.strategy=incremental`.
pub(super) struct Incremental(Ours);

impl Ours {
    fn open(options: &Options, strategy: &str) -> Result<Self, Failure> {
        let mut config = ProducerConfig::new();
        config.set("bootstrap.servers", &options.servers)?;
        config.set("acks", "all")?;
        config.set("enable.idempotence", "true")?;
        config.set("compression.type", options.codec)?;
        config.set("buffer.memory.allocation.strategy", strategy)?;
        if let Some(authority) = &options.tls_authority {
            config.set("security.protocol", "SSL")?;
            config.set("ssl.truststore.type", "PEM")?;
            config.set("ssl.truststore.location", authority)?;
        }
        for (key, value) in options.java_settings() {
            config.set(&key, &value)?;
        }
        Ok(Self {
            producer: KafkaProducer::new(config)?,
            topics: options.topics.clone(),
        })
    }

    fn record(&self, record: Record) -> ProducerRecord<'static> {
        let topic = self.topics[record.topic];
        let message = ProducerRecord::new(topic, record.value);
        match record.key {
            Some(key) => message.key(key),
            None => message,
        }
    }
}

impl Client for Ours {
    type Delivery = Option<RecordFuture>;

    fn connect(options: &Options) -> Result<Self, Failure> {
        Self::open(options, "full")
    }

    fn send(&self, record: Record) {
        let sent = self
            .producer
            .send_with_callback(self.record(record), |result| {
                DELIVERIES.count(result.is_ok());
            });
        if sent.is_err() {
            DELIVERIES.count(false);
        }
    }

    fn send_due(&self, record: Record, due: Due) {
        let sent = self
            .producer
            .send_with_callback(self.record(record), move |result| due.end(result.is_ok()));
        if sent.is_err() {
            due.end(false);
        }
    }

    fn send_for_delivery(&self, record: Record) -> Self::Delivery {
        self.producer.send(self.record(record)).ok()
    }

    fn wait(&self, delivery: Self::Delivery) -> bool {
        delivery.is_some_and(|delivery| delivery.get().is_ok())
    }

    fn flush(&self) {
        if let Err(error) = self.producer.flush() {
            eprintln!("ours: flush: {error}");
        }
    }
}

impl Client for Incremental {
    type Delivery = Option<RecordFuture>;

    fn connect(options: &Options) -> Result<Self, Failure> {
        Ours::open(options, "incremental").map(Self)
    }

    fn send(&self, record: Record) {
        self.0.send(record);
    }

    fn send_due(&self, record: Record, due: Due) {
        self.0.send_due(record, due);
    }

    fn send_for_delivery(&self, record: Record) -> Self::Delivery {
        self.0.send_for_delivery(record)
    }

    fn wait(&self, delivery: Self::Delivery) -> bool {
        self.0.wait(delivery)
    }

    fn flush(&self) {
        self.0.flush();
    }
}
