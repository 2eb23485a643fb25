//! What the modules share. Programs beside this folder include single files of it.

pub(crate) mod chain;
#[cfg(feature = "classic")]
pub(crate) mod classic_account;
pub(crate) mod executor;
pub(crate) mod history;
pub(crate) mod otlp;
pub(crate) mod producing;
// Only Linux has the addresses with a scope that the tests stand a proxy before.
#[cfg(target_os = "linux")]
pub(crate) mod proxy;
pub(crate) mod transactions;
