//! Runs this test program as a client process that can be killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::process::{self, Output, Process};

/// A process that runs one test of this program, and the output of that test.
#[derive(Debug)]
pub(crate) struct TestProcess {
    process: Process,
    lines: Receiver<String>,
    log: PathBuf,
}

impl TestProcess {
    /// Runs `test`, as `module::function`, which is ignored otherwise, with environment variables
    /// that tell it what to do.
    pub(crate) fn start(test: &str, variables: &[(&str, &str)]) -> Self {
        let log = process::new_directory("client").join("log");
        let program = std::env::current_exe().expect("a program knows where it is");
        let variables = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let arguments = [
            &*program.display().to_string(),
            "--exact",
            test,
            "--ignored",
            "--nocapture",
        ];
        let program: Vec<String> = ["env".to_owned()]
            .into_iter()
            .chain(variables)
            .chain(arguments.map(str::to_owned))
            .collect();
        let mut process = Process::start("client", &program, &log, Output::Piped);
        let output = process.take_output();
        let (sender, lines) = mpsc::channel();
        // Ends with the process, or when nobody listens any more.
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        Self {
            process,
            lines,
            log,
        }
    }

    /// Returns the next line of its output, or `None` if there is none in time.
    ///
    /// # Panics
    /// When the process has ended.
    pub(crate) fn line(&self, limit: Duration) -> Option<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the client ended: {}", process::tail(&self.log))
            }
        }
    }

    /// Sends SIGKILL. Returns the output that nobody has read.
    pub(crate) fn kill(self) -> Vec<String> {
        drop(self.process);
        let rest = self.lines.iter().collect();
        process::remove_directory(self.log.parent().expect("a log is in a directory"));
        rest
    }
}
