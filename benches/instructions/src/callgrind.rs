//! Runs this program under callgrind.
//!
//! It counts what the calling thread does in [`counted_work`], without the part of the broker,
//! which the library keeps in functions named `broker_work...`. Callgrind toggles its counter when
//! it enters or leaves a function whose name matches. So the broker's work during the warm-up is
//! counted too, and [`begin_count`] discards that.
//!
//! Valgrind emulates a CPU of its own, with AVX2 if the machine has it and never with AVX-512. So
//! the same `memcpy` and the same CRC run on all x86-64 servers of the last ten years.

use std::env;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::process::{Child, Command, Stdio};

use crate::Failure;

/// Discards the count so far.
#[inline(never)]
fn begin_count() {
    black_box(());
}

/// The function whose instructions are counted.
#[inline(never)]
fn counted_work(work: &mut dyn FnMut()) {
    work();
}

/// Runs the work so that callgrind counts it.
pub(crate) fn run(work: &mut dyn FnMut()) {
    begin_count();
    counted_work(work);
}

/// A run under callgrind.
pub(crate) struct Run {
    path: &'static str,
    child: Child,
}

impl Run {
    /// Starts this program with `--path`.
    pub(crate) fn start(path: &'static str) -> Result<Self, Failure> {
        let child = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg("--zero-before=*begin_count*")
            .arg("--toggle-collect=*counted_work*")
            .arg("--toggle-collect=*broker_work*")
            .arg(env::current_exe()?)
            .args(["--path", path])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| explain(&error))?;
        Ok(Self { path, child })
    }

    /// Waits for the end. Returns the number of instructions.
    pub(crate) fn finish(self) -> Result<u64, Failure> {
        let output = self.child.wait_with_output()?;
        let log = String::from_utf8_lossy(&output.stderr);
        match collected(&log) {
            Some(count) if output.status.success() && count > 0 => Ok(count),
            _ => Err(format!("callgrind could not count \"{}\":\n{log}", self.path).into()),
        }
    }
}

fn explain(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => "valgrind is not installed (Debian: apt install valgrind)".into(),
        _ => format!("cannot run valgrind: {error}").into(),
    }
}

/// Returns the count in callgrind's log: `==123== Collected : 456`.
fn collected(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once("Collected : ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Returns the compiler and the machine, on which the figures depend.
pub(crate) fn toolchain() -> Result<String, Failure> {
    let output = Command::new("rustc").arg("--version").output()?;
    let version = String::from_utf8(output.stdout)?;
    let version: Vec<_> = version.split_whitespace().take(2).collect();
    Ok(format!("{} on {}", version.join(" "), env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_log() {
        let log = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 1234\n==7== \n";
        assert_eq!(collected(log), Some(1234));
        assert_eq!(collected("valgrind: no such program"), None);
    }
}
