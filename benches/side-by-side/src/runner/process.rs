//! The processes of a run: one sink a scenario, one driver a measurement. None outlives the runner: a sink ends with its
//! stdin, and a driver that takes too long is killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::clients::ClientUnderTest;
use super::scenarios::Scenario;
use crate::Failure;

/// What a driver may take beyond its warm-up and its measurement: a flush, and the start of a JVM.
const GRACE: Duration = Duration::from_secs(30);

/// Why a round does not count, and the client has no further one in its scenario.
pub(super) const TOOK_TOO_LONG: &str = "it took too long, was killed, and not run again";

/// A line of `name=number` words.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(HashMap<String, f64>);

impl Figures {
    fn parse(line: &str) -> Result<Self, Failure> {
        let mut figures = Self::default();
        for word in line.split_whitespace() {
            let (name, number) = word
                .split_once('=')
                .ok_or_else(|| format!("not figures: {line}"))?;
            figures.set(name, number.parse()?);
        }
        Ok(figures)
    }

    pub(super) fn set(&mut self, name: &str, number: f64) {
        self.0.insert(name.to_owned(), number);
    }

    /// 0 when there is none.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }
}

/// The sink of one scenario.
pub(super) struct SinkProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    pub(super) servers: String,
}

impl SinkProcess {
    pub(super) fn start(scenario: &Scenario, check: bool) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("sink")
            .args(["--nodes", &scenario.nodes.to_string()])
            .args(["--partitions", &scenario.partitions.to_string()])
            .args(["--delay", &scenario.delay_ms.to_string()])
            .args(check.then_some("--check"))
            .args(scenario.tls.then_some("--tls"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let mut sink = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            servers: String::new(),
        };
        sink.servers = sink.line()?;
        Ok(sink)
    }

    /// What the sink received since it started.
    pub(super) fn received(&mut self) -> Result<Figures, Failure> {
        let stdin = self.stdin.as_mut().ok_or("the sink has ended")?;
        stdin.write_all(b"\n")?;
        Figures::parse(&self.line()?)
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        _ = self.child.wait();
    }
}

/// Runs a driver to its end, and gives the line that it printed.
pub(super) fn drive(
    client: &ClientUnderTest,
    command: &[String],
    scenario: &Scenario,
    servers: &str,
    duration_ms: u64,
) -> Result<Figures, Failure> {
    let warm_up_ms = client.warm_up_ms(duration_ms);
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .args(["--servers", servers])
        .args(["--warm-up-ms", &warm_up_ms.to_string()])
        .args(["--duration-ms", &duration_ms.to_string()])
        .args(scenario.driver_arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_millis(warm_up_ms + duration_ms) + GRACE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(TOOK_TOO_LONG.into());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut line = String::new();
    // One short line, which a pipe holds until the process has ended.
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut line)?;
    }
    if !status.success() {
        return Err(format!("it ended with {status}").into());
    }
    Figures::parse(&line)
}
