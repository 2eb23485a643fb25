//! Each rule finds what breaks it, and nothing else.

use super::*;

#[track_caller]
fn finds(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) {
    assert_ne!(
        rule(&Source::new(path, text)),
        Vec::<String>::new(),
        "{path}: {text}"
    );
}

#[track_caller]
fn passes(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) {
    assert_eq!(
        rule(&Source::new(path, text)),
        Vec::<String>::new(),
        "{path}: {text}"
    );
}

#[test]
fn layers_are_one_way() {
    finds(layers, "src/protocol/mod.rs", "use crate::record::Batch;");
    finds(
        layers,
        "src/network/a.rs",
        "use crate::{common::Node, client::Metadata};",
    );
    finds(
        layers,
        "src/client/a.rs",
        "fn f(p: crate::producer::Producer) {}",
    );
    finds(layers, "src/network/a.rs", "use crate::error::Error;");
    finds(
        layers,
        "src/producer/a.rs",
        "use crate::testing::FakeBroker;",
    );
    finds(layers, "src/client/a.rs", "use crate::Error;");
    finds(layers, "src/client/a.rs", "use crate::*;");
    finds(
        layers,
        "src/client/a.rs",
        "use super::super::producer::Producer;",
    );
    finds(
        layers,
        "src/client/mod.rs",
        "use super::producer::Producer;",
    );
    finds(layers, "src/new_layer/mod.rs", "");
    passes(
        layers,
        "src/client/a.rs",
        "use super::super::network::Selector;",
    );
    passes(layers, "src/client/a.rs", "use super::metadata::Metadata;");
    passes(
        layers,
        "src/record/mod.rs",
        "use crate::{protocol::X, record::Y}; // crate::client",
    );
    passes(
        layers,
        "src/record/mod.rs",
        "#[cfg(test)] mod tests { use crate::testing::X; }",
    );
    passes(
        layers,
        "src/client/a/tests.rs",
        "use crate::testing::FakeBroker;",
    );
    passes(layers, "src/lib.rs", "pub use crate::producer::Producer;");
}

#[test]
fn dependencies_have_owners() {
    finds(owners, "src/client/a.rs", "fn f(t: mio::Token) {}");
    finds(owners, "src/client/a.rs", "use {std::fmt, mio::Token};");
    finds(owners, "src/networking.rs", "use mio::Token;");
    finds(owners, "src/client/a.rs", "use socket2;");
    finds(
        owners,
        "src/record/compression/snappy.rs",
        "use zstd::bulk as z;",
    );
    passes(
        owners,
        "src/network/a.rs",
        "use mio::{Token, net::TcpStream};",
    );
    passes(
        owners,
        "src/client/a.rs",
        "use crate::network::mio::Token; let s = \"mio::Token\";",
    );
    passes(
        owners,
        "src/record/compression/snappy/block.rs",
        "use snap::raw;",
    );
    assert_ne!(
        unowned("[dependencies]\nserde = \"1\"\n"),
        Vec::<String>::new()
    );
    assert_eq!(
        keys(
            "[dependencies]\nx = 1\n[dev-dependencies]\nd = 2\n[target.'cfg(a)'.dependencies]\n# c = 1\ny-z = 2\n",
            is_of_the_library
        )
        .collect::<Vec<_>>(),
        ["x", "y-z"]
    );
}

#[test]
fn a_model_is_pure() {
    let model = "src/testing/fake_broker/model/a.rs";
    finds(impurities, model, "use std::{fmt, net::TcpStream};");
    finds(impurities, model, "use std::time::SystemTime;");
    finds(
        impurities,
        model,
        "use crate::utils::{SystemTime, murmur2};",
    );
    finds(
        impurities,
        "src/testing/fake_broker/api/a.rs",
        "fn f() { std::thread::yield_now(); }",
    );
    passes(impurities, model, "use crate::utils::murmur2;");
    // The time is an argument.
    passes(impurities, model, "use std::time::{Duration, Instant};");
    passes(
        impurities,
        model,
        "#[cfg(test)] mod tests { use std::net; }",
    );
    passes(
        impurities,
        "src/testing/fake_broker/wire/a.rs",
        "use std::net;",
    );
}

#[test]
fn log_lines_name_their_producer() {
    let line = "fn f() { log::warn!(\"x\"); }";
    finds(log_lines, "src/client/a.rs", line);
    finds(log_lines, "src/client/a.rs", "use log::warn;");
    for import in [
        "use crate::utils::log;",
        "use crate::utils::{Time, log};",
        "use super::log::{self, LogContext};",
    ] {
        passes(log_lines, "src/client/a.rs", &format!("{import} {line}"));
    }
    passes(log_lines, "src/testing/a.rs", line);
}

#[test]
fn locks_have_one_home() {
    finds(locks, "src/client/a.rs", "use std::sync::Mutex;");
    finds(
        locks,
        "src/client/a.rs",
        "use std::{fmt, sync::{self, atomic::AtomicBool}};",
    );
    finds(
        locks,
        "src/client/a.rs",
        "let x = core::sync::atomic::fence;",
    );
    finds(owners, "src/client/a.rs", "use parking_lot::Mutex;");
    finds(owners, "src/client/a.rs", "let g: arc_swap::Guard<X>;");
    passes(locks, "src/sync.rs", "pub(crate) use std::sync::Arc;");
    passes(
        locks,
        "src/client/a.rs",
        "use crate::sync::Mutex; /* std::sync::Mutex */",
    );
    passes(
        locks,
        "src/client/a.rs",
        "#[cfg(test)] use std::sync::mpsc;",
    );
}

