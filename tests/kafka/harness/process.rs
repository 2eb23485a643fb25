//! Child processes that never outlive the test process.
//!
//! Dropping a [`Process`] kills it, so a test that panics leaves nothing behind. A test process may
//! be killed itself, and clusters in statics are never dropped. For these there is one watchdog: a
//! shell with the read end of a pipe, whose write end is in this process. It learns each child's id
//! before the child begins. When the pipe closes, it kills the children and removes their files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use super::poll_until;

const WATCHDOG: &str = r#"
pids=
while read -r verb pid; do
    kept=
    for known in $pids; do [ "$known" = "$pid" ] || kept="$kept $known"; done
    pids=$kept
    [ "$verb" = watch ] && pids="$pids $pid"
done
for pid in $pids; do kill -s KILL "$pid"; done
[ -n "$1" ] || exit
for _ in 1 2 3 4 5; do rm -rf -- "$1" && break; sleep 1; done
"#;

/// Waits until the watchdog knows it. The shell's `read` consumes only that line.
const LEASH: &str = r#"read -r go && exec "$@""#;

/// All files of this test process are below this directory. Set `KAFKA_PRODUCER_KEEP_FILES=1` to
/// keep them.
pub(super) fn new_directory(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = run_directory().join(format!("{name}-{number}"));
    fs::create_dir_all(&directory).expect("the target directory can be written");
    directory
}

pub(super) fn remove_directory(directory: &Path) {
    if !keep_files() {
        // The watchdog removes what is left.
        let _ = fs::remove_dir_all(directory);
    }
}

fn run_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-run-{}", std::process::id()))
}

fn keep_files() -> bool {
    std::env::var_os("KAFKA_PRODUCER_KEEP_FILES").is_some_and(|on| on == "1")
}

fn tell_watchdog(verb: &str, pid: u32) {
    static WATCHDOG_INPUT: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let input = WATCHDOG_INPUT.get_or_init(|| {
        let removed = if keep_files() {
            PathBuf::new()
        } else {
            run_directory()
        };
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(removed)
            .stdin(Stdio::piped());
        // Its own process group: Ctrl-C in the terminal ends the test but not its watchdog.
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        Mutex::new(
            command
                .spawn()
                .expect("sh runs")
                .stdin
                .take()
                .expect("stdin is piped"),
        )
    });
    let mut input = input.lock().expect("nothing panics while it is held");
    writeln!(input, "{verb} {pid}").expect("the watchdog listens");
}

/// A child process that the watchdog knows.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `program`. Its standard error is appended to `log`, and so is its output unless
    /// `output` is piped.
    pub(crate) fn start(name: &str, program: &[String], log: &Path, output: Output) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log can be written");
        let mut command = Command::new("sh");
        command
            .args(["-c", LEASH, name])
            .args(program)
            .stdin(Stdio::piped())
            .process_group(0);
        command.stderr(file.try_clone().expect("a file can be cloned"));
        match output {
            Output::Log => command.stdout(file),
            Output::Piped => command.stdout(Stdio::piped()),
        };
        let child = command.spawn().expect("sh runs");
        tell_watchdog("watch", child.id());
        let mut process = Self {
            child,
            name: name.to_owned(),
        };
        let stdin = process.child.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(b"go\n").expect("the leash reads");
        process
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Takes its output, once. It must have been started with [`Output::Piped`].
    pub(super) fn take_output(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("its output is piped")
    }

    /// Sends a signal, named without `SIG`.
    pub(super) fn signal(&self, signal: &str) {
        let is_sent = send_signal(self.id(), signal);
        assert!(is_sent, "{} takes no {signal}", self.name);
    }

    /// Waits for a process that is about to end by itself.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll_until(limit, || self.exit_status())
    }

    /// Writes `input`, passes the output to `read` on a thread of its own, and kills the process
    /// after `limit`.
    pub(super) fn run<T: Send>(
        mut self,
        input: &[u8],
        limit: Duration,
        read: impl FnOnce(ChildStdout) -> T + Send,
    ) -> (Option<ExitStatus>, T) {
        let mut stdin = self.child.stdin.take().expect("stdin is piped");
        let stdout = self.take_output();
        thread::scope(|scope| {
            // A tool that fails early stops reading. Its exit status says so.
            scope.spawn(move || drop(stdin.write_all(input)));
            let reader = scope.spawn(move || read(stdout));
            let status = self.wait(limit);
            self.kill();
            (
                status,
                reader
                    .join()
                    .expect("what reads a tool's output does not panic"),
            )
        })
    }

    /// Sends SIGKILL, and waits until the process has ended.
    fn kill(&mut self) {
        // Both fail only if the process was already waited for. Until then its id is not reused, so
        // the watchdog forgets it first.
        let _ = self.child.kill();
        tell_watchdog("forget", self.child.id());
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal, named without `SIG`. Returns `false` if the process has ended.
pub(super) fn send_signal(process: u32, signal: &str) -> bool {
    let script = r#"kill -s "$1" "$2""#;
    let status = Command::new("sh")
        .args(["-c", script, "kill", signal, &process.to_string()])
        .status();
    status.expect("sh runs").success()
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Output {
    Log,
    Piped,
}

/// A child's output, read in large pieces. The tools write each field separately, and a reader that
/// wakes up for each of them doubles the CPU time.
#[derive(Debug)]
pub(super) struct Unhurried(pub(super) ChildStdout);

impl Read for Unhurried {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // Lets the pipe fill.
        thread::sleep(Duration::from_millis(1));
        self.0.read(buffer)
    }
}

/// Reads everything. For [`Process::run`].
pub(super) fn read_all(mut output: ChildStdout) -> String {
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the last lines of a log, for the message of a panic.
pub(super) fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
