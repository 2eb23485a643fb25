//! Kafka's jars, downloaded once through Maven.
//!
//! They are stored in `$KAFKA_JARS_DIR`, or below the target directory. A download fills a
//! directory of its own and gets the final name with one rename, so processes that download at the
//! same time see only complete directories. Threads wait for the first download.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::process::{self, Output, Process};

const FETCH_LIMIT: Duration = Duration::from_secs(300);

/// A release of Kafka, from Maven Central.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The last 2.8: ZooKeeper, Produce up to v9, no topic ids in Produce.
    V2_8,
    V3_9,
    V4_0,
    V4_3,
    V4_4,
}

impl Release {
    /// The release if a test names none, and that of the tools.
    pub(crate) const CURRENT: Self = Self::V4_4;

    fn version(self) -> &'static str {
        match self {
            Self::V2_8 => "2.8.2",
            Self::V3_9 => "3.9.1",
            Self::V4_0 => "4.0.1",
            Self::V4_3 => "4.3.1",
            Self::V4_4 => "4.4.0",
        }
    }

    fn artifacts(self) -> Vec<String> {
        let version = self.version();
        let mut artifacts = vec![format!("org.apache.kafka:kafka_2.13:{version}")];
        if self == Self::CURRENT {
            artifacts.push(format!("org.apache.kafka:kafka-tools:{version}"));
        }
        if self == Self::V2_8 {
            artifacts.push("log4j:log4j:1.2.17".to_owned());
        }
        let binding = if self == Self::V2_8 {
            "1.7.30"
        } else {
            "1.7.36"
        };
        artifacts.push(format!("org.slf4j:slf4j-simple:{binding}"));
        artifacts
    }

    /// Returns the directory with the jars.
    ///
    /// # Panics
    /// If they cannot be downloaded.
    pub(super) fn jars(self) -> &'static Path {
        let jars = self.try_jars();
        jars.unwrap_or_else(|reason| panic!("no jars of Kafka {}: {reason}", self.version()))
    }

    /// Returns the directory with the jars, or why there is none.
    pub(super) fn try_jars(self) -> Result<&'static Path, &'static str> {
        static JARS: [OnceLock<Result<PathBuf, String>>; 5] = [const { OnceLock::new() }; 5];
        let jars = JARS[self as usize].get_or_init(|| {
            java_is_recent()?;
            let cache = std::env::var_os("KAFKA_JARS_DIR").map_or_else(
                || Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-jars"),
                PathBuf::from,
            );
            let directory = cache.join(format!("kafka-{}", self.version()));
            if !directory.is_dir() {
                fetch(&cache, &directory, &self.artifacts())?;
            }
            Ok(directory)
        });
        jars.as_ref().map(PathBuf::as_path).map_err(String::as_str)
    }
}

fn java_is_recent() -> Result<(), String> {
    let output = Command::new("java")
        .arg("-version")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("java: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // `openjdk version "17.0.15" 2025-04-15`; before 9 it was "1.8.0".
    let major = text
        .split('"')
        .nth(1)
        .and_then(|version| version.split(['.', '-']).next()?.parse().ok());
    match major {
        Some(17u32..) => Ok(()),
        _ => Err(format!(
            "java 17 or newer; there is {}",
            text.lines().next().unwrap_or("nothing")
        )),
    }
}

fn fetch(cache: &Path, directory: &Path, artifacts: &[String]) -> Result<(), String> {
    let maven = Command::new("mvn")
        .arg("-version")
        .stdin(Stdio::null())
        .output();
    maven.map_err(|error| format!("mvn: {error}"))?;

    let work = process::new_directory("fetch");
    let (pom, log, fetched) = (work.join("pom.xml"), work.join("log"), work.join("jars"));
    fs::write(&pom, pom_with(artifacts)).map_err(|error| format!("{}: {error}", pom.display()))?;
    let program = [
        "mvn".to_owned(),
        "--quiet".to_owned(),
        "--batch-mode".to_owned(),
        format!("--file={}", pom.display()),
        "dependency:copy-dependencies".to_owned(),
        format!("-DoutputDirectory={}", fetched.display()),
    ];
    let maven = Process::start("mvn", &program, &log, Output::Piped);
    let (status, output) = maven.run(b"", FETCH_LIMIT, process::read_all);
    if !status.is_some_and(|status| status.success()) {
        return Err(format!(
            "mvn could not fetch Kafka: {output}{}",
            process::tail(&log)
        ));
    }
    let moved = fs::create_dir_all(cache).and_then(|()| adopt(&fetched, directory));
    process::remove_directory(&work);
    // Another process has put the same jars there.
    moved.or_else(|error| {
        if directory.is_dir() {
            Ok(())
        } else {
            Err(format!("{}: {error}", directory.display()))
        }
    })
}

/// Ends with one rename, even if the cache is on another file system than the target directory.
fn adopt(fetched: &Path, directory: &Path) -> std::io::Result<()> {
    let near = directory.with_file_name(format!("partial-{}", std::process::id()));
    fs::create_dir_all(&near)?;
    for jar in fs::read_dir(fetched)? {
        let jar = jar?;
        fs::copy(jar.path(), near.join(jar.file_name()))?;
    }
    let renamed = fs::rename(&near, directory);
    if renamed.is_err() {
        fs::remove_dir_all(&near)?;
    }
    renamed
}

fn pom_with(artifacts: &[String]) -> String {
    let mut dependencies = String::new();
    for artifact in artifacts {
        let parts: Vec<&str> = artifact.split(':').collect();
        writeln!(
            dependencies,
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>",
            parts[0], parts[1], parts[2]
        )
        .expect("a string can be written");
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>kafka-producer</groupId><artifactId>jars</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>\n{dependencies}</dependencies></project>\n"
    )
}

/// The command line of a JVM with `jars` on its class path.
pub(super) fn java(jars: &Path, flags: &[&str], log: &Path, main_class: &str) -> Vec<String> {
    java_with(jars, None, flags, log, main_class)
}

/// [`java`], with a directory of classes on the class path too.
pub(super) fn java_with(
    jars: &Path,
    classes: Option<&Path>,
    flags: &[&str],
    log: &Path,
    main_class: &str,
) -> Vec<String> {
    let classes = classes.map_or_else(String::new, |classes| format!(":{}", classes.display()));
    let mut command = vec!["java".to_owned()];
    command.extend(flags.iter().map(|&flag| flag.to_owned()));
    let archive = class_archive(jars);
    if archive.is_file() {
        // If it does not fit after all, the JVM goes on without it.
        command.push(format!("-XX:SharedArchiveFile={}", archive.display()));
        command.push("-Xlog:disable".to_owned());
    }
    command.extend([
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
        format!("-Dorg.slf4j.simpleLogger.logFile={}", log.display()),
        "-cp".to_owned(),
        format!("{}/*{classes}", jars.display()),
        main_class.to_owned(),
    ]);
    command
}

/// Returns the file for the classes that a broker loads, in the form that a JVM maps.
pub(super) fn class_archive(jars: &Path) -> PathBuf {
    let mut name = jars.file_name().unwrap_or_default().to_owned();
    name.push(".jsa");
    jars.with_file_name(name)
}

/// For a broker: more heap than these tests need, and little enough that six of them fit into the
/// machine. Without the optimizing compiler a start takes 3.4 s of a processor instead of 6.4 s.
pub(super) const BROKER_FLAGS: [&str; 4] = [
    "-Xms256m",
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
];

/// For a tool that runs for a second: without the optimizing compiler.
pub(super) const TOOL_FLAGS: [&str; 3] =
    ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
