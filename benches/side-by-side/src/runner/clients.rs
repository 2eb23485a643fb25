//! The clients, and how each is started here. What is missing on a machine is left out, with the reason in the report.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::scenarios::{Mode, Scenario};
use crate::Failure;

/// A client with its driver.
pub(super) struct ClientUnderTest {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// What it has where a scenario leaves it at its own defaults.
    pub(super) defaults: &'static str,
    kind: Kind,
}

enum Kind {
    BuiltIn,
    /// Ours with another setting, which is no rival.
    Variant,
    /// Built in with the feature `rivals`.
    OnTokio,
    Java,
    Go,
    Floor,
}

/// Whether a client can be run, and how.
pub(super) enum Availability {
    Runnable(Vec<String>),
    Missing(String),
}

const fn client(
    name: &'static str,
    version: &'static str,
    defaults: &'static str,
    kind: Kind,
) -> ClientUnderTest {
    ClientUnderTest {
        name,
        version,
        defaults,
        kind,
    }
}

const JAVA_DEFAULTS: &str = "linger 5 ms, batches of 16 KiB, buffer of 32 MiB";

pub(super) const CLIENTS: [ClientUnderTest; 9] = [
    client(
        "ours",
        "kafka-producer of this tree",
        JAVA_DEFAULTS,
        Kind::BuiltIn,
    ),
    client(
        "incremental",
        "ours with `buffer.memory.allocation.strategy=incremental`",
        JAVA_DEFAULTS,
        Kind::Variant,
    ),
    client(
        "librdkafka",
        "2.12.1 through rdkafka 0.39 (`ThreadedProducer`, `FutureProducer`)",
        "linger 5 ms, batches of 1,000,000 B or 10,000 records, buffer of 1 GiB or 100,000 records",
        Kind::BuiltIn,
    ),
    client(
        "franz-go",
        "1.22.3",
        "linger 10 ms, which `ProduceSync` does not wait for, batches of 1,000,012 B, buffer of 50,000 records",
        Kind::Go,
    ),
    client("java", "kafka-clients 4.4.0", JAVA_DEFAULTS, Kind::Java),
    client(
        "confluent",
        "confluent-kafka 1.0.0",
        JAVA_DEFAULTS,
        Kind::OnTokio,
    ),
    client("kacrab", "0.4.0", JAVA_DEFAULTS, Kind::OnTokio),
    client("krafka", "0.28.1", JAVA_DEFAULTS, Kind::OnTokio),
    client(
        "floor",
        "one thread that encodes and writes; a ping-pong of one record, or of what came from many threads meanwhile",
        "batches as the scenario says, or of 16 KiB",
        Kind::Floor,
    ),
];

impl ClientUnderTest {
    pub(super) fn is_variant(&self) -> bool {
        matches!(self.kind, Kind::Variant)
    }

    pub(super) fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor)
    }

    /// A JVM compiles while it warms up.
    pub(super) fn warm_up_ms(&self, duration_ms: u64) -> u64 {
        let warm_up_ms = 500.min(duration_ms);
        match self.kind {
            Kind::Java => 10 * warm_up_ms,
            _ => warm_up_ms,
        }
    }

    pub(super) fn runs(&self, scenario: &Scenario) -> bool {
        match self.kind {
            Kind::Floor => scenario.has_floor,
            // librdkafka is built with OpenSSL together with the other rivals.
            Kind::BuiltIn if self.name == "librdkafka" && scenario.tls => cfg!(feature = "rivals"),
            Kind::OnTokio => !scenario.tls,
            Kind::Go => scenario.mode != Mode::Future,
            _ => true,
        }
    }

    /// Builds the driver where that is not done yet.
    pub(super) fn prepare(&self) -> Availability {
        let command = match self.kind {
            Kind::OnTokio if !cfg!(feature = "rivals") => {
                return Availability::Missing("built without `--features rivals`".into());
            }
            Kind::BuiltIn | Kind::Variant | Kind::OnTokio | Kind::Floor => own_driver(self.name),
            Kind::Java => java_driver(),
            Kind::Go => go_driver(),
        };
        match command {
            Ok(command) => Availability::Runnable(command),
            Err(failure) => Availability::Missing(failure.to_string()),
        }
    }
}

fn own_driver(name: &str) -> Result<Vec<String>, Failure> {
    let program = utf8(env::current_exe()?)?;
    Ok(vec![
        program,
        "drive".into(),
        "--client".into(),
        name.into(),
    ])
}

fn java_driver() -> Result<Vec<String>, Failure> {
    let sources = sources("java");
    let built = built("java")?;
    let jars = built.join("jars");
    if !jars.is_dir() {
        let fetch = [
            "-q".into(),
            "-B".into(),
            "-Dstyle.color=never".into(),
            "-f".into(),
            utf8(sources.join("pom.xml"))?,
            "dependency:copy-dependencies".into(),
            format!("-DoutputDirectory={}", utf8(jars.clone())?),
        ];
        build("mvn", &fetch, &sources)?;
    }
    let jars = format!("{}/*", utf8(jars)?);
    let classes = utf8(built)?;
    let compile = ["-cp", &jars, "-d", &classes, "Driver.java"].map(String::from);
    build("javac", &compile, &sources)?;
    Ok([
        "java",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        &format!("{classes}:{jars}"),
        "Driver",
    ]
    .map(String::from)
    .into())
}

fn go_driver() -> Result<Vec<String>, Failure> {
    let driver = utf8(built("franz-go")?.join("driver"))?;
    let arguments = ["build", "-o", &driver, "."].map(String::from);
    build("go", &arguments, &sources("franz-go"))?;
    Ok(vec![driver])
}

fn build(program: &str, arguments: &[String], directory: &Path) -> Result<(), Failure> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} {}: {status}", arguments.join(" ")).into())
    }
}

fn sources(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("rivals")
        .join(name)
}

/// A directory for what is built, below the target directory.
fn built(name: &str) -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    let directory = program.parent().ok_or("no directory of the program")?;
    let directory = directory.join("side-by-side").join(name);
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

fn utf8(path: PathBuf) -> Result<String, Failure> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| format!("{} is not UTF-8", path.to_string_lossy()).into())
}
