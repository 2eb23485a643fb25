//! Kafka's wire protocol: primitives, headers, and one file per API under `messages`.

mod error_code;

pub use error_code::ErrorCode;
