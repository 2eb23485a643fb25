//! The choice among several client keys. Java: `SunX509KeyManagerImpl`.

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use super::stores;
use crate::sync::Arc;

/// The keys of a store, in the order in which Java considers them.
#[derive(Debug)]
pub(super) struct ClientKeys(Vec<Arc<CertifiedKey>>);

impl ClientKeys {
    /// Takes the keys in the order of the store, with their aliases.
    pub(super) fn new(mut keys: Vec<(String, CertifiedKey)>) -> Self {
        let places = places(keys.len());
        keys.sort_by_key(|(alias, _)| place(alias, places));
        Self(keys.into_iter().map(|(_, key)| Arc::new(key)).collect())
    }
}

impl ResolvesClientCert for ClientKeys {
    /// Returns the first key that supports the broker's most preferred signature scheme and whose
    /// certificate was issued by one of the broker's authorities. `None` sends no certificate.
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let is_issued = |key: &&Arc<CertifiedKey>| {
            root_hint_subjects.is_empty() || stores::is_issued_by(&key.cert, root_hint_subjects)
        };
        sigschemes.iter().find_map(|scheme| {
            let mut keys = self.0.iter().filter(is_issued);
            keys.find(|key| key.key.choose_scheme(&[*scheme]).is_some())
                .map(Arc::clone)
        })
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Returns the number of buckets that Java's `HashMap` has for this many keys: a third more, and at
/// least 16.
pub(super) fn places(keys: usize) -> usize {
    (keys * 4).div_ceil(3).next_power_of_two().max(16)
}

/// Returns the bucket of a key in Java's `HashMap`.
pub(super) fn place(alias: &str, places: usize) -> u32 {
    let hash = java_hash(alias);
    let last = u32::try_from(places - 1).unwrap_or(u32::MAX);
    (hash ^ hash >> 16) & last
}

/// `String.hashCode`.
fn java_hash(text: &str) -> u32 {
    let units = text.encode_utf16();
    units.fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}
