//! Apache Kafka's producer for programs that have no async runtime.

pub mod common;
mod error;
mod network;
mod producer;
mod protocol;
mod record;
mod sync;
mod utils;

pub use error::{Delivery, Error, ErrorKind, Result};
pub use protocol::ErrorCode;
