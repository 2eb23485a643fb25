//! The formulas of SCRAM (RFC 5802, RFC 7677), which both sides of the exchange compute. Java: `ScramMechanism`,
//! `ScramFormatter`.
//!
//! Differs from Java: values that depend on the password are overwritten when dropped, and are
//! compared in constant time.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A hash function of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramMechanism {
    /// RFC 7677.
    Sha256,
    /// RFC 7677's scheme with SHA-512.
    Sha512,
}

/// Bytes that depend on the password.
pub(crate) type SecretBytes = Zeroizing<Vec<u8>>;

impl ScramMechanism {
    /// Returns the name of the SASL mechanism.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Returns the mechanism of this name. For the server's side.
    #[cfg(any(feature = "testing", test))]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|mechanism| mechanism.as_str() == name)
    }

    /// Computes `SaltedPassword` with PBKDF2, by far the most expensive part. As in Java, the
    /// password is its UTF-8, without SASLprep.
    pub(crate) fn salted_password(
        self,
        password: &str,
        salt: &[u8],
        iterations: u32,
    ) -> SecretBytes {
        let password = password.as_bytes();
        match self {
            Self::Sha256 => {
                let mut salted = Zeroizing::new(vec![0; 32]);
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
                salted
            }
            Self::Sha512 => {
                let mut salted = Zeroizing::new(vec![0; 64]);
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut salted);
                salted
            }
        }
    }

    /// Computes `ClientKey`.
    pub(crate) fn client_key(self, salted_password: &[u8]) -> SecretBytes {
        self.hmac(salted_password, b"Client Key")
    }

    /// Computes `ServerKey`.
    pub(crate) fn server_key(self, salted_password: &[u8]) -> SecretBytes {
        self.hmac(salted_password, b"Server Key")
    }

    /// Computes `StoredKey`.
    pub(crate) fn stored_key(self, client_key: &[u8]) -> SecretBytes {
        Zeroizing::new(match self {
            Self::Sha256 => Sha256::digest(client_key).to_vec(),
            Self::Sha512 => Sha512::digest(client_key).to_vec(),
        })
    }

    /// Computes `ClientProof`: the client key, combined with a signature that only a holder of the
    /// stored key can compute.
    pub(crate) fn client_proof(self, client_key: &[u8], auth_message: &[u8]) -> SecretBytes {
        let mut proof = self.hmac(&self.stored_key(client_key), auth_message);
        xor(&mut proof, client_key);
        proof
    }

    /// Computes `ServerSignature`, with which the server proves that it knows the password too.
    pub(crate) fn server_signature(self, server_key: &[u8], auth_message: &[u8]) -> SecretBytes {
        self.hmac(server_key, auth_message)
    }

    /// Returns whether `proof` was made with the client key of this stored key. For the server's
    /// side.
    #[cfg(any(feature = "testing", test))]
    pub(crate) fn is_proof(self, proof: &[u8], stored_key: &[u8], auth_message: &[u8]) -> bool {
        let mut client_key = self.hmac(stored_key, auth_message);
        if client_key.len() != proof.len() {
            return false;
        }
        xor(&mut client_key, proof);
        is_same(&self.stored_key(&client_key), stored_key)
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> SecretBytes {
        match self {
            Self::Sha256 => hmac::<Hmac<Sha256>>(key, message),
            Self::Sha512 => hmac::<Hmac<Sha512>>(key, message),
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> SecretBytes {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

fn xor(bytes: &mut [u8], other: &[u8]) {
    for (byte, other) in bytes.iter_mut().zip(other) {
        *byte ^= other;
    }
}

/// Compares in a time that depends only on the lengths.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Escapes a user name for SCRAM. Java: `ScramFormatter.saslName`.
pub(crate) fn sasl_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    /// The exchange of RFC 7677, section 3.
    const AUTH_MESSAGE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    // Java: ScramFormatterTest.rfc7677Example.
    #[test]
    fn the_example_of_rfc_7677_is_computed() {
        let mechanism = ScramMechanism::Sha256;
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = mechanism.salted_password("pencil", &salt, 4096);
        let client_key = mechanism.client_key(&salted);
        let proof = mechanism.client_proof(&client_key, AUTH_MESSAGE.as_bytes());
        assert_eq!(
            BASE64_STANDARD.encode(&proof),
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let server_key = mechanism.server_key(&salted);
        let signature = mechanism.server_signature(&server_key, AUTH_MESSAGE.as_bytes());
        assert_eq!(
            BASE64_STANDARD.encode(&signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let stored_key = mechanism.stored_key(&client_key);
        assert!(mechanism.is_proof(&proof, &stored_key, AUTH_MESSAGE.as_bytes()));
        assert!(!mechanism.is_proof(&signature, &stored_key, AUTH_MESSAGE.as_bytes()));
        assert!(!mechanism.is_proof(b"short", &stored_key, AUTH_MESSAGE.as_bytes()));
    }

    /// PBKDF2-HMAC-SHA512 of password "password", salt "salt", 4096 iterations: a published test
    /// vector.
    #[test]
    fn a_published_vector_of_pbkdf2_with_sha_512_is_computed() {
        let salted = ScramMechanism::Sha512.salted_password("password", b"salt", 4096);
        let hex: String = salted.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5\
             143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5"
        );
    }

    // Java: ScramFormatterTest.saslName.
    #[test]
    fn sasl_name_escapes_commas_and_equals_signs() {
        for (name, escaped) in [
            ("user1", "user1"),
            ("123", "123"),
            ("1,2", "1=2C2"),
            ("user=A", "user=3DA"),
            ("user==B", "user=3D=3DB"),
            ("user,1", "user=2C1"),
            (",", "=2C"),
            ("=2C", "=3D2C"),
        ] {
            assert_eq!(sasl_name(name), escaped);
        }
    }
}
