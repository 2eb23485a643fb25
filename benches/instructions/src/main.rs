//! Counts the instructions of the hot path with callgrind, and fails if one needs more than
//! `budget.md` allows. Unlike time, the number of instructions is the same in every run and on a
//! busy machine.
//!
//! ```text
//! cargo run --release -p kafka-producer-instructions               # compare
//! cargo run --release -p kafka-producer-instructions -- --accept   # write down what is counted now
//! ```

mod budget;
mod callgrind;
mod paths;

use std::env::{self, consts::ARCH};
use std::fs;
use std::num::NonZero;
use std::process::ExitCode;
use std::thread;

use budget::{Budget, Figure};
use callgrind::Run;
use paths::PATHS;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.md");
const USAGE: &str = "Options: none to compare with budget.md, --accept to rewrite it.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => compare(),
        ["--accept"] => accept(),
        // Callgrind runs this.
        ["--path", name] => run_path(name).map(|()| true),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether every path is within its budget.
fn compare() -> Result<bool, Failure> {
    let budget = Budget::parse(&fs::read_to_string(BUDGET)?)?;
    if !budget.toolchain.ends_with(ARCH) {
        println!(
            "Nothing to compare with on {ARCH}: the budget was written by {}.",
            budget.toolchain
        );
        return Ok(true);
    }
    let report = budget.compare(&count()?);
    print!("{}", report.table);
    if report.complaints.is_empty() {
        println!("Every path keeps to its budget.");
        return Ok(true);
    }
    eprintln!();
    for complaint in &report.complaints {
        eprintln!("error: {complaint}");
    }
    eprintln!(
        "\nThe budget was written by {}; this is {}.\n\
         Where a figure is meant to change, say why in the commit, and write down the new one with\n\
         \n    cargo run --release -p kafka-producer-instructions -- --accept\n",
        budget.toolchain,
        callgrind::toolchain()?,
    );
    Ok(false)
}

fn accept() -> Result<bool, Failure> {
    let figures = count()?;
    // A file that cannot be parsed, for example after a merge, is written anew.
    let before = fs::read_to_string(BUDGET).map(|text| Budget::parse(&text));
    if let Ok(Ok(before)) = before {
        print!("{}", before.compare(&figures).table);
    }
    fs::write(BUDGET, budget::render(&figures, &callgrind::toolchain()?))?;
    println!("Wrote {BUDGET}.");
    Ok(true)
}

fn count() -> Result<Vec<Figure>, Failure> {
    if cfg!(debug_assertions) {
        return Err("instructions are counted in release builds: cargo run --release".into());
    }
    let at_once = thread::available_parallelism().map_or(1, NonZero::get);
    let mut figures = Vec::with_capacity(PATHS.len());
    for paths in PATHS.chunks(at_once) {
        let runs: Result<Vec<_>, _> = paths.iter().map(|path| Run::start(path.name)).collect();
        for (path, run) in paths.iter().zip(runs?) {
            figures.push(Figure {
                path: path.name.to_owned(),
                instructions: run.finish()? as f64 / path.operations as f64,
                unit: path.unit.to_owned(),
            });
        }
    }
    Ok(figures)
}

fn run_path(name: &str) -> Result<(), Failure> {
    let path = PATHS.iter().find(|path| path.name == name);
    let path = path.ok_or_else(|| format!("no path is called {name}"))?;
    let mut work = (path.prepare)()?;
    callgrind::run(&mut *work);
    Ok(())
}
