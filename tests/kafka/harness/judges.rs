//! Kafka's own tools: they check what is in the log, and produce for comparison.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::time::Duration;

use super::jars::{self, Release};
use super::process::{self, Output, Process, Unhurried};

/// The time that a JVM and a group need to start, however much there is to read.
const TOOL_LIMIT: Duration = Duration::from_secs(120);
/// Every tool here is much faster than this, even on a busy machine.
const RECORDS_PER_SECOND: u64 = 10_000;

/// A record as Kafka's console consumer prints it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ConsumedRecord {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds, and who set it: `CreateTime` or `LogAppendTime`. Missing after
    /// [`ConsoleConsumer::read_each`], as are the headers.
    pub(crate) timestamp: Option<(String, i64)>,
    /// A null value is `None`.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Kafka's `kafka-console-consumer`, which reads a topic from its beginning.
///
/// Keys, values and headers may contain any bytes except the four separators [`FIELD`], [`RECORD`],
/// [`HEADER`] and [`NULL`]. Header keys may contain no colon.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleConsumer<'a> {
    bootstrap_servers: String,
    topic: &'a str,
    isolation_level: &'static str,
}

const ALL_FIELDS: [&str; 6] = [
    "timestamp",
    "partition",
    "offset",
    "headers",
    "key",
    "value",
];
const PLACE_KEY_AND_VALUE: [&str; 4] = ["partition", "offset", "key", "value"];

/// Between the fields of a record.
const FIELD: u8 = 0x1f;
/// After a record.
const RECORD: u8 = 0x1e;
/// Between headers.
const HEADER: u8 = 0x1d;
/// Instead of a key, value or header value that is null.
const NULL: u8 = 0x1a;

impl<'a> ConsoleConsumer<'a> {
    pub(crate) fn new(bootstrap_servers: String, topic: &'a str) -> Self {
        Self {
            bootstrap_servers,
            topic,
            isolation_level: "read_uncommitted",
        }
    }

    /// Leaves out records of transactions that were not committed.
    pub(crate) fn read_committed(mut self) -> Self {
        self.isolation_level = "read_committed";
        self
    }

    /// Reads `count` records, or fewer if there are no more. Those of one partition are in order of
    /// offsets.
    pub(crate) fn read(&self, count: u64) -> Vec<ConsumedRecord> {
        let mut records = Vec::new();
        self.consume(count, &ALL_FIELDS, |record| {
            records.push(record);
            ControlFlow::Continue(())
        });
        records
    }

    /// Like [`read`](Self::read), but passes each record to `each`, without timestamps and headers.
    /// For a million records: the tool makes a system call for each field that it prints.
    pub(crate) fn read_each(&self, count: u64, mut each: impl FnMut(ConsumedRecord) + Send) {
        self.read_until(count, |record| {
            each(record);
            ControlFlow::Continue(())
        });
    }

    /// Like [`read_each`](Self::read_each), until the first `Break`. A caller that knows the last
    /// record need not wait until the tool finds no more.
    pub(crate) fn read_until(
        &self,
        count: u64,
        each: impl FnMut(ConsumedRecord) -> ControlFlow<()> + Send,
    ) {
        self.consume(count, &PLACE_KEY_AND_VALUE, each);
    }

