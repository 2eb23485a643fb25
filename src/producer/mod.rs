//! The producer.

pub(crate) mod internals;
