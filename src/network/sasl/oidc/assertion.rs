//! Assertions: JSON web tokens with which a client proves its identity to a token endpoint. Java:
//! `AssertionSupplierFactory`, `FileAssertionCreator`, `DefaultAssertionCreator`,
//! `LayeredAssertionJwtTemplate`.
//!
//! Differs from Java: the private key may be PEM, and each assertion reads it again.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::network::sasl::json::Json;
use crate::network::ssl::{SignatureAlgorithm, sign};
use crate::utils::Secret;

/// The source of an assertion.
#[derive(Clone, Debug)]
pub(crate) enum Assertion {
    /// `sasl.oauthbearer.assertion.file`. Each request reads it.
    File(PathBuf),
    Signed(SignedAssertion),
}

/// The settings of an assertion that this client signs.
#[derive(Clone, Debug)]
pub(crate) struct SignedAssertion {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) private_key_file: PathBuf,
    pub(crate) passphrase: Option<Secret>,
    pub(crate) template_file: Option<PathBuf>,
    /// `aud`, `iss` and `sub`.
    pub(crate) claims: Vec<(&'static str, String)>,
    pub(crate) exp_seconds: i64,
    pub(crate) nbf_seconds: i64,
    pub(crate) includes_jti: bool,
}

type Members = Vec<(String, Json)>;

impl Assertion {
    /// # Errors
    ///
    /// A file cannot be used, or the key does not fit the algorithm.
    pub(super) fn text(&self, now_ms: i64) -> Result<Secret, String> {
        match self {
            Self::Signed(assertion) => assertion.text(now_ms / 1000),
            Self::File(path) => {
                let text = read("sasl.oauthbearer.assertion.file", path)?;
                let text = text.expose().trim();
                match text.split('.').count() {
                    3 => Ok(Secret::new(text)),
                    _ => Err(format!(
                        "sasl.oauthbearer.assertion.file {} holds no JWT",
                        path.display()
                    )),
                }
            }
        }
    }
}

impl SignedAssertion {
    fn text(&self, now: i64) -> Result<Secret, String> {
        let (mut header, mut payload) = (Members::new(), Members::new());
        for (name, value) in &self.claims {
            put(&mut payload, name, Json::Text(Secret::new(value)));
        }
        if let Some(path) = &self.template_file {
            let (of_header, of_payload) = template(path)?;
            of_header
                .into_iter()
                .for_each(|(name, value)| put(&mut header, &name, value));
            of_payload
                .into_iter()
                .for_each(|(name, value)| put(&mut payload, &name, value));
        }
        put(
            &mut header,
            "alg",
            Json::Text(Secret::new(self.algorithm.name())),
        );
        put(&mut header, "typ", Json::Text(Secret::new("JWT")));
        put(&mut payload, "iat", seconds(now));
        put(
            &mut payload,
            "exp",
            seconds(now.saturating_add(self.exp_seconds)),
        );
        put(
            &mut payload,
            "nbf",
            seconds(now.saturating_sub(self.nbf_seconds)),
        );
        if self.includes_jti {
            put(&mut payload, "jti", Json::Text(Secret::new(random_id()?)));
        }

        let encode = |members: Members| -> Result<String, String> {
            let text = Json::Object(members).to_text();
            let text = text.ok_or("a number of the assertion's template is too large")?;
            Ok(BASE64_URL_SAFE_NO_PAD.encode(text))
        };
        let content = format!("{}.{}", encode(header)?, encode(payload)?);
        let path = &self.private_key_file;
        let place = "sasl.oauthbearer.assertion.private.key.file";
        let key = read(place, path)?;
        let signature = sign(
            self.algorithm,
            &key,
            self.passphrase.as_ref(),
            content.as_bytes(),
        )
        .map_err(|error| format!("{place} {}: {error}", path.display()))?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{content}.{signature}")))
    }
}

/// Adds a member. The last value of a name wins.
fn put(members: &mut Members, name: &str, value: Json) {
    members.retain(|(member, _)| member != name);
    members.push((name.to_owned(), value));
}

fn seconds(seconds: i64) -> Json {
    Json::Number(seconds.to_string())
}

/// Returns the header and the claims in a template. Java: `FileAssertionJwtTemplate`.
fn template(path: &Path) -> Result<(Members, Members), String> {
    let place = "sasl.oauthbearer.assertion.template.file";
    let text = read(place, path)?;
    let failed = |reason: &str| format!("{place} {}: {reason}", path.display());
    let json = Json::parse(text.expose()).ok_or_else(|| failed("it is not JSON"))?;
    let Json::Object(_) = json else {
        return Err(failed("it is no JSON object"));
    };
    let part = |name: &str| match json.member(name) {
        None => Ok(Members::new()),
        Some(Json::Object(members)) => Ok(members.clone()),
        Some(_) => Err(failed(&format!("its {name} is no JSON object"))),
    };
    Ok((part("header")?, part("payload")?))
}

fn read(place: &str, path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map(Secret::new);
    text.map_err(|error| format!("{place} {} cannot be read: {error}", path.display()))
}

/// A UUID of version 4.
fn random_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("the operating system has no random bytes: {error}"))?;
    let random = u128::from_be_bytes(bytes);
    let [version, variant] = [0x4 << 76, 0x8 << 60];
    let id = random & !(0xf << 76) & !(0xc << 60) | version | variant;
    let digits = format!("{id:032x}");
    let (first, rest) = digits.split_at(8);
    let (second, rest) = rest.split_at(4);
    let (third, rest) = rest.split_at(4);
    let (fourth, fifth) = rest.split_at(4);
    Ok(format!("{first}-{second}-{third}-{fourth}-{fifth}"))
}