    fn consume(
        &self,
        count: u64,
        fields: &[&str],
        mut each: impl FnMut(ConsumedRecord) -> ControlFlow<()> + Send,
    ) {
        // The tool takes 0 as no limit.
        if count == 0 {
            return;
        }
        let log = process::new_directory("console-consumer").join("log");
        let mut program = tool(&log, "org.apache.kafka.tools.consumer.ConsoleConsumer");
        program.extend(["--bootstrap-server", &self.bootstrap_servers].map(str::to_owned));
        program.extend(["--topic", self.topic, "--from-beginning"].map(str::to_owned));
        program.extend(["--isolation-level", self.isolation_level].map(str::to_owned));
        program.extend(["--max-messages".to_owned(), count.to_string()]);
        program.extend(["--timeout-ms", "15000"].map(str::to_owned));
        let mut property = |key: &str, value: &str| {
            program.extend(["--formatter-property".to_owned(), format!("{key}={value}")]);
        };
        for field in ALL_FIELDS {
            let is_printed = fields.contains(&field);
            property(&format!("print.{field}"), &is_printed.to_string());
        }
        for (key, byte) in [
            ("key.separator", FIELD),
            ("line.separator", RECORD),
            ("headers.separator", HEADER),
            ("null.literal", NULL),
        ] {
            property(key, &char::from(byte).to_string());
        }
        let consumer = Process::start("console-consumer", &program, &log, Output::Piped);
        let id = consumer.id();
        let limit = TOOL_LIMIT + Duration::from_secs(count / RECORDS_PER_SECOND);
        let (status, outcome) = consumer.run(b"", limit, |output| {
            for line in BufReader::with_capacity(1 << 18, Unhurried(output)).split(RECORD) {
                let line = line.map_err(|error| error.to_string())?;
                let record = parse_record(&line);
                let record = record.ok_or_else(|| String::from_utf8_lossy(&line).into_owned())?;
                if each(record).is_break() {
                    process::send_signal(id, "KILL");
                    break;
                }
            }
            Ok::<(), String>(())
        });
        if let Err(line) = outcome {
            panic!(
                "the console consumer printed what is no record: {line}{}",
                process::tail(&log)
            );
        }
        assert!(
            status.is_some(),
            "the console consumer did not end within {limit:?}: {}",
            process::tail(&log)
        );
        remove_work(&log);
    }
}

/// `CreateTime:7 | Partition:0 | Offset:5 | NO_HEADERS | key | value`, with [`FIELD`] for the bars.
/// The first and the fourth are there only if requested.
fn parse_record(line: &[u8]) -> Option<ConsumedRecord> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == FIELD).collect();
    let (timestamp, headers, [partition, offset, key, value]) = match fields[..] {
        [timestamp, partition, offset, headers, key, value] => {
            let (kind, time) = text(timestamp)?.split_once(':')?;
            let timestamp = (kind.to_owned(), time.parse().ok()?);
            let headers = parse_headers(headers)?;
            (Some(timestamp), headers, [partition, offset, key, value])
        }
        [partition, offset, key, value] => (None, Vec::new(), [partition, offset, key, value]),
        _ => return None,
    };
    Some(ConsumedRecord {
        partition: text(partition)?.strip_prefix("Partition:")?.parse().ok()?,
        offset: text(offset)?.strip_prefix("Offset:")?.parse().ok()?,
        timestamp,
        headers,
        key: nullable(key),
        value: nullable(value),
    })
}

fn parse_headers(headers: &[u8]) -> Option<Vec<(String, Option<Vec<u8>>)>> {
    if headers == b"NO_HEADERS" {
        return Some(Vec::new());
    }
    let headers = headers.split(|&byte| byte == HEADER).map(|header| {
        let colon = header.iter().position(|&byte| byte == b':')?;
        let key = text(&header[..colon])?.to_owned();
        Some((key, nullable(&header[colon + 1..])))
    });
    headers.collect()
}

fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

fn nullable(field: &[u8]) -> Option<Vec<u8>> {
    (field != [NULL]).then(|| field.to_vec())
}

/// Writes records with Kafka's `kafka-console-producer`. `None` is a null key or value. Tabs and
/// line ends are not possible.
///
/// `codec` is a value of `compression.type`. The tool's own option overrides that property.
pub(crate) fn console_produce(
    bootstrap_servers: &str,
    topic: &str,
    codec: &str,
    records: &[(Option<String>, Option<String>)],
) {
    const NULL_MARKER: &str = "\u{1a}";
    let mut input = String::new();
    for (key, value) in records {
        input.push_str(key.as_deref().unwrap_or(NULL_MARKER));
        input.push('\t');
        input.push_str(value.as_deref().unwrap_or(NULL_MARKER));
        input.push('\n');
    }
    let log = process::new_directory("console-producer").join("log");
    let mut program = tool(&log, "org.apache.kafka.tools.ConsoleProducer");
    program.extend(["--bootstrap-server", bootstrap_servers, "--topic", topic].map(str::to_owned));
    let null_marker = format!("null.marker={NULL_MARKER}");
    for property in ["parse.key=true", "key.separator=\t", &null_marker] {
        program.extend(["--reader-property", property].map(str::to_owned));
    }
    program.extend(["--compression-codec", codec].map(str::to_owned));
    let producer = Process::start("console-producer", &program, &log, Output::Piped);
    let limit = TOOL_LIMIT + Duration::from_secs(records.len() as u64 / RECORDS_PER_SECOND);
    let (status, output) = producer.run(input.as_bytes(), limit, process::read_all);
    let said = process::tail(&log);
    // The tool exits with 0 even if records failed, and reports them only in its log.
    let done =
        status.is_some_and(|status| status.success()) && !said.contains("Error when sending");
    assert!(done, "the console producer failed: {output}{said}");
    remove_work(&log);
}

