//! No key is accepted and then ignored.

use super::*;
use crate::producer::config_def::Kind;

/// Values that the key accepts, or its setter refuses with a reason. Not all of them are the default.
fn other_values(key: &ConfigKey) -> Vec<String> {
    let default = key.default_value().unwrap_or("");
    match (key.kind, key.rule) {
        (_, Rule::OneOf(allowed) | Rule::OneOfIgnoringCase(allowed)) => {
            allowed.iter().map(ToString::to_string).collect()
        }
        (Kind::Boolean, _) => vec![(default != "true").to_string()],
        (Kind::Short | Kind::Int | Kind::Long, _) => {
            let default: i64 = default.parse().unwrap_or(0);
            let candidates = [default + 1, default - 1].map(|number| number.to_string());
            let valid = candidates
                .into_iter()
                .filter(|text| key.check(text).is_ok());
            valid.collect()
        }
        (Kind::List, _) => vec!["other:9092".to_owned()],
        _ => vec!["x".to_owned()],
    }
}

/// Without those of TLS, SASL and the codecs: they have an effect with a certain protocol or codec, and tests of their own.
#[test]
fn every_key_is_read_refused_or_told_of() {
    let shown = |config: &ProducerConfig| {
        let (resolved, notes) = config.check(Refusals::default()).ok()?;
        Some(format!("{resolved:?} {notes:?}"))
    };
    let before = shown(&config(&[]));
    assert!(before.is_some());
    let mut keys = 0;
    for key in ProducerConfig::keys() {
        let name = key.name();
        let is_elsewhere = ["ssl.", "sasl.", "org.apache.kafka.sasl.", "compression."]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if is_elsewhere {
            continue;
        }
        keys += 1;
        let has_effect = other_values(key).iter().any(|value| {
            let mut config = config(&[]);
            let is_set = config.set(name, value).map(drop);
            match is_set {
                Ok(()) => shown(&config) != before,
                // Classes of Java, which are values in Rust.
                Err(error) => error.to_string().contains(name),
            }
        });
        assert!(has_effect, "{name} is accepted and ignored");
    }
    assert!(keys > 40, "{keys}");
}
