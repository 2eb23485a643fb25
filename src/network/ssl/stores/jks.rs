//! JKS, the older format of Java's stores. Java: `sun.security.provider.JavaKeyStore`.
//!
//! All numbers are big-endian. A store begins with a magic number, its version and the number of
//! entries. It ends with a SHA-1 digest of the password, a constant and all bytes before. An entry
//! consists of a tag, an alias and a time, followed by a private key with its certificates or by a
//! trusted certificate.

use rustls::pki_types::CertificateDer;
use sha1::{Digest, Sha1};

use super::pbe::utf16;
use super::{KeyEntry, Store, StoredKey, WRONG_PASSWORD};
use crate::utils::{Secret, printable};

const DIGEST_LEN: usize = 20;
const PRIVATE_KEY: u32 = 1;
const TRUSTED_CERTIFICATE: u32 = 2;

/// Parses a store, and checks its digest if there is a password.
///
/// # Errors
///
/// It is damaged, or the password is wrong.
pub(super) fn read(bytes: &[u8], password: Option<&Secret>) -> Result<Store, String> {
    let damaged = || "the JKS store is damaged or cut off".to_owned();
    let len = bytes.len().checked_sub(DIGEST_LEN).ok_or_else(damaged)?;
    let (content, digest) = bytes.split_at_checked(len).ok_or_else(damaged)?;

    let mut input = Input(content);
    let store = input.store()?.ok_or_else(damaged)?;
    if !input.0.is_empty() {
        return Err(damaged());
    }
    if let Some(password) = password {
        let expected = Sha1::new()
            .chain_update(&*utf16(password, b"Mighty Aphrodite"))
            .chain_update(content)
            .finalize();
        if expected.as_slice() != digest {
            return Err(WRONG_PASSWORD.to_owned());
        }
    }
    Ok(store)
}

/// The remaining bytes. Every method returns `None` if there are too few.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// # Errors
    ///
    /// The store contains something that is not supported.
    fn store(&mut self) -> Result<Option<Store>, String> {
        let (Some(_magic), Some(version)) = (self.number(), self.number()) else {
            return Ok(None);
        };
        if version != 1 && version != 2 {
            return Err(format!(
                "the JKS store has version {version}; versions 1 and 2 are supported"
            ));
        }
        let Some(count) = self.number() else {
            return Ok(None);
        };
        let mut store = Store::default();
        for _ in 0..count {
            let Some(()) = self.entry(version, &mut store)? else {
                return Ok(None);
            };
        }
        Ok(Some(store))
    }

    fn entry(&mut self, version: u32, store: &mut Store) -> Result<Option<()>, String> {
        let (Some(tag), Some(alias), Some(_date)) = (self.number(), self.text(), self.take(8))
        else {
            return Ok(None);
        };
        match tag {
            PRIVATE_KEY => {
                let (Some(key), Some(count)) = (self.bytes(), self.number()) else {
                    return Ok(None);
                };
                let mut certificate_chain = Vec::new();
                for _ in 0..count {
                    let Some(certificate) = self.certificate(version, &alias)? else {
                        return Ok(None);
                    };
                    certificate_chain.push(certificate);
                }
                // Java ignores a key without a certificate too.
                if !certificate_chain.is_empty() {
                    store.keys.push(KeyEntry {
                        alias,
                        key: StoredKey::Encrypted(key.to_vec()),
                        certificate_chain,
                    });
                }
            }
            TRUSTED_CERTIFICATE => {
                let Some(certificate) = self.certificate(version, &alias)? else {
                    return Ok(None);
                };
                store.trusted.push(certificate);
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// Version 1 has no types of certificates.
    fn certificate(
        &mut self,
        version: u32,
        alias: &str,
    ) -> Result<Option<CertificateDer<'static>>, String> {
        if version == 2 {
            let Some(kind) = self.text() else {
                return Ok(None);
            };
            if kind != "X.509" && kind != "X509" {
                return Err(format!(
                    "a certificate of '{}' has the type '{}'; only X.509 is supported",
                    printable(alias),
                    printable(&kind)
                ));
            }
        }
        let bytes = self.bytes();
        Ok(bytes.map(|bytes| CertificateDer::from(bytes.to_vec())))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// Reads Java's modified UTF-8. It differs from UTF-8 only for NUL and for characters beyond 16
    /// bits, which no alias contains.
    fn text(&mut self) -> Option<String> {
        let (len, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        let bytes = self.take(usize::from(u16::from_be_bytes(*len)))?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}
