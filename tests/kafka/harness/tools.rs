//! Kafka's command line tools for groups and features.

use std::collections::BTreeMap;
use std::time::Duration;

use super::judges::{remove_work, tool};
use super::process::{self, Output, Process};

const TOOL_LIMIT: Duration = Duration::from_secs(120);

/// Returns the offsets of a group in a topic, by partition, as `kafka-consumer-groups --describe`
/// prints them, without those in open transactions.
pub(crate) fn group_offsets(
    bootstrap_servers: &str,
    group: &str,
    topic: &str,
) -> BTreeMap<i32, i64> {
    let output = run(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        bootstrap_servers,
        &["--describe", "--offsets", "--group", group],
    );
    let mut lines = output
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<&str>>())
        .skip_while(|words| words.first() != Some(&"GROUP"));
    // A group without offsets has no header.
    let header = lines.next().unwrap_or_default();
    let column = |name: &str| {
        let place = header.iter().position(|known| *known == name);
        place.unwrap_or_else(|| panic!("no column {name} in {output}"))
    };
    lines
        .filter(|words| !words.is_empty() && words[column("TOPIC")] == topic)
        .map(|words| {
            let number = |name| words[column(name)].parse::<i64>().ok();
            let partition = number("PARTITION").expect("a partition is a number");
            let offset = number("CURRENT-OFFSET").expect("an offset is a number");
            (partition as i32, offset)
        })
        .collect()
}

/// Runs one of Kafka's tools. Returns its output.
pub(crate) fn run_tool(main_class: &str, bootstrap_servers: &str, arguments: &[&str]) -> String {
    run(main_class, bootstrap_servers, arguments)
}

/// Returns the text of a tool's `--help`. The tool may print it as an error, and fail after it.
pub(crate) fn tool_help(main_class: &str) -> String {
    let log = process::new_directory("tool").join("log");
    let mut program = tool(&log, main_class);
    program.push("--help".to_owned());
    let process = Process::start("tool", &program, &log, Output::Piped);
    let (_, output) = process.run(b"", TOOL_LIMIT, process::read_all);
    let errors = std::fs::read_to_string(&log).expect("its errors are text");
    remove_work(&log);
    output + &errors
}

/// Raises a feature of a running cluster, as `kafka-features upgrade` does: `transaction.version=2`.
pub(crate) fn upgrade_feature(bootstrap_servers: &str, feature: &str) {
    change_feature(bootstrap_servers, "upgrade", feature);
}

/// Lowers a feature of a running cluster, as `kafka-features downgrade` does.
pub(crate) fn downgrade_feature(bootstrap_servers: &str, feature: &str) {
    change_feature(bootstrap_servers, "downgrade", feature);
}

/// Subscribes to the metrics of every client whose names have this prefix, as `kafka-client-metrics`
/// does.
pub(crate) fn subscribe_to_metrics(bootstrap_servers: &str, prefix: &str, interval: Duration) {
    let interval = interval.as_millis().to_string();
    let arguments = [
        "--alter",
        "--name",
        "subscription",
        "--metrics",
        prefix,
        "--interval",
        &interval,
    ];
    let tool = "org.apache.kafka.tools.ClientMetricsCommand";
    let said = run(tool, bootstrap_servers, &arguments);
    assert!(said.contains("Altered"), "{said}");
}

fn change_feature(bootstrap_servers: &str, direction: &str, feature: &str) {
    let tool = "org.apache.kafka.tools.FeatureCommand";
    let said = run(tool, bootstrap_servers, &[direction, "--feature", feature]);
    assert!(said.contains(&format!("was {direction}d")), "{said}");
}

fn run(main_class: &str, bootstrap_servers: &str, arguments: &[&str]) -> String {
    let log = process::new_directory("tool").join("log");
    let mut program = tool(&log, main_class);
    program.extend(["--bootstrap-server", bootstrap_servers].map(str::to_owned));
    program.extend(arguments.iter().copied().map(str::to_owned));
    let process = Process::start("tool", &program, &log, Output::Piped);
    let (status, output) = process.run(b"", TOOL_LIMIT, process::read_all);
    let done = status.is_some_and(|status| status.success());
    assert!(
        done,
        "{main_class} {arguments:?} failed: {output}{}",
        process::tail(&log)
    );
    remove_work(&log);
    output
}
