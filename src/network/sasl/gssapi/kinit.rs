//! Runs `kinit`, which brings tickets into the credential cache. Java: `Shell.execCommand`.

use std::io::{self, Read};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::sync::mpsc::{self, Receiver};
use crate::utils::{KafkaThread, SystemTime, Time, printable};

/// How long the command may take. The Kerberos library gives up on servers that do not respond some 10 s after the first.
const LIMIT: Duration = Duration::from_secs(30);

/// How long to wait between two looks at whether the command has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait for the rest of what the command printed. A process that it started may hold the pipe for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// More than an error shows.
const CHUNKS: usize = 4;
const CHUNK: usize = 1024;

/// Runs a command without a shell and without input.
///
/// # Errors
///
/// The command does not start, does not end, or says that it failed. The text has what it printed, escaped and cut.
///
/// # Blocking
///
/// As long as the command runs, and at most for [`LIMIT`]: then it is killed.
pub(super) fn run(command: &str, arguments: &[&str]) -> Result<(), String> {
    run_for(command, arguments, LIMIT)
}

fn run_for(command: &str, arguments: &[&str], limit: Duration) -> Result<(), String> {
    let started = Command::new(command)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let ended = started
        .and_then(|child| ended_within(child, limit))
        .map_err(|error| format!("cannot run {command} (sasl.kerberos.kinit.cmd): {error}"))?;
    let Some((status, said)) = ended else {
        return Err(format!(
            "{command} (sasl.kerberos.kinit.cmd) did not end within {} s and was killed",
            limit.as_secs()
        ));
    };
    if status.success() {
        return Ok(());
    }
    let said = all_of(&said);
    let said = String::from_utf8_lossy(&said);
    Err(format!(
        "{command} (sasl.kerberos.kinit.cmd) failed with {status}: {}",
        printable(said.trim())
    ))
}

type Said = Receiver<Vec<u8>>;

/// Waits until the command ends. `None` if it was killed because it did not.
fn ended_within(mut child: Child, limit: Duration) -> io::Result<Option<(ExitStatus, Said)>> {
    let start = SystemTime.now();
    let said = read_aside(child.stderr.take());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some((status, said?)));
        }
        if said.is_err() || SystemTime.now().saturating_duration_since(start) >= limit {
            child.kill()?;
            child.wait()?;
            return said.map(|_| None);
        }
        SystemTime.sleep(PAUSE);
    }
}

/// Reads a pipe on a thread of its own, until nobody holds its other end any more.
fn read_aside(pipe: Option<ChildStderr>) -> io::Result<Said> {
    let (chunks, said) = mpsc::sync_channel(CHUNKS);
    KafkaThread::spawn("kafka-kinit-reader".to_owned(), move || {
        let Some(mut pipe) = pipe else {
            return;
        };
        let mut buffer = [0; CHUNK];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            // The rest is not shown, but the command must not wait for room in the pipe.
            _ = chunks.try_send(buffer.get(..count).unwrap_or_default().to_vec());
        }
    })?;
    Ok(said)
}

fn all_of(said: &Said) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(chunk) = said.recv_timeout(PATIENCE) {
        all.extend(chunk);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_tells_why() {
        assert_eq!(run("true", &[]), Ok(()));
        let text = run("/nonexistent/kinit", &["-R"]).unwrap_err();
        assert!(
            text.starts_with("cannot run /nonexistent/kinit (sasl.kerberos.kinit.cmd): "),
            "{text}"
        );
        let text = run("sh", &["-c", "printf 'no \\007 ticket\\n' >&2; exit 3"]).unwrap_err();
        assert!(
            text.ends_with("failed with exit status: 3: no \\u{7} ticket"),
            "{text}"
        );
        // Without input: a prompt for a password ends at once.
        assert!(run("sh", &["-c", "read -r password"]).is_err());
    }

    /// Such as one that renews tickets in the background.
    #[test]
    fn a_process_that_the_command_left_behind_is_not_waited_for() {
        let pipe = std::env::temp_dir().join(format!("kinit-{}", std::process::id()));
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        // What reads it ends with this end of it.
        let end = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&pipe)
            .unwrap();
        let script = format!(
            "read -r line < {} & printf 'no ticket' >&2; exit",
            pipe.display()
        );
        let (script, of_failure) = (format!("{script} 0"), format!("{script} 3"));
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            for script in [script, of_failure] {
                _ = done.send(run("sh", &["-c", &script]));
            }
        });
        let result = || is_done.recv_timeout(Duration::from_secs(25));
        let results = [result(), result()];
        std::fs::remove_file(&pipe).unwrap();
        drop(end);
        let [succeeded, failed] = results;
        assert_eq!(succeeded, Ok(Ok(())));
        let failed = failed.unwrap().unwrap_err();
        assert!(failed.ends_with("exit status: 3: no ticket"), "{failed}");
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let text = run_for("sleep", &["3600"], Duration::ZERO).unwrap_err();
        assert_eq!(
            text,
            "sleep (sasl.kerberos.kinit.cmd) did not end within 0 s and was killed"
        );
    }
}
