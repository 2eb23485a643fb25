//! The examples do what they document, on the test broker.

#[path = "../../examples/callbacks.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod callbacks;
#[cfg(feature = "classic")]
#[path = "../../examples/classic_producer.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod classic_producer;
#[path = "../../examples/console_producer/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod console_producer;
#[path = "../../examples/hello_kafka.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod hello_kafka;
#[path = "../../examples/metrics.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod metrics;
#[path = "../../examples/producer_perf/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod producer_perf;
#[path = "../../examples/quickstart.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod quickstart;
#[path = "../../examples/transactional.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod transactional;
#[path = "../../examples/verifiable_producer/main.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod verifiable_producer;

mod tools;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use console_producer::line_reader::LineReader;
use console_producer::options::{self, Command, Options};
use kafka_producer::ErrorCode;
use kafka_producer::testing::{Action, Api, FakeBroker, StoredRecord};

fn arguments(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_owned)
}

#[test]
fn quickstart_runs_on_its_own_broker_and_on_a_given_one() {
    let options = quickstart::Options::parse(arguments("--records 3000")).unwrap();
    quickstart::run(&options).unwrap();

    let broker = FakeBroker::builder().topic("orders", 2).start().unwrap();
    let line = format!(
        "--bootstrap-server {} --topic orders --records 500",
        broker.bootstrap_servers()
    );
    quickstart::run(&quickstart::Options::parse(arguments(&line)).unwrap()).unwrap();
    assert_eq!(broker.record_count("orders"), 501);

    for wrong in ["--topics x", "--topic", "--records many", "x"] {
        assert!(
            quickstart::Options::parse(arguments(wrong)).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn transactional_copies_every_line_also_when_a_transaction_is_aborted() {
    let options = transactional::Options::parse(arguments("--records 250")).unwrap();
    transactional::run(&options).unwrap();

    let broker = FakeBroker::builder()
        .topic("copies", 2)
        .topic("lines", 1)
        .start()
        .unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_RECORD));
    let line = format!(
        "--bootstrap-server {} --records 250",
        broker.bootstrap_servers()
    );
    transactional::run(&transactional::Options::parse(arguments(&line)).unwrap()).unwrap();
    assert_eq!(broker.committed_records("copies").len(), 250);
    let offsets = broker.committed_offsets("copiers");
    assert_eq!(offsets[0].offset, 250);
}

#[test]
fn producer_perf_prints_an_interval_and_the_totals() {
    let broker = FakeBroker::builder().topic("perf", 3).start().unwrap();
    let line = format!(
        "--bootstrap-server {} --topic perf --num-records 2000 --record-size 10 --throughput -1 --warmup-records 500 \
         --reporting-interval 60000 --command-property linger.ms=0 acks=1 enable.idempotence=false",
        broker.bootstrap_servers()
    );
    let producer_perf::options::Command::Measure(options) =
        producer_perf::options::parse(arguments(&line)).unwrap()
    else {
        panic!("{line}");
    };
    let (printed, lines) = std::sync::mpsc::channel();
    let failed = producer_perf::run(*options, move |line| {
        printed.send(line.to_owned()).unwrap();
    });
    assert_eq!(failed.unwrap(), 0);
    assert_eq!(broker.record_count("perf"), 2000);

    let lines: Vec<String> = lines.iter().collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("Warmup first 500 records."));
    assert!(lines[1].starts_with("2000 records sent, "));
    assert!(lines[1].ends_with(" ms 99.9th."), "{}", lines[1]);
    assert!(lines[2].starts_with("1500 steady state records sent, "));

    for wrong in [
        "--topic x --num-records 1 --throughput -1",
        "--topic x --num-records 1 --throughput -1 --record-size 1 --payload-monotonic",
        "--topic x --num-records 1 --throughput 0 --record-size 1",
        "--topic x --num-records 1 --throughput NaN --record-size 1",
        "--topic x --num-records 1 --throughput -1 --record-size 2147483648",
        "--topic x --num-records 1 --throughput -1 --record-size 18446744073709551615",
        "--topic x --num-records 0 --throughput -1 --record-size 1",
        "--topic x --num-records 1 --throughput -1 --record-size 1 --reporting-interval 0",
        "--topic x --num-records 1 --record-size 1",
        "--num-records 1 --throughput -1 --record-size 1",
        "--topic x --num-records 1 --throughput -1 --record-size 1 --warmup-records 1",
        "--print-metrics",
        "--topic x --num-records 1 --throughput -1 --record-size 1 --print-metrics=yes",
    ] {
        let parsed = producer_perf::options::parse(arguments(wrong));
        assert!(parsed.is_err(), "{wrong}");
    }
}

