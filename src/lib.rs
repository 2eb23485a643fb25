//! Apache Kafka's producer for programs that have no async runtime.

pub mod common;
mod error;
mod protocol;
mod record;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod utils;

pub use error::{Delivery, Error, ErrorKind, Result};
pub use protocol::ErrorCode;
