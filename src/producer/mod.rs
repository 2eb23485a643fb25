//! The producer.

mod callback;
pub(crate) mod internals;
mod record_future;
mod record_metadata;

pub(crate) use callback::Callback;
pub use record_future::RecordFuture;
pub use record_metadata::RecordMetadata;
