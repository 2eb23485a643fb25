//! Transactions from the program's side to the logs: what is committed is seen whole, what is aborted is not seen, whatever
//! goes wrong on the way, and no transaction is left open.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong here is to fail the test"
)]

#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "../support/producing.rs"]
mod producing;

mod abortable;
mod calls;
mod closing;
mod closure;
mod epochs;
mod fencing;
mod late_requests;
mod matrix;
mod offsets_by_id;
mod support;
mod threads;
mod throttling;
mod version_switch;
mod visibility;