#[test]
fn producer_perf_waits_at_a_rate_near_zero() {
    for rate in ["1e-20", "1e-320", "1e-9"] {
        let line = format!("--topic x --num-records 1 --throughput {rate} --record-size 1");
        let parsed = producer_perf::options::parse(arguments(&line)).unwrap();
        let producer_perf::options::Command::Measure(options) = parsed else {
            panic!("{line}");
        };
        let early = options.ahead(1, Duration::from_secs(1)).unwrap();
        assert!(early >= Duration::from_secs(900_000_000), "{early:?}");
    }
}

#[test]
fn callbacks_refuses_more_records_than_there_are_keys() {
    let broker = FakeBroker::builder().topic("demo", 1).start().unwrap();
    let line = format!(
        "--bootstrap-server {} --records",
        broker.bootstrap_servers()
    );
    let run = |records: &str| callbacks::run(arguments(&format!("{line} {records}")));
    let error = run("1073741825").unwrap_err();
    assert_eq!(error.to_string(), "--records must be at most 1073741824");
    run("1").unwrap();
}

/// A record belongs to the state in which it was sent, so each line shows one of the two.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a moment from which others are counted"
)]
fn producer_perf_prints_a_line_for_each_interval() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let lines = RefCell::new(Vec::new());
    let print = |line: &str| lines.borrow_mut().push(line.to_owned());
    let mut stats = producer_perf::stats::Stats::new(start, 4, Duration::from_millis(100));
    let record = |stats: &mut producer_perf::stats::Stats, sent, is_steady, now| {
        let sent = producer_perf::stats::Sent {
            at: at(sent),
            bytes: 1 << 20,
            is_steady,
        };
        stats.record(&sent, at(now), true, &print);
    };
    record(&mut stats, 0, false, 50);
    record(&mut stats, 60, false, 100);
    stats.begin_steady_state(at(110), 2);
    record(&mut stats, 105, false, 220);
    record(&mut stats, 120, true, 200);
    record(&mut stats, 130, true, 310);
    stats.print_totals(at(1000), &print);
    let lines = lines.borrow();
    let expected = [
        "2 records sent, 20.0 records/sec (20.00 MB/sec), 45.0 ms avg latency, 50.0 ms max latency.",
        "In steady state.",
        "2 records sent, 10.0 records/sec (10.00 MB/sec), 130.0 ms avg latency, 180.0 ms max latency.",
        "5 records sent, 5.000000 records/sec (5.00 MB/sec), 93.00 ms avg latency, 180.00 ms max latency, \
         80 ms 50th, 180 ms 95th, 180 ms 99th, 180 ms 99.9th.",
        "2 steady state records sent, 2.247191 records/sec (2.25 MB/sec), 130.00 ms avg latency, 180.00 ms max latency, \
         180 ms 50th, 180 ms 95th, 180 ms 99th, 180 ms 99.9th.",
    ];
    assert_eq!(*lines, expected);
}

