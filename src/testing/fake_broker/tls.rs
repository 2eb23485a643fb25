//! The TLS side of a test broker.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::sync::Arc;
use crate::utils::crypto_provider;

/// The PEM texts from the builder.
#[derive(Clone)]
pub(super) struct TlsSettings {
    pub(super) certificate_chain: String,
    pub(super) private_key: String,
    /// The authorities of client certificates. If set, client certificates are required.
    pub(super) client_authorities: Option<String>,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings").finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// # Errors
    ///
    /// The PEM cannot be used, or there is no cryptography for this processor.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, String> {
        let provider = crypto_provider()?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(authorities)? {
                    roots.add(certificate).map_err(|error| error.to_string())?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|error| error.to_string())?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|error| format!("the private key: {error}"))?;
        builder
            .with_single_cert(certificates(&self.certificate_chain)?, key)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    certificates.map_err(|error| format!("a certificate: {error}"))
}
