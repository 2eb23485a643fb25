//! Password-based encryption of private keys (`EncryptedPrivateKeyInfo`) and of the contents of
//! PKCS#12 files. Java: `PBES2Core`, `PKCS12PBECipherCore`, `sun.security.provider.KeyProtector`.

use std::borrow::Cow;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit};
use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::digest::block_api::BlockSizeUser;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::der::{Element, INTEGER, Malformed, SEQUENCE};
use crate::utils::Secret;

/// Java's limit. It bounds how long a file can keep the caller busy. Tests run without optimization
/// and allow no more than Java 8 writes.
const MAX_ITERATIONS: u32 = if cfg!(test) { 100_000 } else { 5_000_000 };

/// The largest MAC key, which is longer than any digest.
const MAX_KEY_LEN: usize = 128;

/// The reason why something could not be decrypted or verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PbeError {
    Malformed,
    /// The password is wrong, or the bytes are damaged.
    WrongPassword,
    /// An algorithm or a parameter is not supported. The text names it.
    Unsupported(String),
}

impl From<Malformed> for PbeError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

fn unsupported<T>(what: &str, oid: &[u8]) -> Result<T, PbeError> {
    Err(PbeError::Unsupported(format!(
        "{what} {} is not supported",
        dotted(oid)
    )))
}

/// The object identifiers of the algorithms, in their DER encoding.
mod oids {
    pub(super) const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
    pub(super) const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
    pub(super) const PBMAC1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 14];
    pub(super) const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
    /// 1.2.840.113549.2. Its last number is the digest.
    pub(super) const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];
    /// 2.16.840.1.101.3.4.1. Its last number is the size of the key.
    pub(super) const AES: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];
    pub(super) const DES_EDE3_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7];
    /// 1.2.840.113549.1.12.1. Its last number is the cipher.
    pub(super) const PKCS12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1];
    /// The protection of keys in JKS.
    pub(super) const SUN_KEY_PROTECTOR: &[u8] = &[0x2b, 6, 1, 4, 1, 0x2a, 2, 0x11, 1, 1];
    /// The protection of keys in JCEKS.
    pub(super) const SUN_JCE_KEY_PROTECTOR: &[u8] = &[0x2b, 6, 1, 4, 1, 0x2a, 2, 0x13, 1];
    pub(super) const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
    /// 2.16.840.1.101.3.4.2. Its last number is the digest.
    pub(super) const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
}

#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Calls a generic function with the digest as its type parameter.
macro_rules! with_digest {
    ($hash:expr, $function:ident($($argument:expr),*)) => {
        match $hash {
            Hash::Sha1 => $function::<Sha1>($($argument),*),
            Hash::Sha224 => $function::<Sha224>($($argument),*),
            Hash::Sha256 => $function::<Sha256>($($argument),*),
            Hash::Sha384 => $function::<Sha384>($($argument),*),
            Hash::Sha512 => $function::<Sha512>($($argument),*),
        }
    };
}

impl Hash {
    fn new(oid: &[u8]) -> Result<Self, PbeError> {
        match (oid == oids::SHA1, oid.strip_prefix(oids::SHA2)) {
            (true, _) => Ok(Self::Sha1),
            (_, Some([1])) => Ok(Self::Sha256),
            (_, Some([2])) => Ok(Self::Sha384),
            (_, Some([3])) => Ok(Self::Sha512),
            (_, Some([4])) => Ok(Self::Sha224),
            _ => unsupported("the digest", oid),
        }
    }

