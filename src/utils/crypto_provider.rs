//! The cryptography for TLS: the provider of rustls. Java: `ssl.provider`, `security.providers`.

use rustls::crypto::CryptoProvider;

use crate::sync::Arc;

type NewProvider = fn() -> CryptoProvider;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const GRAVIOLA: Option<NewProvider> = Some(rustls_graviola::default_provider);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const GRAVIOLA: Option<NewProvider> = None;

#[cfg(feature = "tls-aws-lc")]
const AWS_LC: Option<NewProvider> = Some(rustls::crypto::aws_lc_rs::default_provider);
#[cfg(not(feature = "tls-aws-lc"))]
const AWS_LC: Option<NewProvider> = None;

#[cfg(feature = "tls-ring")]
const RING: Option<NewProvider> = Some(rustls::crypto::ring::default_provider);
#[cfg(not(feature = "tls-ring"))]
const RING: Option<NewProvider> = None;

const MISSING: &str = "TLS has no cryptography for this processor: graviola needs ADX, AES, AVX2, BMI1 and PCLMULQDQ \
                       (x86-64) or NEON, AES, PMULL and SHA2 (AArch64). Turn on the Cargo feature `tls-aws-lc` or `tls-ring` \
                       of kafka-producer, or install a provider of rustls before the producer is built, such as \
                       `rustls::crypto::ring::default_provider().install_default()`";

/// Returns the provider that the program installed for the process, or the first that is compiled
/// in and supports this processor.
///
/// # Errors
///
/// There is no such provider. The text says what to do.
pub(crate) fn crypto_provider() -> Result<Arc<CryptoProvider>, &'static str> {
    choose(CryptoProvider::get_default(), runs_graviola())
}

fn choose(
    installed: Option<&Arc<CryptoProvider>>,
    runs_graviola: bool,
) -> Result<Arc<CryptoProvider>, &'static str> {
    if let Some(installed) = installed {
        return Ok(Arc::clone(installed));
    }
    first(compiled_in(runs_graviola))
}

/// Returns the providers that support this processor, the preferred one first.
fn compiled_in(runs_graviola: bool) -> impl Iterator<Item = NewProvider> {
    let graviola = GRAVIOLA.filter(|_| runs_graviola);
    [graviola, AWS_LC, RING].into_iter().flatten()
}

fn first(
    mut providers: impl Iterator<Item = NewProvider>,
) -> Result<Arc<CryptoProvider>, &'static str> {
    let new_provider = providers.next().ok_or(MISSING)?;
    Ok(Arc::new(new_provider()))
}

/// Returns whether this processor has everything that graviola needs. On others, graviola panics.
fn runs_graviola() -> bool {
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
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let runs = false;
    runs
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn name(provider: &CryptoProvider) -> String {
        format!("{:?}", provider.key_provider)
    }

    fn names(runs_graviola: bool) -> Vec<String> {
        let providers = compiled_in(runs_graviola);
        providers
            .map(|new_provider| name(&new_provider()))
            .collect()
    }

    #[test]
    fn graviola_comes_before_aws_lc_and_ring() {
        let in_c = [
            cfg!(feature = "tls-aws-lc").then_some("AwsLcRs"),
            cfg!(feature = "tls-ring").then_some("Ring"),
        ];
        let in_c: Vec<_> = in_c.into_iter().flatten().collect();
        assert_eq!(names(false), in_c);
        if let Some(graviola) = GRAVIOLA {
            // Constructing it needs no particular processor.
            let graviola = name(&graviola());
            assert!(!in_c.contains(&graviola.as_str()), "{graviola}");
            assert_eq!(names(true), [&[graviola.as_str()], &in_c[..]].concat());
        }
        // The first of them is used. No test of this process installs a provider.
        let used = crypto_provider().ok().map(|used| name(&used));
        assert_eq!(used, names(runs_graviola()).first().cloned());
    }

    #[test]
    fn an_installed_provider_comes_first() {
        let Ok(compiled_in) = crypto_provider() else {
            return;
        };
        let installed = Arc::new((*compiled_in).clone());
        for runs_graviola in [true, false] {
            let used = choose(Some(&installed), runs_graviola).unwrap();
            assert!(Arc::ptr_eq(&used, &installed));
        }
    }

    #[test]
    fn a_processor_without_cryptography_is_refused_with_what_to_do() {
        let in_c = cfg!(any(feature = "tls-aws-lc", feature = "tls-ring"));
        assert_eq!(choose(None, false).is_ok(), in_c);
        let error = first(iter::empty()).unwrap_err();
        let manifest = include_str!("../../Cargo.toml");
        for feature in ["tls-aws-lc", "tls-ring"] {
            assert!(manifest.contains(&format!("\n{feature} = [")));
            assert!(error.contains(&format!("`{feature}`")), "{error}");
        }
        assert!(error.contains("AVX2") && error.contains("install_default()"));
    }
}
