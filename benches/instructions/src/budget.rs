//! The committed table of instructions per path, and the comparison of a count with it.

use std::fmt::Write;

use crate::Failure;

/// A path may grow by this fraction of its budget without an error, because compilers and C
/// libraries differ a little.
const TOLERANCE: f64 = 0.05;
/// It may also grow by this many instructions, because one more instruction is a large part of a
/// path of ten.
const SLACK: f64 = 1.0;

/// The instructions of one operation of a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) path: String,
    pub(crate) instructions: f64,
    /// The name of one operation.
    pub(crate) unit: String,
}

/// The content of `budget.md`.
#[derive(Debug)]
pub(crate) struct Budget {
    figures: Vec<Figure>,
    /// The compiler and machine of these figures.
    pub(crate) toolchain: String,
}

/// The result of a comparison.
#[derive(Debug)]
pub(crate) struct Report {
    /// Every path with both figures, as text.
    pub(crate) table: String,
    pub(crate) complaints: Vec<String>,
}

impl Budget {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let toolchain = text
            .lines()
            .find_map(|line| line.strip_prefix("Written by "));
        let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
        Ok(Self {
            figures: rows.map(parse_row).collect::<Result<_, _>>()?,
            toolchain: toolchain
                .ok_or("budget.md does not say what wrote it")?
                .trim_end_matches('.')
                .to_owned(),
        })
    }

    pub(crate) fn compare(&self, counted: &[Figure]) -> Report {
        let mut table = format!("{:54} {:>9} {:>9}\n", "path", "budget", "now");
        let mut complaints = Vec::new();
        for now in counted {
            match self.figures.iter().find(|figure| figure.path == now.path) {
                Some(granted) => {
                    table.push_str(&row(granted, now));
                    complaints.extend(complaint(granted, now));
                }
                None => complaints.push(format!("\"{}\" has no budget", now.path)),
            }
        }
        for granted in &self.figures {
            if !counted.iter().any(|now| now.path == granted.path) {
                complaints.push(format!(
                    "\"{}\" has a budget, but is not counted",
                    granted.path
                ));
            }
        }
        Report { table, complaints }
    }
}

/// A line of the table.
fn row(granted: &Figure, now: &Figure) -> String {
    let note = match verdict(granted.instructions, now.instructions) {
        Verdict::Grown => "  grown",
        Verdict::Shrunk => "  less: accept it, so that it stays",
        Verdict::Kept => "",
    };
    format!(
        "{:54} {:>9.1} {:>9.1} {:>+6.1} %{note}\n",
        now.path,
        granted.instructions,
        now.instructions,
        growth(granted, now)
    )
}

fn complaint(granted: &Figure, now: &Figure) -> Option<String> {
    let has_grown = verdict(granted.instructions, now.instructions) == Verdict::Grown;
    has_grown.then(|| {
        format!(
            "\"{}\" has grown from {:.1} to {:.1} instructions per {} ({:+.1} %; {:.0} % is tolerated)",
            now.path,
            granted.instructions,
            now.instructions,
            now.unit,
            growth(granted, now),
            TOLERANCE * 100.0
        )
    })
}

/// In percent, for printing with one decimal. Never a negative zero.
fn growth(granted: &Figure, now: &Figure) -> f64 {
    let growth = now.instructions / granted.instructions - 1.0;
    (growth * 1000.0).round() / 10.0 + 0.0
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Grown,
    Shrunk,
    Kept,
}

fn verdict(granted: f64, now: f64) -> Verdict {
    let leeway = (granted * TOLERANCE).max(SLACK);
    if now > granted + leeway {
        Verdict::Grown
    } else if now < granted - leeway {
        Verdict::Shrunk
    } else {
        Verdict::Kept
    }
}

fn parse_row(row: &str) -> Result<Figure, Failure> {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [path, instructions, unit] = cells[..] else {
        return Err(format!("not a row of three cells: {row}").into());
    };
    Ok(Figure {
        path: path.to_owned(),
        instructions: instructions
            .parse()
            .map_err(|_| format!("not a number of instructions: {row}"))?,
        unit: unit.to_owned(),
    })
}

/// Returns the text of `budget.md`.
pub(crate) fn render(figures: &[Figure], toolchain: &str) -> String {
    let mut text = format!(
        "# Instructions of the hot path\n\
         \n\
         What one operation of each path executes in user space; `src/paths.rs` says what each is. CI fails where one\n\
         grows by more than {:.0} %. Do not edit: `cargo run --release -p kafka-producer-instructions -- --accept` writes\n\
         this file.\n\
         \n\
         Written by {toolchain}.\n\
         \n\
         | path | instructions | per |\n\
         |---|---:|---|\n",
        TOLERANCE * 100.0
    );
    for figure in figures {
        let Figure {
            path,
            instructions,
            unit,
        } = figure;
        _ = writeln!(text, "| {path} | {instructions:.1} | {unit} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(path: &str, instructions: f64) -> Figure {
        Figure {
            path: path.to_owned(),
            instructions,
            unit: "record".to_owned(),
        }
    }

    fn budget(figures: &[Figure]) -> Budget {
        Budget::parse(&render(figures, "rustc 1.85.0 on x86_64")).unwrap()
    }

    fn complaints(granted: f64, now: f64) -> Vec<String> {
        let report = budget(&[figure("send", granted)]).compare(&[figure("send", now)]);
        report.complaints
    }

    #[test]
    fn what_is_rendered_is_read_again() {
        let figures = [figure("send", 400.5), figure("murmur2, 8 B", 20.0)];
        let budget = budget(&figures);
        assert_eq!(budget.figures, figures);
        assert_eq!(budget.toolchain, "rustc 1.85.0 on x86_64");
    }

    #[test]
    fn growth_beyond_the_tolerance_is_an_error_that_names_path_and_figures() {
        assert!(complaints(400.0, 420.0).is_empty());
        let complaints = complaints(400.0, 424.0);
        assert_eq!(
            complaints,
            [
                "\"send\" has grown from 400.0 to 424.0 instructions per record (+6.0 %; 5 % is tolerated)"
            ]
        );
    }

    #[test]
    fn an_instruction_more_is_tolerated_where_there_are_few() {
        assert!(complaints(10.0, 11.0).is_empty());
        assert_eq!(complaints(10.0, 12.0).len(), 1);
    }

    #[test]
    fn what_has_shrunk_is_noted_and_no_error() {
        let report = budget(&[figure("send", 400.0)]).compare(&[figure("send", 300.0)]);
        assert!(report.complaints.is_empty());
        assert!(report.table.contains("accept it"), "{}", report.table);
    }

    #[test]
    fn a_path_without_a_budget_and_a_budget_without_a_path_are_errors() {
        let report = budget(&[figure("old", 1.0)]).compare(&[figure("new", 1.0)]);
        assert_eq!(
            report.complaints,
            [
                "\"new\" has no budget",
                "\"old\" has a budget, but is not counted"
            ]
        );
    }

    #[test]
    fn damaged_tables_are_refused() {
        for text in [
            "",
            "Written by x.\n| path |\n| send | many | record |\n",
            "Written by x.\n| path |\n| a | b |\n",
        ] {
            Budget::parse(text).unwrap_err();
        }
    }
}
