//! Tests of the harness: what Kafka's producer writes is read back, and no process or file is left.
//! `faults.rs` tests its faults.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{
    ConsoleConsumer, KafkaCluster, LegacyKafka, NewTopic, REQUIRE, console_produce, dump_log,
    wait_until,
};
use crate::kafka_or_skip;

const SOON: Duration = Duration::from_secs(60);

fn keyed_records(count: usize) -> Vec<(Option<String>, Option<String>)> {
    let key = |i: usize| (i % 7 != 0).then(|| format!("key-{}", i % 20));
    let value = |i: usize| (i % 11 != 0).then(|| format!("value {i}"));
    (0..count).map(|i| (key(i), value(i))).collect()
}

#[test]
fn what_javas_producer_wrote_is_read_back_and_sound() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    let admin = cluster.admin();
    admin.create_topics(&[
        NewTopic::new("judged", 3).config("segment.bytes", "1048576"),
        NewTopic::new("single", 1).replication_factor(1),
    ]);
    let records = keyed_records(500);
    console_produce(&cluster.bootstrap_servers(), "judged", "lz4", &records);

    let ends = admin.end_offsets("judged");
    assert_eq!(ends.iter().sum::<i64>(), 500);
    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), "judged")
        .read_committed()
        .read(500);
    let mut next = BTreeMap::new();
    for record in &read {
        let (kind, time) = record.timestamp.as_ref().unwrap();
        assert!(kind == "CreateTime" && *time > 0 && record.headers.is_empty());
        let next = next.entry(record.partition).or_insert(0);
        assert_eq!(record.offset, *next);
        *next += 1;
    }
    let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
    let mut read: Vec<_> = read
        .into_iter()
        .map(|record| (text(record.key), text(record.value)))
        .collect();
    let mut written = records;
    read.sort();
    written.sort();
    assert_eq!(read, written);
    assert!(
        ConsoleConsumer::new(cluster.bootstrap_servers(), "single")
            .read(0)
            .is_empty()
    );

    for node in cluster.node_ids() {
        let dump = dump_log(&cluster.segments(node, "judged"));
        assert_eq!(dump.anomalies, Vec::<String>::new());
        assert_eq!(dump.records, 500);
        assert_eq!(
            dump.batches
                .iter()
                .map(|batch| i64::from(batch.count))
                .sum::<i64>(),
            500
        );
        for batch in &dump.batches {
            assert_eq!(batch.codec, "lz4");
            assert!(
                batch.producer_id >= 0 && batch.producer_epoch == 0,
                "{batch:?}"
            );
            // With one producer id and no refusals, sequences equal offsets.
            assert_eq!(i64::from(batch.base_sequence), batch.base_offset);
            assert!(batch.size > 61 && batch.file.is_file(), "{batch:?}");
        }
    }
    a_flipped_bit_is_an_anomaly(&cluster);
    admin.delete_topic("judged");
    admin.delete_topic("single");
}

/// Kafka's tool reports a damaged segment. Otherwise a clean report would prove nothing.
fn a_flipped_bit_is_an_anomaly(cluster: &KafkaCluster) {
    let segments = cluster.segments(1, "judged");
    let segment = segments
        .iter()
        .find(|segment| segment.metadata().unwrap().len() > 0)
        .unwrap();
    let copy = cluster.directory().join("00000000000000000000.log");
    fs::copy(segment, &copy).unwrap();
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&copy)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 70).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 70).unwrap();
    let dump = dump_log(&[copy]);
    assert!(!dump.anomalies.is_empty(), "{dump:?}");
}

/// An installed JDK alone does not make `cargo test` run Kafka for ten minutes.
#[test]
fn real_kafka_starts_only_if_the_environment_requests_it() {
    for value in [None, Some("0"), Some("")] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "self_test::kafka_2_8_serves", "--nocapture"])
            .env_remove(REQUIRE)
            .envs(value.map(|value| (REQUIRE, value)));
        let output = command.output().unwrap();
        let notice = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{value:?}: {notice}");
        assert_eq!(
            notice.trim_end(),
            "ignored: runs with KAFKA_PRODUCER_REQUIRE_KAFKA=1, needs a JDK and Maven",
            "{value:?}"
        );
    }
}

#[test]
fn kafka_2_8_serves() {
    let _turn = kafka_or_skip!();
    let kafka = LegacyKafka::start();
    kafka.admin().create_topic("old", 2);
    let records = keyed_records(100);
    console_produce(&kafka.bootstrap_servers(), "old", "none", &records);
    let read = ConsoleConsumer::new(kafka.bootstrap_servers(), "old").read(100);
    assert_eq!(read.len(), 100);
    let dump = dump_log(&kafka.segments("old"));
    assert_eq!((dump.records, dump.anomalies), (100, Vec::new()));
}

#[test]
fn a_panic_leaves_nothing_running() {
    let _turn = kafka_or_skip!();
    let mut left = None;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let cluster = KafkaCluster::start(1);
        left = Some((cluster.process_id(1), cluster.directory().to_owned()));
        panic!("the panic of a test, on purpose");
    }));
    assert!(panicked.is_err());
    let (process, directory) = left.unwrap();
    assert!(!is_running(process) && !directory.exists());
}

#[test]
fn a_killed_test_process_leaves_nothing_running() {
    let _turn = kafka_or_skip!();
    let report =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("orphan-{}", std::process::id()));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "self_test::be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("KAFKA_PRODUCER_ORPHAN_REPORT", &report)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (process, directory) = wait_until(
        "report of the test process",
        Duration::from_secs(120),
        || {
            let text = fs::read_to_string(&report).ok()?;
            let (process, directory) = text.strip_suffix('\n')?.split_once(' ')?;
            Some((process.parse().unwrap(), PathBuf::from(directory)))
        },
    );
    assert!(is_running(process) && directory.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(&report).unwrap();
    wait_until("end of the orphan", SOON, || {
        (!is_running(process)).then_some(())
    });
    wait_until("end of its files", SOON, || {
        (!directory.exists()).then_some(())
    });
}

/// The process that [`a_killed_test_process_leaves_nothing_running`] kills.
#[test]
#[ignore = "run by a_killed_test_process_leaves_nothing_running"]
fn be_killed() {
    let Some(report) = std::env::var_os("KAFKA_PRODUCER_ORPHAN_REPORT") else {
        return;
    };
    let cluster = KafkaCluster::start(1);
    let line = format!(
        "{} {}\n",
        cluster.process_id(1),
        cluster.directory().display()
    );
    fs::write(report, line).unwrap();
    std::thread::sleep(SOON);
}

/// Returns whether the process exists and is not a zombie.
fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}
