//! Real Kafka for tests: downloaded through Maven, started as child processes, checked with Kafka's
//! own tools.
//!
//! | to do | there is |
//! |---|---|
//! | skip the test unless the environment requests Kafka | [`kafka_or_skip!`](crate::kafka_or_skip) |
//! | a cluster, and what can happen to it | [`KafkaCluster`], [`LegacyKafka`] |
//! | other listeners, users and properties | [`Layout`] |
//! | topics, leaders, end offsets, reassignment | [`Admin`](admin::Admin), in milliseconds and without a JVM |
//! | read a topic as others see it | [`ConsoleConsumer`] |
//! | look into the segment files | [`dump_log`] |
//! | offsets of groups, feature levels | [`group_offsets`], [`upgrade_feature`] |
//! | plugins of brokers, subscriptions to clients' metrics | [`compile_plugin`], [`subscribe_to_metrics`] |
//! | write as Java writes | [`console_produce`] |
//! | a test of this program as a client to be killed | [`TestProcess`] |
//! | send what no client of ours sends | [`RawProducer`], [`RawBatch`] |
//! | read the batches of a log, markers too | [`fetch_log`] |
//! | read what Metadata says of a topic | [`topic_in_metadata`] |
//! | a Kerberos server | [`Kdc`] |
//! | a program that may be killed | [`Process`](process::Process) |
//!
//! No process outlives the test. See [`process`].

mod admin;
mod clients;
mod cluster;
mod coordinators;
mod jars;
mod judges;
#[allow(dead_code, reason = "tests of Kerberos have their feature")]
mod kdc;
mod layout;
mod legacy;
mod plugin;
mod ports;
pub(crate) mod process;
mod raw_batch;
mod raw_log;
mod raw_metadata;
mod raw_producer;
mod tools;
mod wire;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use admin::{Admin, NewTopic};
pub(crate) use clients::TestProcess;
pub(crate) use cluster::{KafkaCluster, Lease};
pub(crate) use coordinators::GroupOffset;
pub(crate) use jars::Release;
pub(crate) use judges::{ConsoleConsumer, console_produce, dump_log};
#[allow(unused_imports, reason = "tests of Kerberos have their feature")]
pub(crate) use kdc::Kdc;
#[allow(unused_imports, reason = "tests of TLS and SASL have their features")]
pub(crate) use layout::{Layout, Listener};
pub(crate) use legacy::LegacyKafka;
pub(crate) use plugin::{compile_plugin, plugin_directory};
pub(crate) use raw_batch::RawBatch;
pub(crate) use raw_log::{LoggedContent, fetch_log};
pub(crate) use raw_metadata::topic_in_metadata;
pub(crate) use raw_producer::{
    Answer, Identity, NOBODY, Produced, RawOffset, RawProducer, settled,
};
pub(crate) use tools::{
    downgrade_feature, group_offsets, run_tool, subscribe_to_metrics, tool_help, upgrade_feature,
};

/// Held by a test while it runs. Tests with real Kafka run one at a time, because two of them on a
/// small machine time out although the producer is correct.
pub(crate) type Turn = MutexGuard<'static, ()>;

/// Waits for this test's turn. Unless the environment requests real Kafka, prints `ignored: ...` and returns from the test.
#[macro_export]
macro_rules! kafka_or_skip {
    () => {
        match $crate::harness::turn() {
            Some(turn) => turn,
            None => return,
        }
    };
}

/// Only the value `1` starts real Kafka. An installed JDK alone does not.
pub(crate) const REQUIRE: &str = "KAFKA_PRODUCER_REQUIRE_KAFKA";

/// Returns `None` unless `KAFKA_PRODUCER_REQUIRE_KAFKA=1` is set.
///
/// # Panics
/// If it is set and Kafka cannot run.
pub(crate) fn turn() -> Option<Turn> {
    static TURN: Mutex<()> = Mutex::new(());
    if std::env::var_os(REQUIRE).is_none_or(|value| value != "1") {
        tell_ignored(&format!("runs with {REQUIRE}=1, needs a JDK and Maven"));
        return None;
    }
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(reason) = Release::CURRENT.try_jars() {
        panic!("{REQUIRE}=1 needs a JDK and Maven: {reason}");
    }
    Some(turn)
}

/// Prints that the test does not run, and when it would.
pub(crate) fn tell_ignored(when: &str) {
    // Not `eprintln!`, because the test framework captures that in a passing test.
    writeln!(std::io::stderr(), "ignored: {when}").expect("standard error can be written");
}

/// Returns whether `KAFKA_PRODUCER_LONG=1` requests the full length of tests that are otherwise
/// shortened.
pub(crate) fn is_long_run() -> bool {
    std::env::var_os("KAFKA_PRODUCER_LONG").is_some_and(|on| on == "1")
}

/// Polls until there is a result.
///
/// # Panics
/// If there is none within `limit`. `what` describes the wait.
pub(crate) fn wait_until<T>(what: &str, limit: Duration, poll: impl FnMut() -> Option<T>) -> T {
    poll_until(limit, poll).unwrap_or_else(|| panic!("no {what} within {limit:?}"))
}

/// Polls until there is a result or `limit` has passed.
fn poll_until<T>(limit: Duration, mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        // Polls once more after the deadline, so that a suspended machine is not a failure.
        let late = Instant::now() >= deadline;
        if let Some(answer) = poll() {
            return Some(answer);
        }
        if late {
            return None;
        }
        thread::sleep(Duration::from_millis(25));
    }
}

/// Tells other threads that this one has ended, even if it panics.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
