//! The producer against librdkafka: its mock cluster accepts the records, its consumer reads them.
//! And `FakeBroker` against librdkafka's producer.
//!
//! Neither of them shares code with this library. The mock cluster does not check sequences, so a
//! scenario with retries may find duplicates in its log that a real broker would have refused; the
//! scenarios say where. librdkafka's own producer runs the same scenarios as a control: where it
//! fails too, the mock cluster is the cause.

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
