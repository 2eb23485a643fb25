//! Keys of Java's producer that this version does not support yet.
//!
//! A configuration with such a key is refused, unless the value asks for what happens anyway. A
//! program that asks for TLS must never run without it because a key was skipped. The values may be
//! secrets, so errors do not show them.

use crate::producer::config_def::{trim, trim_element};

/// A part of Java's producer that does not exist here yet.
struct Later {
    /// Why the key is refused.
    what: &'static str,
    /// What the user can do.
    remedy: &'static str,
    /// Prefixes of further refused keys, such as misspelt ones.
    prefixes: &'static [&'static str],
    /// Each key with the values that ask for what happens anyway. Java's default comes first.
    keys: &'static [(&'static str, &'static [&'static str])],
}

static LATER: &[Later] = &[
    Later {
        what: "security keys other than security.protocol are not supported yet",
        remedy: REMOVE,
        prefixes: &["security."],
        keys: &[("security.providers", &[])],
    },
    Later {
        what: "there is no TLS key of this name",
        remedy: "correct the name, or remove the key",
        prefixes: &["ssl."],
        keys: &[],
    },
    Later {
        what: "there is no SASL key of this name",
        remedy: "correct the name of the key",
        prefixes: &["sasl."],
        keys: &[],
    },
    Later {
        what: "two-phase commits are not supported yet",
        remedy: REMOVE,
        prefixes: &["transaction.two.phase."],
        keys: &[("transaction.two.phase.commit.enable", &["false"])],
    },
    Later {
        what: "labels for metrics reporters are not supported yet",
        remedy: REMOVE,
        prefixes: &["metrics.context."],
        keys: &[],
    },
    Later {
        what: "configuration providers are not supported yet",
        remedy: REMOVE,
        prefixes: &["config.providers."],
        keys: &[("config.providers", &[""])],
    },
];

/// Returns why `key` is refused if this version does not support it. Returns `None` for every other
/// key, and if `value` asks for what happens anyway.
pub(super) fn refusal(key: &str, value: &str) -> Option<String> {
    let later = LATER.iter().find(|later| {
        later.keys.iter().any(|(name, _)| *name == key)
            || later.prefixes.iter().any(|prefix| key.starts_with(prefix))
    })?;
    let harmless = later
        .keys
        .iter()
        .filter(|(name, _)| *name == key)
        .flat_map(|(_, harmless)| *harmless)
        .any(|harmless| same(harmless, value));
    (!harmless).then(|| {
        let (what, remedy) = (later.what, later.remedy);
        format!("{key} is set, but {what}: {remedy} (its value is not shown, as it may be secret)")
    })
}

const REMOVE: &str = "remove the key";

/// Returns every key of Java's producer that is not supported yet.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LATER
        .iter()
        .flat_map(|later| later.keys.iter().map(|(name, _)| *name))
}

/// Returns Java's default of a key that is not supported yet; `None` is null.
#[cfg(test)]
pub(super) fn java_default(key: &str) -> Option<&'static str> {
    let mut keys = LATER.iter().flat_map(|later| later.keys);
    keys.find(|(name, _)| *name == key)?.1.first().copied()
}

/// Returns whether two values mean the same: ignores case, and blanks around the elements of a
/// list.
fn same(a: &str, b: &str) -> bool {
    let elements = |text: &str| -> Vec<String> {
        trim(text)
            .split(',')
            .map(|element| trim_element(element).to_ascii_lowercase())
            .collect()
    };
    elements(a) == elements(b)
}
