//! The tests that `java_scenarios` names exist.

use std::collections::BTreeSet;
use std::fs;

use super::{files, root};

/// Returns the names of all functions in these sources.
fn functions(texts: &[String]) -> BTreeSet<&str> {
    let after_fn = texts.iter().flat_map(|text| text.split("fn ").skip(1));
    after_fn
        .filter_map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .collect()
}

/// Returns the names in the second cell of each row: | Java's scenarios | `our_test` |
fn named(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

fn missing<'a>(page: &'a str, texts: &[String]) -> Vec<&'a str> {
    let functions = functions(texts);
    let named = named(page).into_iter();
    named.filter(|name| !functions.contains(name)).collect()
}

#[test]
fn a_scenario_without_its_test_is_found() {
    let page = "| Java | ours |\n| A, B | `is_there`, `is_not` |\n";
    let texts = ["#[test]\nfn is_there() {}\n".to_owned()];
    assert_eq!(missing(page, &texts), ["is_not"]);
}

#[test]
fn every_test_that_the_scenarios_name_exists() {
    let paths = ["src", "tests"].map(|folder| files(folder, ".rs")).concat();
    let read = |path: &String| fs::read_to_string(root().join(path)).unwrap();
    let texts: Vec<String> = paths.iter().map(read).collect();

    let page = fs::read_to_string(root().join("src/manual/java_scenarios.md")).unwrap();
    assert!(named(&page).len() > 100, "the page names few tests");
    let missing = missing(&page, &texts);
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
