//! Transactions from the program to the logs: what is committed is visible in whole, what is
//! aborted is not, whatever fails, and no transaction stays open.

mod abortable;
mod calls;
mod closing;
mod closure;
mod epochs;
mod fencing;
mod late_requests;
mod matrix;
mod offsets_by_id;
mod threads;
mod throttling;
mod version_switch;
mod visibility;
