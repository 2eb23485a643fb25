//! TLS with rustls. Java: `common.security.ssl`, `SslTransportLayer`.
//!
//! Only this module and the test broker use types of rustls.

mod certificates;
#[cfg(feature = "keystores")]
mod client_keys;
mod explain;
#[cfg(feature = "oauth-oidc")]
mod http_tls;
mod pem;
mod reload;
#[cfg(feature = "oauth-oidc")]
mod signature;
mod ssl_factory;
mod ssl_transport_layer;
#[cfg(feature = "keystores")]
mod stores;
#[cfg(test)]
mod tests;
mod verifier;

pub(crate) use certificates::{Keystore, Truststore};
#[cfg(feature = "oauth-oidc")]
pub(super) use http_tls::http_tls_config;
#[cfg(feature = "oauth-oidc")]
pub(crate) use signature::SignatureAlgorithm;
#[cfg(feature = "oauth-oidc")]
pub(super) use signature::sign;
pub(crate) use ssl_factory::{SslConfig, SslFactory, TlsVersion};
pub(super) use ssl_transport_layer::SslTransportLayer;
