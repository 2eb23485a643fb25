//! What the documentation says about keys and functions is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kafka_producer::{ConfigKey, ProducerConfig};

const BEGIN: &str = "<!-- keys: tests/it/docs.rs writes this table -->\n";
const END: &str = "<!-- /keys -->";

/// Set to write the tables instead of comparing them.
const WRITE: &str = "KAFKA_PRODUCER_WRITE_DOCS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How the documentation of keys begins that are accepted for Java's sake.
const WITHOUT_EFFECT: &str = "Only brokers use this";

/// Keys with code as their value have no setter. The text describes them.
fn settable_keys() -> impl Iterator<Item = &'static ConfigKey> {
    ProducerConfig::keys()
        .filter(|key| key.type_name() != "CLASS" && key.name() != "interceptor.classes")
        .filter(|key| !key.documentation().starts_with(WITHOUT_EFFECT))
}

fn default_of(key: &ConfigKey) -> String {
    match key.default_value() {
        Some("") => "none".to_owned(),
        Some(default) => format!("`{default}`"),
        None if key.is_required() => "required".to_owned(),
        None => "none".to_owned(),
    }
}

/// Returns the documentation in one line.
fn meaning_of(key: &ConfigKey) -> String {
    let words: Vec<_> = key.documentation().split_whitespace().collect();
    words.join(" ")
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

fn short_table() -> String {
    let mut table = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    for key in settable_keys() {
        let (name, default, meaning) = (key.name(), default_of(key), meaning_of(key));
        table += &format!("| `{name}` | {default} | {} |\n", first_sentence(&meaning));
    }
    table
}

fn long_table() -> String {
    let mut table =
        "| key | type | default | valid | meaning |\n|---|---|---|---|---|\n".to_owned();
    for key in settable_keys() {
        let (name, kind, default) = (key.name(), key.type_name(), default_of(key));
        let valid = match key.valid_values() {
            "" => String::new(),
            valid => format!("`{valid}`"),
        };
        table += &format!(
            "| `{name}` | {kind} | {default} | {valid} | {} |\n",
            meaning_of(key)
        );
    }
    table
}

#[track_caller]
fn check_table(page: &str, table: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os(WRITE).is_some() {
        fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(
            written == table,
            "{page} is behind the table of keys: run this test with {WRITE}=1\n{table}"
        );
    }
}

#[test]
fn the_readme_has_every_key() {
    check_table("README.md", &short_table());
}

#[test]
fn the_manual_has_every_key() {
    check_table("src/manual/configuration.md", &long_table());
}

/// A step in `ways.md`: "1. `client/metadata.rs`: `new_request` or `update` does this."
struct Step {
    number: usize,
    file: String,
    functions: Vec<String>,
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        let (number, rest) = line.split_once(". `")?;
        let number = number.parse().ok()?;
        let (file, rest) = rest.split_once("`: `")?;
        let (first, rest) = rest.split_once('`')?;
        let second = rest.strip_prefix(" or `");
        let second = second.and_then(|rest| rest.split_once('`'));
        let functions = [Some(first), second.map(|(second, _)| second)];
        Some(Self {
            number,
            file: file.to_owned(),
            functions: functions.into_iter().flatten().map(str::to_owned).collect(),
        })
    }

    fn missing(&self) -> Vec<String> {
        let text = fs::read_to_string(root().join("src").join(&self.file)).unwrap_or_default();
        let is_there = |function: &&String| {
            text.contains(&format!("fn {function}(")) || text.contains(&format!("fn {function}<"))
        };
        let missing = self.functions.iter().filter(|function| !is_there(function));
        missing
            .map(|function| format!("{}: {function}", self.file))
            .collect()
    }
}

#[test]
fn each_way_names_functions_that_exist_in_at_most_four_files() {
    let page = fs::read_to_string(root().join("src/manual/ways.md")).unwrap();
    let ways: Vec<&str> = page.split("\n# ").skip(1).collect();
    assert!(ways.len() >= 6, "{} ways", ways.len());
    for way in ways {
        let title = way.lines().next().unwrap();
        let steps: Vec<_> = way.lines().filter_map(Step::parse).collect();
        let numbers: Vec<_> = steps.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (1..=steps.len()).collect::<Vec<_>>(), "{title}");
        assert!(steps.len() >= 6, "{title}: {} steps", steps.len());

        let files: BTreeSet<_> = steps.iter().map(|step| &step.file).collect();
        assert!(files.len() <= 4, "{title}: {files:?}");
        let missing: Vec<_> = steps.iter().flat_map(Step::missing).collect();
        assert!(
            missing.is_empty(),
            "{title}: no such functions: {missing:?}"
        );
    }
}

#[test]
fn the_readme_names_the_rust_version_of_the_manifest() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let line = manifest
        .lines()
        .find(|line| line.starts_with("rust-version"));
    let version = line.unwrap().split('"').nth(1).unwrap();
    assert!(readme.contains(&format!("Rust {version} or later")));
}

/// A row of the tables names each feature that a program may turn on.
#[test]
fn every_feature_is_in_both_tables() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let manifest = read("Cargo.toml");
    let section = manifest.split("\n[features]\n").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| {
        let (name, value) = line.split_once(" = ")?;
        value.starts_with('[').then_some(name)
    });
    let public: Vec<_> = names
        .filter(|name| !matches!(*name, "default" | "_internals"))
        .collect();
    assert!(public.len() > 10, "{public:?}");
    for (path, begin) in [("README.md", "| "), ("src/lib.rs", "//! | ")] {
        let text = read(path);
        let rows = text.lines().filter(|line| line.starts_with(begin));
        let first_cells: Vec<_> = rows
            .filter_map(|row| row[begin.len()..].split(" | ").next())
            .collect();
        for name in &public {
            let quoted = format!("`{name}`");
            let is_named = first_cells.iter().any(|cell| cell.contains(&quoted));
            assert!(is_named, "{path} does not name the feature {name}");
        }
    }
}
