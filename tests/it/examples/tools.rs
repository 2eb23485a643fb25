//! The examples that replace Kafka's tools: their options, transactions, metrics and JSON lines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kafka_producer::ErrorCode;
use kafka_producer::testing::{Action, Api, FakeBroker};
use serde_json::Value;

use super::console_producer::options::Command;
use super::console_producer::{options, reader_config};
use super::producer_perf;
use super::quickstart::{arguments::Arguments, progress::Progress};
use super::verifiable_producer::{self, events};
use super::{arguments, console};

#[test]
fn words_are_options_with_and_without_values() {
    let words = "--a 1 --b=2=3 --c --d x y --e -1 --f=z";
    let mut words = Arguments::new(arguments(words));
    let name = |words: &mut Arguments<_>| words.next_name().unwrap().unwrap();
    assert_eq!(name(&mut words), "--a");
    assert_eq!(words.parsed::<u8>().unwrap(), 1);
    assert_eq!(name(&mut words), "--b");
    assert_eq!(words.value().unwrap(), "2=3");
    assert_eq!(name(&mut words), "--c");
    assert_eq!(words.optional_value(), None);
    assert_eq!(words.value().unwrap_err(), "--c needs a value");
    assert_eq!(name(&mut words), "--d");
    assert_eq!(words.values().unwrap(), ["x", "y"]);
    assert_eq!(name(&mut words), "--e");
    // A negative number is a value, not an option.
    let error = words.parsed::<u8>().unwrap_err();
    assert_eq!(error, "--e -1: invalid digit found in string");
    assert_eq!(name(&mut words), "--f");
    assert_eq!(words.unknown(), "--f is no option");
    assert_eq!(words.next_name().unwrap_err(), "--f takes no value");
    assert_eq!(Arguments::new(arguments("")).next_name(), Ok(None));
}

#[test]
fn progress_is_a_line_that_is_replaced_and_erased_and_only_for_a_terminal() {
    let mut output = Vec::new();
    let mut progress = Progress::to(Some(&mut output), "records", Some(200));
    // The second report comes too soon after the first.
    progress.report(50);
    progress.report(51);
    drop(progress);
    let line = "50 of 200 records (25 %)";
    let erased = " ".repeat(line.len());
    assert_eq!(
        String::from_utf8(output).unwrap(),
        format!("\r{line}\r{erased}\r")
    );
    let mut nobody = Progress::to(None::<Vec<u8>>, "records", None);
    nobody.report(1);
}

#[test]
fn console_producer_takes_the_new_names_and_the_old_ones() {
    let base = "--bootstrap-server localhost:9092 --topic t";
    let directory = std::env::temp_dir();
    let path = directory.join(format!("reader-config-{}", std::process::id()));
    std::fs::write(
        &path,
        "# comment\nparse.key = true\nkey.separator=\\u003a\\\n  \\t\n",
    )
    .unwrap();
    let line = format!(
        "{base} --reader-config {} --reader-property parse.key=false",
        path.display()
    );
    let read = console(&line).reader_properties;
    std::fs::remove_file(&path).unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    // The later option wins.
    assert_eq!(
        read,
        [
            pair("parse.key", "true"),
            pair("key.separator", ":\t"),
            pair("parse.key", "false")
        ]
    );
    for option in ["--command-property", "--producer-property"] {
        let config = console(&format!("{base} {option} linger.ms=9")).config;
        assert_eq!(config.get("linger.ms"), Some("9"));
    }
    for class in [
        "org.apache.kafka.tools.LineMessageReader",
        "kafka.tools.ConsoleProducer$LineMessageReader",
    ] {
        console(&format!("{base} --line-reader {class}"));
    }
    for (wrong, said) in [
        ("--line-reader com.example.Mine", "cannot load classes"),
        ("--reader-config /nowhere", "/nowhere: "),
        (
            "--property a=b --reader-property c=d",
            "--reader-property and --property cannot be given together",
        ),
        (
            "--producer-property acks=1 --command-property acks=0",
            "--command-property and --producer-property cannot be given together",
        ),
        (
            "--producer.config a --command-config b",
            "--command-config and --producer.config cannot be given together",
        ),
    ] {
        let parsed = options::parse(arguments(&format!("{base} {wrong}")));
        let error = parsed.err().unwrap();
        assert!(error.contains(said), "{wrong}: {error}");
    }
    assert!(matches!(
        options::parse(arguments("--version")),
        Ok(Command::Version)
    ));
}

