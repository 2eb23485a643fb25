//! Compares Kafka producers: this crate and every other client that can be built here, against one
//! sink broker.
//!
//! ```text
//! cargo run --profile bench -p kafka-producer-side-by-side --features rivals
//! cargo run --profile bench -p kafka-producer-side-by-side -- --quick
//! ```
//!
//! The first command runs everything and writes `RESULTS.md`; `-- --help` names the options. `sink` and `drive` are the
//! processes that it starts. The profile is the workspace's own: fat LTO, for every client in Rust.

#![allow(
    clippy::disallowed_methods,
    reason = "a bench reads the real clock, and waits by it"
)]

mod arguments;
mod drive;
mod runner;
mod sink;
mod usage;

use std::process::ExitCode;

use self::arguments::Arguments;

/// Why the program cannot go on.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let command = words.next_if(|word| !word.starts_with("--"));
    let done = Arguments::parse(words).and_then(|arguments| match command.as_deref() {
        Some("sink") => sink::run(&arguments),
        Some("drive") => drive::run(&arguments),
        None => runner::run(&arguments),
        Some(other) => Err(format!("{other} is neither sink nor drive").into()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("side-by-side: {failure}");
            ExitCode::FAILURE
        }
    }
}