    fn of_hmac(oid: &[u8]) -> Result<Self, PbeError> {
        match oid.strip_prefix(oids::HMAC) {
            Some([7]) => Ok(Self::Sha1),
            Some([8]) => Ok(Self::Sha224),
            Some([9]) => Ok(Self::Sha256),
            Some([10]) => Ok(Self::Sha384),
            Some([11]) => Ok(Self::Sha512),
            _ => unsupported("the HMAC", oid),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Stands for the empty password without the NUL that PKCS#12 appends to each password. Java: `RetryWithZero`.
const WITHOUT_NUL: &str = "\0";

/// Tries an empty password in both of its forms, because programs differ: with the NUL that PKCS#12 appends, and without.
///
/// # Errors
///
/// Those of the first attempt.
pub(super) fn in_both_forms<T>(
    password: &Secret,
    attempt: impl Fn(&Secret) -> Result<T, PbeError>,
) -> Result<T, PbeError> {
    match attempt(password) {
        Err(error) if password.expose().is_empty() => {
            attempt(&Secret::new(WITHOUT_NUL)).map_err(|_| error)
        }
        result => result,
    }
}

/// Decrypts an `EncryptedPrivateKeyInfo` into the PKCS#8 key.
///
/// # Errors
///
/// The password is wrong, the bytes are damaged, or the encryption is not supported.
pub(super) fn private_key(info: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    in_both_forms(password, |password| private_key_by(info, password))
}

fn private_key_by(info: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let mut info = Element::only(info)?.inside(SEQUENCE)?;
    let algorithm = info.next()?;
    let data = info.next()?.octets()?;
    info.end()?;
    let key = decrypt(algorithm, &data, password)?;
    // One wrong password in 256 gives a valid padding.
    match Element::only(&key) {
        Ok(element) if element.tag == SEQUENCE => Ok(key),
        _ => Err(PbeError::WrongPassword),
    }
}

/// Decrypts `data` by the algorithm of an `AlgorithmIdentifier`.
///
/// # Errors
///
/// See [`private_key`]. Some wrong passwords are not detected.
pub(super) fn decrypt(
    algorithm: Element<'_>,
    data: &[u8],
    password: &Secret,
) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let mut algorithm = algorithm.inside(SEQUENCE)?;
    let oid = algorithm.next()?.oid()?;
    if oid == oids::PBES2 {
        return pbes2(algorithm.next()?, data, password);
    }
    if oid == oids::SUN_KEY_PROTECTOR {
        return sun_key_protector(data, password);
    }
    if oid == oids::SUN_JCE_KEY_PROTECTOR {
        return Err(PbeError::Unsupported(
            "the key is protected as in a JCEKS store, which is not supported".to_owned(),
        ));
    }
    let Some([cipher]) = oid.strip_prefix(oids::PKCS12_PBE) else {
        return unsupported("the encryption", oid);
    };
    let mut parameters = algorithm.next()?.inside(SEQUENCE)?;
    let salt = parameters.next()?.octets()?;
    let iterations = iterations(parameters.next()?)?;
    let derive = |purpose, len| pkcs12_kdf::<Sha1>(purpose, password, &salt, iterations, len);
    let key_len = match cipher {
        3 => 24,
        4 | 5 => 16,
        6 => 5,
        _ => return unsupported("the encryption", oid),
    };
    let mut key = derive(Purpose::Key, key_len);
    let iv = derive(Purpose::Iv, 8);
    match cipher {
        3 => cbc::<des::TdesEde3>(&key, &iv, data),
        // Two keys: the third one equals the first.
        4 => {
            key.extend_from_within(..8);
            cbc::<des::TdesEde3>(&key, &iv, data)
        }
        _ => cbc::<rc2::Rc2>(&key, &iv, data),
    }
}

fn pbes2(
    parameters: Element<'_>,
    data: &[u8],
    password: &Secret,
) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let mut parameters = parameters.inside(SEQUENCE)?;
    let kdf = Pbkdf2::new(parameters.next()?)?;
    let mut cipher = parameters.next()?.inside(SEQUENCE)?;
    let oid = cipher.next()?.oid()?;
    let iv = cipher.next()?.octets()?;
    let key = |len| kdf.derive(password, len);
    match (oid == oids::DES_EDE3_CBC, oid.strip_prefix(oids::AES)) {
        (true, _) => cbc::<des::TdesEde3>(&key(24), &iv, data),
        (_, Some([2])) => cbc::<aes::Aes128>(&key(16), &iv, data),
        (_, Some([22])) => cbc::<aes::Aes192>(&key(24), &iv, data),
        (_, Some([42])) => cbc::<aes::Aes256>(&key(32), &iv, data),
        _ => unsupported("the cipher", oid),
    }
}

/// The parameters of PBKDF2.
struct Pbkdf2<'a> {
    salt: Cow<'a, [u8]>,
    iterations: u32,
    /// `Some` only if the algorithm itself does not determine the length.
    key_len: Option<u32>,
    hmac: Hash,
}

