//! PLAIN (RFC 4616): the user name and the password in clear text. Java: `PlainSaslClientProvider`
//! of the JDK.

use zeroize::Zeroizing;

use super::{SaslClient, SaslCredentials, SaslFailure};
use crate::utils::SecretBytes;

#[derive(Debug)]
pub(super) struct PlainSaslClient {
    /// Taken by the only message.
    credentials: Option<SaslCredentials>,
}

impl PlainSaslClient {
    pub(super) fn new(credentials: SaslCredentials) -> Self {
        Self {
            credentials: Some(credentials),
        }
    }
}

impl SaslClient for PlainSaslClient {
    fn evaluate(&mut self, _challenge: &[u8]) -> Result<Option<SecretBytes>, SaslFailure> {
        let Some(credentials) = self.credentials.take() else {
            return Ok(None);
        };
        let (user, password) = (credentials.username(), credentials.password());
        for (what, text) in [("user name", user), ("password", password)] {
            if text.is_empty() {
                return Err(SaslFailure::new(format!("the {what} is empty")));
            }
            if text.contains('\0') {
                let text = format!("the {what} has a zero byte, which separates the two in PLAIN");
                return Err(SaslFailure::new(text));
            }
        }
        // No authorization id, then user and password. Reserves the capacity first, so that growing
        // leaves no copy behind.
        let mut message = Zeroizing::new(Vec::with_capacity(user.len() + password.len() + 2));
        message.push(0);
        message.extend_from_slice(user.as_bytes());
        message.push(0);
        message.extend_from_slice(password.as_bytes());
        Ok(Some(message))
    }

    fn is_complete(&self) -> bool {
        self.credentials.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(user: &str, password: &str) -> Result<Option<SecretBytes>, SaslFailure> {
        PlainSaslClient::new(SaslCredentials::new(user, password)).evaluate(b"")
    }

    // Java: PlainSaslServerTest.noAuthorizationIdSpecified, for the client's side.
    #[test]
    fn the_message_has_no_authorization_id() {
        let sent = message("alice", "p\u{e4}ss, =").unwrap().unwrap();
        assert_eq!(&**sent, "\0alice\0p\u{e4}ss, =".as_bytes());
    }

    // Java: SaslAuthenticatorTest.testMissingUsernameSaslPlain, testMissingPasswordSaslPlain.
    #[test]
    fn what_plain_cannot_carry_is_refused_before_it_is_sent() {
        for (user, password, reason) in [
            ("", "secret", "the user name is empty"),
            ("alice", "", "the password is empty"),
            ("al\0ice", "secret", "the user name has a zero byte"),
            ("alice", "sec\0ret", "the password has a zero byte"),
        ] {
            let text = message(user, password).unwrap_err().to_string();
            assert!(text.starts_with(reason), "{text}");
            assert!(!text.contains("sec"), "{text}");
        }
    }
}
