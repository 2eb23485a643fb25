//! The protection of a connection. Java: `SecurityProtocol`.

use crate::utils::choice;

choice! {
    /// How the connections to the brokers are protected (`security.protocol`).
    SecurityProtocol {
        /// No encryption and no authentication.
        Plaintext = "PLAINTEXT",
        /// TLS, with a client certificate if there is a keystore.
        Ssl = "SSL",
        /// SASL without encryption.
        SaslPlaintext = "SASL_PLAINTEXT",
        /// SASL over TLS.
        SaslSsl = "SASL_SSL",
    }
}

impl SecurityProtocol {
    /// Every protocol, in Java's order.
    pub(crate) const ALL: [Self; 4] = [
        Self::Plaintext,
        Self::Ssl,
        Self::SaslPlaintext,
        Self::SaslSsl,
    ];

    /// Returns whether connections speak TLS.
    pub(crate) const fn uses_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Returns whether connections authenticate by SASL.
    pub(crate) const fn uses_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}