#[test]
fn a_reader_config_is_read_as_java_reads_properties() {
    let text = "a=1\nb : 2\n  c   3\n! no\n\nd\\=e=f\\\\\ng=\\\n   h\ni\n";
    let read = reader_config::parse(text).unwrap();
    let expected = [
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("d=e", "f\\"),
        ("g", "h"),
        ("i", ""),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(read, expected);
    assert!(reader_config::parse("a=\\uD800").is_err());
}

/// Runs producer_perf on the broker. Returns its lines.
fn perf(broker: &FakeBroker, more: &str) -> Vec<String> {
    let line = format!(
        "--bootstrap-server {} --topic perf --throughput -1 {more}",
        broker.bootstrap_servers()
    );
    let parsed = producer_perf::options::parse(arguments(&line)).unwrap();
    let producer_perf::options::Command::Measure(options) = parsed else {
        panic!("{line}");
    };
    let (printed, lines) = std::sync::mpsc::channel();
    let failed = producer_perf::run(*options, move |line| {
        printed.send(line.to_owned()).unwrap();
    });
    assert_eq!(failed.unwrap(), 0);
    lines.iter().collect()
}

#[test]
fn producer_perf_sends_keys_in_transactions_and_prints_metrics() {
    let broker = FakeBroker::builder().topic("perf", 1).start().unwrap();
    let lines = perf(
        &broker,
        "--num-records 10 --payload-monotonic --key-distribution range --record-key-range 4 \
         --transaction-duration-ms 1 --print-metrics",
    );
    let records = broker.committed_records("perf");
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
    let read: Vec<_> = records
        .into_iter()
        .map(|record| (text(record.key), text(record.value)))
        .collect();
    let expected: Vec<_> = (0..10)
        .map(|number| ((number % 4).to_string(), number.to_string()))
        .collect();
    assert_eq!(read, expected);

    assert!(lines[0].starts_with("10 records sent, "), "{lines:#?}");
    assert!(lines[1].starts_with("\nMetric Name "), "{lines:#?}");
    let sent = "producer-metrics:record-send-total:{client-id=perf-producer-client}";
    let sent: Vec<_> = lines.iter().filter(|line| line.starts_with(sent)).collect();
    assert_eq!(sent.len(), 1, "{lines:#?}");
    assert!(sent[0].ends_with(" : 10.000"), "{sent:?}");

    // `--transactional-id` alone turns transactions on too.
    perf(
        &broker,
        "--num-records 1 --record-size 5 --transactional-id mine",
    );
    assert!(broker.transaction("mine").is_some());
    assert_eq!(broker.committed_records("perf").len(), 11);
}

#[test]
fn producer_perf_repeats_keys_and_values_by_the_seed() {
    let run = |seed: &str| {
        let broker = FakeBroker::builder().topic("perf", 1).start().unwrap();
        let more =
            "--num-records 20 --record-size 8 --key-distribution random --record-key-range 9";
        perf(&broker, &format!("{more} --random-seed {seed}"));
        let records = broker.records("perf", 0).into_iter();
        let read: Vec<_> = records.map(|record| (record.key, record.value)).collect();
        read
    };
    let first = run("7");
    assert_eq!(first, run("7"));
    assert_ne!(first, run("-7"));
    for (key, _) in first {
        let key: u32 = String::from_utf8(key.unwrap()).unwrap().parse().unwrap();
        assert!(key < 9, "{key}");
    }
}

#[test]
fn producer_perf_refuses_options_that_contradict_each_other() {
    let base = "--topic x --num-records 1 --throughput -1 --record-size 1";
    for (wrong, said) in [
        ("--transaction-duration-ms 0", "is to be positive"),
        ("--key-distribution range", "needs --record-key-range"),
        (
            "--key-distribution zipf --record-key-range 3",
            "is not none, range or random",
        ),
        ("--record-key-range 3", "must be range or random"),
        (
            "--key-distribution random --record-key-range 0",
            "is to be positive",
        ),
        (
            "--command-property a=b --producer-props c=d",
            "cannot be given together",
        ),
        (
            "--command-config a --producer.config b",
            "cannot be given together",
        ),
        ("--command-property acks", "'acks' is not KEY=VALUE"),
    ] {
        let parsed = producer_perf::options::parse(arguments(&format!("{base} {wrong}")));
        let error = parsed.err().unwrap().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

fn verifiable(line: &str) -> verifiable_producer::options::Options {
    match verifiable_producer::options::parse(arguments(line)).unwrap() {
        verifiable_producer::options::Command::Produce(options) => *options,
        verifiable_producer::options::Command::Help => panic!("{line} asks for help"),
    }
}

/// Runs verifiable_producer. Returns its lines. `each` gets every line and the flag that ends the
/// program.
fn verify(line: &str, each: impl Fn(&str, &AtomicBool) + Send + Sync + 'static) -> Vec<Value> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (stop, printed) = (Arc::clone(&is_stopped), Arc::clone(&lines));
    let print = Arc::new(move |line: &str| {
        each(line, &stop);
        printed
            .lock()
            .unwrap()
            .push(serde_json::from_str(line).unwrap());
    });
    verifiable_producer::run(&verifiable(line), &is_stopped, print).unwrap();
    std::mem::take(&mut *lines.lock().unwrap())
}

fn names(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["name"].as_str().unwrap())
        .collect()
}

#[test]
fn verifiable_producer_says_what_became_of_each_message() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS));
    let line = format!(
        "--bootstrap-server {} --topic t --max-messages 3 --value-prefix 7 --repeating-keys 2 --acks 1 \
         --message-create-time 5000 --throughput 1000",
        broker.bootstrap_servers()
    );
    let lines = verify(&line, |_, _| {});
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!(
        (&first["name"], &last["name"]),
        (&"startup_complete".into(), &"tool_data".into())
    );
    assert_eq!(lines[lines.len() - 2]["name"], "shutdown_complete");
    assert_eq!(
        (last["sent"].as_u64(), last["target_throughput"].as_i64()),
        (Some(3), Some(1000))
    );
    assert!(last["avg_throughput"].is_f64());
    assert!(first["timestamp"].as_i64() > Some(1_700_000_000_000));

    let outcomes = &lines[1..lines.len() - 2];
    assert_eq!(outcomes.len(), 3, "{lines:#?}");
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|line| line["name"] == "producer_send_error")
        .collect();
    // Nothing is retried.
    assert!(!failed.is_empty());
    for line in &failed {
        let class = "class org.apache.kafka.common.errors.NotEnoughReplicasException";
        assert_eq!(
            (&line["exception"], &line["topic"]),
            (&class.into(), &"t".into())
        );
        assert!(line["message"].is_string());
    }
    let stored = broker.records("t", 0);
    assert_eq!(last["acked"].as_u64(), Some(stored.len() as u64));
    assert_eq!(stored.len() + failed.len(), 3);
    for (index, line) in outcomes.iter().enumerate() {
        let (key, value) = ((index % 2).to_string(), format!("7.{index}"));
        assert_eq!((&line["key"], &line["value"]), (&key.into(), &value.into()));
    }
    for (record, line) in stored
        .iter()
        .zip(outcomes.iter().filter(|line| line["offset"].is_i64()))
    {
        assert_eq!(line["offset"].as_i64(), Some(record.offset));
        assert_eq!(line["partition"], 0);
        assert!(record.timestamp >= 5000 && record.timestamp < 60_000);
    }
    let acks = broker.count_requests(|request| request.acks == Some(1));
    assert!(acks > 0);
}

