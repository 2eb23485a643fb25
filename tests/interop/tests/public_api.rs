//! The public API, item by item, matches `tests/data/public-api.txt`, so that a change of it is
//! visible.
//!
//! rustdoc's JSON needs an unstable compiler, and its format differs between releases. Here the
//! oldest supported Rust prints it, because that release stays the same.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to write the file instead of comparing it.
const WRITE: &str = "KAFKA_PRODUCER_WRITE_DOCS";
/// Set where a missing tool is an error.
const REQUIRE: &str = "KAFKA_PRODUCER_REQUIRE_KAFKA";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the oldest supported Rust from the manifest.
fn rust_version() -> Result<String, Box<dyn Error>> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let line = manifest
        .lines()
        .find(|line| line.starts_with("rust-version"));
    let version = line.and_then(|line| line.split('"').nth(1));
    Ok(version.ok_or("Cargo.toml has no rust-version")?.to_owned())
}

/// Returns every feature but the one whose C takes a minute to compile. That one adds nothing
/// public. `.ci/run` builds the same features in this target directory.
fn features() -> Result<String, Box<dyn Error>> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let section = manifest.split("\n[features]\n").nth(1);
    let section = section.and_then(|rest| rest.split("\n[").next());
    let lines = section.ok_or("Cargo.toml has no features")?.lines();
    let names = lines.filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
    let names: Vec<_> = names
        .filter(|name| !name.starts_with('#') && !matches!(*name, "default" | "tls-aws-lc"))
        .collect();
    Ok(names.join(","))
}

fn is_installed(toolchain: &str) -> bool {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc", "--version"])
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// Writes rustdoc's JSON, and returns its path.
fn rustdoc_json(toolchain: &str) -> Result<PathBuf, Box<dyn Error>> {
    let target = root().join("target/msrv");
    let output = Command::new("rustup")
        .args([
            "run",
            toolchain,
            "cargo",
            "rustdoc",
            "--locked",
            "--lib",
            "--features",
            &features()?,
        ])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .current_dir(root())
        .env("RUSTC_BOOTSTRAP", "1")
        // This variable names the toolchain that runs this test.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(target.join("doc/kafka_producer.json"))
}

#[test]
fn the_public_api_is_that_of_the_golden_file() -> Result<(), Box<dyn Error>> {
    let toolchain = rust_version()?;
    if !is_installed(&toolchain) {
        let required = std::env::var(REQUIRE).is_ok_and(|value| value == "1");
        assert!(!required, "rustup has no toolchain {toolchain}");
        println!("ignored: rustup has no toolchain {toolchain}");
        return Ok(());
    }
    let api = public_api::Builder::from_rustdoc_json(rustdoc_json(&toolchain)?)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let now: Vec<String> = api.items().map(ToString::to_string).collect();

    let path = root().join("tests/data/public-api.txt");
    if std::env::var_os(WRITE).is_some() {
        fs::write(path, now.join("\n") + "\n")?;
        return Ok(());
    }
    let golden = fs::read_to_string(path)?;
    let golden: Vec<&str> = golden.lines().collect();
    let added: Vec<_> = now
        .iter()
        .filter(|item| !golden.contains(&item.as_str()))
        .collect();
    let removed: Vec<_> = golden
        .iter()
        .filter(|item| !now.iter().any(|now| now == *item))
        .collect();
    assert!(
        added.is_empty() && removed.is_empty(),
        "the public API changed: run this test with {WRITE}=1, and list the change in CHANGELOG.md\n\
         added: {added:#?}\nremoved: {removed:#?}"
    );
    Ok(())
}
