//! The producer against librdkafka: its mock cluster takes the records, its consumer reads them. And
//! `FakeBroker` against librdkafka, whose producer it serves.
//!
//! Neither knows anything of our code. The mock cluster does not look at sequences, so a scenario that
//! makes a producer send again may find duplicates in its log that a real broker would have
//! refused; the scenarios say where. librdkafka's own producer goes through the same scenarios as
//! the control: what it cannot pass either is the mock cluster's doing.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines here are for librdkafka, which runs on the real clock"
)]

#[cfg(test)]
mod brokers;
#[cfg(test)]
mod copier;
#[cfg(test)]
mod fake_broker;
#[cfg(test)]
#[path = "../../it/support/history.rs"]
mod history;
#[cfg(test)]
mod librdkafka;
#[cfg(test)]
mod load;
#[cfg(test)]
mod ours;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod shapes;
