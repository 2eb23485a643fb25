//! The supported APIs, and the versions of each. Java: `ApiKeys`, and the `validVersions` of the
//! schemas.

use std::fmt;
use std::ops::RangeInclusive;

/// An API of Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ApiKey {
    /// Writes record batches to partitions.
    Produce,
    /// Requests brokers, topics and leaders.
    Metadata,
    /// Requests the coordinator of a group or a transactional id.
    FindCoordinator,
    /// Chooses the mechanism of an authentication by SASL.
    SaslHandshake,
    /// Requests the APIs and versions that a broker supports.
    ApiVersions,
    /// Requests a producer id and epoch.
    InitProducerId,
    /// Adds partitions to a transaction.
    AddPartitionsToTxn,
    /// Adds the offsets of a consumer group to a transaction.
    AddOffsetsToTxn,
    /// Commits or aborts a transaction.
    EndTxn,
    /// Writes offsets of a consumer group in a transaction.
    TxnOffsetCommit,
    /// Carries the messages of a SASL mechanism.
    SaslAuthenticate,
    /// Requests the subscription: the metrics to push (KIP-714).
    GetTelemetrySubscriptions,
    /// Pushes metrics.
    PushTelemetry,
}

impl ApiKey {
    /// Every API, by number.
    pub(crate) const ALL: [Self; 13] = [
        Self::Produce,
        Self::Metadata,
        Self::FindCoordinator,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::AddPartitionsToTxn,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
        Self::SaslAuthenticate,
        Self::GetTelemetrySubscriptions,
        Self::PushTelemetry,
    ];

    /// Returns the number on the wire.
    pub(crate) const fn id(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Metadata => 3,
            Self::FindCoordinator => 10,
            Self::SaslHandshake => 17,
            Self::ApiVersions => 18,
            Self::InitProducerId => 22,
            Self::AddPartitionsToTxn => 24,
            Self::AddOffsetsToTxn => 25,
            Self::EndTxn => 26,
            Self::TxnOffsetCommit => 28,
            Self::SaslAuthenticate => 36,
            Self::GetTelemetrySubscriptions => 71,
            Self::PushTelemetry => 72,
        }
    }

    /// Returns the API with this number, if the producer uses it.
    pub(crate) fn from_id(id: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.id() == id)
    }

    /// Returns Kafka's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::FindCoordinator => "FindCoordinator",
            Self::SaslHandshake => "SaslHandshake",
            Self::ApiVersions => "ApiVersions",
            Self::InitProducerId => "InitProducerId",
            Self::AddPartitionsToTxn => "AddPartitionsToTxn",
            Self::AddOffsetsToTxn => "AddOffsetsToTxn",
            Self::EndTxn => "EndTxn",
            Self::TxnOffsetCommit => "TxnOffsetCommit",
            Self::SaslAuthenticate => "SaslAuthenticate",
            Self::GetTelemetrySubscriptions => "GetTelemetrySubscriptions",
            Self::PushTelemetry => "PushTelemetry",
        }
    }

    /// Returns the versions that this library can encode and decode: those that brokers from 2.1 to
    /// 4.x may choose. The newer versions of AddPartitionsToTxn are only used between brokers.
    pub(crate) const fn versions(self) -> RangeInclusive<i16> {
        match self {
            Self::Produce => 3..=13,
            Self::Metadata => 4..=13,
            Self::FindCoordinator => 1..=6,
            Self::AddOffsetsToTxn => 0..=4,
            Self::AddPartitionsToTxn => 0..=3,
            Self::ApiVersions | Self::InitProducerId | Self::EndTxn => 0..=5,
            Self::TxnOffsetCommit => 0..=6,
            Self::SaslHandshake => 0..=1,
            Self::SaslAuthenticate => 0..=2,
            Self::GetTelemetrySubscriptions | Self::PushTelemetry => 0..=0,
        }
    }

    /// Returns whether this version has compact lengths and tagged fields (KIP-482). Also works for
    /// versions newer than [`versions`](Self::versions), because later versions of a flexible API
    /// stay flexible.
    pub(crate) const fn is_flexible(self, version: i16) -> bool {
        let first_flexible = match self {
            Self::Produce | Self::Metadata => 9,
            Self::FindCoordinator
            | Self::ApiVersions
            | Self::AddPartitionsToTxn
            | Self::AddOffsetsToTxn
            | Self::EndTxn
            | Self::TxnOffsetCommit => 3,
            Self::InitProducerId | Self::SaslAuthenticate => 2,
            Self::GetTelemetrySubscriptions | Self::PushTelemetry => 0,
            // No version is flexible.
            Self::SaslHandshake => i16::MAX,
        };
        version >= first_flexible
    }

    /// Returns the version of the request header: 2, with tagged fields, for flexible versions, and
    /// otherwise 1.
    pub(crate) const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// Returns the version of the response header: 1, with tagged fields, for flexible versions,
    /// and otherwise 0.
    ///
    /// ApiVersions always has 0 (KIP-511), because the client must read its response before it
    /// knows the broker's versions.
    pub(crate) const fn response_header_version(self, version: i16) -> i16 {
        match self {
            Self::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: ApiKeysTest.
    #[test]
    fn api_versions_match_the_java_client() {
        let table = include_str!("../../tests/data/api-versions.tsv");
        let mut found = 0;
        for line in table.lines() {
            let columns: Vec<_> = line.split('\t').collect();
            let Some(key) = columns[0].parse().ok().and_then(ApiKey::from_id) else {
                continue;
            };
            found += 1;
            assert_eq!(
                columns[1].replace('_', "").to_lowercase(),
                key.name().to_lowercase()
            );
            let (first, last) = columns[2].split_once('-').unwrap();
            let (first, last): (i16, i16) = (first.parse().unwrap(), last.parse().unwrap());
            assert!(
                first <= *key.versions().start() && *key.versions().end() <= last,
                "{line}"
            );
        }
        assert_eq!(found, ApiKey::ALL.len(), "{table}");
    }

    #[test]
    fn header_versions_follow_the_flexible_versions() {
        for (key, version, request, response) in [
            (ApiKey::Produce, 8, 1, 0),
            (ApiKey::Produce, 9, 2, 1),
            (ApiKey::Metadata, 8, 1, 0),
            (ApiKey::Metadata, 9, 2, 1),
            (ApiKey::ApiVersions, 2, 1, 0),
            (ApiKey::ApiVersions, 3, 2, 0),
            (ApiKey::InitProducerId, 1, 1, 0),
            (ApiKey::InitProducerId, 2, 2, 1),
            (ApiKey::FindCoordinator, 2, 1, 0),
            (ApiKey::FindCoordinator, 3, 2, 1),
            (ApiKey::EndTxn, 2, 1, 0),
            (ApiKey::EndTxn, 3, 2, 1),
        ] {
            assert_eq!(
                key.request_header_version(version),
                request,
                "{key} {version}"
            );
            assert_eq!(
                key.response_header_version(version),
                response,
                "{key} {version}"
            );
        }
        assert_eq!(ApiKey::from_id(1), None);
    }
}
