//! Runs scenarios: the clients in turn, round after round, and a table of medians.

mod chart;
mod clients;
mod process;
mod report;
mod scenarios;

use std::fs;
use std::path::{Path, PathBuf};

use self::chart::Chart;
use self::clients::{Availability, CLIENTS, ClientUnderTest};
use self::process::{Figures, SinkProcess};
use self::report::{Report, Row};
use self::scenarios::{Scenario, scenarios};
use crate::Failure;
use crate::arguments::Arguments;

const HELP: &str = "\
kafka-producer-side-by-side [options]

  --quick               one short round of a few scenarios with ours, librdkafka and the floor
  --scenarios A,B       only scenarios whose names start with one of these
  --clients A,B         only these clients
  --rounds N            default 5
  --duration-ms N       of each measurement, default 2000
  --check               the sink checks checksums and sequences, which takes it time
  --output FILE         default RESULTS.md of this crate
  --list                the scenarios and the clients
";

/// What is to be run.
struct Plan {
    scenarios: Vec<Scenario>,
    clients: Vec<&'static ClientUnderTest>,
    rounds: u64,
    duration_ms: u64,
    check: bool,
    output: PathBuf,
}

impl Plan {
    fn parse(arguments: &Arguments) -> Result<Self, Failure> {
        let quick = arguments.flag("quick");
        let split = |name| {
            arguments
                .text(name)
                .map(|text| text.split(',').collect::<Vec<_>>())
        };
        let names = match split("scenarios") {
            None if quick => Some(vec!["100b-defaults", "100b-1mb", "blocking-defaults"]),
            names => names,
        };
        let clients = match split("clients") {
            None if quick => Some(vec!["ours", "librdkafka", "floor"]),
            clients => clients,
        };
        let mut scenarios = scenarios();
        if let Some(names) = names {
            scenarios.retain(|scenario| names.iter().any(|name| scenario.name.starts_with(name)));
        }
        if scenarios.is_empty() {
            return Err("no scenario has such a name; see --list".into());
        }
        Ok(Self {
            scenarios,
            clients: chosen_clients(clients.as_deref())?,
            rounds: arguments
                .number("rounds", if quick { 1 } else { 5 })?
                .max(1),
            duration_ms: arguments.number("duration-ms", if quick { 300 } else { 2_000 })?,
            check: arguments.flag("check"),
            output: match arguments.text("output") {
                Some(path) => PathBuf::from(path),
                None if quick => std::env::temp_dir().join("side-by-side-quick.md"),
                None => Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md"),
            },
        })
    }
}

/// In the order of [`CLIENTS`]; no names are all of them.
fn chosen_clients(names: Option<&[&str]>) -> Result<Vec<&'static ClientUnderTest>, Failure> {
    let Some(names) = names else {
        return Ok(CLIENTS.iter().collect());
    };
    let is_known = |name: &&&str| CLIENTS.iter().any(|client| client.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        return Err(format!("no client is called {unknown}; see --list").into());
    }
    let chosen = CLIENTS.iter().filter(|client| names.contains(&client.name));
    Ok(chosen.collect())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.flag("help") {
        print!("{HELP}");
        return Ok(());
    }
    if arguments.flag("list") {
        for scenario in scenarios() {
            println!("{:30} {}", scenario.name, scenario.about);
        }
        let names: Vec<_> = CLIENTS.iter().map(|client| client.name).collect();
        println!("clients: {}", names.join(" "));
        return Ok(());
    }
    arguments.allow_only(&[
        "quick",
        "scenarios",
        "clients",
        "rounds",
        "duration-ms",
        "check",
        "output",
    ])?;
    let plan = Plan::parse(arguments)?;
    let mut report = Report::begin(plan.rounds, plan.duration_ms, plan.check)?;
    let mut runnable = Vec::new();
    for client in &plan.clients {
        match client.prepare() {
            Availability::Runnable(command) => runnable.push((*client, command)),
            Availability::Missing(why) => report.missing(client, &why),
        }
    }
    let mut chart = Chart::default();
    report.clients(runnable.iter().map(|(client, _)| *client));
    for scenario in &plan.scenarios {
        let rows = run_scenario(&plan, scenario, &runnable)?;
        report.scenario(scenario, &rows);
        let rivals = rows.iter().filter(|row| row.is_ours_or_a_rivals());
        chart.add(
            scenario.name,
            scenario.about,
            rivals.map(Row::records_per_second),
        );
        // What is done so far survives an interruption.
        fs::write(&plan.output, report.text())?;
    }
    if let Some(svg) = chart.svg() {
        fs::write(plan.output.with_file_name("speed.svg"), svg)?;
    }
    println!("written to {}", plan.output.display());
    Ok(())
}

fn run_scenario(
    plan: &Plan,
    scenario: &Scenario,
    clients: &[(&'static ClientUnderTest, Vec<String>)],
) -> Result<Vec<Row>, Failure> {
    let mut sink = SinkProcess::start(scenario, plan.check)?;
    let mut rows: Vec<Row> = clients
        .iter()
        .filter(|(client, _)| client.runs(scenario))
        .map(|(client, _)| Row::new(client))
        .collect();
    for round in 1..=plan.rounds {
        for row in rows.iter_mut().filter(|row| !row.took_too_long()) {
            let Some((client, command)) = clients.iter().find(|(client, _)| row.is_of(client))
            else {
                continue;
            };
            eprintln!("{} {round}/{} {}", scenario.name, plan.rounds, client.name);
            let before = sink.received()?;
            let figures =
                process::drive(client, command, scenario, &sink.servers, plan.duration_ms);
            let after = sink.received()?;
            match figures.and_then(|figures| held_against(figures, &before, &after, scenario)) {
                Ok(figures) => row.rounds.push((round, figures)),
                Err(failure) => {
                    eprintln!("{} {}: {failure}", scenario.name, client.name);
                    row.failures.push(failure.to_string());
                }
            }
        }
    }
    Ok(rows)
}

/// Adds what the sink received meanwhile, which may not be less than what the client says.
fn held_against(
    mut figures: Figures,
    before: &Figures,
    after: &Figures,
    scenario: &Scenario,
) -> Result<Figures, Failure> {
    let received = |name| after.number(name) - before.number(name);
    let records = received("records");
    if scenario.is_delivered() && records < figures.number("records") {
        let sent = figures.number("records");
        return Err(format!("{sent} records sent, {records} received").into());
    }
    if figures.number("failed") > 0.0 {
        return Err(format!("{} records failed", figures.number("failed")).into());
    }
    if received("errors") > 0.0 {
        return Err(format!("the sink found {} errors", received("errors")).into());
    }
    figures.set("records_per_batch", records / received("batches").max(1.0));
    figures.set(
        "batches_per_request",
        received("batches") / received("requests").max(1.0),
    );
    Ok(figures)
}