impl<'a> Pbkdf2<'a> {
    fn new(algorithm: Element<'a>) -> Result<Self, PbeError> {
        let mut algorithm = algorithm.inside(SEQUENCE)?;
        let oid = algorithm.next()?.oid()?;
        if oid == oids::SCRYPT {
            return Err(PbeError::Unsupported(
                "the key derivation scrypt is not supported, as in Java".to_owned(),
            ));
        }
        if oid != oids::PBKDF2 {
            return unsupported("the key derivation", oid);
        }
        let mut parameters = algorithm.next()?.inside(SEQUENCE)?;
        let salt = parameters.next()?.octets()?;
        let iterations = iterations(parameters.next()?)?;
        let key_len = parameters
            .optional(INTEGER)?
            .map(Element::number)
            .transpose()?;
        let hmac = match parameters.optional(SEQUENCE)? {
            Some(prf) => Hash::of_hmac(prf.inside(SEQUENCE)?.next()?.oid()?)?,
            None => Hash::Sha1,
        };
        Ok(Self {
            salt,
            iterations,
            key_len,
            hmac,
        })
    }

    fn derive(&self, password: &Secret, len: usize) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; len]);
        let password = password.expose().as_bytes();
        let (salt, iterations) = (&self.salt, self.iterations);
        with_digest!(self.hmac, pbkdf2_hmac(password, salt, iterations, &mut key));
        key
    }
}

fn iterations(element: Element<'_>) -> Result<u32, PbeError> {
    match element.number()? {
        0 => Err(PbeError::Malformed),
        count if count > MAX_ITERATIONS => Err(PbeError::Unsupported(format!(
            "{count} iterations are more than the {MAX_ITERATIONS} that are allowed"
        ))),
        count => Ok(count),
    }
}

fn cbc<C>(key: &[u8], iv: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, PbeError>
where
    C: BlockCipherDecrypt + KeyInit,
{
    let cipher = C::new_from_slice(key).map_err(|_| PbeError::Malformed)?;
    let decryptor =
        cbc::Decryptor::inner_iv_slice_init(cipher, iv).map_err(|_| PbeError::Malformed)?;
    let decrypted = decryptor.decrypt_padded_vec::<Pkcs7>(data);
    decrypted
        .map(Zeroizing::new)
        .map_err(|_| PbeError::WrongPassword)
}

/// Verifies the `MacData` of a PKCS#12 file: `mac` is the whole element, and `data` the bytes that
/// it covers.
///
/// # Errors
///
/// The password is wrong, the bytes are damaged, or the MAC is not supported.
pub(super) fn verify_mac(mac: Element<'_>, data: &[u8], password: &Secret) -> Result<(), PbeError> {
    let mut mac = mac.inside(SEQUENCE)?;
    let mut digest_info = mac.next()?.inside(SEQUENCE)?;
    let mut algorithm = digest_info.next()?.inside(SEQUENCE)?;
    let expected = digest_info.next()?.octets()?;
    let salt = mac.next()?.octets()?;
    let oid = algorithm.next()?.oid()?;
    let (hash, key) = if oid == oids::PBMAC1 {
        let mut parameters = algorithm.next()?.inside(SEQUENCE)?;
        let kdf = Pbkdf2::new(parameters.next()?)?;
        let hash = Hash::of_hmac(parameters.next()?.inside(SEQUENCE)?.next()?.oid()?)?;
        let len = match kdf.key_len.map(usize::try_from) {
            Some(Ok(len)) if len <= MAX_KEY_LEN => len,
            Some(_) => return Err(PbeError::Malformed),
            None => hash.len(),
        };
        (hash, kdf.derive(password, len))
    } else {
        let hash = Hash::new(oid)?;
        let rounds = match mac.optional(INTEGER)? {
            Some(count) => iterations(count)?,
            None => 1,
        };
        let purpose = Purpose::Mac;
        let key = with_digest!(
            hash,
            pkcs12_kdf(purpose, password, &salt, rounds, hash.len())
        );
        (hash, key)
    };
    let is_valid = match hash {
        Hash::Sha1 => verifies::<Hmac<Sha1>>(&key, data, &expected),
        Hash::Sha224 => verifies::<Hmac<Sha224>>(&key, data, &expected),
        Hash::Sha256 => verifies::<Hmac<Sha256>>(&key, data, &expected),
        Hash::Sha384 => verifies::<Hmac<Sha384>>(&key, data, &expected),
        Hash::Sha512 => verifies::<Hmac<Sha512>>(&key, data, &expected),
    };
    if is_valid {
        Ok(())
    } else {
        Err(PbeError::WrongPassword)
    }
}

fn verifies<M: Mac + KeyInit>(key: &[u8], data: &[u8], expected: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return false;
    };
    mac.update(data);
    mac.verify_slice(expected).is_ok()
}

