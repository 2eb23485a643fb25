//! PEM: certificates and private keys as text. Java: `DefaultSslEngineFactory.PemParser`.
//!
//! Java takes PEM whose lines were joined, as a value that goes on over the lines of a properties file is. So the text is
//! laid out anew before it is parsed.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The certificates in the text, in order.
///
/// # Errors
///
/// There is none, or one of them is damaged.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = laid_out(text)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates.map_err(|error| format!("damaged PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(nothing_found(&text, "certificate"));
    }
    Ok(certificates)
}

/// The first private key in the text.
///
/// # Errors
///
/// There is none, or it is damaged or encrypted.
pub(super) fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    let text = laid_out(text)?;
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type:") {
        return Err(
            "the private key is encrypted, which is not supported yet: decrypt it with \
             `openssl pkey -in key.pem -out decrypted.pem`, leave ssl.key.password out, and let only this program read the file"
                .to_owned(),
        );
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => nothing_found(&text, "private key"),
        error => format!("damaged PEM: {error}"),
    })
}

fn nothing_found(text: &str, what: &str) -> String {
    if text.contains(BEGIN) {
        format!("the PEM holds no {what}")
    } else {
        format!(
            "this is not PEM: it has no `-----BEGIN ...-----`, so there is no {what} in it (a JKS or PKCS#12 store must be \
             converted to PEM)"
        )
    }
}

/// Puts each boundary onto a line of its own, and removes the blanks within the lines of base 64.
///
/// # Errors
///
/// A section does not end, as in a file that is being written: a parser may skip it.
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
            private_key(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn an_encrypted_key_is_refused_with_what_to_do() {
        for name in ["client.encrypted", "client-rsa.encrypted-pkcs1"] {
            let error = private_key(&file(name)).unwrap_err();
            assert!(
                error.contains("is encrypted") && error.contains("openssl pkey"),
                "{error}"
            );
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
            private_key(&key).unwrap(),
            private_key(&file("server.key")).unwrap()
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        assert_eq!(
            certificates(&file("client.key")).unwrap_err(),
            "the PEM holds no certificate"
        );
        assert_eq!(
            private_key(&file("client")).unwrap_err(),
            "the PEM holds no private key"
        );
        for nothing in ["", "\u{fffd}\u{fffd}store"] {
            let error = certificates(nothing).unwrap_err();
            assert!(error.contains("this is not PEM"), "{error}");
        }
    }

    /// Wherever a file that is being written ends, it is refused, or it is whole.
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
