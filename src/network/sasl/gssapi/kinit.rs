//! Runs `kinit`, which brings tickets into the credential cache. Java: `Shell.execCommand`.

use std::process::{Command, Stdio};

use crate::utils::printable;

/// Runs a command without a shell and without input.
///
/// # Errors
///
/// The command does not start, or says that it failed. The text has what it printed, escaped and cut.
///
/// # Blocking
///
/// As long as the command runs, which asks Kerberos servers and gives up by itself.
pub(super) fn run(command: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(command)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output();
    let output = output
        .map_err(|error| format!("cannot run {command} (sasl.kerberos.kinit.cmd): {error}"))?;
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
}
