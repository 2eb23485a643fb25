//! Setters for credentials: the contents of `sasl.jaas.config`, and closures.

use std::error::Error as StdError;

use super::jaas_config::quoted;
use super::sasl_config::SaslProvider;
use super::{ProducerConfig, sasl_keys};
#[cfg(feature = "aws-msk-iam")]
use crate::network::AwsCredentials;
#[cfg(feature = "aws-msk-iam")]
use crate::network::sasl::{AwsOrigin, MskIam};
use crate::network::{OAuthBearerToken, SaslCredentials};
use crate::sync::Arc;
use crate::utils::Secret;

/// Credentials for SASL. Each setter also sets `sasl.mechanism`, and replaces earlier credentials.
/// They only have an effect if `security.protocol` is `SASL_SSL` or `SASL_PLAINTEXT`.
impl ProducerConfig {
    /// Authenticates with PLAIN. The broker receives the password itself, so use TLS.
    pub fn sasl_plain(&mut self, username: &str, password: &str) -> &mut Self {
        self.user_and_password("PLAIN", "plain.PlainLoginModule", username, password)
    }

    /// Authenticates with SCRAM-SHA-256: both sides prove that they know the password, and neither
    /// sends it.
    pub fn sasl_scram_sha_256(&mut self, username: &str, password: &str) -> &mut Self {
        self.user_and_password(
            "SCRAM-SHA-256",
            "scram.ScramLoginModule",
            username,
            password,
        )
    }

    /// Authenticates with SCRAM-SHA-512: both sides prove that they know the password, and neither
    /// sends it.
    pub fn sasl_scram_sha_512(&mut self, username: &str, password: &str) -> &mut Self {
        self.user_and_password(
            "SCRAM-SHA-512",
            "scram.ScramLoginModule",
            username,
            password,
        )
    }

    /// Calls `provider` for the user and the password of PLAIN or SCRAM at each authentication, so
    /// that they can change while the producer runs. Also set `sasl.mechanism`. The closure runs on
    /// the I/O thread, and must not block. An error or a panic in it becomes an `Authentication`
    /// error that contains the closure's text, which must not include a secret.
    ///
    /// Java: `sasl.client.callback.handler.class`.
    pub fn sasl_credentials(
        &mut self,
        provider: impl Fn() -> Result<SaslCredentials, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        self.sasl_provider = Some(SaslProvider::Credentials(Arc::new(provider)));
        self
    }

    /// Authenticates with OAUTHBEARER and the tokens of `provider`. The closure is called once
    /// while the producer is built. Later it is called on a separate thread, before each token
    /// expires (`sasl.login.refresh.*`). An error or a panic in the first call fails the build.
    /// Later ones are logged, and the closure is called again after 10 s.
    ///
    /// Java: `sasl.login.callback.handler.class`.
    pub fn sasl_oauthbearer(
        &mut self,
        provider: impl Fn() -> Result<OAuthBearerToken, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        self.put(&sasl_keys::MECHANISM, "OAUTHBEARER");
        self.sasl_provider = Some(SaslProvider::Token(Arc::new(provider)));
        self
    }

    /// Authenticates to Amazon MSK with IAM. The credentials of `provider` sign the tokens for the
    /// brokers of `region`, such as `us-east-1`. The closure is called like that of
    /// [`sasl_oauthbearer`](Self::sasl_oauthbearer). Without a closure, set
    /// `sasl.mechanism=AWS_MSK_IAM`. The credentials then come from the environment, a profile, the
    /// container or the instance.
    #[cfg(feature = "aws-msk-iam")]
    pub fn sasl_aws_msk_iam(
        &mut self,
        region: &str,
        provider: impl Fn() -> Result<AwsCredentials, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        self.put(&sasl_keys::MECHANISM, "AWS_MSK_IAM");
        self.sasl_provider = Some(SaslProvider::Aws(MskIam {
            region: region.to_owned(),
            origin: AwsOrigin::Provider(Arc::new(provider)),
        }));
        self
    }

    fn user_and_password(
        &mut self,
        mechanism: &str,
        module: &str,
        username: &str,
        password: &str,
    ) -> &mut Self {
        let (username, password) = (quoted(username), Secret::new(quoted(password)));
        let jaas = Secret::new(format!(
            "org.apache.kafka.common.security.{module} required username={username} password={};",
            password.expose()
        ));
        self.sasl_provider = None;
        self.put(&sasl_keys::MECHANISM, mechanism);
        self.put(&sasl_keys::JAAS_CONFIG, jaas.expose())
    }
}
