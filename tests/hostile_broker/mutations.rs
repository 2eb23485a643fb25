//! Valid responses that were truncated or changed on the way.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use kafka_producer::common::NodeId;
use kafka_producer::testing::{Api, FakeBroker, FakeBrokerBuilder};

use super::proxy::{Change, Proxy};
use super::{PATIENCE, RECORDS, assert_in_log_once, panics, quick, recovers, send_all};

/// A broker that clients reach only through a proxy.
fn behind_proxy(builder: FakeBrokerBuilder, change: Box<Change>) -> (FakeBroker, Proxy) {
    let broker = builder.topic("orders", 1).start().unwrap();
    let address: SocketAddr = broker.bootstrap_servers().parse().unwrap();
    let proxy = Proxy::listen(TcpListener::bind("127.0.0.1:0").unwrap(), address, change);
    broker
        .advertise(NodeId(1), "127.0.0.1", proxy.address.port())
        .unwrap();
    (broker, proxy)
}

#[test]
fn one_byte_at_a_time() {
    panics::watch();
    let change = |frame: Vec<u8>| frame.iter().map(|byte| vec![*byte]).collect();
    let (broker, proxy) = behind_proxy(FakeBroker::builder(), Box::new(change));
    let producer = quick(&proxy.address.to_string())
        .max_block(PATIENCE)
        .request_timeout(PATIENCE)
        .delivery_timeout(PATIENCE)
        .build()
        .unwrap();
    let acked = send_all(&producer, "byte by byte");
    assert_eq!(acked.len(), RECORDS);
    assert_in_log_once(&broker, &acked);
    producer.close(PATIENCE).unwrap();
    panics::assert_none("byte by byte");
}

/// Values that no length, count, id or code has.
const ODD: [u32; 8] = [
    0,
    1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_fffe,
    0x0000_ffff,
    0x00ff_ffff,
];

/// Changes a frame at a random place. The size is usually corrected, so that the rest of the frame
/// is parsed.
fn mutate(rng: &mut Rng, mut frame: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.usize(1..4) {
        // After the size and the correlation id, which have tests of their own, if there is more.
        let at = rng.usize(8.min(frame.len())..=frame.len());
        match rng.u8(..6) {
            0 if at < frame.len() => frame[at] ^= 1 << rng.u8(..8),
            1 if at < frame.len() => frame[at] = rng.u8(..),
            2 if at + 4 <= frame.len() => {
                let odd = ODD[rng.usize(..ODD.len())];
                frame[at..at + 4].copy_from_slice(&odd.to_be_bytes());
            }
            3 => frame.truncate(at.max(4)),
            4 => {
                let more = (0..rng.usize(1..20)).map(|_| rng.u8(..));
                frame.splice(at..at, more.collect::<Vec<_>>());
            }
            5 if at + 2 <= frame.len() => {
                frame.drain(at..at + 2);
            }
            _ => {}
        }
    }
    if rng.u8(..10) > 0 {
        let size = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&size.to_be_bytes());
    }
    frame
}

/// The encoding of the responses in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    /// Counts of four bytes. No response of these versions throttles the client, because brokers of
    /// these versions wait themselves.
    Classic,
    /// Counts of any length, and tagged fields.
    Flexible,
}

impl Encoding {
    fn broker(self) -> FakeBrokerBuilder {
        let builder = FakeBroker::builder();
        match self {
            Self::Flexible => builder,
            Self::Classic => builder
                .versions(Api::Produce, 3..=5)
                .versions(Api::Metadata, 4..=5)
                .versions(Api::InitProducerId, 0..=0)
                .versions(Api::ApiVersions, 0..=1),
        }
    }
}

/// Runs one producer whose responses are changed until its records are delivered.
///
/// After that the producer must work. There are two exceptions. A valid response may have told it
/// that it gets no producer id, which is final. In the flexible versions a response may have
/// throttled it for minutes; then another producer must work.
fn run(encoding: Encoding, seed: u64) {
    let name = format!("{encoding:?}, seed {seed}");
    let is_hostile = Arc::new(AtomicBool::new(true));
    let rng = Mutex::new(Rng::with_seed(seed));
    let hostile = Arc::clone(&is_hostile);
    let change = move |frame: Vec<u8>| {
        let mut rng = rng.lock().unwrap();
        if hostile.load(Ordering::SeqCst) && rng.u8(..3) == 0 {
            vec![mutate(&mut rng, frame)]
        } else {
            vec![frame]
        }
    };
    let (_broker, proxy) = behind_proxy(encoding.broker(), Box::new(change));
    let producer = || {
        let ms = Duration::from_millis;
        let builder = quick(&proxy.address.to_string());
        let builder = builder.max_block(ms(250)).request_timeout(ms(100));
        builder.delivery_timeout(ms(250)).build().unwrap()
    };
    let told_lies = producer();
    send_all(&told_lies, &name);
    is_hostile.store(false, Ordering::SeqCst);
    let (patience, may_be_silenced) = match encoding {
        Encoding::Classic => (PATIENCE, false),
        Encoding::Flexible => (Duration::from_millis(300), true),
    };
    if let Err(error) = recovers(&told_lies, patience) {
        let is_accepted = error.is_fatal() || may_be_silenced;
        assert!(is_accepted, "{name}: {error:?}");
        recovers(&producer(), PATIENCE).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    // Whatever it was told, `close` returns in time.
    let _ = told_lies.close(Duration::from_millis(250));
    panics::assert_none(&name);
}

fn run_all(encoding: Encoding) {
    const SEEDS: u64 = 250;
    const THREADS: usize = 4;
    panics::watch();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let seeds = (0..SEEDS).skip(thread).step_by(THREADS);
            scope.spawn(move || seeds.for_each(|seed| run(encoding, seed)));
        }
    });
}

#[test]
fn mutated_answers_of_old_versions() {
    run_all(Encoding::Classic);
}

#[test]
fn mutated_answers_of_new_versions() {
    run_all(Encoding::Flexible);
}
