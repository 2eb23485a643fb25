//! Tests with stores of the JDK's keytool and of OpenSSL: see tests/data/keystores/make.sh.

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use sha1::{Digest, Sha1};

use super::*;
use crate::network::ssl::pem;
use crate::network::ssl::tests::file;
use crate::utils::mutations::mutated;

/// Reads a file of tests/data/keystores.
pub(in crate::network::ssl) fn store(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/keystores/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn password() -> Secret {
    Secret::new("changeit")
}

fn read(name: &str) -> Result<Store, String> {
    Store::new(&store(name), Some(&password()))
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let text = file(name);
    CertificateDer::pem_slice_iter(text.as_bytes())
        .map(Result::unwrap)
        .collect()
}

fn key(name: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(file(&format!("{name}.key")).as_bytes()).unwrap()
}

/// Checks that a store holds these identities of tests/data/tls, with these aliases.
fn assert_holds(name: &str, key_password: &Secret, identities: &[(&str, &str)]) {
    let store = read(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let aliases: Vec<_> = store
        .keys
        .iter()
        .map(|entry| entry.alias.as_str())
        .collect();
    let expected: Vec<_> = identities.iter().map(|(alias, _)| *alias).collect();
    assert_eq!(aliases, expected, "{name}");
    for (entry, (_, identity)) in store.keys.iter().zip(identities) {
        assert_eq!(entry.certificate_chain, certificates(identity), "{name}");
        let decrypted = entry.private_key(key_password);
        assert_eq!(decrypted, Ok(key(identity)), "{name}, {identity}");
    }
    assert!(
        store.trusted.is_empty() && store.other_certificates == 0,
        "{name}"
    );
}

#[test]
fn keys_of_every_format_and_cipher_are_read() {
    let client = [("client", "client")];
    for (name, identities) in [
        ("client.p12", &client[..]),
        ("client.jks", &client),
        ("java-8.p12", &client),
        ("client-rsa.p12", &[("client-rsa", "client-rsa")]),
        ("client-rsa.jks", &[("client-rsa", "client-rsa")]),
        ("openssl.p12", &client),
        ("openssl-aes-128.p12", &[("1", "client")]),
        ("openssl-des.p12", &[("1", "client")]),
        ("openssl-rc2.p12", &[("1", "client")]),
    ] {
        assert_holds(name, &password(), identities);
    }
    assert_holds("key-password.jks", &Secret::new("key-password"), &client);
}

#[test]
fn chains_and_several_aliases_are_read() {
    for format in ["p12", "jks"] {
        let chain = [("full-chain", "full-chain")];
        assert_holds(&format!("chain.{format}"), &password(), &chain);
        let store = read(&format!("several.{format}")).unwrap();
        let mut aliases: Vec<_> = store.keys.iter().map(|entry| entry.alias.clone()).collect();
        aliases.sort();
        assert_eq!(aliases, ["client", "client-rsa", "other"]);
        for entry in &store.keys {
            entry.private_key(&password()).unwrap();
        }
    }
}

#[test]
fn trusted_certificates_are_read() {
    let mut expected = [certificates("ca"), certificates("other-ca")].concat();
    expected.sort_by(|a, b| a.as_ref().cmp(b));
    for name in ["trust.p12", "trust.jks", "open.p12", "pbmac1.p12"] {
        let store = read(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut trusted = store.trusted;
        trusted.sort_by(|a, b| a.as_ref().cmp(b));
        assert_eq!(trusted, expected, "{name}");
        assert!(store.keys.is_empty(), "{name}");
    }
}

#[test]
fn stores_without_entries_are_read() {
    for name in ["empty.p12", "empty.jks"] {
        let store = read(name).unwrap();
        assert!(store.keys.is_empty() && store.trusted.is_empty() && store.other_certificates == 0);
    }
    // Not marked as trusted, so Java does not trust it either.
    let store = read("openssl-trust.p12").unwrap();
    assert!(store.trusted.is_empty() && store.other_certificates == 1);
    // Java ignores a key without a certificate too.
    assert!(read("openssl-key-alone.p12").unwrap().keys.is_empty());
}

#[test]
fn a_wrong_password_is_an_error() {
    let wrong = Secret::new("hunter2");
    for name in [
        "client.p12",
        "client.jks",
        "trust.p12",
        "trust.jks",
        "empty.p12",
        "empty.jks",
        "java-8.p12",
        "openssl-rc2.p12",
        "pbmac1.p12",
    ] {
        let error = Store::new(&store(name), Some(&wrong)).unwrap_err();
        assert_eq!(error, WRONG_PASSWORD, "{name}");
    }
    let entry = &read("key-password.jks").unwrap().keys[0];
    let error = entry.private_key(&password()).unwrap_err();
    assert_eq!(
        error,
        "the password of the private key of 'client' is wrong, or the key is damaged"
    );
}

#[test]
fn without_a_password_integrity_is_not_checked() {
    let unchecked = |name: &str| Store::new(&store(name), None);
    assert_eq!(unchecked("trust.jks").unwrap().trusted.len(), 2);
    assert_eq!(unchecked("open.p12").unwrap().trusted.len(), 2);
    let mut damaged = store("trust.jks");
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(Store::new(&damaged, None).unwrap().trusted.len(), 2);
    assert_eq!(
        Store::new(&damaged, Some(&password())).unwrap_err(),
        WRONG_PASSWORD
    );
    assert_eq!(
        unchecked("trust.p12").unwrap_err(),
        "the certificates in the PKCS#12 store are encrypted: set its password"
    );
}

// Java: `PKCS12KeyStore.RetryWithZero`.
#[test]
fn an_empty_password_has_two_forms() {
    for name in ["empty-password.p12", "empty-password-without-nul.p12"] {
        let (bytes, empty) = (store(name), Secret::default());
        let read = Store::new(&bytes, Some(&empty));
        let read = read.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.keys[0].certificate_chain, certificates("client"));
        assert_eq!(read.keys[0].private_key(&empty), Ok(key("client")));
        // An empty setting is the same as none.
        let read = Store::new(&bytes, None).unwrap();
        assert_eq!(read.keys[0].certificate_chain, certificates("client"));

        let error = Store::new(&bytes, Some(&password())).unwrap_err();
        assert_eq!(error, WRONG_PASSWORD);
    }
    let error = Store::new(&store("client.p12"), Some(&Secret::default())).unwrap_err();
    assert_eq!(error, WRONG_PASSWORD);
}

#[test]
fn other_formats_are_refused_by_name() {
    for (bytes, text) in [
        (store("store.jceks"), "this is a JCEKS store"),
        (file("ca").into_bytes(), "this is PEM"),
        (Vec::new(), "the file is empty"),
        (
            b"hunter2".to_vec(),
            "this is neither a JKS nor a PKCS#12 store",
        ),
        (
            b"\xfe\xed\xfe\xed\0\0\0\x03\0\0\0\0".to_vec(),
            "damaged or cut off",
        ),
        (
            [&b"\xfe\xed\xfe\xed\0\0\0\x03\0\0\0\0"[..], &[0; 20]].concat(),
            "has version 3",
        ),
    ] {
        let error = Store::new(&bytes, Some(&password())).unwrap_err();
        assert!(error.contains(text), "{error}");
    }
    let entry = &read("openssl-rc4.p12").unwrap().keys[0];
    let error = entry.private_key(&password()).unwrap_err();
    assert_eq!(
        error,
        "the private key of '1': the encryption 1.2.840.113549.1.12.1.1 is not supported"
    );
}

/// The older version, which keytool reads but does not write.
#[test]
fn version_1_of_jks_has_no_certificate_types() {
    let certificate = &certificates("ca")[0];
    let len = u32::try_from(certificate.len()).unwrap().to_be_bytes();
    let mut bytes = [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 1, 0, 0, 0, 1].to_vec();
    bytes.extend([0, 0, 0, 2, 0, 2, b'c', b'a', 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(len);
    bytes.extend_from_slice(certificate);
    let mut digest = Sha1::new();
    for unit in "changeit".encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    bytes.extend(
        digest
            .chain_update("Mighty Aphrodite")
            .chain_update(&bytes)
            .finalize(),
    );
    let store = Store::new(&bytes, Some(&password())).unwrap();
    assert_eq!(store.trusted, certificates("ca"));
}

#[test]
fn a_file_that_is_cut_off_is_refused_at_every_length() {
    for name in [
        "several.p12",
        "several.jks",
        "trust.p12",
        "trust.jks",
        "open.p12",
    ] {
        let bytes = store(name);
        for len in 0..bytes.len() {
            for password in [None, Some(&password())] {
                let cut = Store::new(&bytes[..len], password);
                assert!(cut.is_err(), "{name} cut at {len}");
            }
        }
    }
}

#[test]
fn encrypted_keys_of_pem_are_decrypted() {
    let read = |name: &str, password: &str| {
        let text = String::from_utf8(store(name)).unwrap();
        pem::private_key(&text, Some(&Secret::new(password)))
    };
    for name in [
        "aes-256.pem",
        "aes-192.pem",
        "aes-128.pem",
        "des3.pem",
        "pbe-3des.pem",
    ] {
        assert_eq!(read(name, "key-password"), Ok(key("client")), "{name}");
        let error = read(name, "hunter2").unwrap_err();
        assert!(
            error.contains("ssl.key.password is wrong"),
            "{name}: {error}"
        );
    }
    assert_eq!(read("rsa.pem", "key-password"), Ok(key("client-rsa")));
    for (name, text) in [
        (
            "md5-des.pem",
            "the encryption 1.2.840.113549.1.5.3 is not supported; convert it with `openssl pkcs8",
        ),
        (
            "scrypt.pem",
            "scrypt is not supported, as in Java; convert it with `openssl pkcs8",
        ),
    ] {
        let error = read(name, "key-password").unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn too_many_iterations_are_refused() {
    // The iteration count of the MAC is the last number, 100000.
    let mut bytes = store("java-8.p12");
    let len = bytes.len();
    assert_eq!(bytes[len - 5..], [2, 3, 0x01, 0x86, 0xa0]);
    bytes[len - 3..].copy_from_slice(&[0x7f, 0xff, 0xff]);
    let error = Store::new(&bytes, Some(&password())).unwrap_err();
    assert!(
        error.contains("8388607 iterations are more than"),
        "{error}"
    );
}

#[test]
fn any_store_is_read_or_refused() {
    let seeds = [
        "several.p12",
        "several.jks",
        "chain.jks",
        "trust.jks",
        "open.p12",
        "pbmac1.p12",
        "openssl-des.p12",
        "openssl-rc2.p12",
        "openssl-rc4.p12",
    ]
    .map(store);
    let password = password();
    for seed in &seeds {
        let store = Store::new(seed, Some(&password)).unwrap();
        assert!(store.keys.len() + store.trusted.len() + store.other_certificates > 0);
    }
    mutated(&seeds, 3_000, |bytes| {
        for known in [None, Some(&password)] {
            let Ok(store) = Store::new(bytes, known) else {
                continue;
            };
            let length = |certificates: &[CertificateDer<'_>]| -> usize {
                certificates
                    .iter()
                    .map(|certificate| certificate.len())
                    .sum()
            };
            assert!(length(&store.trusted) <= bytes.len());
            for entry in &store.keys {
                assert!(!entry.certificate_chain.is_empty());
                assert!(length(&entry.certificate_chain) <= bytes.len());
                _ = entry.private_key(&password);
                _ = is_issued_by(&entry.certificate_chain, &[b"CN=ca"]);
            }
        }
    });
}

#[test]
fn any_pem_is_read_or_refused() {
    let text = |name: &str| String::from_utf8(store(name)).unwrap();
    let seeds = [
        text("aes-192.pem"),
        text("aes-128.pem"),
        text("des3.pem"),
        text("md5-des.pem"),
        file("client-rsa.encrypted-pkcs1"),
        file("client.sec1"),
        file("client") + &file("client.key"),
        file("full-chain"),
    ];
    let password = Secret::new("key-password");
    for seed in &seeds[..3] {
        pem::private_key(seed, Some(&password)).unwrap();
    }
    for seed in &seeds[6..] {
        assert!(!pem::certificates(seed).unwrap().is_empty());
    }
    mutated(&seeds, 3_000, |text| {
        let text = String::from_utf8_lossy(text);
        if let Ok(certificates) = pem::certificates(&text) {
            let length: usize = certificates.iter().map(|it| it.len()).sum();
            assert!(length < text.len(), "more than the text holds");
        }
        _ = pem::private_key(&text, None);
        _ = pem::private_key(&text, Some(&password));
    });
    // The bytes inside the base64 text.
    let keys = ["several.p12", "several.jks", "openssl-des.p12"].map(|name| {
        let entry = read(name).unwrap().keys.remove(0);
        match entry.key {
            StoredKey::Encrypted(info) => info,
            StoredKey::Plain(_) => panic!("{name} has a plain key"),
        }
    });
    mutated(&keys, 3_000, |info| {
        _ = decrypt_private_key(info, &Secret::new("changeit"));
    });
}
