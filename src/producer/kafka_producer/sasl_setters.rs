//! The builder's setters for SASL credentials.

use std::error::Error as StdError;

use super::KafkaProducerBuilder;
#[cfg(feature = "aws-msk-iam")]
use crate::network::AwsCredentials;
use crate::network::{OAuthBearerToken, SaslCredentials};
use crate::producer::Serializer;

/// Credentials for SASL. See the setters of [`ProducerConfig`](crate::ProducerConfig) with the same
/// names.
impl<KS: Serializer, VS: Serializer> KafkaProducerBuilder<KS, VS> {
    /// See [`ProducerConfig::sasl_plain`](crate::ProducerConfig::sasl_plain).
    #[must_use]
    pub fn sasl_plain(self, username: &str, password: &str) -> Self {
        self.configured(|config| config.sasl_plain(username, password))
    }

    /// See [`ProducerConfig::sasl_scram_sha_256`](crate::ProducerConfig::sasl_scram_sha_256).
    #[must_use]
    pub fn sasl_scram_sha_256(self, username: &str, password: &str) -> Self {
        self.configured(|config| config.sasl_scram_sha_256(username, password))
    }

    /// See [`ProducerConfig::sasl_scram_sha_512`](crate::ProducerConfig::sasl_scram_sha_512).
    #[must_use]
    pub fn sasl_scram_sha_512(self, username: &str, password: &str) -> Self {
        self.configured(|config| config.sasl_scram_sha_512(username, password))
    }

    /// See [`ProducerConfig::sasl_credentials`](crate::ProducerConfig::sasl_credentials).
    #[must_use]
    pub fn sasl_credentials(
        self,
        provider: impl Fn() -> Result<SaslCredentials, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.configured(|config| config.sasl_credentials(provider))
    }

    /// See [`ProducerConfig::sasl_oauthbearer`](crate::ProducerConfig::sasl_oauthbearer).
    #[must_use]
    pub fn sasl_oauthbearer(
        self,
        provider: impl Fn() -> Result<OAuthBearerToken, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.configured(|config| config.sasl_oauthbearer(provider))
    }

    /// See [`ProducerConfig::sasl_aws_msk_iam`](crate::ProducerConfig::sasl_aws_msk_iam).
    #[cfg(feature = "aws-msk-iam")]
    #[must_use]
    pub fn sasl_aws_msk_iam(
        self,
        region: &str,
        provider: impl Fn() -> Result<AwsCredentials, Box<dyn StdError + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.configured(|config| config.sasl_aws_msk_iam(region, provider))
    }
}
