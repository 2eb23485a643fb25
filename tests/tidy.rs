//! Enforces the structure of this repository: layers, owners of dependencies, lock types, file
//! sizes, file headers, and the names at the top level. Each rule has a test with text that breaks
//! it.
//!
//! A program of its own, because it reads the tree and needs nothing of the library.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a rule that cannot read the tree is to fail the test"
)]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/circles_tests.rs"]
mod circles_tests;
#[path = "tidy/rules_tests.rs"]
mod rules_tests;
#[path = "tidy/scenarios.rs"]
mod scenarios;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path as FilePath;

use circles::{arrows, circles, wrong_arrows};
use source::{Path, Source, is_test_path, paths};
use tables::{FOLDERS, IMPURE, LAYERS, OWNERS, PURE, SOCKET_OWNERS, SOCKETS};

/// The limit for a file with its tests, and for a file of tests.
const MAX_LINES: usize = 700;
const MAX_PRODUCTION_LINES: usize = 600;
/// Files that may have more lines of production code. This list should stay empty.
const LONG_FILES: &[&str] = &[];

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    "src",
    "tests",
    "benches",
    "examples",
];

/// Names that say nothing about the content of a module.
const EMPTY_NAMES: &[&str] = &[
    "misc", "helper", "helpers", "util", "util2", "utils2", "stuff", "extra",
];

/// Written in two halves, so that this file passes its own search.
const MARKERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const MACROS: &[&str] = &["dbg", "todo", "unimplemented"];

// The rules.

fn layers(source: &Source) -> Vec<String> {
    let Some(layer) = source.layer() else {
        return Vec::new();
    };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!(
            "{}: `{layer}` is not in the table of layers",
            source.path
        )];
    };
    let mut found = Vec::new();
    for path in paths(&source.production) {
        let supers = path
            .segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let named = match path.segments[0].as_str() {
            "crate" => path.segments.get(1),
            "super" if supers >= source.depth() => path.segments.get(supers),
            _ => continue,
        };
        let named = named.map_or("", String::as_str);
        if named != layer && !allowed.contains(&named) {
            found.push(format!(
                "{}:{}: `{layer}` may not name {}",
                source.path,
                path.line,
                path.text()
            ));
        }
    }
    found
}

fn owners(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths(&source.production) {
        let owners = OWNERS.iter().find(|(name, _)| *name == path.segments[0]);
        let Some((name, owners)) = owners else {
            continue;
        };
        if !owners.iter().any(|owner| is_in(&source.path, owner)) {
            found.push(format!(
                "{}:{}: only {} may name {name}",
                source.path,
                path.line,
                owners.join(", ")
            ));
        }
    }
    found
}

/// Returns whether a file is the module `owner` or in it.
fn is_in(path: &str, owner: &str) -> bool {
    let rest = path.strip_prefix(owner);
    rest.is_some_and(|rest| owner.is_empty() || rest.starts_with(['.', '/']))
}

/// Locks and atomics are imported from one module, so that a model checker can replace them.
fn locks(source: &Source) -> Vec<String> {
    if source.layer() == Some("sync") {
        return Vec::new();
    }
    let named = paths(&source.production).into_iter().filter(|path| {
        path.starts_with(&["std", "sync"])
            || path.starts_with(&["core", "sync"])
            || path.starts_with(&["alloc", "sync"])
    });
    named
        .map(|path| {
            format!(
                "{}:{}: {} comes from crate::sync",
                source.path,
                path.line,
                path.text()
            )
        })
        .collect()
}

/// A log line names its producer, so it uses the library's own macros. The test broker has none.
fn log_lines(source: &Source) -> Vec<String> {
    if source.layer() == Some("testing") || source.path == "src/utils/log.rs" {
        return Vec::new();
    }
    let paths = paths(&source.production);
    let is_imported = paths.iter().any(|path| {
        path.starts_with(&["crate", "utils", "log"]) || path.starts_with(&["super", "log"])
    });
    let logs = paths.iter().filter(|path| path.segments[0] == "log");
    logs.filter(|_| !is_imported)
        .map(|path| {
            format!(
                "{}:{}: {} needs `use crate::utils::log`",
                source.path,
                path.line,
                path.text()
            )
        })
        .collect()
}

