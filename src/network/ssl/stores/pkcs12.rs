//! PKCS#12, the format of Java's stores since Java 9, and of OpenSSL's. RFC 7292. Java: `sun.security.pkcs12.PKCS12KeyStore`.

use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::der::{
    BMP_STRING, CONTEXT_0, Element, Elements, Malformed, OCTET_STRING, SEQUENCE, SET,
};
use super::pbe::{self, PbeError};
use super::{KeyEntry, Store, StoredKey, WRONG_PASSWORD, names};
use crate::utils::Secret;

/// The object identifiers, in their DER encoding.
mod oids {
    pub(super) const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    pub(super) const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
    /// 1.2.840.113549.1.12.10.1. Its last number is the kind of bag.
    pub(super) const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1];
    pub(super) const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];
    pub(super) const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 20];
    pub(super) const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 21];
    /// Java's mark of a trusted certificate: 2.16.840.1.113894.746875.1.1.
    pub(super) const TRUSTED_KEY_USAGE: &[u8] = &[
        0x60, 0x86, 0x48, 1, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 1, 1,
    ];
}

const KEY_BAG: u8 = 1;
const SHROUDED_KEY_BAG: u8 = 2;
const CERTIFICATE_BAG: u8 = 3;

/// Parses a file, and checks its MAC if there is a password and a MAC.
///
/// # Errors
///
/// It is damaged, the password is wrong or missing, or something in it is not supported.
pub(super) fn read(bytes: &[u8], password: Option<&Secret>) -> Result<Store, String> {
    let bags = match password {
        Some(password) => Bags::decrypt(bytes, password),
        None => Bags::read(bytes, None),
    };
    let bags = bags.map_err(|error| match error {
        PbeError::Malformed => "the PKCS#12 store is damaged or cut off".to_owned(),
        PbeError::WrongPassword => WRONG_PASSWORD.to_owned(),
        PbeError::Unsupported(what) => format!("the PKCS#12 store cannot be read: {what}"),
    })?;
    if password.is_none() && bags.is_encrypted && bags.certificates.is_empty() {
        // An empty password in the configuration is the same as none.
        let bags = Bags::decrypt(bytes, &Secret::default());
        return bags.map(Bags::into_store).map_err(|_| {
            "the certificates in the PKCS#12 store are encrypted: set its password".to_owned()
        });
    }
    Ok(bags.into_store())
}

/// The content of a file, before each key is matched with its certificates.
#[derive(Default)]
struct Bags {
    keys: Vec<KeyBag>,
    certificates: Vec<CertificateBag>,
    /// Some of the content is encrypted and was skipped, because there is no password.
    is_encrypted: bool,
}

struct KeyBag {
    key: StoredKey,
    attributes: Attributes,
}

struct CertificateBag {
    certificate: CertificateDer<'static>,
    key_id: Option<Vec<u8>>,
    is_trusted: bool,
}

#[derive(Default)]
struct Attributes {
    friendly_name: Option<String>,
    key_id: Option<Vec<u8>>,
    is_trusted: bool,
}

impl Bags {
    fn decrypt(bytes: &[u8], password: &Secret) -> Result<Self, PbeError> {
        pbe::in_both_forms(password, |password| Self::read(bytes, Some(password)))
    }

    fn read(bytes: &[u8], password: Option<&Secret>) -> Result<Self, PbeError> {
        let mut file = Element::only(bytes)?.inside(SEQUENCE)?;
        let version = file.next()?.number()?;
        if version != 3 {
            return Err(PbeError::Unsupported(format!(
                "it has version {version}, not 3"
            )));
        }
        let mut content = file.next()?.inside(SEQUENCE)?;
        if content.next()?.oid()? != oids::DATA {
            return Err(PbeError::Unsupported(
                "it is protected by public keys, not by a password".to_owned(),
            ));
        }
        let safes = content.next()?.wrapped(CONTEXT_0)?.octets()?;
        if let (Some(mac), Some(password)) = (file.optional(SEQUENCE)?, password) {
            pbe::verify_mac(mac, &safes, password)?;
        }
        file.end()?;

        let mut bags = Self::default();
        let mut safes = Element::only(&safes)?.inside(SEQUENCE)?;
        while !safes.is_empty() {
            bags.add_safe(safes.next()?, password)?;
        }
        Ok(bags)
    }

    /// Adds the bags of a `ContentInfo`.
    fn add_safe(&mut self, safe: Element<'_>, password: Option<&Secret>) -> Result<(), PbeError> {
        let mut safe = safe.inside(SEQUENCE)?;
        let kind = safe.next()?.oid()?;
        let content = safe.next()?.wrapped(CONTEXT_0)?;
        if kind == oids::DATA {
            return self.add_bags(&content.octets()?);
        }
        if kind != oids::ENCRYPTED_DATA {
            return Err(PbeError::Unsupported(
                "a part is protected by a public key, not by a password".to_owned(),
            ));
        }
        let Some(password) = password else {
            self.is_encrypted = true;
            return Ok(());
        };
        let mut content = content.inside(SEQUENCE)?;
        let _version = content.next()?;
        let mut info = content.next()?.inside(SEQUENCE)?;
        let _type = info.next()?.oid()?;
        let algorithm = info.next()?;
        let data = info.next()?.octets()?;
        self.add_bags(&pbe::decrypt(algorithm, &data, password)?)
    }

