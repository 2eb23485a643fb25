//! PEM: certificates and private keys as text. Java: `DefaultSslEngineFactory.PemParser`.
//!
//! Java accepts PEM with joined lines, such as a value that continues over several lines of a
//! properties file. The text is therefore split into lines again before it is parsed.

#[cfg(feature = "keystores")]
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::utils::Secret;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const ENCRYPTED_KEY: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Returns the certificates in the text, in order.
///
/// # Errors
///
/// There are none, or one of them is damaged.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = laid_out(text)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates.map_err(|error| format!("damaged PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(nothing_found(&text, "certificate"));
    }
    Ok(certificates)
}

/// Returns the first private key in the text, decrypted by the password if it is encrypted.
///
/// # Errors
///
/// There is none, it is damaged, or it cannot be decrypted.
pub(super) fn private_key(
    text: &str,
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, String> {
    let text = laid_out(text)?;
    if text.contains("Proc-Type:") {
        return Err(
            "the private key is encrypted in OpenSSL's old format (Proc-Type: 4,ENCRYPTED), which is not supported: convert it \
             with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out converted.pem`"
                .to_owned(),
        );
    }
    if text.contains(ENCRYPTED_KEY) {
        return encrypted_private_key(&text, password);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => nothing_found(&text, "private key"),
        error => format!("damaged PEM: {error}"),
    })
}

#[cfg(feature = "keystores")]
fn encrypted_private_key(
    text: &str,
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, String> {
    let Some(password) = password else {
        return Err("the private key is encrypted: set ssl.key.password".to_owned());
    };
    // The parser finds only unencrypted keys, and does not validate them.
    let (_, encrypted) = text.split_once(ENCRYPTED_KEY).unwrap_or_default();
    let (encrypted, _) = encrypted.split_once(DASHES).unwrap_or_default();
    let relabelled = format!("{BEGIN}PRIVATE KEY-----{encrypted}-----END PRIVATE KEY-----\n");
    let encrypted = PrivatePkcs8KeyDer::from_pem_slice(relabelled.as_bytes())
        .map_err(|error| format!("damaged PEM: {error}"))?;
    super::stores::decrypt_private_key(encrypted.secret_pkcs8_der(), password)
}

#[cfg(not(feature = "keystores"))]
fn encrypted_private_key(
    _text: &str,
    _password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, String> {
    Err(
        "the private key is encrypted: that needs the Cargo feature `keystores` of kafka-producer, which is off; or decrypt it \
         with `openssl pkey -in key.pem -out decrypted.pem`, and let only this program read the file"
            .to_owned(),
    )
}

fn nothing_found(text: &str, what: &str) -> String {
    if text.contains(BEGIN) {
        format!("the PEM holds no {what}")
    } else {
        format!(
            "this is not PEM: it has no `-----BEGIN ...-----`, so there is no {what} in it (is it a JKS or \
             PKCS#12 store?)"
        )
    }
}

/// Puts each boundary on a line of its own, and removes the blanks within the lines of base64.
///
/// # Errors
///
/// A section does not end, as in a file that is still being written. A parser might skip it.
fn laid_out(text: &str) -> Result<Zeroizing<String>, String> {
    let mut lines = Zeroizing::new(String::with_capacity(text.len() + 64));
    let mut rest = text;
    while let Some((_, section)) = rest.split_once(BEGIN) {
        let cut = || "damaged PEM: a section does not end".to_owned();
        let (label, body) = section.split_once(DASHES).ok_or_else(cut)?;
        let end = format!("-----END {label}-----");
        let (body, after) = body.split_once(&end).ok_or_else(cut)?;
        lines.push_str(BEGIN);
        lines.push_str(label);
        lines.push_str(DASHES);
        lines.push('\n');
        for word in body.split_whitespace() {
            lines.push_str(word);
            lines.push('\n');
        }
        lines.push_str(&end);
        lines.push('\n');
        rest = after;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ssl::tests::file;

    #[test]
    fn every_form_of_a_key_is_read() {
        for name in [
            "client.key",
            "client.sec1",
            "client-rsa.key",
            "client-rsa.pkcs1",
        ] {
            private_key(&file(name), None).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn an_encrypted_key_that_cannot_be_decrypted_says_what_to_do() {
        let old = private_key(&file("client-rsa.encrypted-pkcs1"), None).unwrap_err();
        assert!(
            old.contains("Proc-Type: 4,ENCRYPTED") && old.contains("openssl pkcs8 -topk8"),
            "{old}"
        );
        let error = private_key(&file("client.encrypted"), None).unwrap_err();
        let text = match cfg!(feature = "keystores") {
            true => "the private key is encrypted: set ssl.key.password",
            false => "that needs the Cargo feature `keystores` of kafka-producer, which is off",
        };
        assert!(error.contains(text), "{error}");
    }

    // Java: DefaultSslEngineFactoryTest.testPemKeyStoreConfigWithKeyPassword.
    #[test]
    #[cfg(feature = "keystores")]
    fn an_encrypted_key_is_decrypted_by_its_password() {
        let password = Secret::new("secret");
        let joined = file("client.encrypted").replace('\n', " ");
        for text in [joined, file("client") + &file("client.encrypted")] {
            let key = private_key(&text, Some(&password)).unwrap();
            assert_eq!(key, private_key(&file("client.key"), None).unwrap());
        }
    }

    // Java: DefaultSslEngineFactoryTest.testPemKeyStoreConfigWithKeyPassword and its one-line certificates.
    #[test]
    fn joined_lines_are_the_same_pem() {
        let text = file("full-chain");
        let expected = certificates(&text).unwrap();
        assert_eq!(expected.len(), 2);
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(certificates(&joined).unwrap(), expected);
        let indented = text.replace('\n', "\r\n   ");
        assert_eq!(certificates(&indented).unwrap(), expected);
        let key = file("server.key").replace('\n', " ");
        assert_eq!(
            private_key(&key, None).unwrap(),
            private_key(&file("server.key"), None).unwrap()
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(
            certificates(&file("client.key")).unwrap_err(),
            "the PEM holds no certificate"
        );
        assert_eq!(
            private_key(&file("client"), None).unwrap_err(),
            "the PEM holds no private key"
        );
        for nothing in ["", "\u{fffd}\u{fffd}store"] {
            let error = certificates(nothing).unwrap_err();
            assert!(error.contains("this is not PEM"), "{error}");
        }
    }

    /// A file that is cut anywhere is either refused or complete.
    #[test]
    fn a_file_that_is_cut_is_refused() {
        let text = file("full-chain");
        for end in 0..text.trim_end().len() {
            let error = certificates(&text[..end]);
            let whole = text[..end].matches("-----END CERTIFICATE-----").count();
            assert!(
                error.is_err() || whole == error.unwrap().len(),
                "cut at {end}"
            );
        }
    }
}