/// The purpose of a PKCS#12 key.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Derives a key as PKCS#12 does. The names are those of RFC 7292, appendix B.2.
fn pkcs12_kdf<D: Digest + BlockSizeUser>(
    purpose: Purpose,
    password: &Secret,
    salt: &[u8],
    iterations: u32,
    len: usize,
) -> Zeroizing<Vec<u8>> {
    let v = D::block_size();
    let diversifier = vec![purpose as u8; v];
    let whole_blocks = |bytes: &[u8]| {
        let len = bytes.len().div_ceil(v) * v;
        Zeroizing::new(bytes.iter().copied().cycle().take(len).collect::<Vec<u8>>())
    };
    let password = match password.expose() {
        WITHOUT_NUL => Zeroizing::default(),
        _ => utf16(password, &[0, 0]),
    };
    let mut i = whole_blocks(salt);
    i.extend_from_slice(&whole_blocks(&password));

    let mut key = Zeroizing::new(Vec::with_capacity(len));
    loop {
        let mut a = D::new()
            .chain_update(&diversifier)
            .chain_update(&*i)
            .finalize();
        for _ in 1..iterations {
            a = D::digest(&a);
        }
        let missing = len - key.len();
        key.extend(a.iter().take(missing));
        if key.len() == len {
            return key;
        }
        // Each block of I becomes the sum of itself, B and 1.
        for block in i.chunks_mut(v) {
            let mut carry = 1_u16;
            let b: Vec<u8> = a.iter().copied().cycle().take(v).collect();
            for (digit, b) in block.iter_mut().zip(b).rev() {
                let [high, low] = (u16::from(*digit) + u16::from(b) + carry).to_be_bytes();
                *digit = low;
                carry = u16::from(high);
            }
        }
    }
}

/// Returns the password as big-endian UTF-16, Java's `char`s, followed by `end`.
pub(super) fn utf16(password: &Secret, end: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * password.expose().len() + end.len()));
    for unit in password.expose().encode_utf16() {
        bytes.extend_from_slice(&unit.to_be_bytes());
    }
    bytes.extend_from_slice(end);
    bytes
}

/// Decrypts Sun's own protection of keys: a salt, the key combined with a stream of SHA-1 digests,
/// and the digest of the key.
fn sun_key_protector(data: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    const LEN: usize = 20;
    let (salt, rest) = data.split_at_checked(LEN).ok_or(PbeError::Malformed)?;
    let key_len = rest.len().checked_sub(LEN).ok_or(PbeError::Malformed)?;
    let (protected, check) = rest.split_at_checked(key_len).ok_or(PbeError::Malformed)?;
    let password = utf16(password, &[]);
    let with_password = |bytes: &[u8]| {
        Sha1::new()
            .chain_update(&*password)
            .chain_update(bytes)
            .finalize()
    };
    let mut key = Zeroizing::new(Vec::with_capacity(key_len));
    let mut stream = with_password(salt);
    for block in protected.chunks(LEN) {
        key.extend(block.iter().zip(&stream).map(|(byte, mask)| byte ^ mask));
        stream = with_password(&stream);
    }
    if with_password(&key).as_slice() == check {
        Ok(key)
    } else {
        Err(PbeError::WrongPassword)
    }
}

/// Returns the usual text of an object identifier. One byte encodes its first two numbers.
fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in oid.iter().take(32) {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first.to_string());
                number -= 40 * first;
            }
            numbers.push(number.to_string());
            number = 0;
        }
    }
    numbers.join(".")
}
