//! The `ssl.*` settings of an HTTP connection. Java: `SslResource`,
//! `JaasOptionsUtils.createSSLSocketFactory`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivateKeyDer;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use super::TlsVersion;
use super::certificates::{Identity, StoreContents};
use super::ssl_factory::{SslConfig, SslError, limited};
use crate::sync::Arc;
use crate::utils::crypto_provider;

/// Reads the stores and creates the TLS settings.
///
/// # Errors
///
/// A store or a setting cannot be used, or there is no cryptography for this processor.
///
/// # Blocking
///
/// Reads files.
pub(in crate::network) fn http_tls_config(config: &SslConfig) -> Result<TlsConfig, SslError> {
    let provider = crypto_provider().map_err(SslError::new)?;
    let mut provider = limited(&provider, &config.cipher_suites).map_err(SslError::new)?;
    provider.cipher_suites.retain(|suite| {
        config.protocols.contains(&match suite {
            rustls::SupportedCipherSuite::Tls13(_) => TlsVersion::Tls13,
            rustls::SupportedCipherSuite::Tls12(_) => TlsVersion::Tls12,
        })
    });
    if provider.cipher_suites.is_empty() {
        return Err(SslError::new(
            "ssl.cipher.suites has no suite for ssl.enabled.protocols",
        ));
    }
    let contents = StoreContents::read(&config.truststore, config.keystore.as_ref());
    let contents = contents.map_err(SslError::new)?;
    let roots = contents.authorities(&config.truststore);
    let roots = roots.map_err(SslError::new)?;
    let roots: Vec<_> = roots
        .iter()
        .map(|root| Certificate::from_der(root).to_owned())
        .collect();
    let identity = match &config.keystore {
        None => None,
        Some(keystore) => {
            let identities = contents.identities(keystore).map_err(SslError::new)?;
            let identity = identities.first().map(client_cert).transpose();
            identity.map_err(SslError::new)?
        }
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(identity)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build())
}

fn client_cert(identity: &Identity) -> Result<ClientCert, String> {
    let chain = identity.certificate_chain.iter();
    let chain: Vec<_> = chain
        .map(|it| Certificate::from_der(it).to_owned())
        .collect();
    let label = match &identity.key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    // `PrivateKey::from_der` needs a type that `ureq` does not export.
    let der = Zeroizing::new(BASE64_STANDARD.encode(identity.key.secret_der()));
    let pem = Zeroizing::new(format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        *der
    ));
    let key = PrivateKey::from_pem(pem.as_bytes());
    let key = key.map_err(|_| format!("{}: the private key cannot be used", identity.place))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}
