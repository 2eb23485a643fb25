//! Keys of Java's producer that this version does not honour yet.
//!
//! A configuration that names one is refused, unless it asks for what happens anyway: a program that asks for TLS must
//! never run in the clear because a key was skipped. The values may be secrets, so that no error shows one.

use crate::producer::config_def::{trim, trim_element};

/// A part of Java's producer that is not there yet.
struct Later {
    /// Why the key is refused.
    what: &'static str,
    /// What the user can do.
    remedy: &'static str,
    /// Also refused are keys that only look like it, such as misspelt ones.
    prefixes: &'static [&'static str],
    /// Each key with the values that ask for nothing more than what happens anyway; Java's default first.
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

/// What `key` belongs to, where this version does not honour it; `None` for every other key, and where `value` asks
/// for nothing more than what happens anyway.
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

/// Every key of Java's producer that is not honoured yet.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    LATER
        .iter()
        .flat_map(|later| later.keys.iter().map(|(name, _)| *name))
}

/// Java's default of a key that is not honoured yet; `None` is null.
#[cfg(test)]
pub(super) fn java_default(key: &str) -> Option<&'static str> {
    let mut keys = LATER.iter().flat_map(|later| later.keys);
    keys.find(|(name, _)| *name == key)?.1.first().copied()
}

/// Returns whether two values say the same: case does not count, nor blanks around the elements of
/// a list.
fn same(a: &str, b: &str) -> bool {
    let elements = |text: &str| -> Vec<String> {
        trim(text)
            .split(',')
            .map(|element| trim_element(element).to_ascii_lowercase())
            .collect()
    };
    elements(a) == elements(b)
}
