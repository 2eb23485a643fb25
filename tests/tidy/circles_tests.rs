//! The search for circles finds them at the right depth, and nothing else.

use super::circles::{Allowed, arrows, circles, wrong_arrows};
use super::source::Source;

/// Returns the circles of a crate that has these files.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source::new(path, text))
        .collect();
    circles(&arrows(&sources))
}

#[test]
fn modules_that_name_each_other_are_a_circle() {
    let files = [
        ("src/a/b.rs", "use super::c::C;"),
        ("src/a/mod.rs", ""),
        ("src/a/c.rs", "fn f(b: crate::a::b::B) {}"),
    ];
    let expected = [
        "a: b, c",
        "  src/a/b.rs:1: super::c::C",
        "  src/a/c.rs:1: crate::a::b::B",
    ];
    assert_eq!(found(&files), expected);
    assert_eq!(found(&files[..2]), Vec::<String>::new());
}

#[test]
fn a_circle_over_a_third_module_is_found_without_what_only_leads_there() {
    let found = found(&[
        ("src/a.rs", "use crate::b::B;"),
        ("src/b.rs", "use crate::{c::C, d};"),
        ("src/c.rs", "use super::a::A;"),
        ("src/d.rs", ""),
        ("src/e.rs", "use crate::a::A;"),
    ]);
    assert_eq!(found[0], ": a, b, c");
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn files_count_for_the_modules_side_by_side_that_they_are_in() {
    let found = found(&[
        ("src/a.rs", ""),
        ("src/a/x.rs", "use crate::b::y::Y;"),
        ("src/b/mod.rs", "use crate::a::z::Z;"),
        ("src/a/z.rs", ""),
        ("src/b/y.rs", ""),
    ]);
    assert_eq!(found[0], ": a, b");
}

#[test]
fn a_module_and_what_is_below_it_are_one_thing() {
    let files = [
        (
            "src/a.rs",
            "mod b; mod c; use b::B; use self::c::C; fn f() { b::g(); }",
        ),
        ("src/a/b.rs", "use super::A;"),
        ("src/a/c.rs", "use super::{A, b::B};"),
    ];
    assert_eq!(found(&files), Vec::<String>::new());
}

#[test]
fn an_imported_name_counts_for_the_module_that_it_comes_from() {
    let files = [
        ("src/a/mod.rs", "pub(crate) use b::B; pub(crate) use c::C;"),
        ("src/a/b.rs", "use super::C;"),
        ("src/a/c.rs", "use crate::a::B;"),
    ];
    assert_eq!(found(&files)[0], "a: b, c");
    assert_eq!(found(&files[..2]), Vec::<String>::new());
}

#[test]
fn tests_comments_and_other_crates_make_no_circle() {
    let files = [
        ("src/a.rs", "use crate::b::B; use std::a::C;"),
        (
            "src/b.rs",
            "// crate::a::A\n#[cfg(test)] mod tests { use crate::a::A; }\nuse other::a::A;",
        ),
        ("src/b/tests.rs", "use crate::a::A;"),
    ];
    assert_eq!(found(&files), Vec::<String>::new());
}

#[test]
fn modules_name_only_what_their_folder_allows() {
    const TABLE: Allowed = ("a", &[("b", &["c"]), ("c", &[]), ("e", &["super"])]);
    let wrong = |path: &str, text: &str| {
        let others = ["src/a/mod.rs", "src/a/b.rs", "src/a/c.rs", "src/f.rs"];
        let others = others.iter().filter(|other| **other != path);
        let mut sources: Vec<_> = others.map(|other| Source::new(other, "")).collect();
        sources.push(Source::new(path, text));
        wrong_arrows(&arrows(&sources), TABLE).len()
    };
    assert_eq!(wrong("src/a/b.rs", "use super::c::C; use crate::f::F;"), 0);
    assert_eq!(wrong("src/a/c.rs", "use super::b::B;"), 1);
    assert_eq!(wrong("src/a/c/d.rs", "use crate::a::b::B;"), 1);
    assert_eq!(wrong("src/a/b.rs", "use super::A;"), 1);
    assert_eq!(wrong("src/a/e.rs", "use super::A;"), 0);
    assert_eq!(wrong("src/a/g.rs", "use super::{A, b::B};"), 0);
}
