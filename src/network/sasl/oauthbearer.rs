//! OAUTHBEARER (RFC 7628, KIP-255): the token itself identifies the client. Java:
//! `OAuthBearerSaslClient`, `OAuthBearerClientInitialResponse`, `SaslExtensions`.

use zeroize::Zeroizing;

use super::{OAuthBearerToken, SaslClient, SaslFailure, shown};
use crate::utils::SecretBytes;

/// Separates the parts of a message. It is also the response to a refusal.
const CONTROL_A: u8 = 1;

#[derive(Debug)]
pub(super) struct OAuthBearerSaslClient {
    state: State,
}

/// Java: `OAuthBearerSaslClient.State`.
#[derive(Debug)]
enum State {
    SendToken(OAuthBearerToken),
    ReceiveServerFirst,
    /// The broker refused the token, and the client acknowledged that.
    ReceiveServerMessageAfterFailure(String),
    Complete,
    Failed,
}

impl OAuthBearerSaslClient {
    pub(super) fn new(token: OAuthBearerToken) -> Self {
        Self {
            state: State::SendToken(token),
        }
    }
}

impl SaslClient for OAuthBearerSaslClient {
    fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<SecretBytes>, SaslFailure> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::SendToken(token) => {
                self.state = State::ReceiveServerFirst;
                client_initial_response(&token).map(Some)
            }
            State::ReceiveServerFirst if challenge.is_empty() => {
                self.state = State::Complete;
                Ok(None)
            }
            State::ReceiveServerFirst => {
                self.state = State::ReceiveServerMessageAfterFailure(refusal_of(challenge));
                Ok(Some(Zeroizing::new(vec![CONTROL_A])))
            }
            State::ReceiveServerMessageAfterFailure(refusal) => Err(SaslFailure(refusal)),
            State::Complete | State::Failed => Err(SaslFailure::new(
                "the OAUTHBEARER exchange has ended already",
            )),
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    fn refusal(&self) -> Option<&str> {
        match &self.state {
            State::ReceiveServerMessageAfterFailure(refusal) => Some(refusal),
            _ => None,
        }
    }
}

fn refusal_of(challenge: &[u8]) -> String {
    format!("the broker refused the token: {}", shown(challenge))
}

/// `n,,^Aauth=Bearer <token>^A[<key>=<value>^A]*^A`
fn client_initial_response(token: &OAuthBearerToken) -> Result<SecretBytes, SaslFailure> {
    let value = token.value();
    if !is_b64token(value) {
        return Err(SaslFailure::new(
            "the token is empty or has characters that no bearer token has (it is not shown)",
        ));
    }
    for (key, value) in token.extensions() {
        check_extension(key, value)?;
    }
    let extensions = token.extensions().iter();
    let extensions: usize = extensions
        .map(|(key, value)| key.len() + value.len() + 2)
        .sum();
    let prefix = b"n,,\x01auth=Bearer ";
    // Reserves the capacity first, so that growing leaves no copy of the token behind.
    let mut message = Zeroizing::new(Vec::with_capacity(
        prefix.len() + value.len() + extensions + 2,
    ));
    message.extend_from_slice(prefix);
    message.extend_from_slice(value.as_bytes());
    message.push(CONTROL_A);
    for (key, value) in token.extensions() {
        message.extend_from_slice(key.as_bytes());
        message.push(b'=');
        message.extend_from_slice(value.as_bytes());
        message.push(CONTROL_A);
    }
    message.push(CONTROL_A);
    Ok(message)
}

/// Returns whether the value is a token by RFC 6750, section 2.1.
fn is_b64token(value: &str) -> bool {
    let letters = value.trim_end_matches('=');
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !letters.is_empty() && letters.bytes().all(is_letter)
}

/// Java: `OAuthBearerClientInitialResponse.validateExtensions`.
fn check_extension(key: &str, value: &str) -> Result<(), SaslFailure> {
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
    let failure = |reason: &str| {
        let key = shown(key.as_bytes());
        Err(SaslFailure::new(format!(
            "the SASL extension '{key}' {reason}"
        )))
    };
    if !is_key {
        return failure("has a name with other characters than A to Z and a to z");
    }
    if key == "auth" {
        return failure("has the name of the token");
    }
    let is_value = |byte: u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    if value.is_empty() || !value.bytes().all(is_value) {
        return failure("has a value that is empty or not printable");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn token(value: &str) -> OAuthBearerToken {
        OAuthBearerToken::new(value, SystemTime::UNIX_EPOCH)
    }

    fn initial(token: OAuthBearerToken) -> Result<String, String> {
        let message = OAuthBearerSaslClient::new(token).evaluate(b"");
        match message {
            Ok(message) => Ok(String::from_utf8(message.unwrap().to_vec()).unwrap()),
            Err(failure) => Err(failure.to_string()),
        }
    }

    // Java: OAuthBearerClientInitialResponseTest.testBuildClientResponseToBytes, testRfc7688Example.
    #[test]
    fn the_token_and_the_extensions_are_framed() {
        assert_eq!(
            initial(token("123.345.567")).unwrap(),
            "n,,\x01auth=Bearer 123.345.567\x01\x01"
        );
        let token = token("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
            .extension("logicalCluster", "lkc-1 x")
            .extension("identityPoolId", "pool");
        assert_eq!(
            initial(token).unwrap(),
            "n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\
             logicalCluster=lkc-1 x\x01identityPoolId=pool\x01\x01"
        );
    }

    // Java: OAuthBearerClientInitialResponseTest.testThrowsSaslExceptionOnInvalidExtensionKey and others.
    #[test]
    fn what_the_message_cannot_carry_is_refused_before_it_is_sent() {
        for value in ["", "a b", "a\x01b", "=", "a=b", "a\nb"] {
            let text = initial(token(value)).unwrap_err();
            assert!(
                text.contains("characters that no bearer token has"),
                "{text}"
            );
        }
        for (key, value, reason) in [
            ("auth", "x", "has the name of the token"),
            ("17", "x", "has a name with other characters"),
            ("", "x", "has a name with other characters"),
            ("key", "", "has a value that is empty"),
            ("key", "a\x01auth=Bearer evil", "or not printable"),
        ] {
            let text = initial(token("t").extension(key, value)).unwrap_err();
            assert!(text.contains(reason), "{text}");
        }
    }

    // Java: OAuthBearerSaslClientTest.testValidResponse..., testFailure.
    #[test]
    fn a_refusal_is_acknowledged_and_then_fails() {
        let mut client = OAuthBearerSaslClient::new(token("t"));
        client.evaluate(b"").unwrap();
        let challenge = b"{\"status\":\"invalid_token\"}\n";
        let answer = client.evaluate(challenge).unwrap().unwrap();
        assert_eq!(&**answer, b"\x01");
        assert!(!client.is_complete());
        let expected = "the broker refused the token: {\"status\":\"invalid_token\"}\\n";
        assert_eq!(client.refusal(), Some(expected));
        let failure = client.evaluate(b"").unwrap_err();
        assert_eq!(failure.to_string(), expected);

        let mut client = OAuthBearerSaslClient::new(token("t"));
        client.evaluate(b"").unwrap();
        assert!(!client.is_complete());
        assert_eq!(client.evaluate(b"").unwrap(), None);
        assert!(client.is_complete());
    }
}