/// What `kafka-dump-log --deep-iteration` finds in segment files.
#[derive(Default, Debug)]
pub(crate) struct LogDump {
    pub(crate) batches: Vec<DumpedBatch>,
    pub(crate) records: u64,
    /// Every line that an intact segment does not have, with its file.
    pub(crate) anomalies: Vec<String>,
}

/// A batch of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DumpedBatch {
    pub(crate) file: PathBuf,
    pub(crate) base_offset: i64,
    pub(crate) count: i32,
    pub(crate) base_sequence: i32,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    /// As in `compression.type`.
    pub(crate) codec: String,
    pub(crate) size: usize,
}

/// Runs `kafka-dump-log --deep-iteration` on files that nobody is writing.
pub(crate) fn dump_log(files: &[PathBuf]) -> LogDump {
    assert!(!files.is_empty(), "no segment to look into");
    let log = process::new_directory("dump-log").join("log");
    let mut program = tool(&log, "org.apache.kafka.tools.DumpLogSegments");
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    program.extend([
        "--deep-iteration".to_owned(),
        "--files".to_owned(),
        names.join(","),
    ]);
    let bytes: u64 = files
        .iter()
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum();
    // A compressed record may take only a few bytes of the file.
    let limit = TOOL_LIMIT + Duration::from_secs(bytes / 10 / RECORDS_PER_SECOND);
    let tool = Process::start("dump-log", &program, &log, Output::Piped);
    let (status, mut dump) = tool.run(b"", limit, read_dump);
    if !status.is_some_and(|status| status.success()) {
        dump.anomalies.push(format!(
            "the tool ended with {status:?}: {}",
            process::tail(&log)
        ));
    }
    remove_work(&log);
    dump
}

fn read_dump(output: ChildStdout) -> LogDump {
    let mut dump = LogDump::default();
    let mut file = PathBuf::new();
    for line in BufReader::with_capacity(1 << 18, Unhurried(output)).lines() {
        let line = line.unwrap_or_else(|error| format!("unreadable: {error}"));
        if let Some(name) = line.strip_prefix("Dumping ") {
            file = PathBuf::from(name);
        } else if line.starts_with("| offset: ") {
            dump.records += 1;
        } else if let Some(batch) = parse_batch(&file, &line) {
            dump.batches.push(batch);
        } else if !line.is_empty() && !line.starts_with("Log starting offset: ") {
            dump.anomalies.push(format!("{}: {line}", file.display()));
        }
    }
    dump
}

/// `baseOffset: 0 lastOffset: 2 count: 3 ... isvalid: true`. Returns `None` for anything else, also
/// for an invalid batch.
fn parse_batch(file: &Path, line: &str) -> Option<DumpedBatch> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let field = |name: &str| {
        let at = words
            .iter()
            .position(|word| word.strip_suffix(':') == Some(name))?;
        words.get(at + 1).copied()
    };
    if field("isvalid") != Some("true") {
        return None;
    }
    Some(DumpedBatch {
        file: file.to_owned(),
        base_offset: field("baseOffset")?.parse().ok()?,
        count: field("count")?.parse().ok()?,
        base_sequence: field("baseSequence")?.parse().ok()?,
        producer_id: field("producerId")?.parse().ok()?,
        producer_epoch: field("producerEpoch")?.parse().ok()?,
        codec: field("compresscodec")?.to_owned(),
        size: field("size")?.parse().ok()?,
    })
}

pub(super) fn tool(log: &Path, main_class: &str) -> Vec<String> {
    jars::java(Release::CURRENT.jars(), &jars::TOOL_FLAGS, log, main_class)
}

/// Removes a tool's files after a success. After a failure they stay until the test process ends.
pub(super) fn remove_work(log: &Path) {
    process::remove_directory(log.parent().expect("a log is in a directory"));
}