#[test]
fn verifiable_producer_without_an_end_ends_by_a_signal() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let servers = broker.bootstrap_servers();
    for more in ["", "--throughput 0"] {
        let lines = verify(
            &format!("--bootstrap-server {servers} --topic t {more}"),
            |line, is_stopped| {
                if line.contains("producer_send_success") {
                    is_stopped.store(true, Ordering::Release);
                }
            },
        );
        let last = &lines[lines.len() - 1];
        assert_eq!(last["name"], "tool_data");
        // What was sent before the signal is delivered, or has a line that says why not.
        let names = names(&lines);
        let failed = names.iter().filter(|name| **name == "producer_send_error");
        let acked = last["acked"].as_u64().unwrap();
        assert_eq!(last["sent"].as_u64(), Some(acked + failed.count() as u64));
        assert!(last["acked"].as_u64() >= Some(1));
    }
}

#[test]
fn verifiable_producer_ends_by_a_signal_while_it_waits_for_metadata() {
    let broker = FakeBroker::builder()
        .auto_create_topics(false)
        .start()
        .unwrap();
    let line = format!(
        "--bootstrap-server {} --topic absent",
        broker.bootstrap_servers()
    );
    let lines = verify(&line, |_, is_stopped| {
        is_stopped.store(true, Ordering::Release)
    });
    let names = names(&lines);
    assert_eq!(names.first(), Some(&"startup_complete"));
    assert_eq!(names[names.len() - 2..], ["shutdown_complete", "tool_data"]);
}