    fn add_bags(&mut self, bags: &[u8]) -> Result<(), PbeError> {
        let mut bags = Element::only(bags)?.inside(SEQUENCE)?;
        let mut is_first = true;
        while !bags.is_empty() {
            self.add_bag(bags.next()?, is_first)?;
            is_first = false;
        }
        Ok(())
    }

    /// Adds a bag. `is_first` says whether it is the first of its safe.
    fn add_bag(&mut self, bag: Element<'_>, is_first: bool) -> Result<(), Malformed> {
        let mut bag = bag.inside(SEQUENCE)?;
        let kind = bag.next()?.oid()?.strip_prefix(oids::BAG);
        let value = bag.next()?.wrapped(CONTEXT_0)?;
        let attributes = match bag.optional(SET)? {
            Some(set) => Attributes::read(set.inside(SET)?)?,
            None => Attributes::default(),
        };
        match kind {
            Some([KEY_BAG]) => self.keys.push(KeyBag {
                key: StoredKey::Plain(Zeroizing::new(value.whole.to_vec())),
                attributes,
            }),
            Some([SHROUDED_KEY_BAG]) => self.keys.push(KeyBag {
                key: StoredKey::Encrypted(value.whole.to_vec()),
                attributes,
            }),
            Some([CERTIFICATE_BAG]) => self.add_certificate(value, attributes, is_first)?,
            // Revocation lists, secrets and nested bags are ignored.
            _ => {}
        }
        Ok(())
    }

    fn add_certificate(
        &mut self,
        bag: Element<'_>,
        attributes: Attributes,
        is_first: bool,
    ) -> Result<(), Malformed> {
        let mut bag = bag.inside(SEQUENCE)?;
        if bag.next()?.oid()? != oids::X509_CERTIFICATE {
            return Ok(());
        }
        let certificate = bag.next()?.wrapped(CONTEXT_0)?.octets()?;
        names(&certificate)?;
        let certificate = CertificateDer::from(certificate.into_owned());
        // As in Java: some programs leave out the id if there is only one key. The key's
        // certificate is the first one then.
        let key_id = attributes.key_id.or_else(|| is_first.then(Vec::new));
        self.certificates.push(CertificateBag {
            certificate,
            key_id,
            is_trusted: attributes.is_trusted,
        });
        Ok(())
    }

    /// Matches each key with its certificates. Leaves out a key without any, as Java does.
    fn into_store(self) -> Store {
        let certificates = self.certificates;
        let mut store = Store::default();
        let mut is_used: Vec<bool> = certificates.iter().map(|bag| bag.is_trusted).collect();
        let is_only_key = self.keys.len() == 1;
        for (number, key) in (1_u32..).zip(self.keys) {
            let id = key.attributes.key_id.or_else(|| is_only_key.then(Vec::new));
            let is_own = |bag: &CertificateBag| !bag.is_trusted && bag.key_id == id;
            let Some(own) = certificates
                .iter()
                .position(is_own)
                .filter(|_| id.is_some())
            else {
                continue;
            };
            let alias = key.attributes.friendly_name;
            let mut entry = KeyEntry {
                alias: alias.map_or_else(|| number.to_string(), |name| name.to_lowercase()),
                key: key.key,
                certificate_chain: Vec::new(),
            };
            for index in chain(own, &certificates) {
                if let (Some(bag), Some(is_used)) =
                    (certificates.get(index), is_used.get_mut(index))
                {
                    entry.certificate_chain.push(bag.certificate.clone());
                    *is_used = true;
                }
            }
            store.keys.push(entry);
        }
        store.other_certificates = is_used.iter().filter(|is_used| !**is_used).count();
        let trusted = certificates.into_iter().filter(|bag| bag.is_trusted);
        store.trusted = trusted.map(|bag| bag.certificate).collect();
        store
    }
}

/// Returns the indexes of a certificate, its issuer, the issuer's issuer, and so on.
fn chain(own: usize, certificates: &[CertificateBag]) -> Vec<usize> {
    let names: Vec<_> = certificates
        .iter()
        .map(|bag| names(&bag.certificate).ok())
        .collect();
    let mut chain = Vec::new();
    let mut next = Some(own);
    while let Some(index) = next.filter(|index| !chain.contains(index)) {
        chain.push(index);
        let issuer = names
            .get(index)
            .copied()
            .flatten()
            .map(|(issuer, _)| issuer);
        next = names
            .iter()
            .position(|names| issuer.is_some() && names.map(|(_, subject)| subject) == issuer);
    }
    chain
}

impl Attributes {
    fn read(mut set: Elements<'_>) -> Result<Self, Malformed> {
        let mut attributes = Self::default();
        while !set.is_empty() {
            let mut attribute = set.next()?.inside(SEQUENCE)?;
            let kind = attribute.next()?.oid()?;
            let mut values = attribute.next()?.inside(SET)?;
            if values.is_empty() {
                continue;
            }
            let value = values.next()?;
            if kind == oids::FRIENDLY_NAME && value.tag == BMP_STRING {
                attributes.friendly_name = Some(bmp(value.content));
            } else if kind == oids::LOCAL_KEY_ID && value.tag == OCTET_STRING {
                attributes.key_id = Some(value.content.to_vec());
            } else if kind == oids::TRUSTED_KEY_USAGE {
                attributes.is_trusted = true;
            }
        }
        Ok(attributes)
    }
}

fn bmp(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = <[u8; 2]>::try_from(pair).unwrap_or_default();
        u16::from_be_bytes(pair)
    });
    String::from_utf16_lossy(&units.collect::<Vec<u16>>())
}
