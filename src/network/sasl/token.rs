//! Tokens from a file or from the configuration. Java: `FileJwtRetriever`, `ClientJwtValidator`,
//! `OAuthBearerUnsecuredLoginCallbackHandler`.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::json::{Json, json_text};
use super::{OAuthBearerToken, SaslFailure};
use crate::utils::Secret;

/// Reads a token from a file. Checks its form and that it has an expiry. The broker verifies the
/// claims.
///
/// # Errors
///
/// The file cannot be read, or does not contain a JWT. The text does not show the token.
pub(crate) fn read_token_file(
    path: &Path,
    scope_claim: &str,
    sub_claim: &str,
) -> Result<OAuthBearerToken, SaslFailure> {
    let text = std::fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|error| {
        SaslFailure(format!(
            "cannot read the token file {}: {error}",
            path.display()
        ))
    })?;
    token_of(text.expose().trim(), scope_claim, sub_claim).map_err(|reason| {
        SaslFailure(format!(
            "the file {} holds no usable JWT: {reason}",
            path.display()
        ))
    })
}

/// Parses a token. Java: `ClientJwtValidator.validate`.
pub(super) fn token_of(
    text: &str,
    scope_claim: &str,
    sub_claim: &str,
) -> Result<OAuthBearerToken, &'static str> {
    let parts: Vec<&str> = text.split('.').collect();
    let [_, payload, _] = parts[..] else {
        return Err("it is not three parts with dots between them");
    };
    let payload = BASE64_URL_SAFE_NO_PAD
        .decode(payload.trim_end_matches('='))
        .map(Zeroizing::new)
        .map_err(|_| "its claims are not base64")?;
    let claims = std::str::from_utf8(&payload).ok().and_then(Json::parse);
    let claims = claims.ok_or("its claims are not JSON")?;
    let expiry = time_of(&claims, "exp")?.ok_or("it has no claim exp, when it ends")?;
    let issued = time_of(&claims, "iat")?;
    if issued.is_some_and(|issued| issued > expiry) {
        return Err("it ends before it was issued");
    }
    match claims.member(sub_claim) {
        Some(Json::Text(sub)) if !sub.expose().trim().is_empty() => {}
        _ => return Err("it has no subject (sasl.oauthbearer.sub.claim.name)"),
    }
    let is_text = |value: &Json| matches!(value, Json::Text(_));
    match claims.member(scope_claim) {
        None | Some(Json::Text(_)) => {}
        Some(Json::List(scopes)) if scopes.iter().all(is_text) => {}
        Some(_) => return Err("its scope is no text (sasl.oauthbearer.scope.claim.name)"),
    }
    Ok(OAuthBearerToken::from_millis(
        Secret::new(text),
        issued,
        expiry,
    ))
}

/// Returns a claim in milliseconds. Tokens have seconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the conversion saturates, and the value is checked to be finite"
)]
fn time_of(claims: &Json, name: &str) -> Result<Option<i64>, &'static str> {
    let seconds: Option<f64> = match claims.member(name) {
        None => return Ok(None),
        Some(Json::Number(number)) => number.parse().ok(),
        Some(_) => None,
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let seconds = seconds.ok_or("exp or iat is not a time")?;
    Ok(Some((seconds * 1000.0) as i64))
}

/// The claims of a token without a signature. Only brokers that are set up for tests accept such
/// tokens.
#[derive(Clone, Debug)]
pub(crate) struct UnsecuredClaims {
    pub(crate) principal_claim: String,
    pub(crate) lifetime_seconds: i64,
    /// Claims by name. Each value is JSON.
    pub(crate) claims: Vec<(String, String)>,
    pub(crate) extensions: Vec<(String, String)>,
}

