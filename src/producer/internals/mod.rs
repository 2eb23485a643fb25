//! What the producer is made of, below the public API.

pub(crate) mod transaction_manager;
