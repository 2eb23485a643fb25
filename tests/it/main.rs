//! The producer on the test broker. Each module tests one guarantee, which its header names. All
//! are one program, because linking the crate takes longer than most of these tests.
//!
//! The tests share a process and run in parallel. A test that looks at the whole process or changes
//! it (threads, descriptors, the logger, the panic hook, forks) is a program of its own outside of
//! this folder.

#![allow(
    clippy::duplicate_mod,
    reason = "the examples share modules, and each is a module of this program"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a panic fails the test, and test data are small"
)]

mod support;

mod acks;
mod addresses;
mod awaiting;
mod bad_input;
mod blocking_calls;
mod bootstrap_resolution;
mod callbacks;
#[cfg(feature = "classic")]
mod classic;
mod compression;
mod connections;
mod deadlines;
mod delivery_timeout;
mod docs;
mod end_to_end;
mod epoch_bump;
mod error_chains;
mod error_texts;
mod exactly_once;
mod examples;
mod failed_records;
mod flush_and_close;
mod futures;
mod health;
mod idempotence_off;
mod interceptors_and_serializers;
mod late_responses;
mod lost_state;
mod memory;
mod metadata_changes;
mod metrics;
mod misrouted_connections;
mod mock_and_real;
#[cfg(all(
    feature = "oauth-oidc",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod oauth;
mod old_brokers;
#[cfg(all(unix, feature = "tls"))]
mod openssl;
mod ordering;
mod partitioning;
#[cfg(feature = "sasl")]
mod sasl;
mod send_all;
mod splitting;
mod sticky_partitions;
mod telemetry;
#[cfg(feature = "tls")]
mod tls;
mod total_outage;
mod transactions;
mod try_send;