/// A delimiter at the end of the file starts no payload. Two delimiters in a row enclose an empty
/// one.
#[test]
fn producer_perf_reads_payloads_from_a_file() {
    let path = std::env::temp_dir().join(format!("producer-perf-{}", std::process::id()));
    std::fs::write(&path, "a,,b,").unwrap();
    let payload = producer_perf::payload::Payload::File {
        path: path.clone(),
        delimiter: ",".to_owned(),
    };
    let lines = RefCell::new(Vec::new());
    let print = |line: &str| lines.borrow_mut().push(line.to_owned());
    let mut payloads = producer_perf::payload::Payloads::new(&payload, 0, &print).unwrap();
    std::fs::remove_file(&path).unwrap();
    let seen: BTreeSet<_> = (0..100).map(|_| payloads.next().to_vec()).collect();
    let expected = ["", "a", "b"].map(|value| value.as_bytes().to_vec());
    assert!(seen.iter().eq(&expected), "{seen:?}");
    let lines = lines.into_inner();
    assert_eq!(
        lines[0],
        format!("Reading payloads from: {}", path.display())
    );
    assert_eq!(lines[1..], ["Number of records read: 3"]);
}

#[test]
fn callbacks_sends_even_keys_and_odd_keys() {
    let broker = FakeBroker::builder().topic("demo", 3).start().unwrap();
    let line = format!(
        "--bootstrap-server {} --records 20",
        broker.bootstrap_servers()
    );
    callbacks::run(arguments(&line)).unwrap();

    let key = |record: StoredRecord| i32::from_be_bytes(record.key.unwrap().try_into().unwrap());
    let mut keys: Vec<i32> = broker.all_records("demo").into_iter().map(key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..40).collect::<Vec<_>>());
    assert!(callbacks::run(arguments("--sync")).is_err());
}

#[test]
fn callbacks_sends_in_transactions_if_told_to() {
    let broker = FakeBroker::builder().topic("demo", 3).start().unwrap();
    let line = format!(
        "--bootstrap-server {} --records 5",
        broker.bootstrap_servers()
    );
    let run = |more: &str| callbacks::run(arguments(&format!("{line} {more}")));
    run("--transactional-id t --transaction-timeout-ms 10000").unwrap();
    assert_eq!(broker.committed_records("demo").len(), 10);
    for id in ["t-callbacks", "t-waiting"] {
        assert!(broker.transaction(id).is_some(), "{id}");
    }
    run("--enable-idempotence false").unwrap();
    let records = broker.all_records("demo");
    assert_eq!(
        records
            .iter()
            .filter(|record| record.producer_id == -1)
            .count(),
        10
    );
    assert!(run("--transactional-id t --enable-idempotence false").is_err());
}

#[test]
fn hello_kafka_sends_its_ten_messages() {
    let broker = FakeBroker::builder().topic("test", 1).start().unwrap();
    hello_kafka::run(&broker.bootstrap_servers()).unwrap();
    let values = broker.records("test", 0).into_iter();
    let values: Vec<_> = values
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect();
    let expected: Vec<_> = (0..10)
        .map(|number| format!("{number} Hello Kafka"))
        .collect();
    assert_eq!(values, expected);
}

#[cfg(feature = "classic")]
#[test]
fn classic_producer_goes_around_the_partitions_in_both_modes() {
    let broker = FakeBroker::builder().topic("demo", 3).start().unwrap();
    let line = format!("--broker-list {} --messages 30", broker.bootstrap_servers());
    classic_producer::run(arguments(&line)).unwrap();
    for partition in 0..3 {
        assert_eq!(broker.records("demo", partition).len(), 20);
    }
    classic_producer::run(arguments("--messages 3")).unwrap();
    assert!(classic_producer::run(arguments("--mode sync")).is_err());
}

fn console(line: &str) -> Options {
    match options::parse(arguments(line)).unwrap() {
        Command::Produce(options) => *options,
        Command::Help | Command::Version => panic!("{line} asks for nothing to be sent"),
    }
}