impl UnsecuredClaims {
    /// Creates a token that is issued now.
    pub(crate) fn token(&self, now_ms: i64) -> OAuthBearerToken {
        let expiry_ms = now_ms.saturating_add(self.lifetime_seconds.saturating_mul(1000));
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
        let mut claims = vec![
            format!("\"iat\":{}", seconds(now_ms)),
            format!("\"exp\":{}", seconds(expiry_ms)),
        ];
        let own = self.claims.iter();
        claims.extend(own.map(|(name, value)| format!("{}:{value}", json_text(name))));
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let header = encode("{\"alg\":\"none\"}");
        let claims = encode(&format!("{{{}}}", claims.join(",")));
        let value = Secret::new(format!("{header}.{claims}."));
        let token = OAuthBearerToken::from_millis(value, Some(now_ms), expiry_ms);
        let extensions = self.extensions.iter();
        extensions.fold(token, |token, (name, value)| {
            token.extension(name.clone(), value.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::mutations::mutated;

    fn jwt(claims: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encode("{\"alg\":\"RS256\"}"), encode(claims))
    }

    fn parse(text: &str) -> Result<OAuthBearerToken, &'static str> {
        token_of(text, "scope", "sub")
    }

    #[test]
    fn any_text_is_a_token_or_refused() {
        let seeds = [
            jwt(r#"{"sub":"alice","exp":1900000000.5,"iat":1800000000,"scope":["a","b"]}"#),
            jwt(r#"{"sub":"\u0061","exp":1e9,"scope":"a b"}"#),
        ];
        for seed in &seeds {
            parse(seed).unwrap();
        }
        mutated(&seeds, 5_000, |text| {
            _ = parse(&String::from_utf8_lossy(text));
        });
        // Only the claims are changed, so that the text is still base64.
        let claims = [r#"{"sub":"alice","exp":1900000000.5,"iat":-18e300,"scope":["a","b"]}"#];
        mutated(&claims, 5_000, |claims| {
            _ = parse(&jwt(&String::from_utf8_lossy(claims)));
        });
    }

    // Java: ClientJwtValidatorTest, BasicOAuthBearerTokenTest.
    #[test]
    fn a_jwt_says_how_long_it_is_valid() {
        let text = jwt("{\"sub\":\"alice\",\"exp\":2000.5,\"iat\":1000,\"scope\":[\"a\",\"b\"]}");
        let token = parse(&text).unwrap();
        assert_eq!(
            (token.start(), token.expiry()),
            (Some(1_000_000), 2_000_500)
        );
        assert_eq!(token.value(), text);
        assert!(parse(&jwt("{\"sub\":\"a\",\"exp\":1,\"scope\":\"a b\"}")).is_ok());
    }

    #[test]
    fn each_fault_of_a_jwt_is_named() {
        for (text, reason) in [
            ("secret".to_owned(), "three parts"),
            ("a.b.c.d".to_owned(), "three parts"),
            ("a.***.c".to_owned(), "not base64"),
            (jwt("nonsense"), "not JSON"),
            (jwt("{\"sub\":\"a\"}"), "no claim exp"),
            (jwt("{\"sub\":\"a\",\"exp\":\"1\"}"), "not a time"),
            (
                jwt("{\"sub\":\"a\",\"exp\":1,\"iat\":2}"),
                "before it was issued",
            ),
            (jwt("{\"exp\":1}"), "no subject"),
            (jwt("{\"sub\":\" \",\"exp\":1}"), "no subject"),
            (
                jwt("{\"sub\":\"a\",\"exp\":1,\"scope\":[1]}"),
                "scope is no text",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    // Java: OAuthBearerUnsecuredLoginCallbackHandlerTest.
    #[test]
    fn an_unsecured_token_has_the_claims_and_no_signature() {
        let claims = UnsecuredClaims {
            principal_claim: "sub".to_owned(),
            lifetime_seconds: 3600,
            claims: vec![("sub".to_owned(), json_text("al\"ice"))],
            extensions: vec![("traceId".to_owned(), "123".to_owned())],
        };
        let token = claims.token(1_500);
        assert_eq!((token.start(), token.expiry()), (Some(1_500), 3_601_500));
        assert_eq!(
            token.extensions(),
            [("traceId".to_owned(), "123".to_owned())]
        );
        let parts: Vec<&str> = token.value().split('.').collect();
        let decode =
            |part: &str| String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(decode(parts[0]), "{\"alg\":\"none\"}");
        assert_eq!(
            decode(parts[1]),
            "{\"iat\":1.500,\"exp\":3601.500,\"sub\":\"al\\\"ice\"}"
        );
        assert_eq!(parts[2], "");
        assert!(parse(token.value()).is_ok());
    }

    #[test]
    fn a_file_that_is_missing_or_no_token_is_told_by_its_name() {
        let path = std::env::temp_dir().join(format!("token-{}", std::process::id()));
        let text = read_token_file(&path, "scope", "sub")
            .unwrap_err()
            .to_string();
        assert!(text.contains("cannot read the token file"), "{text}");
        std::fs::write(&path, "hunter2\n").unwrap();
        let text = read_token_file(&path, "scope", "sub")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("holds no usable JWT") && !text.contains("hunter2"),
            "{text}"
        );
        std::fs::write(&path, jwt("{\"sub\":\"a\",\"exp\":7}") + "\n").unwrap();
        let token = read_token_file(&path, "scope", "sub").unwrap();
        assert_eq!(token.expiry(), 7000);
        std::fs::remove_file(&path).unwrap();
    }
}
