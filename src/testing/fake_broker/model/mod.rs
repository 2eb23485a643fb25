//! The state of a cluster, and the effect of requests on it: no sockets, no threads, no clock.

pub(crate) mod api;
pub(crate) mod cluster;
pub(crate) mod coordinators;
pub(crate) mod facts;
pub(crate) mod failure;
pub(crate) mod groups;
pub(crate) mod log;
pub(crate) mod producer_state;
#[cfg(feature = "sasl")]
pub(crate) mod sasl;
#[cfg(not(feature = "sasl"))]
#[path = "no_sasl.rs"]
pub(crate) mod sasl;
pub(crate) mod telemetry;
pub(crate) mod topic;
pub(crate) mod topic_config;
pub(crate) mod transaction_index;
pub(crate) mod transaction_metadata;
pub(crate) mod transactions;