#[test]
fn console_producer_sends_lines() {
    let broker = FakeBroker::builder().topic("lines", 1).start().unwrap();
    let codec = if cfg!(feature = "gzip") {
        "--compression-codec"
    } else {
        "--compression-codec none"
    };
    for more in ["--sync", codec, "--request-required-acks 1"] {
        let line = format!(
            "--bootstrap-server {} --topic lines --timeout 0 --property parse.key=true \
             --property key.separator=: --property null.marker=NULL {more}",
            broker.bootstrap_servers()
        );
        let mut input = &b"a:1\nb:NULL\r\nc:"[..];
        assert_eq!(
            console_producer::run(console(&line), &mut input, b"").unwrap(),
            0
        );
    }
    let records: Vec<_> = broker
        .records("lines", 0)
        .into_iter()
        .map(|record| (record.key, record.value))
        .collect();
    let once = [
        (Some(b"a".to_vec()), Some(b"1".to_vec())),
        (Some(b"b".to_vec()), None),
        (Some(b"c".to_vec()), Some(Vec::new())),
    ];
    assert_eq!(
        records,
        once.iter().cycle().take(9).cloned().collect::<Vec<_>>()
    );
    let batches = broker.batches("lines", 0);
    let is_gzip = batches
        .iter()
        .any(|batch| batch.header.compression == "gzip");
    assert_eq!(is_gzip, cfg!(feature = "gzip"), "{batches:?}");
    let acks = |acks| broker.count_requests(|r| r.api == Api::Produce && r.acks == Some(acks));
    assert!(acks(1) > 0 && acks(-1) > 0);

    let line = format!(
        "--bootstrap-server {} --topic lines --property parse.key=true",
        broker.bootstrap_servers()
    );
    assert!(console_producer::run(console(&line), &mut &b"no tab\n"[..], b"").is_err());
}

#[test]
fn console_producer_has_the_settings_of_kafkas_tool() {
    let get = |line: &str, key: &str| {
        let line = format!("--bootstrap-server localhost:9092 --topic t {line}");
        console(&line).config.get(key).unwrap().to_owned()
    };
    assert_eq!(get("", "linger.ms"), "1000");
    assert_eq!(get("--timeout 7", "linger.ms"), "7");
    assert_eq!(get("--producer-property linger.ms=8", "linger.ms"), "8");
    assert_eq!(
        get("--producer-property linger.ms=8 --timeout=7", "linger.ms"),
        "7"
    );
    assert_eq!(
        get(
            "--batch-size 1 --max-partition-memory-bytes 2",
            "batch.size"
        ),
        "2"
    );
    assert_eq!(get("--sync", "compression.type"), "none");
    if cfg!(all(feature = "gzip", feature = "lz4")) {
        let codec = |line| get(line, "compression.type");
        assert_eq!(codec("--compression-codec --sync"), "gzip");
        assert_eq!(codec("--compression-codec lz4 --sync"), "lz4");
    }
    assert_eq!(get("", "client.id"), "console-producer");

    for (wrong, said) in [
        ("--topic t", "--bootstrap-server is required"),
        ("--bootstrap-server localhost:9092", "--topic is required"),
        (
            "--bootstrap-server localhost:9092 --topic t --linger 3",
            "--linger is no option",
        ),
        (
            "--bootstrap-server localhost:9092 --topic",
            "--topic needs a value",
        ),
        (
            "--bootstrap-server localhost:9092 --topic t --sync=yes",
            "--sync takes no value",
        ),
        (
            "--bootstrap-server localhost:9092 --topic t --timeout soon",
            "linger.ms",
        ),
        (
            "--bootstrap-server localhost:9092 --topic t --producer.config /no/such",
            "/no/such",
        ),
    ] {
        let error = options::parse(arguments(wrong)).err().unwrap();
        assert!(error.contains(said), "{wrong}: {error}");
    }
    assert!(matches!(
        options::parse(arguments("--help")),
        Ok(Command::Help)
    ));
    assert!(options::usage().contains("--max-block-ms"));
}

