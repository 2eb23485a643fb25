//! What a test asks of a test broker and does to it: one file for each subject, each with methods of `FakeBroker`.

mod journal;
mod logs;
mod nodes;
mod script;
mod telemetry;
mod topics;
mod transactions;

use crate::error::{Error, ErrorKind};

fn illegal(text: String) -> Error {
    Error::new(ErrorKind::IllegalArgument, text)
}