fn sockets(source: &Source) -> Vec<String> {
    if source
        .layer()
        .is_some_and(|layer| SOCKET_OWNERS.contains(&layer))
    {
        return Vec::new();
    }
    let is_socket =
        |name: Option<&String>| name.is_none_or(|name| SOCKETS.contains(&name.as_str()));
    let named = paths(&source.production)
        .into_iter()
        .filter(|path| path.starts_with(&["std", "net"]) && is_socket(path.segments.get(2)));
    named
        .map(|path| {
            format!(
                "{}:{}: {} is for the network layer",
                source.path,
                path.line,
                path.text()
            )
        })
        .collect()
}

fn impurities(source: &Source) -> Vec<String> {
    if !PURE.iter().any(|owner| is_in(&source.path, owner)) {
        return Vec::new();
    }
    let is_impure = |path: &Path| IMPURE.iter().any(|impure| path.starts_with(impure));
    let named = paths(&source.production).into_iter().filter(is_impure);
    named
        .map(|path| {
            let text = path.text();
            format!("{}:{}: {text} is for wire", source.path, path.line)
        })
        .collect()
}

fn sizes(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        found.push(format!(
            "{}: {lines} lines, {MAX_LINES} at most",
            source.path
        ));
    }
    let production = production_lines(source);
    if production > MAX_PRODUCTION_LINES && !LONG_FILES.contains(&source.path.as_str()) {
        found.push(format!(
            "{}: {production} lines without tests, {MAX_PRODUCTION_LINES} at most",
            source.path
        ));
    }
    found
}

/// Counts every line except those of items that only tests compile.
fn production_lines(source: &Source) -> usize {
    if source.is_test() {
        return 0;
    }
    let lines = source.code.lines().zip(source.production.lines());
    lines
        .filter(|(code, production)| code.trim().is_empty() || !production.trim().is_empty())
        .count()
}

fn markers(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (number, comment) in (1..).zip(source.comments.lines()) {
        let words = comment.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| MARKERS.contains(word)) {
            found.push(format!("{}:{number}: {word}", source.path));
        }
    }
    for (number, code) in (1..).zip(source.code.lines()) {
        let calls = code.split('!').filter_map(|before| {
            let name = before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            name.filter(|name| MACROS.contains(name))
        });
        found.extend(calls.map(|name| format!("{}:{number}: {name}!", source.path)));
    }
    found
}

/// Only strings in tests may hold other characters, as test data.
fn ascii(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let is_test_file = source.is_test() || is_test_path(&source.path);
    let views = source
        .text
        .lines()
        .zip(source.code.lines().zip(source.comments.lines()));
    let views = views.zip(source.production.lines());
    for (number, ((text, (code, comment)), production)) in (1..).zip(views) {
        let is_test_line =
            is_test_file || (!code.trim().is_empty() && production.trim().is_empty());
        let is_ascii = if is_test_line {
            code.is_ascii() && comment.is_ascii()
        } else {
            text.is_ascii()
        };
        if !is_ascii {
            found.push(format!("{}:{number}: not ASCII", source.path));
        }
    }
    found
}

fn headers(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!(
        "{}: does not begin with `//! ` and its purpose",
        source.path
    )]
}

fn names(source: &Source) -> Vec<String> {
    let parts = source.path.split(['/', '.']);
    let empty = parts.filter(|part| EMPTY_NAMES.contains(part));
    empty
        .map(|name| format!("{}: `{name}` says nothing", source.path))
        .collect()
}

/// A lint is allowed for one item at a time. `cfg_attr` may allow code that some builds do not use.
fn blanket_allows(source: &Source) -> Vec<String> {
    const BLANKETS: [&str; 3] = ["dead_code", "unused", "warnings"];
    let mut found = Vec::new();
    for (number, line) in (1..).zip(source.production.lines()) {
        let allows = line.split("[allow(").nth(1).unwrap_or_default();
        let names = allows.split(|c: char| !c.is_alphanumeric() && c != '_');
        for name in names.filter(|name| BLANKETS.contains(name)) {
            found.push(format!("{}:{number}: allow({name})", source.path));
        }
    }
    found
}

