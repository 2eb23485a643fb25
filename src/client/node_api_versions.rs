//! The versions that a broker supports, and the usable ones among them. Java: `NodeApiVersions`;
//! KIP-35.

use std::fmt;
use std::ops::RangeInclusive;

use crate::protocol::ApiKey;
use crate::protocol::messages::ApiVersion;

/// The part of a broker's ApiVersions response that matters to the producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeApiVersions {
    /// At most one entry for each API that this library knows. Invalid ranges are skipped.
    supported: Vec<(ApiKey, RangeInclusive<i16>)>,
    unknown_count: usize,
}

/// Both sides should know the API, but share no version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoUsableVersion {
    key: ApiKey,
    wanted: RangeInclusive<i16>,
    supported: Option<RangeInclusive<i16>>,
}

impl NodeApiVersions {
    pub(crate) fn new(api_keys: &[ApiVersion]) -> Self {
        let mut supported: Vec<(ApiKey, RangeInclusive<i16>)> = Vec::new();
        let mut unknown_count = 0;
        for api in api_keys {
            let Some(key) = ApiKey::from_id(api.api_key) else {
                unknown_count += 1;
                continue;
            };
            let versions = api.min_version..=api.max_version;
            let is_known = supported.iter().any(|(known, _)| *known == key);
            if !versions.is_empty() && api.max_version >= 0 && !is_known {
                supported.push((key, versions));
            }
        }
        Self {
            supported,
            unknown_count,
        }
    }

    /// Returns the versions that the broker supports.
    pub(crate) fn supported_versions(&self, key: ApiKey) -> Option<&RangeInclusive<i16>> {
        let mut all = self.supported.iter();
        all.find(|(known, _)| *known == key)
            .map(|(_, versions)| versions)
    }

    /// Returns the highest version that both sides support.
    pub(crate) fn latest_usable_version(&self, key: ApiKey) -> Result<i16, NoUsableVersion> {
        self.latest_usable_version_in(key, key.versions())
    }

    /// Returns the highest version in `wanted` that the broker supports.
    pub(crate) fn latest_usable_version_in(
        &self,
        key: ApiKey,
        wanted: RangeInclusive<i16>,
    ) -> Result<i16, NoUsableVersion> {
        let supported = self.supported_versions(key);
        supported
            .and_then(|supported| latest_common_version(&wanted, supported))
            .ok_or_else(|| NoUsableVersion {
                key,
                supported: supported.cloned(),
                wanted,
            })
    }
}

fn latest_common_version(a: &RangeInclusive<i16>, b: &RangeInclusive<i16>) -> Option<i16> {
    let first = a.start().max(b.start());
    let last = a.end().min(b.end());
    (first <= last).then_some(*last)
}

impl fmt::Display for NodeApiVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (key, versions) in &self.supported {
            write!(f, "{key}: {} to {}", versions.start(), versions.end())?;
            match self.latest_usable_version(*key) {
                Ok(usable) => write!(f, " [usable: {usable}], ")?,
                Err(_) => f.write_str(" [unusable], ")?,
            }
        }
        write!(f, "{} others)", self.unknown_count)
    }
}

impl fmt::Display for NoUsableVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.wanted.start(), self.wanted.end());
        write!(f, "{} versions {first} to {last} are needed, ", self.key)?;
        match &self.supported {
            Some(supported) => write!(f, "{} to {} ", supported.start(), supported.end())?,
            None => f.write_str("none ")?,
        }
        f.write_str("are supported")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(key: i16, min_version: i16, max_version: i16) -> ApiVersion {
        ApiVersion {
            api_key: key,
            min_version,
            max_version,
        }
    }

    fn node(key: ApiKey, min: i16, max: i16) -> NodeApiVersions {
        NodeApiVersions::new(&[versions(key.id(), min, max)])
    }

    // Java: NodeApiVersionsTest.testUnsupportedVersionsToString, testVersionsToString, testUnknownApiVersionsToString.
    #[test]
    fn versions_are_printed_with_the_usable_one() {
        assert_eq!(NodeApiVersions::new(&[]).to_string(), "(0 others)");
        let node = NodeApiVersions::new(&[
            versions(0, 0, 8),
            versions(3, 0, 3),
            versions(337, 0, 1),
            versions(338, 0, 1),
        ]);
        assert_eq!(
            node.to_string(),
            "(Produce: 0 to 8 [usable: 8], Metadata: 0 to 3 [unusable], 2 others)"
        );
    }

    // Java: NodeApiVersionsTest.testLatestUsableVersion, testLatestUsableVersionOutOfRange...
    #[test]
    fn the_latest_version_of_both_sides_is_used() {
        assert_eq!(
            node(ApiKey::Produce, 0, 5).latest_usable_version(ApiKey::Produce),
            Ok(5)
        );
        assert_eq!(
            node(ApiKey::Produce, 10, 99).latest_usable_version(ApiKey::Produce),
            Ok(13)
        );
        assert_eq!(
            node(ApiKey::Produce, 13, 13).latest_usable_version(ApiKey::Produce),
            Ok(13)
        );
        let within = |min, max, wanted| {
            node(ApiKey::Produce, min, max).latest_usable_version_in(ApiKey::Produce, wanted)
        };
        assert_eq!(within(3, 13, 3..=12), Ok(12));
        assert_eq!(within(3, 8, 5..=12), Ok(8));
        assert!(within(3, 8, 9..=12).is_err());
        assert!(within(10, 13, 3..=9).is_err());
    }

    // Java: NodeApiVersionsTest.testUsableVersionNoDesiredVersionReturnsLatestUsable, testLatestUsableVersionOutOfRangeLow,
    // testLatestUsableVersionOutOfRangeHigh, testUsableVersionCalculationNoKnownVersions.
    #[test]
    fn the_error_names_both_ranges() {
        let error = node(ApiKey::Metadata, 0, 3).latest_usable_version(ApiKey::Metadata);
        assert_eq!(
            error.unwrap_err().to_string(),
            "Metadata versions 4 to 13 are needed, 0 to 3 are supported"
        );
        let error = node(ApiKey::Produce, 14, 15).latest_usable_version(ApiKey::Produce);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .ends_with("14 to 15 are supported")
        );
        let error = NodeApiVersions::new(&[]).latest_usable_version(ApiKey::Produce);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .ends_with("none are supported")
        );
    }

    // A hostile broker sends these ranges.
    #[test]
    fn ranges_that_make_no_sense_count_as_none() {
        for (min, max) in [(5, 4), (i16::MIN, -1), (i16::MAX, i16::MIN), (-3, -3)] {
            let node = node(ApiKey::Produce, min, max);
            assert_eq!(
                node.supported_versions(ApiKey::Produce),
                None,
                "{min} {max}"
            );
            assert!(node.latest_usable_version(ApiKey::Produce).is_err());
        }
        let wide = node(ApiKey::Produce, i16::MIN, i16::MAX);
        assert_eq!(wide.latest_usable_version(ApiKey::Produce), Ok(13));
        let repeated = NodeApiVersions::new(&vec![versions(0, 3, 7); 10_000]);
        assert_eq!(repeated.supported.len(), 1);
    }
}
