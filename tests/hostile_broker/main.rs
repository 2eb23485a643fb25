//! Brokers that send what a broker never should. In each case no thread of the library panics, no
//! call hangs, each record completes once, each acknowledged record is in the log once, and the
//! producer works again when the broker does.
//!
//! A program of its own, because its panic hook sees the panics of every thread, and other tests
//! panic on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test that cannot go on is to fail; real sockets have real time"
)]

mod bodies;
mod frames;
mod mutations;
mod panics;
#[path = "../it/support/proxy.rs"]
mod proxy;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{Error, KafkaProducer, KafkaProducerBuilder, ProducerRecord};

/// Long enough for a busy machine. No test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

const APIS: [Api; 4] = [
    Api::ApiVersions,
    Api::Metadata,
    Api::InitProducerId,
    Api::Produce,
];

const RECORDS: usize = 4;

/// A producer with short timeouts and backoffs.
fn quick(servers: &str) -> KafkaProducerBuilder {
    let ms = Duration::from_millis;
    KafkaProducer::builder()
        .bootstrap_servers(servers)
        .linger(Duration::ZERO)
        .max_block(ms(1000))
        .request_timeout(ms(200))
        .delivery_timeout(ms(1000))
        .reconnect_backoff(ms(1))
        .reconnect_backoff_max(ms(10))
        .retry_backoff(ms(1))
        .retry_backoff_max(ms(10))
}

/// Sends records while the broker is hostile, and waits for all of them. Returns the values that
/// were acknowledged.
fn send_all(producer: &KafkaProducer, name: &str) -> Vec<String> {
    let calls: Arc<[AtomicUsize]> = (0..RECORDS).map(|_| AtomicUsize::new(0)).collect();
    let (tell, told) = mpsc::channel();
    let value = |number: usize| format!("{name} {number}");
    for number in 0..RECORDS {
        let (called, tell) = (Arc::clone(&calls), tell.clone());
        let record = ProducerRecord::new("orders", value(number)).partition(0);
        let sent = producer.send_with_callback(record, move |result| {
            called[number].fetch_add(1, Ordering::SeqCst);
            tell.send((number, result.is_ok())).unwrap();
        });
        if sent.is_err() {
            // The error of the call is this record's one completion.
            calls[number].fetch_add(1, Ordering::SeqCst);
        }
    }
    drop(tell);
    let deadline = Instant::now() + PATIENCE;
    let mut acked = Vec::new();
    // Ends when each callback was called or dropped.
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match told.recv_timeout(left) {
            Ok((number, true)) => acked.push(value(number)),
            Ok((_, false)) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: a record never completes"),
        }
    }
    for calls in calls.iter() {
        assert_eq!(
            calls.load(Ordering::SeqCst),
            1,
            "{name}: one completion each"
        );
    }
    acked
}

/// Checks that each acknowledged value is in the log, and that no value is there twice.
fn assert_in_log_once(broker: &FakeBroker, acked: &[String]) {
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for record in broker.records("orders", 0) {
        *counts.entry(record.value.unwrap()).or_default() += 1;
    }
    for value in acked {
        assert_eq!(
            counts.get(value.as_bytes()),
            Some(&1),
            "'{value}' was acknowledged"
        );
    }
    assert!(counts.values().all(|count| *count == 1), "no duplicates");
}

/// Sends until a record is delivered. Returns the last error after `patience`.
fn recovers(producer: &KafkaProducer, patience: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + patience;
    loop {
        let record = ProducerRecord::new("orders", "all is well").partition(0);
        let sent = producer
            .send(record)
            .and_then(|future| future.get_timeout(PATIENCE));
        match sent {
            Ok(_) => return Ok(()),
            Err(error) if error.is_fatal() || Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
    }
}

/// The broker does `action` with the first `times` requests of a kind, and works normally after
/// that.
fn survives(api: Api, times: usize, name: &str, action: &Action) {
    let name = format!("{api:?} {name}");
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = quick(&broker.bootstrap_servers()).build().unwrap();
    broker.on(api).times(times).then(action.clone());
    let acked = send_all(&producer, &name);
    assert_in_log_once(&broker, &acked);
    broker.clear_script();
    recovers(&producer, PATIENCE).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    producer.close(PATIENCE).unwrap();
    panics::assert_none(&name);
}