#[test]
fn sockets_are_of_the_network() {
    finds(
        sockets,
        "src/client/a.rs",
        "use std::net::{IpAddr, TcpStream};",
    );
    finds(sockets, "src/client/a.rs", "use std::net;");
    finds(sockets, "src/client/a.rs", "use std::net::*;");
    passes(
        sockets,
        "src/client/a.rs",
        "use std::net::{IpAddr, ToSocketAddrs};",
    );
    passes(sockets, "src/testing/a.rs", "use std::net::TcpListener;");
}

#[test]
fn sizes_have_limits() {
    finds(
        sizes,
        "src/a.rs",
        &"fn f() {}\n".repeat(MAX_PRODUCTION_LINES + 1),
    );
    finds(
        sizes,
        "src/a/tests.rs",
        &"fn f() {}\n".repeat(MAX_LINES + 1),
    );
    passes(
        sizes,
        "src/a/tests.rs",
        &"fn f() {}\n".repeat(MAX_PRODUCTION_LINES + 1),
    );
    let tests = format!(
        "fn f() {{}}\n#[cfg(test)]\nmod t {{\n{}}}\n",
        "fn g() {}\n".repeat(650)
    );
    passes(sizes, "src/a.rs", &tests);
    assert_eq!(production_lines(&Source::new("src/a.rs", &tests)), 1);
}

#[test]
fn nothing_is_left_open() {
    for marker in MARKERS {
        finds(markers, "src/a.rs", &format!("// {marker}: later"));
        finds(markers, "tests/a.rs", &format!("/* a\n {marker} */"));
        passes(
            markers,
            "src/a.rs",
            &format!("const S: &str = \"{marker}\"; // {marker}S"),
        );
    }
    for name in MACROS {
        finds(markers, "src/a.rs", &format!("fn f() {{ std::{name}!() }}"));
        passes(
            markers,
            "src/a.rs",
            &format!("// {name}!()\nfn my_{name}() {{ a != b }}"),
        );
    }
    finds(
        blanket_allows,
        "src/a.rs",
        "#![allow(dead_code, reason = \"later\")]",
    );
    passes(
        blanket_allows,
        "src/a.rs",
        "#[cfg_attr(not(feature = \"f\"), allow(dead_code, reason = \"for f\"))]",
    );
    passes(
        blanket_allows,
        "src/a.rs",
        "#[allow(clippy::panic, reason = \"dead_code\")]",
    );
}

#[test]
fn text_is_ascii() {
    finds(ascii, "src/a.rs", "// \u{2192}");
    finds(ascii, "src/a.rs", "const A: &str = \"\u{e9}\";");
    finds(ascii, "src/a.rs", "#[cfg(test)] mod tests {\n // \u{e9}\n}");
    passes(
        ascii,
        "src/a.rs",
        "#[cfg(test)]\nmod tests {\n const A: &str = \"\u{e9}\";\n}",
    );
    passes(ascii, "src/a/tests.rs", "const A: char = '\u{e9}';");
}

#[test]
fn files_say_what_they_are_for() {
    finds(headers, "src/a.rs", "use std::fmt;");
    finds(headers, "src/a.rs", "//!\n");
    finds(headers, "tests/a.rs", "// A test.");
    passes(headers, "src/a.rs", "//! What it is for.");
    finds(headers, "src/a/tests.rs", "use super::*;");
    finds(names, "src/client/helpers.rs", "");
    finds(names, "src/util2/mod.rs", "");
    passes(names, "src/utils/mod.rs", "");
    assert_eq!(top_level(["Cargo.toml", ".ci", "src", "docs"]).len(), 1);
}

#[test]
fn what_only_tests_compile_is_known() {
    let text = "struct A {\n #[cfg(test)]\n a: B<C>,\n b: D,\n}\n#[cfg(test)]\nfn e<F, G>() { h; }\nfn i() {}\n";
    let production = Source::new("src/a.rs", text).production;
    let words: Vec<&str> = production.split_whitespace().collect();
    assert_eq!(
        words,
        ["struct", "A", "{", "b:", "D,", "}", "fn", "i()", "{}"]
    );
    assert_eq!(production.lines().count(), text.lines().count());

    let mut sources = [
        Source::new("src/a.rs", "mod b; #[cfg(test)] mod mock;"),
        Source::new("src/a/b.rs", "fn f() {}"),
        Source::new("src/a/mock.rs", "mod deep;"),
        Source::new("src/a/mock/deep.rs", "fn f() {}"),
    ];
    mark_tests(&mut sources);
    assert_eq!(
        sources.map(|source| source.is_test()),
        [false, false, true, true]
    );
}

#[test]
fn literals_are_not_code() {
    let text = "a('\"'); b(\"\\\"// c\"); d(r#\"e\" /* \"#); f::<'g>(b'\\''); /* h /* i */ j */ k";
    let code = Source::new("src/a.rs", text).code;
    let words: String = code.chars().filter(|c| c.is_alphanumeric()).collect();
    assert_eq!(words, "abdfgbk");
    let found = paths("use a::{self, b::{c as d, *}}; e::f::<g::H>(); i; use j;");
    let found: Vec<String> = found.iter().map(Path::text).collect();
    assert_eq!(found, ["a", "a::b::c", "a::b::*", "e::f", "g::H", "j"]);
}
