//! Tests that need a process of their own, because they change it or count what it has.

use std::env;
use std::process::Command;

const ALONE: &str = "KAFKA_PRODUCER_TEST_RUNS_ALONE";

/// Returns whether this process runs only the test of this name. If not, runs the test in a process
/// of its own, and returns when it has passed there.
///
/// # Panics
///
/// If the test fails there.
pub(crate) fn runs_alone(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    false
}
