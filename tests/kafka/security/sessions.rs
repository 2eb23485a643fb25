//! A load over SASL_SSL sessions that end every two seconds (KIP-368): no record is lost,
//! duplicated or reordered.

use std::sync::atomic::{AtomicU64, Ordering};

use kafka_producer::SaslCredentials;

use super::*;
use crate::harness::{KafkaCluster, Lease, is_long_run, tell_ignored};
use crate::kafka_or_skip;
use crate::load::{Load, THREADS};

const RECORDS: u64 = 1_000_000;
/// A million records take as long as three connections need for a hundred re-authentications, on a busy machine too.
const PER_SECOND: u64 = 10_000;
const PARTITIONS: i32 = 6;
const A_WHILE: u64 = 50_000;

/// A session of two seconds is renewed after 1.7 to 1.9 s.
#[test]
fn a_load_over_sessions_that_end_is_there_once_and_in_order() {
    static AUTHENTICATIONS: AtomicU64 = AtomicU64::new(0);
    const SECONDS: u64 = 15;
    const PER_SECOND: u64 = 20_000;
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of(one_node());
    cluster.admin().create_topic("sessions", 3);
    let records = PER_SECOND * SECONDS / u64::from(THREADS) * u64::from(THREADS);
    let settings = settings();
    let sent = load("sessions", records, &settings, PER_SECOND)
        .credentials(|| credentials(&AUTHENTICATIONS))
        .send(&cluster.addresses(SESSIONS));
    sent.check(cluster.admin()).assert_all_acked();
    let authentications = AUTHENTICATIONS.load(Ordering::Relaxed);
    eprintln!("sessions: {authentications} authentications in {SECONDS} s");
    assert!(authentications >= 6, "{authentications}");
}

#[test]
fn a_million_records_over_sessions_that_end_are_there_once_and_in_order() {
    static AUTHENTICATIONS: AtomicU64 = AtomicU64::new(0);
    let _turn = kafka_or_skip!();
    let Some(cluster) = three_nodes("million-sessions") else {
        return;
    };
    let settings = settings();
    let sent = load("million-sessions", RECORDS, &settings, PER_SECOND)
        .credentials(|| credentials(&AUTHENTICATIONS))
        .send(&cluster.addresses(SESSIONS));
    sent.check(cluster.admin()).assert_all_acked();
    assert_many(&AUTHENTICATIONS, 0);
}

#[test]
fn a_million_records_over_sessions_that_end_survive_kills() {
    static AUTHENTICATIONS: AtomicU64 = AtomicU64::new(0);
    const ROUNDS: u64 = 2;
    let _turn = kafka_or_skip!();
    let Some(cluster) = three_nodes("killed-sessions") else {
        return;
    };
    let admin = cluster.admin();
    let settings = settings();
    let sent = load("killed-sessions", RECORDS, &settings, PER_SECOND)
        .credentials(|| credentials(&AUTHENTICATIONS))
        .send_while(&cluster.addresses(SESSIONS), |progress| {
            for _ in 0..ROUNDS {
                for node in cluster.node_ids() {
                    progress.await_acked(A_WHILE);
                    cluster.kill(node);
                    progress.await_acked(A_WHILE);
                    cluster.restart(node);
                    admin.await_in_sync("killed-sessions");
                }
            }
        });
    sent.check(admin).with_retries().assert_all_acked();
    // In addition there is one authentication for each new connection. A killed node may be tried
    // several times while it starts, but SASL begins only after its listener is up.
    assert_many(&AUTHENTICATIONS, 4 * ROUNDS * 3);
}

/// Returns `None` except in a long run.
fn three_nodes(topic: &str) -> Option<Lease> {
    if !is_long_run() {
        tell_ignored("runs with KAFKA_PRODUCER_LONG=1");
        return None;
    }
    let ssl = [(SESSIONS, "server")];
    let layout = with_listeners(Layout::new(3), &[SESSIONS], &ssl);
    let cluster = KafkaCluster::lease_of(layout);
    cluster.admin().create_topic(topic, PARTITIONS);
    Some(cluster)
}

fn settings() -> Client {
    Client::over_tls("SASL_SSL").set("sasl.mechanism", "SCRAM-SHA-512")
}

fn load<'a>(topic: &'a str, records: u64, settings: &'a Client, per_second: u64) -> Load<'a> {
    let load = Load::new(topic, records).per_second(per_second);
    let settings = settings.0.iter();
    settings.fold(load, |load, (key, value)| load.set(key, value))
}

/// Called for each authentication of each connection.
fn credentials(count: &AtomicU64) -> SaslCredentials {
    count.fetch_add(1, Ordering::Relaxed);
    SaslCredentials::new("alice", "secret512")
}

/// Checks that there were at least a hundred re-authentications, in addition to `others` and the
/// first ones of four connections.
fn assert_many(count: &AtomicU64, others: u64) {
    let authentications = count.load(Ordering::Relaxed);
    eprintln!("{authentications} authentications");
    assert!(authentications >= 100 + 4 + others, "{authentications}");
}
