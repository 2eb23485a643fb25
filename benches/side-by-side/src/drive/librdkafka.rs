//! librdkafka, through rdkafka.
//!
//! It has no send that waits while the queue is full: the driver tries again after half a millisecond.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{
    BaseRecord, FutureProducer, FutureRecord, Producer, ProducerContext, ThreadedProducer,
};

use super::Client;
use super::latencies::Due;
use super::workload::{DELIVERIES, Options, Record};
use crate::Failure;

const QUEUE_FULL: KafkaError = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
const PAUSE: Duration = Duration::from_micros(500);
/// Set in the opaque of a record with a due time.
const DUE: usize = 1 << (usize::BITS - 1);
const FLUSH_LIMIT: Duration = Duration::from_secs(120);

fn config(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("compression.type", options.codec);
    if let Some(authority) = &options.tls_authority {
        config.set("security.protocol", "ssl");
        config.set("ssl.ca.location", authority);
    }
    if let Some(linger_ms) = options.linger_ms {
        config.set("linger.ms", linger_ms.to_string());
    }
    if let Some(batch_size) = options.batch_size {
        config.set("batch.size", batch_size.to_string());
        config.set("batch.num.messages", "1000000");
    }
    if let Some(buffer_memory) = options.buffer_memory {
        let kbytes = buffer_memory.div_ceil(1024);
        config.set("queue.buffering.max.kbytes", kbytes.to_string());
        config.set("queue.buffering.max.messages", "10000000");
    }
    config
}

fn base_record(topic: &str, record: Record, opaque: usize) -> BaseRecord<'_, [u8], [u8], usize> {
    let message = BaseRecord::with_opaque_to(topic, opaque).payload(record.value);
    match record.key {
        Some(key) => message.key(key),
        None => message,
    }
}

/// A thread that waits for one record.
#[derive(Default)]
struct Slot {
    result: Mutex<Option<bool>>,
    done: Condvar,
}

struct Deliveries {
    slots: Vec<Slot>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    /// 0 is a record that no thread waits for, [`DUE`] marks the time when one was due, and another number is one more
    /// than the slot of the thread that waits.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        if opaque & DUE != 0 {
            Due((opaque & !DUE) as u64).end(result.is_ok());
            return;
        }
        let Some(slot) = opaque.checked_sub(1) else {
            DELIVERIES.count(result.is_ok());
            return;
        };
        let slot = &self.slots[slot];
        *slot.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.is_ok());
        slot.done.notify_one();
    }
}

/// `ThreadedProducer`, whose delivery callback runs on a thread of its own.
pub(super) struct WithCallbacks {
    producer: ThreadedProducer<Deliveries>,
    topics: Vec<&'static str>,
}

impl WithCallbacks {
    fn enqueue(&self, record: Record, opaque: usize) {
        let mut message = base_record(self.topics[record.topic], record, opaque);
        loop {
            match self.producer.send(message) {
                Ok(()) => return,
                Err((error, back)) if error == QUEUE_FULL => message = back,
                Err((error, _)) => {
                    eprintln!("librdkafka: {error}");
                    std::process::exit(1);
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Client for WithCallbacks {
    type Delivery = usize;

    fn connect(options: &Options) -> Result<Self, Failure> {
        // A thread for the warm-up, and one for the measurement.
        let slots = (0..2 * options.threads.max(1)).map(|_| Slot::default());
        let context = Deliveries {
            slots: slots.collect(),
        };
        Ok(Self {
            producer: ThreadedProducer::from_config_and_context(&config(options), context)?,
            topics: options.topics.clone(),
        })
    }

    fn send(&self, record: Record) {
        self.enqueue(record, 0);
    }

    fn send_due(&self, record: Record, due: Due) {
        self.enqueue(record, due.0 as usize | DUE);
    }

    fn send_for_delivery(&self, record: Record) -> usize {
        let slot = own_slot();
        self.enqueue(record, slot + 1);
        slot
    }

    fn wait(&self, slot: usize) -> bool {
        let slot = &self.producer.context().slots[slot];
        let mut result = slot.result.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(delivered) = result.take() {
                return delivered;
            }
            result = slot
                .done
                .wait(result)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn flush(&self) {
        if let Err(error) = self.producer.flush(FLUSH_LIMIT) {
            eprintln!("librdkafka: flush: {error}");
        }
    }
}

fn own_slot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    SLOT.get()
}

/// `FutureProducer`.
pub(super) struct WithFutures {
    producer: FutureProducer,
    topics: Vec<&'static str>,
}

impl Client for WithFutures {
    type Delivery = DeliveryFuture;

    fn connect(options: &Options) -> Result<Self, Failure> {
        Ok(Self {
            producer: FutureProducer::from_config(&config(options))?,
            topics: options.topics.clone(),
        })
    }

    fn send(&self, record: Record) {
        drop(self.send_for_delivery(record));
    }

    fn send_for_delivery(&self, record: Record) -> DeliveryFuture {
        let mut message = FutureRecord::to(self.topics[record.topic]).payload(record.value);
        if let Some(key) = record.key {
            message = message.key(key);
        }
        loop {
            match self.producer.send_result(message) {
                Ok(future) => return future,
                Err((error, back)) if error == QUEUE_FULL => message = back,
                Err((error, _)) => {
                    eprintln!("librdkafka: {error}");
                    std::process::exit(1);
                }
            }
            thread::sleep(PAUSE);
        }
    }

    fn wait(&self, delivery: DeliveryFuture) -> bool {
        matches!(block_on(delivery), Ok(Ok(_)))
    }

    fn flush(&self) {
        if let Err(error) = self.producer.flush(FLUSH_LIMIT) {
            eprintln!("librdkafka: flush: {error}");
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
