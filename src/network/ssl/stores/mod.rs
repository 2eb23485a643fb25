//! Java's stores of keys and certificates: JKS and PKCS#12. Java: `KeyStore`, `DualFormatJKS`.
//!
//! As in Java since version 8, the content determines the format, even if `ssl.keystore.type` names
//! the other one.

mod der;
mod jks;
mod pbe;
mod pkcs12;
#[cfg(test)]
mod tests;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use self::der::{CONTEXT_0, Element, Malformed, SEQUENCE};
use self::pbe::PbeError;
use crate::utils::{Secret, printable};

/// The content of a store, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) keys: Vec<KeyEntry>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
    /// The number of certificates that are neither trusted nor belong to a key.
    pub(super) other_certificates: usize,
}

/// A private key, which may be encrypted, and its certificates.
pub(super) struct KeyEntry {
    pub(super) alias: String,
    key: StoredKey,
    /// The chain, with the key's own certificate first. Never empty.
    pub(super) certificate_chain: Vec<CertificateDer<'static>>,
}

/// A private key as the store holds it.
enum StoredKey {
    Plain(Zeroizing<Vec<u8>>),
    /// An `EncryptedPrivateKeyInfo`.
    Encrypted(Vec<u8>),
}

impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEntry")
            .field("alias", &self.alias)
            .finish_non_exhaustive()
    }
}

impl KeyEntry {
    /// Decrypts the key.
    ///
    /// # Errors
    ///
    /// The password is wrong, or the encryption is not supported.
    pub(super) fn private_key(&self, password: &Secret) -> Result<PrivateKeyDer<'static>, String> {
        let key = match &self.key {
            StoredKey::Plain(key) => Ok(key.clone()),
            StoredKey::Encrypted(info) => pbe::private_key(info, password),
        };
        let key = key.map_err(|error| {
            let alias = printable(&self.alias);
            match error {
                PbeError::Malformed => format!("the private key of '{alias}' is damaged"),
                PbeError::WrongPassword => {
                    format!("the password of the private key of '{alias}' is wrong, or the key is damaged")
                }
                PbeError::Unsupported(what) => format!("the private key of '{alias}': {what}"),
            }
        })?;
        Ok(pkcs8(&key))
    }
}

impl Store {
    /// Parses the content of a store. Checks its integrity if there is a password.
    ///
    /// # Errors
    ///
    /// It is neither JKS nor PKCS#12, it is damaged, or the password is wrong.
    pub(super) fn new(bytes: &[u8], password: Option<&Secret>) -> Result<Self, String> {
        match bytes {
            [0xfe, 0xed, 0xfe, 0xed, ..] => jks::read(bytes, password),
            [0xce, 0xce, 0xce, 0xce, ..] => Err(
                "this is a JCEKS store, which is not supported: convert it with `keytool -importkeystore -srckeystore STORE \
                 -srcstoretype JCEKS -destkeystore store.p12 -deststoretype PKCS12`"
                    .to_owned(),
            ),
            [SEQUENCE, ..] => pkcs12::read(bytes, password),
            [] => Err("the file is empty; a JKS or PKCS#12 store was expected".to_owned()),
            bytes if bytes.trim_ascii_start().starts_with(b"-----BEGIN") => {
                Err("this is PEM, and a JKS or PKCS#12 store was expected: set the type to PEM".to_owned())
            }
            _ => Err("this is neither a JKS nor a PKCS#12 store".to_owned()),
        }
    }
}

/// Decrypts a private key in PEM: the content of `ENCRYPTED PRIVATE KEY`.
///
/// # Errors
///
/// The password is wrong, the bytes are damaged, or the encryption is not supported.
pub(super) fn decrypt_private_key(
    info: &[u8],
    password: &Secret,
) -> Result<PrivateKeyDer<'static>, String> {
    let key = pbe::private_key(info, password).map_err(|error| match error {
        PbeError::Malformed => "the encrypted private key is damaged".to_owned(),
        PbeError::WrongPassword => {
            "the private key cannot be decrypted: ssl.key.password is wrong, or the key is damaged"
                .to_owned()
        }
        PbeError::Unsupported(what) => format!(
            "the private key is encrypted in a way that is not supported: {what}; convert it with `openssl pkcs8 -topk8 -v2 \
             aes-256-cbc -in key.pem -out converted.pem`"
        ),
    })?;
    Ok(pkcs8(&key))
}

fn pkcs8(key: &[u8]) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.to_vec()).into()
}

/// Returns the encodings of a certificate's issuer and subject.
///
/// # Errors
///
/// The bytes are not a certificate.
fn names(certificate: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut parts = Element::only(certificate)?.inside(SEQUENCE)?;
    let mut fields = parts.next()?.inside(SEQUENCE)?;
    fields.optional(CONTEXT_0)?;
    let (_serial, _algorithm) = (fields.next()?, fields.next()?);
    let issuer = fields.next()?;
    let _validity = fields.next()?;
    let subject = fields.next()?;
    Ok((issuer.whole, subject.whole))
}

/// Returns whether one of these authorities issued a certificate of the chain.
pub(super) fn is_issued_by(chain: &[CertificateDer<'_>], authorities: &[&[u8]]) -> bool {
    chain.iter().any(|certificate| {
        names(certificate).is_ok_and(|(issuer, _)| authorities.contains(&issuer))
    })
}

const WRONG_PASSWORD: &str = "the password is wrong, or the file is damaged";