#[test]
fn verifiable_producer_has_the_settings_of_kafkas_tool() {
    let path = std::env::temp_dir().join(format!("verifiable-{}", std::process::id()));
    std::fs::write(&path, "retries=4\nacks=all\n").unwrap();
    let base = "--bootstrap-server localhost:9092 --topic t";
    let get = |more: &str, key: &str| {
        let config = verifiable(&format!("{base} {more}")).config;
        config.get(key).unwrap().to_owned()
    };
    assert_eq!(
        (get("", "retries"), get("", "acks")),
        ("0".to_owned(), "-1".to_owned())
    );
    for option in ["--command-config", "--producer.config"] {
        let more = format!("--acks 1 {option} {}", path.display());
        assert_eq!(
            (get(&more, "retries"), get(&more, "acks")),
            ("4".to_owned(), "all".to_owned())
        );
    }
    std::fs::remove_file(&path).unwrap();
    for (wrong, said) in [
        ("--topic t", "--bootstrap-server is required"),
        ("--bootstrap-server localhost:9092", "--topic is required"),
        (
            "--topic t --bootstrap-server localhost:9092 --acks 2",
            "--acks 2",
        ),
        (
            "--topic t --bootstrap-server localhost:9092 --max-messages x",
            "--max-messages x",
        ),
        (
            "--topic t --broker-list localhost:9092",
            "--broker-list is no option",
        ),
        (
            "--topic t --bootstrap-server localhost:9092 --producer.config a --command-config b",
            "cannot be given together",
        ),
    ] {
        let parsed = verifiable_producer::options::parse(arguments(wrong));
        let error = parsed.err().unwrap().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
    let help = verifiable_producer::options::parse(arguments(""));
    assert!(matches!(
        help,
        Ok(verifiable_producer::options::Command::Help)
    ));
}

/// The class names of Java's exceptions.
#[test]
fn exceptions_have_the_names_of_java() {
    let mut count = 0;
    for line in include_str!("../../data/errors.tsv").lines() {
        let columns: Vec<_> = line.split('\t').collect();
        if !columns[4].is_empty() {
            assert_eq!(events::of_code(columns[1]), columns[4]);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
