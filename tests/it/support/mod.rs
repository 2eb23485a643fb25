//! Helpers for the modules. Programs outside of this folder include single files of it.

pub(crate) mod chain;
#[cfg(feature = "classic")]
pub(crate) mod classic_account;
pub(crate) mod executor;
pub(crate) mod history;
pub(crate) mod otlp;
pub(crate) mod producing;
// Scoped addresses are used only on Linux.
#[cfg(target_os = "linux")]
pub(crate) mod proxy;
pub(crate) mod transactions;
