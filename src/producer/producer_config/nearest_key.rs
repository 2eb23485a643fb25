//! Guesses which key a user meant. The guess appears in a warning and has no other effect.

use super::{keys, later_keys};

/// Other names of keys, from other clients or from Kafka before 0.9.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("request.required.acks", "acks"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("compression.codec", "compression.type"),
    ("message.send.max.retries", "retries"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("message.max.bytes", "max.request.size"),
    ("partitioner", "partitioner.class"),
];

/// Returns the known key nearest to `unknown`, or `None` if none is near.
pub(super) fn nearest_key(unknown: &str) -> Option<&'static str> {
    if let Some((_, ours)) = OTHER_NAMES.iter().find(|(name, _)| *name == unknown) {
        return Some(ours);
    }
    let (distance, name) = keys::all()
        .map(|key| key.name)
        .chain(later_keys::names())
        .map(|name| (edit_distance(unknown, name), name))
        .min()?;
    (distance <= (name.len() / 4).max(1)).then_some(name)
}

/// Returns how many characters must be inserted, deleted or replaced to turn `a` into `b`
/// (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    // This is a row of the table of distances between all prefixes: that of the current prefix of
    // `a`.
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (above, to) in row.iter().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_changes() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("linger.ms", "linger.ms", 0),
            ("liger.ms", "linger.ms", 1),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn guesses_misspelt_and_foreign_names_and_nothing_else() {
        assert_eq!(nearest_key("liger.ms"), Some("linger.ms"));
        assert_eq!(nearest_key("bootstrap.server"), Some("bootstrap.servers"));
        assert_eq!(nearest_key("batch_size"), Some("batch.size"));
        assert_eq!(
            nearest_key("metadata.broker.list"),
            Some("bootstrap.servers")
        );
        assert_eq!(nearest_key("group.id"), None);
        assert_eq!(nearest_key("my.own.plugin.setting"), None);
    }
}
