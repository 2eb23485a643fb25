//! Signs JSON web tokens (RFC 7518) with the cryptography of the TLS library. Java:
//! `AssertionUtils.sign`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::SignatureScheme;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::pem;
use crate::utils::{Secret, crypto_provider};

/// `sasl.oauthbearer.assertion.algorithm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    Rs256,
    Es256,
}

impl SignatureAlgorithm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Signs `message` with the private key in `key`: PEM or, as Java expects it, PKCS#8 in base64.
///
/// # Errors
///
/// The key cannot be used. The text does not show it.
pub(in crate::network) fn sign(
    algorithm: SignatureAlgorithm,
    key: &Secret,
    passphrase: Option<&Secret>,
    message: &[u8],
) -> Result<Vec<u8>, String> {
    let key = private_key(key, passphrase)?;
    let provider = crypto_provider()?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| format!("the private key cannot be used: {error}"))?;
    let (scheme, kind) = match algorithm {
        SignatureAlgorithm::Rs256 => (SignatureScheme::RSA_PKCS1_SHA256, "an RSA key"),
        SignatureAlgorithm::Es256 => (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            "a key on the curve P-256",
        ),
    };
    let signer = key.choose_scheme(&[scheme]).ok_or_else(|| {
        let name = algorithm.name();
        format!("the private key is not {kind}, which {name} needs")
    })?;
    let signature = signer.sign(message);
    let signature = signature.map_err(|error| format!("the signature failed: {error}"))?;
    match algorithm {
        SignatureAlgorithm::Rs256 => Ok(signature),
        SignatureAlgorithm::Es256 => {
            fixed_size(&signature).ok_or_else(|| "the signature is malformed".to_owned())
        }
    }
}

fn private_key(
    key: &Secret,
    passphrase: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, String> {
    let text = key.expose();
    // The errors name the setting of the TLS key, so they are renamed.
    let renamed = |error: String| {
        error.replace(
            "ssl.key.password",
            "sasl.oauthbearer.assertion.private.key.passphrase",
        )
    };
    if text.contains("-----BEGIN") {
        return pem::private_key(text, passphrase).map_err(renamed);
    }
    let digits: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
    let der = BASE64_STANDARD.decode(&*digits).map(Zeroizing::new);
    let der = der.map_err(|_| "the private key is neither PEM nor PKCS#8 in base 64".to_owned())?;
    match passphrase {
        None => Ok(PrivatePkcs8KeyDer::from(der.to_vec()).into()),
        Some(passphrase) => decrypted(&der, passphrase).map_err(renamed),
    }
}

#[cfg(feature = "keystores")]
fn decrypted(der: &[u8], passphrase: &Secret) -> Result<PrivateKeyDer<'static>, String> {
    super::stores::decrypt_private_key(der, passphrase)
}

#[cfg(not(feature = "keystores"))]
fn decrypted(_der: &[u8], _passphrase: &Secret) -> Result<PrivateKeyDer<'static>, String> {
    Err(
        "the private key is encrypted: that needs the Cargo feature `keystores` of kafka-producer, which is off"
            .to_owned(),
    )
}

/// Converts an ECDSA signature from ASN.1 into two numbers of 32 bytes each, as JSON web tokens
/// have them.
fn fixed_size(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, length, numbers @ ..] = der else {
        return None;
    };
    if usize::from(*length) != numbers.len() {
        return None;
    }
    let (first, rest) = number(numbers)?;
    let (second, rest) = number(rest)?;
    rest.is_empty().then(|| [first, second].concat())
}

/// Returns the first number, and the bytes after it.
fn number(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [2, length, rest @ ..] = der else {
        return None;
    };
    let (number, rest) = rest.split_at_checked(usize::from(*length))?;
    let significant = number
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(number.len());
    let number = number.get(significant..)?;
    let mut fixed = [0; 32];
    let place = fixed.len().checked_sub(number.len())?;
    fixed.get_mut(place..)?.copy_from_slice(number);
    Some((fixed, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecdsa_signature_gets_its_fixed_size() {
        // In ASN.1, 0x80 has a leading zero and 0x01 is short.
        let der = [0x30, 7, 2, 2, 0, 0x80, 2, 1, 1];
        let fixed = fixed_size(&der).unwrap();
        let mut expected = [0; 64];
        (expected[31], expected[63]) = (0x80, 1);
        assert_eq!(fixed, expected);
        let long = [&[0x30, 38, 2, 33, 1][..], &[0; 32], &[2, 1, 1]].concat();
        for malformed in [&der[..8], &[0x31, 0], &[], &[0x30, 3, 2, 5, 1], &long] {
            assert_eq!(fixed_size(malformed), None, "{malformed:?}");
        }
    }
}
