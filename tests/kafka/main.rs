//! The producer against real Apache Kafka on loopback: clusters of one and three nodes of 4.4, and
//! one node of other releases.
//!
//! A program of its own, because CI runs it separately and its brokers need the whole machine.
//!
//! A test that needs Kafka starts with `let _turn = kafka_or_skip!();`. It runs only with
//! `KAFKA_PRODUCER_REQUIRE_KAFKA=1`, which `.ci/run` sets, and then fails if `java` or `mvn` is
//! missing. Otherwise it prints `ignored: ...` and passes, even where a JDK is installed.
//! `--nocapture` shows the figures, and `KAFKA_PRODUCER_LONG=1` runs those at full length that are
//! cut short otherwise.
//!
//! | promise | file |
//! |---|---|
//! | a million records, and as many in each codec with the long switch: once, in order, where Java puts them | `million.rs` |
//! | the same while nodes are killed, paused, restarted and relieved | `faults.rs` |
//! | records of every form, `acks` 0 and 1, whose time it is | `round_trip.rs` |
//! | topics and partitions that come and go | `topics.rs` |
//! | what brokers refuse | `refusals.rs` |
//! | a full buffer before a cluster that stands still | `stalled.rs` |
//! | transactions: all or nothing, in both versions, one producer for each id | `transactions.rs`, `transactions/` |
//! | the same while nodes and the client are killed | `transactions_under_faults.rs` |
//! | transactional requests of every version, at Kafka and at the test broker | `transaction_apis.rs` |
//! | timestamps, topics, ids and metadata of offsets, at Kafka and at the test broker | `broker_checks.rs` |
//! | random sequences of requests, at Kafka and at the test broker: codes, offsets and logs | `random_requests.rs`, `random_requests/` |
//! | TLS and SASL: clients that are let in and those that are not, and a load over sessions that end | `security.rs`, `security/` |
//! | metrics that a plugin of the broker receives (KIP-714) | `telemetry.rs`, `telemetry/` |
//! | the releases beside it: 2.8 and 4.3, 3.9 and 4.0 with the long switch | `releases.rs` |
//! | the producer of Kafka 0.8, on 4.4 and 2.8 | `classic.rs` |
//! | the examples | `examples.rs` |

// The harness ends process groups by signals.
#![cfg(unix)]
#![allow(
    clippy::duplicate_mod,
    reason = "the examples share modules, and each is a module of this program"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test harness: what goes wrong here is to fail the test, and real brokers run on the real clock"
)]

mod broker_checks;
#[path = "../it/support/chain.rs"]
mod chain;
#[cfg(feature = "classic")]
mod classic;
#[cfg(feature = "classic")]
#[path = "../it/support/classic_account.rs"]
mod classic_account;
mod examples;
mod faults;
mod harness;
#[path = "../it/support/history.rs"]
mod history;
mod load;
mod million;
#[path = "../it/support/otlp.rs"]
mod otlp;
mod random_requests;
mod refusals;
mod releases;
mod round_trip;
#[cfg(all(feature = "sasl", feature = "tls"))]
mod security;
mod self_test;
mod stalled;
mod telemetry;
mod topics;
mod transaction_apis;
mod transactions;
mod transactions_under_faults;
mod usage;
