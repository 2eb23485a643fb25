//! Plugins of brokers, compiled by the JDK against the jars of the current release.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::jars::Release;
use super::process::{self, Output, Process};

const COMPILE_LIMIT: Duration = Duration::from_secs(120);

/// Compiles a class without a package. Returns the directory for
/// [`Layout::class_path`](super::Layout::class_path).
pub(crate) fn compile_plugin(source: &Path) -> PathBuf {
    let directory = process::new_directory("plugin");
    let jars = Release::CURRENT.jars().display();
    let program = [
        "javac".to_owned(),
        "-Werror".to_owned(),
        "-cp".to_owned(),
        format!("{jars}/*"),
        "-d".to_owned(),
        directory.display().to_string(),
        source.display().to_string(),
    ];
    let log = directory.join("javac.log");
    let compiler = Process::start("javac", &program, &log, Output::Piped);
    let (status, output) = compiler.run(b"", COMPILE_LIMIT, process::read_all);
    let done = status.is_some_and(|status| status.success());
    assert!(done, "javac failed: {output}{}", process::tail(&log));
    directory
}

/// A directory for what a plugin writes.
pub(crate) fn plugin_directory() -> PathBuf {
    process::new_directory("written")
}
