//! The cryptography for TLS: the provider of rustls. Java: `ssl.provider`, `security.providers`.

use rustls::crypto::CryptoProvider;

use crate::sync::Arc;

/// Returns the provider that the program installed for the process, or graviola.
///
/// # Errors
///
/// There is no provider, or none that supports this processor. The text says what to do.
pub(crate) fn crypto_provider() -> Result<Arc<CryptoProvider>, &'static str> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Ok(Arc::clone(installed));
    }
    compiled_in().map(Arc::new)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn compiled_in() -> Result<CryptoProvider, &'static str> {
    // graviola panics on a processor without these.
    #[cfg(target_arch = "x86_64")]
    let runs = is_x86_feature_detected!("adx")
        && is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let runs = std::arch::is_aarch64_feature_detected!("neon")
        && std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
        && std::arch::is_aarch64_feature_detected!("sha2");
    match runs {
        true => Ok(rustls_graviola::default_provider()),
        false => Err(MISSING),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn compiled_in() -> Result<CryptoProvider, &'static str> {
    Err(MISSING)
}

const MISSING: &str = "the built-in cryptography of TLS needs a processor with ADX, AES, AVX2, BMI1 and PCLMULQDQ (x86-64) or \
                       NEON, AES, PMULL and SHA2 (AArch64), which this one is not: install another provider first, such as \
                       `rustls::crypto::ring::default_provider().install_default()`";
