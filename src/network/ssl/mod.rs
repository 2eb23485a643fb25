//! TLS, by rustls. Java: `common.security.ssl`, `SslTransportLayer`.
//!
//! Nothing outside of this module and the test broker names a type of rustls.

mod certificates;
#[cfg(feature = "keystores")]
mod client_keys;
mod explain;
mod pem;
mod ssl_factory;
mod ssl_transport_layer;
#[cfg(feature = "keystores")]
mod stores;
#[cfg(test)]
mod tests;
mod verifier;

pub(crate) use certificates::{Keystore, Truststore};
pub(crate) use ssl_factory::{SslConfig, SslFactory, TlsVersion};
pub(super) use ssl_transport_layer::SslTransportLayer;
