//! AWS credentials.

use std::time::SystemTime;

use crate::network::sasl::credentials::unix_millis;
use crate::utils::Secret;

/// AWS credentials, which sign the tokens for Amazon MSK. They are never printed, and dropping
/// overwrites them.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    expires_at: Option<i64>,
}

impl AwsCredentials {
    /// Creates credentials from an access key, which does not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Secret::new(secret_access_key),
            session_token: None,
            expires_at: None,
        }
    }

    /// Adds the session token of temporary credentials.
    #[must_use]
    pub fn session_token(mut self, session_token: impl Into<String>) -> Self {
        self.session_token = Some(Secret::new(session_token));
        self
    }

    /// Sets the time at which temporary credentials expire. The producer requests new ones before
    /// that.
    #[must_use]
    pub fn expires_at(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(unix_millis(expires_at));
        self
    }

    pub(super) fn with_expiry(mut self, millis: Option<i64>) -> Self {
        self.expires_at = millis;
        self
    }

    pub(super) fn id(&self) -> &str {
        &self.access_key_id
    }

    pub(super) fn secret(&self) -> &str {
        self.secret_access_key.expose()
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.session_token.as_ref().map(Secret::expose)
    }

    /// Returns the expiry in milliseconds since 1970, if it is set.
    pub(super) fn expiry(&self) -> Option<i64> {
        self.expires_at
    }
}
