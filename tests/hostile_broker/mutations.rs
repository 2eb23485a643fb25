//! Answers that a broker did send, and that something on the way has chopped or changed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use kafka_producer::common::NodeId;
use kafka_producer::testing::{Api, FakeBroker, FakeBrokerBuilder};

use super::proxy::{Change, Proxy};
use super::{PATIENCE, RECORDS, assert_in_log_once, panics, quick, recovers, send_all};

/// A broker that is reached through a proxy alone.
fn behind_proxy(builder: FakeBrokerBuilder, change: Box<Change>) -> (FakeBroker, Proxy) {
    let broker = builder.topic("orders", 1).start().unwrap();
    let address: SocketAddr = broker.bootstrap_servers().parse().unwrap();
    let proxy = Proxy::start(address, change);
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

/// Values that lengths, counts, ids and codes do not have.
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

/// Changes a frame somewhere. The size is made right again, most of the time, so that the rest is looked at.
fn mutate(rng: &mut Rng, mut frame: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.usize(1..4) {
        // Behind the size and the correlation id, which have tests of their own, if there is anything.
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

/// Versions with the old encoding, in which counts have four bytes.
fn classic() -> FakeBrokerBuilder {
    FakeBroker::builder()
        .versions(Api::Produce, 3..=8)
        .versions(Api::Metadata, 4..=8)
        .versions(Api::InitProducerId, 0..=1)
        .versions(Api::ApiVersions, 0..=2)
}

/// One producer, whose answers are changed until its records are through. Says whether it works after that.
///
/// It need not: a changed answer may be a perfect one that says that the producer has no rights, is fenced, or is to
/// be quiet for minutes, or that a leader has an epoch that no real one will reach.
fn run(seed: u64) -> bool {
    let name = format!("seed {seed}");
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
    let builder = match seed % 2 {
        0 => classic(),
        _ => FakeBroker::builder(),
    };
    let (_broker, proxy) = behind_proxy(builder, Box::new(change));
    let ms = Duration::from_millis;
    let quicker = quick(&proxy.address.to_string())
        .max_block(ms(250))
        .request_timeout(ms(100))
        .delivery_timeout(ms(250));
    let producer = quicker.build().unwrap();
    send_all(&producer, &name);
    is_hostile.store(false, Ordering::SeqCst);
    let recovered = recovers(&producer, Duration::from_secs(1)).is_ok();
    // Whatever it was told, it ends when it is to.
    let _ = producer.close(ms(250));
    panics::assert_none(&name);
    recovered
}

#[test]
fn mutated_answers() {
    const SEEDS: u64 = 400;
    const THREADS: u64 = 8;
    panics::watch();
    let recovered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let recovered = &recovered;
            scope.spawn(move || {
                for seed in (thread..SEEDS).step_by(THREADS as usize) {
                    recovered.fetch_add(usize::from(run(seed)), Ordering::SeqCst);
                }
            });
        }
    });
    let recovered = recovered.into_inner();
    let most = SEEDS as usize * 9 / 10;
    assert!(recovered >= most, "only {recovered} of {SEEDS} work again");
}
