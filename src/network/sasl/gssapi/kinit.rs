//! Runs `kinit`, which brings tickets into the credential cache. Java: `Shell.execCommand`.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::utils::{SystemTime, Time, printable};

/// How long the command may take. The Kerberos library gives up on servers that do not respond some 10 s after the first.
const LIMIT: Duration = Duration::from_secs(30);

/// How long to wait between two looks at whether the command has ended.
const PAUSE: Duration = Duration::from_millis(10);

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
    let output = started
        .and_then(|child| output_within(child, limit))
        .map_err(|error| format!("cannot run {command} (sasl.kerberos.kinit.cmd): {error}"))?;
    let Some(output) = output else {
        return Err(format!(
            "{command} (sasl.kerberos.kinit.cmd) did not end within {} s and was killed",
            limit.as_secs()
        ));
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = printable(said.trim()).to_string();
    Err(format!(
        "{command} (sasl.kerberos.kinit.cmd) failed with {}: {said}",
        output.status
    ))
}

/// Waits until the command ends. `None` if it was killed because it did not.
fn output_within(mut child: Child, limit: Duration) -> io::Result<Option<Output>> {
    let start = SystemTime.now();
    while child.try_wait()?.is_none() {
        if SystemTime.now().saturating_duration_since(start) >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        SystemTime.sleep(PAUSE);
    }
    child.wait_with_output().map(Some)
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

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let text = run_for("sleep", &["3600"], Duration::ZERO).unwrap_err();
        assert_eq!(
            text,
            "sleep (sasl.kerberos.kinit.cmd) did not end within 0 s and was killed"
        );
    }
}
