//! The methods of `FakeBroker`, one file per subject.

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
