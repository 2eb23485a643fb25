//! confluent-kafka.

use std::collections::HashMap;

use confluent_kafka::common::serialization::ByteArraySerializer;
use confluent_kafka::common::{Error, KafkaFuture};
use confluent_kafka::producer::{
    Callback, KafkaProducer, Producer, ProducerConfig, ProducerRecord, RecordMetadata, callback,
};

use super::latencies::Due;
use super::tokio_clients::Tokio;
use super::workload::{DELIVERIES, Options, Record};
use super::{Client, Work};
use crate::Failure;

pub(super) struct Confluent {
    producer: KafkaProducer<Vec<u8>, Vec<u8>>,
    topics: Vec<&'static str>,
    tokio: Tokio,
}

impl Confluent {
    /// Through the send of borrowed bytes, its fastest way.
    fn enqueue(
        &self,
        record: Record,
        callback: Option<Box<dyn Callback>>,
    ) -> Result<KafkaFuture<RecordMetadata>, Error> {
        let topic = self.topics[record.topic].to_owned();
        let message = match record.key {
            Some(key) => ProducerRecord::with_key(topic, Some(key), Some(record.value)),
            None => ProducerRecord::new(topic, Some(record.value)),
        };
        self.tokio.wait(self.producer.send(message, callback))
    }
}

impl Client for Confluent {
    type Delivery = Option<KafkaFuture<RecordMetadata>>;

    fn connect(options: &Options) -> Result<Self, Failure> {
        let tokio = Tokio::start()?;
        let mut settings = HashMap::from([
            ("bootstrap.servers".to_owned(), options.servers.clone()),
            ("acks".to_owned(), "all".to_owned()),
            ("enable.idempotence".to_owned(), "true".to_owned()),
            ("compression.type".to_owned(), options.codec.to_owned()),
            (
                "partitioner.type".to_owned(),
                "Murmur2RandomPartitioner".to_owned(),
            ),
        ]);
        settings.extend(options.java_settings());
        if options.keys.is_empty() {
            settings.remove("partitioner.type");
        }
        let mut producer = None;
        let mut failure = None;
        tokio.entered(|| {
            let connected = ProducerConfig::new(&settings)
                .map_err(|error| error.to_string())
                .and_then(|config| {
                    let (keys, values) = (
                        ByteArraySerializer::default(),
                        ByteArraySerializer::default(),
                    );
                    KafkaProducer::new(config, keys, values).map_err(|error| error.to_string())
                });
            match connected {
                Ok(connected) => producer = Some(connected),
                Err(error) => failure = Some(error),
            }
            Work::default()
        });
        Ok(Self {
            producer: producer.ok_or_else(|| failure.unwrap_or_default())?,
            topics: options.topics.clone(),
            tokio,
        })
    }

    fn on_thread(&self, work: impl FnOnce() -> Work) -> Work {
        self.tokio.entered(work)
    }

    fn send(&self, record: Record) {
        let counted = callback::new(|_: Option<&RecordMetadata>, error: Option<&Error>| {
            DELIVERIES.count(error.is_none());
        });
        if self.enqueue(record, Some(Box::new(counted))).is_err() {
            DELIVERIES.count(false);
        }
    }

    fn send_due(&self, record: Record, due: Due) {
        let ended = callback::new(move |_: Option<&RecordMetadata>, error: Option<&Error>| {
            due.end(error.is_none());
        });
        if self.enqueue(record, Some(Box::new(ended))).is_err() {
            due.end(false);
        }
    }

    fn send_for_delivery(&self, record: Record) -> Self::Delivery {
        self.enqueue(record, None).ok()
    }

    fn wait(&self, delivery: Self::Delivery) -> bool {
        delivery.is_some_and(|delivery| self.tokio.wait(delivery.get()).is_ok())
    }

    fn flush(&self) {
        if let Err(error) = self.tokio.block_on(Producer::flush(&self.producer)) {
            eprintln!("confluent-kafka: flush: {error}");
        }
    }
}
