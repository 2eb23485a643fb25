//! krafka. It has no callbacks: where others count, its delivery handles are dropped, and an open loop has a task for each.
//! Values are shared with it, not copied.

use std::time::Duration;

use bytes::Bytes;
use krafka::producer::{Acks, DeliveryHandle, Producer, Record as Message};
use krafka::{Compression, Kafka};

use super::latencies::Due;
use super::tokio_clients::Tokio;
use super::workload::{DELIVERIES, Options, Record};
use super::{Client, Work};
use crate::Failure;

pub(super) struct Krafka {
    producer: Producer,
    topics: Vec<&'static str>,
    tokio: Tokio,
}

impl Client for Krafka {
    type Delivery = Option<DeliveryHandle>;

    fn connect(options: &Options) -> Result<Self, Failure> {
        let tokio = Tokio::start()?;
        let kafka = tokio.block_on(Kafka::builder(&*options.servers).connect())?;
        let mut builder = kafka
            .producer()
            .acks(Acks::All)
            .idempotent(true)
            .compression(match options.codec {
                "gzip" => Compression::Gzip,
                "snappy" => Compression::Snappy,
                "lz4" => Compression::Lz4,
                "zstd" => Compression::Zstd,
                _ => Compression::None,
            });
        if let Some(linger_ms) = options.linger_ms {
            builder = builder.linger(Duration::from_millis(linger_ms));
        }
        if let Some(batch_size) = options.batch_size {
            builder = builder.batch_size(usize::try_from(batch_size)?);
        }
        if let Some(buffer_memory) = options.buffer_memory {
            builder = builder.buffer_memory(usize::try_from(buffer_memory)?);
        }
        Ok(Self {
            producer: tokio.block_on(builder.build())?,
            topics: options.topics.clone(),
            tokio,
        })
    }

    fn on_thread(&self, work: impl FnOnce() -> Work) -> Work {
        self.tokio.entered(work)
    }

    fn send(&self, record: Record) {
        if self.send_for_delivery(record).is_none() {
            DELIVERIES.count(false);
        }
    }

    fn send_due(&self, record: Record, due: Due) {
        match self.send_for_delivery(record) {
            Some(delivery) => self
                .tokio
                .spawn(async move { due.end(delivery.await.is_ok()) }),
            None => due.end(false),
        }
    }

    fn send_for_delivery(&self, record: Record) -> Self::Delivery {
        let topic = self.topics[record.topic];
        let mut message = Message::new(topic, Bytes::from_static(record.value));
        if let Some(key) = record.key {
            message = message.key(Bytes::from_static(key));
        }
        self.tokio.wait(self.producer.enqueue(message)).ok()
    }

    fn wait(&self, delivery: Self::Delivery) -> bool {
        delivery.is_some_and(|delivery| self.tokio.wait(delivery).is_ok())
    }

    fn flush(&self) {
        if let Err(error) = self.tokio.block_on(self.producer.flush()) {
            eprintln!("krafka: flush: {error}");
        }
    }
}
