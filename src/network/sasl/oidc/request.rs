//! The requests to a token endpoint. Java: `ClientSecretRequestFormatter`,
//! `ClientAssertionRequestFormatter`, `JwtBearerRequestFormatter`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::assertion::Assertion;
use crate::network::sasl::json_text;
use crate::utils::Secret;

/// The type of grant, and the client's proof of its identity.
#[derive(Clone, Debug)]
pub(crate) enum TokenRequest {
    /// `client_credentials` with a secret.
    ClientSecret {
        id: String,
        secret: Secret,
        scope: Option<String>,
        /// `sasl.oauthbearer.header.urlencode`.
        url_encodes: bool,
    },
    /// `client_credentials` with a JWT (RFC 7523, section 2.2).
    ClientAssertion {
        id: Option<String>,
        assertion: Assertion,
        scope: Option<String>,
    },
    /// `jwt-bearer` (RFC 7523, section 2.1).
    JwtBearer {
        assertion: Assertion,
        scope: Option<String>,
    },
}

/// A request that is ready to be sent.
pub(super) struct TokenMessage {
    pub(super) authorization: Option<Secret>,
    pub(super) body: Secret,
    /// The texts that no error may show.
    secrets: Vec<Secret>,
}

impl TokenRequest {
    /// # Errors
    ///
    /// The assertion cannot be created.
    pub(super) fn message(&self, now_ms: i64) -> Result<TokenMessage, String> {
        match self {
            Self::ClientSecret {
                id,
                secret,
                scope,
                url_encodes,
            } => Ok(client_secret(id, secret, scope.as_deref(), *url_encodes)),
            Self::ClientAssertion {
                id,
                assertion,
                scope,
            } => {
                let assertion = assertion.text(now_ms)?;
                let encoded = form_encoded(assertion.expose());
                let mut body = Zeroizing::new(String::with_capacity(encoded.len() + 256));
                body.push_str(
                    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=",
                );
                body.push_str(&encoded);
                body.push_str("&grant_type=client_credentials");
                append(&mut body, "client_id", id.as_deref());
                append(&mut body, "scope", scope.as_deref());
                Ok(without_header(&body, assertion))
            }
            Self::JwtBearer { assertion, scope } => {
                let assertion = assertion.text(now_ms)?;
                let encoded = form_encoded(assertion.expose());
                let mut body = Zeroizing::new(String::with_capacity(encoded.len() + 256));
                body.push_str(
                    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=",
                );
                body.push_str(&encoded);
                append(&mut body, "scope", scope.as_deref());
                Ok(without_header(&body, assertion))
            }
        }
    }
}

fn client_secret(
    id: &str,
    secret: &Secret,
    scope: Option<&str>,
    url_encodes: bool,
) -> TokenMessage {
    let encoded = |text: &str| match url_encodes {
        true => form_encoded(text),
        false => Zeroizing::new(text.to_owned()),
    };
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret.expose())));
    // Not the base64 alphabet for URLs (KAFKA-14496).
    let basic = Secret::new(BASE64_STANDARD.encode(&*pair));
    let mut body = "grant_type=client_credentials".to_owned();
    if let Some(scope) = scope {
        body.push_str("&scope=");
        body.push_str(&match url_encodes {
            true => form_encoded(scope).to_string(),
            false => form_safe(scope),
        });
    }
    TokenMessage {
        authorization: Some(Secret::new(format!("Basic {}", basic.expose()))),
        body: Secret::new(body),
        secrets: forms(secret).into_iter().chain([basic]).collect(),
    }
}

/// Returns the texts in which a server may return a secret: as it is, in a form, and in JSON.
fn forms(secret: &Secret) -> [Secret; 3] {
    let json = Zeroizing::new(json_text(secret.expose()));
    let in_json = json.get(1..json.len() - 1).unwrap_or_default();
    let in_form = form_encoded(secret.expose());
    [
        secret.clone(),
        Secret::new(&**in_form),
        Secret::new(in_json),
    ]
}

fn without_header(body: &str, assertion: Secret) -> TokenMessage {
    TokenMessage {
        authorization: None,
        body: Secret::new(body),
        secrets: vec![assertion],
    }
}

fn append(body: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        body.push('&');
        body.push_str(name);
        body.push('=');
        body.push_str(&form_encoded(value));
    }
}

impl TokenMessage {
    /// Returns the text with `[hidden]` in place of secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(Secret::expose);
        let secrets = secrets.filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| {
            text.replace(secret, "[hidden]")
        })
    }
}

/// Encodes a value for a form. Java: `URLEncoder.encode`.
fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&percent(byte)),
        }
    }
    encoded
}

/// Encodes only what a form cannot contain. Java sends a scope unencoded unless
/// `sasl.oauthbearer.header.urlencode` is set, so deployments may have encoded it already.
fn form_safe(text: &str) -> String {
    let characters = text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        b'!'..=b'~' => char::from(byte).to_string(),
        byte => percent(byte),
    });
    characters.collect()
}

fn percent(byte: u8) -> String {
    format!("%{byte:02X}")
}