/// Returns the key, value and headers of a line, or its error. Null is `-`.
fn read(properties: &[(&str, &str)], line: &str) -> Result<String, String> {
    let properties: Vec<_> = properties
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut reader = LineReader::new(&properties)?;
    let record = reader.record("t", line.as_bytes())?;
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(
            || "-".to_owned(),
            |bytes| String::from_utf8(bytes.to_vec()).unwrap(),
        )
    };
    let mut read = format!(
        "{} {}",
        text(record.key.as_ref()),
        text(record.value.as_ref())
    );
    for header in &record.headers {
        read += &format!(" {}={}", header.key(), text(header.value()));
    }
    Ok(read)
}

// Java: LineMessageReaderTest.testLineReader, testLineReaderHeader, testHeadersWithNoDelimiters,
// testMissingHeaderSeparator, testIgnoreErrorInInput, testNullMarker.
#[test]
fn a_line_is_read_as_kafkas_tool_reads_it() {
    const KEY: (&str, &str) = ("parse.key", "true");
    const HEADERS: (&str, &str) = ("parse.headers", "true");
    const IGNORE: (&str, &str) = ("ignore.error", "true");
    const NULL: (&str, &str) = ("null.marker", "N");
    for (properties, line, expected) in [
        (&[][..], "a\tb", "- a\tb"),
        (&[KEY], "k\tv\tw", "k v\tw"),
        (&[KEY, ("key.separator", "::")], "k::v", "k v"),
        (&[HEADERS], "a:1,b:\tv", "- v a=1 b="),
        (&[HEADERS, KEY], "a:1\tk\tv", "k v a=1"),
        (&[HEADERS, KEY, NULL], "N\tN\tN", "- -"),
        (&[HEADERS, NULL], "a:N\tv", "- v a=-"),
        (&[KEY, IGNORE], "v", "- v"),
        (&[HEADERS, IGNORE], "a\tv", "- v a=-"),
        (&[HEADERS, KEY, IGNORE], "v", "- v"),
    ] {
        assert_eq!(
            read(properties, line).as_deref(),
            Ok(expected),
            "{properties:?} {line}"
        );
    }
    for (properties, line, said) in [
        (
            &[KEY][..],
            "v",
            "no key separator found on line number 1: 'v'",
        ),
        (&[HEADERS], "v", "no headers delimiter"),
        (&[HEADERS], "a\tv", "no header key separator in 'a'"),
        (&[HEADERS, NULL], "N:1\tv", "null marker"),
        (
            &[("key.separator", "")],
            "",
            "key.separator may not be empty",
        ),
        (&[("headers.separator", ":")], "", "may not be equal"),
        (&[("null.marker", "\t")], "", "may not be equal"),
        (&[("parse.keys", "true")], "", "parse.keys"),
    ] {
        let error = read(properties, line).unwrap_err();
        assert!(error.contains(said), "{properties:?} {line}: {error}");
    }
}
#[test]
fn the_metrics_example_answers_a_scrape_and_a_probe() {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = kafka_producer::KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .build()
        .unwrap();
    let sent = producer.send(kafka_producer::ProducerRecord::new("orders", "value"));
    sent.unwrap().get().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ask = |path: &str| {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let (stream, _) = listener.accept().unwrap();
        metrics::answer(stream, &producer).unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        response
    };
    let scrape = ask("/metrics");
    assert!(scrape.starts_with("HTTP/1.1 200 OK\r\n"), "{scrape}");
    let (_, body) = scrape.split_once("\r\n\r\n").unwrap();
    assert!(
        body.contains("\nkafka_producer_record_send_total{"),
        "{body}"
    );
    assert!(scrape.contains(&format!("Content-Length: {}\r\n", body.len())));
    assert!(ask("/ready").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(ask("/other").starts_with("HTTP/1.1 404 "));
    producer.close(Duration::from_secs(20)).unwrap();
    assert!(ask("/ready").starts_with("HTTP/1.1 503 "));
}
