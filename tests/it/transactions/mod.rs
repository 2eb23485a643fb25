//! Transactions from the program's side to the logs: what is committed is seen whole, what is aborted is not seen, whatever
//! goes wrong on the way, and no transaction is left open.

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