fn top_level<'a>(entries: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let entries = entries.into_iter();
    let strange = entries.filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(name));
    strange
        .map(|name| format!("{name} may not stand at the top of the repository"))
        .collect()
}

/// Returns the dependencies without an owner, and the owners without a dependency.
fn unowned(manifest: &str) -> Vec<String> {
    let dependencies: BTreeSet<String> = keys(manifest, is_of_the_library)
        .map(|name| name.replace('-', "_"))
        .collect();
    let owned: BTreeSet<String> = OWNERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let difference = dependencies.symmetric_difference(&owned);
    difference
        .map(|name| format!("{name}: in Cargo.toml or in OWNERS, but not in both"))
        .collect()
}

/// Returns whether a table of Cargo.toml lists dependencies of the library, for any target.
fn is_of_the_library(header: &str) -> bool {
    header == "[dependencies]"
        || (header.starts_with("[target.") && header.ends_with(".dependencies]"))
}

/// Returns the keys of the tables of Cargo.toml whose header is wanted.
fn keys(manifest: &str, is_wanted: fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    let lines = manifest.lines().filter(move |line| {
        if line.starts_with('[') {
            is_inside = is_wanted(line);
        }
        is_inside && !line.starts_with(['#', '['])
    });
    lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
}

// The tree.

fn root() -> &'static FilePath {
    FilePath::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file with this ending in a folder.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return found;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !path.ends_with("/target") {
                found.extend(files(&path, ending));
            }
        } else if path.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<Source> {
    let files = files(folder, ".rs");
    let read = |path: &String| Source::new(path, &fs::read_to_string(root().join(path)).unwrap());
    let mut sources: Vec<Source> = files.iter().map(read).collect();
    mark_tests(&mut sources);
    sources
}

/// Marks a file as test code if the module that declares it says so or is test code itself.
fn mark_tests(sources: &mut [Source]) {
    loop {
        let modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
        let is_test = |path: &str| {
            modules
                .iter()
                .any(|module| path == module || (module.ends_with('/') && path.starts_with(module)))
        };
        let mut changed = false;
        for source in sources
            .iter_mut()
            .filter(|source| is_test(&source.path) && !source.is_test())
        {
            source.mark_as_test();
            changed = true;
        }
        if !changed {
            return;
        }
    }
}

fn check(folders: &[&str], rules: &[fn(&Source) -> Vec<String>]) {
    let sources: Vec<Source> = folders.iter().flat_map(|folder| sources(folder)).collect();
    assert!(!sources.is_empty(), "no sources under {folders:?}");
    let found: Vec<String> = sources
        .iter()
        .flat_map(|source| rules.iter().flat_map(|rule| rule(source)))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn modules_name_only_layers_to_their_left() {
    check(&["src"], &[layers]);
}

#[test]
fn a_model_has_no_sockets_threads_or_clock() {
    check(&["src"], &[impurities]);
}

#[test]
fn modules_do_not_name_each_other() {
    let arrows = arrows(&sources("src"));
    let mut found = circles(&arrows);
    found.extend(
        FOLDERS
            .iter()
            .flat_map(|folder| wrong_arrows(&arrows, *folder)),
    );
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn dependencies_locks_and_sockets_are_named_by_their_owners() {
    check(&["src"], &[owners, locks, sockets, log_lines]);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(unowned(&manifest), Vec::<String>::new());
}

#[test]
fn files_are_short_begin_with_their_purpose_and_leave_nothing_open() {
    check(
        &["src", "tests", "examples", "benches"],
        &[sizes, headers, markers, ascii, names, blanket_allows],
    );
}

#[test]
fn texts_are_ascii() {
    let texts = files("src", ".md")
        .into_iter()
        .chain(["README.md".to_owned()]);
    let mut found = Vec::new();
    for path in texts {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_ascii());
        found.extend(lines.map(|(number, _)| format!("{path}:{number}: not ASCII")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_top_of_the_repository_is_bare() {
    let entries = fs::read_dir(root()).unwrap();
    let names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // Build output is not part of the repository.
    let names = names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "target");
    assert_eq!(top_level(names), Vec::<String>::new());
}
