//! The table against Kafka's own, the parsing of values, and the rules between keys.

use std::collections::BTreeSet;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::producer::config_def::Rule;

fn config(entries: &[(&str, &str)]) -> ProducerConfig {
    let mut all = vec![("bootstrap.servers", "localhost:9092")];
    all.extend(entries);
    ProducerConfig::from_map(all).unwrap()
}

fn resolved(entries: &[(&str, &str)]) -> ResolvedConfig {
    config(entries).resolve().unwrap()
}

/// The error of building with these entries. It names every one of `names`.
fn refused(entries: &[(&str, &str)], names: &[&str]) -> Error {
    let error = config(entries).resolve().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    for name in names {
        assert!(text.contains(name), "{name} is missing in: {text}");
    }
    error
}

fn notes(entries: &[(&str, &str)]) -> Vec<String> {
    let (_, notes) = config(entries).check().unwrap();
    notes.into_iter().map(|note| note.text).collect()
}

#[test]
fn the_table_is_kafkas() {
    let table = include_str!("../../../tests/data/producer-config.tsv");
    let mut kafkas = BTreeSet::new();
    for line in table.lines() {
        let [name, kind, default, valid, importance] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        kafkas.insert(name);
        if later_keys::names().any(|later| later == name) {
            let ours = later_keys::java_default(name);
            assert_eq!(ours.unwrap_or("null"), plain(default), "{name}");
            assert!(keys::find(name).is_none(), "{name} is in both tables");
            continue;
        }
        let ours = keys::find(name).unwrap_or_else(|| panic!("{name} is forgotten"));
        assert_eq!(ours.type_name(), kind, "{name}");
        assert_eq!(ours.valid_values(), valid, "{name}");
        assert_eq!(ours.importance(), importance, "{name}");
        let default_is = match ours.default_value() {
            Some(text) => text,
            None if ours.is_required() => "(required)",
            None => "null",
        };
        assert_eq!(default_is, plain(default), "{name}");
    }
    let ours: Vec<_> = ProducerConfig::keys()
        .map(ConfigKey::name)
        .filter(|name| !kafkas.contains(name))
        .collect();
    assert_eq!(
        ours,
        ["client.rack", "partitioner.rack.aware", "receive.max.bytes"]
    );
    assert!(later_keys::names().all(|name| kafkas.contains(name)));
    assert_eq!(kafkas.len(), 113);
}

/// A default as Java prints it, without the brackets of a list or the word before a class.
fn plain(printed: &str) -> String {
    let printed = printed.strip_prefix("class ").unwrap_or(printed);
    let list = printed.strip_prefix('[').and_then(|p| p.strip_suffix(']'));
    list.unwrap_or(printed).replace(", ", ",")
}

#[test]
fn every_default_is_valid_and_documented() {
    for key in ProducerConfig::keys() {
        if let Some(default) = key.default_value() {
            key.check(default).unwrap();
        }
        assert!(!key.documentation().is_empty());
    }
}

#[test]
fn rules_are_enforced_at_their_bounds() {
    let mut bounds = 0;
    for key in ProducerConfig::keys() {
        let (inside, outside) = match key.rule {
            Rule::Any => continue,
            Rule::AtLeast(min) => (vec![min], vec![min - 1]),
            Rule::Between(min, max) => (vec![min, max], vec![min - 1, max + 1]),
            Rule::BetweenOr(min, max, other) => {
                (vec![min, max, other], vec![min - 1, max + 1, other - 1])
            }
            Rule::OneOf(allowed) | Rule::OneOfIgnoringCase(allowed) => {
                assert!(allowed.iter().all(|value| key.check(value).is_ok()));
                let text = key.check("nonsense").unwrap_err().to_string();
                assert!(
                    text.contains(key.name) && text.contains("nonsense"),
                    "{text}"
                );
                assert!(allowed.iter().all(|value| text.contains(value)), "{text}");
                continue;
            }
        };
        bounds += 1;
        for number in inside {
            key.check(&number.to_string()).unwrap();
        }
        for number in outside {
            let text = key.check(&number.to_string()).unwrap_err().to_string();
            assert!(
                text.contains(key.name) && text.contains(&number.to_string()),
                "{text}"
            );
        }
    }
    assert_eq!(bounds, 23);
}
