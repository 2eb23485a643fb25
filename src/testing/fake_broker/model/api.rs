//! The APIs of a test broker.

use crate::protocol::ApiKey;

/// The APIs of a test broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Api {
    /// Versions 3 to 13.
    Produce,
    /// Versions 4 to 13.
    Metadata,
    /// Versions 1 to 6.
    FindCoordinator,
    /// Versions 0 to 4.
    ApiVersions,
    /// Versions 0 to 5.
    InitProducerId,
    /// Versions 0 to 3.
    AddPartitionsToTxn,
    /// Versions 0 to 4.
    AddOffsetsToTxn,
    /// Versions 0 to 5.
    EndTxn,
    /// Versions 0 to 5.
    TxnOffsetCommit,
    /// Versions 0 and 1.
    SaslHandshake,
    /// Versions 0 to 2.
    SaslAuthenticate,
    /// Version 0, if there is a subscription ([`telemetry`](crate::testing::FakeBrokerBuilder::telemetry)).
    GetTelemetrySubscriptions,
    /// Version 0, like `GetTelemetrySubscriptions`.
    PushTelemetry,
}

impl Api {
    pub(crate) const ALL: [Self; 13] = [
        Self::Produce,
        Self::Metadata,
        Self::FindCoordinator,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::AddPartitionsToTxn,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
        Self::SaslHandshake,
        Self::SaslAuthenticate,
        Self::GetTelemetrySubscriptions,
        Self::PushTelemetry,
    ];

    pub(crate) fn key(self) -> ApiKey {
        match self {
            Self::Produce => ApiKey::Produce,
            Self::Metadata => ApiKey::Metadata,
            Self::FindCoordinator => ApiKey::FindCoordinator,
            Self::ApiVersions => ApiKey::ApiVersions,
            Self::InitProducerId => ApiKey::InitProducerId,
            Self::AddPartitionsToTxn => ApiKey::AddPartitionsToTxn,
            Self::AddOffsetsToTxn => ApiKey::AddOffsetsToTxn,
            Self::EndTxn => ApiKey::EndTxn,
            Self::TxnOffsetCommit => ApiKey::TxnOffsetCommit,
            Self::SaslHandshake => ApiKey::SaslHandshake,
            Self::SaslAuthenticate => ApiKey::SaslAuthenticate,
            Self::GetTelemetrySubscriptions => ApiKey::GetTelemetrySubscriptions,
            Self::PushTelemetry => ApiKey::PushTelemetry,
        }
    }

    pub(crate) fn from_id(id: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.key().id() == id)
    }
}
