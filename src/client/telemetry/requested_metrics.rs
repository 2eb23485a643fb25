//! The metrics that a broker requests. Java:
//! `ClientTelemetryUtils.getSelectorFromRequestedMetrics`.

/// The metrics that a subscription requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestedMetrics {
    None,
    All,
    /// Metrics whose names have one of these prefixes. Sorted, and none is a prefix of another.
    Prefixes(Box<[String]>),
}

impl RequestedMetrics {
    /// Parses the list of a response: no entry requests nothing, and a single `*` requests
    /// everything.
    ///
    /// If one prefix is a prefix of another, the longer one is redundant. Without redundant ones,
    /// only the last prefix that is not greater than a name can match it. So a long list costs a
    /// binary search for each metric instead of a comparison with each prefix.
    pub(super) fn new(mut requested: Vec<String>) -> Self {
        match &requested[..] {
            [] => return Self::None,
            [only] if only == "*" => return Self::All,
            _ => {}
        }
        requested.sort_unstable();
        requested.dedup_by(|prefix, shorter| prefix.starts_with(shorter.as_str()));
        match requested.first() {
            Some(first) if first.is_empty() => Self::All,
            _ => Self::Prefixes(requested.into_boxed_slice()),
        }
    }

    /// Returns whether the metric with this name is requested.
    pub(super) fn contains(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Prefixes(prefixes) => {
                let greater = prefixes.partition_point(|prefix| prefix.as_str() <= name);
                let last = greater.checked_sub(1).and_then(|index| prefixes.get(index));
                last.is_some_and(|prefix| name.starts_with(prefix.as_str()))
            }
        }
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(prefixes: &[&str]) -> RequestedMetrics {
        RequestedMetrics::new(prefixes.iter().map(ToString::to_string).collect())
    }

    // Java: ClientTelemetryUtilsTest.testGetSelectorFromRequestedMetrics.
    #[test]
    fn prefixes_choose_the_requested_metrics() {
        assert!(of(&[]).is_none());
        assert_eq!(of(&["*"]), RequestedMetrics::All);
        assert_eq!(of(&[""]), RequestedMetrics::All);
        assert_eq!(of(&["metric", ""]), RequestedMetrics::All);
        let two = of(&["metric1", "metric2"]);
        for (name, is_wanted) in [
            ("metric1.test", true),
            ("metric2.test", true),
            ("metric1", true),
            ("test", false),
            ("metric", false),
        ] {
            assert_eq!(two.contains(name), is_wanted, "{name}");
        }
        // Next to other entries it is a prefix like any other.
        assert!(!of(&["*", "a"]).contains("b"));
    }

    #[test]
    fn a_list_of_a_hundred_thousand_prefixes_is_searched_not_scanned() {
        let prefixes = (0..100_000).map(|number| format!("m{number}."));
        let requested = RequestedMetrics::new(prefixes.collect());
        for _ in 0..10_000 {
            assert!(requested.contains("m99999.x"));
            assert!(!requested.contains("n"));
        }
    }

    proptest! {
        #[test]
        fn a_metric_is_wanted_if_a_prefix_fits(
            prefixes in prop::collection::vec("[ab*]{0,4}", 2..8),
            name in "[ab*]{0,6}",
        ) {
            let fits = prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
            prop_assert_eq!(RequestedMetrics::new(prefixes).contains(&name), fits);
        }
    }
}
