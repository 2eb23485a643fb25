//! Setters for credentials: what a line of `sasl.jaas.config` says, and closures, which no line can say.

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

/// Credentials for SASL. Each setter sets `sasl.mechanism` too, and replaces what an earlier one set. `security.protocol` must
/// be `SASL_SSL` or `SASL_PLAINTEXT` for them to have an effect.
impl ProducerConfig {
    /// Authenticates by PLAIN: the broker gets the password itself, which is why it belongs inside TLS.
    pub fn sasl_plain(&mut self, username: &str, password: &str) -> &mut Self {
        self.user_and_password("PLAIN", "plain.PlainLoginModule", username, password)
    }

    /// Authenticates by SCRAM-SHA-256: both sides prove that they know the password, and neither sends it.
    pub fn sasl_scram_sha_256(&mut self, username: &str, password: &str) -> &mut Self {
        self.user_and_password(
            "SCRAM-SHA-256",
            "scram.ScramLoginModule",
            username,
            password,
        )
    }

    /// Authenticates by SCRAM-SHA-512: both sides prove that they know the password, and neither sends it.
    pub fn sasl_scram_sha_512(&mut self, username: &str, password: &str) -> &mut Self {
        self.user_and_password(
            "SCRAM-SHA-512",
            "scram.ScramLoginModule",
            username,
            password,
        )
    }

    /// Asks `provider` for the user and the password of PLAIN or SCRAM at each authentication, so that they can change while the
    /// producer runs. Set `sasl.mechanism` besides. The closure runs on the I/O thread, and must not block. An error or a panic
    /// of it is an `Authentication` error, whose text contains the error's; it must not contain a secret.
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

    /// Authenticates by OAUTHBEARER with the tokens of `provider`. It is asked once while the producer is built, and then, on a
    /// thread of its own, before each token ends (`sasl.login.refresh.*`). An error or a panic of it fails the building of the
    /// producer; later it is logged, and the provider is asked again after 10 s.
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

    /// Authenticates to Amazon MSK by IAM, with tokens that `provider`'s credentials sign for the brokers of `region`, such as
    /// `us-east-1`. It is called as the one of [`sasl_oauthbearer`](Self::sasl_oauthbearer) is. Without a closure, set
    /// `sasl.mechanism=AWS_MSK_IAM`: the credentials are then those of the environment, of a profile, of the container or of the
    /// instance.
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
