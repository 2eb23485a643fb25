//! The name of a metric. Java: `MetricName`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::sync::Arc;

/// A tag's name and value.
pub(crate) type Tag = (Cow<'static, str>, Arc<str>);

/// The name of a metric: its group, its name within the group, and its tags.
///
/// Two names are equal if all three are equal; the description does not count. The groups, names
/// and tags are Java's: `producer-metrics` (tag `client-id`), `producer-topic-metrics` (and
/// `topic`), `producer-node-metrics` (and `node-id`).
#[derive(Clone, Debug)]
pub struct MetricName {
    name: Cow<'static, str>,
    group: Cow<'static, str>,
    description: Cow<'static, str>,
    /// Shared by the metrics of one set.
    tags: Arc<[Tag]>,
}

impl MetricName {
    /// Creates a name, for a [`MockProducer`](crate::MockProducer) or a reporter's own metrics.
    pub fn new(name: &str, group: &str, description: &str, tags: &[(&str, &str)]) -> Self {
        let tags = tags
            .iter()
            .map(|(name, value)| (Cow::Owned((*name).to_owned()), Arc::from(*value)));
        Self {
            name: Cow::Owned(name.to_owned()),
            group: Cow::Owned(group.to_owned()),
            description: Cow::Owned(description.to_owned()),
            tags: tags.collect(),
        }
    }

    pub(super) fn of_table(
        name: &'static str,
        group: &'static str,
        description: &'static str,
        tags: Arc<[Tag]>,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            group: Cow::Borrowed(group),
            description: Cow::Borrowed(description),
            tags,
        }
    }

    /// Returns the name within the group, such as `record-send-rate`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the group, such as `producer-metrics`.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Returns what the metric means.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the tags, each a name and a value, such as `client-id` and `producer-1`.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.tags.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Returns the value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let mut tags = self.tags();
        tags.find(|(tag, _)| *tag == name).map(|(_, value)| value)
    }
}

impl PartialEq for MetricName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for MetricName {}

impl PartialOrd for MetricName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Orders names by group, then by name, then by tags, so that the values of one metric are
/// neighbours.
impl Ord for MetricName {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.group, &self.name, &self.tags).cmp(&(&other.group, &other.name, &other.tags))
    }
}

impl Hash for MetricName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.group, &self.name, &self.tags).hash(state);
    }
}

/// Writes `group:name{tag=value, ...}`.
impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{{", self.group, self.name)?;
        for (index, (name, value)) in self.tags().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={value}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: MetricNameTest.testEquals... in MetricsTest: names are equal by group, name and tags.
    #[test]
    fn the_description_is_no_part_of_a_names_identity() {
        let name = |description, topic| MetricName::new("n", "g", description, &[("topic", topic)]);
        assert_eq!(name("a", "t"), name("b", "t"));
        assert_ne!(name("a", "t"), name("a", "u"));
        assert_ne!(
            MetricName::new("m", "g", "", &[]),
            MetricName::new("n", "g", "", &[])
        );
        assert_ne!(
            MetricName::new("n", "g", "", &[]),
            MetricName::new("n", "h", "", &[])
        );
        let text = MetricName::new("n", "g", "", &[("a", "1"), ("b", "2")]).to_string();
        assert_eq!(text, "g:n{a=1, b=2}");
        assert_eq!(name("a", "t").tag("topic"), Some("t"));
        assert_eq!(name("a", "t").tag("other"), None);
    }
}
