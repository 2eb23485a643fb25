//! The options of `kafka-producer-perf-test`, and the configuration that they come to.

use std::error::Error;
use std::iter::Peekable;
use std::path::PathBuf;
use std::time::Duration;

use kafka_producer::ProducerConfig;

use super::payload::Payload;

pub(crate) const USAGE: &str = "\
producer_perf --topic NAME --num-records N --throughput N (--record-size N | --payload-file FILE | --payload-monotonic)

  --bootstrap-server HOST:PORT,..  default: a test broker in this process
  --topic NAME                     where to send
  --num-records N                  how many
  --throughput N                   records a second at most; -1 for as many as possible
  --record-size N                  bytes of a value, of random capital letters
  --payload-file FILE              values are parts of this file, at random
  --payload-delimiter TEXT         what parts the file; default \\n
  --payload-monotonic              values are 0, 1, 2 ...
  --command-property KEY=VALUE ..  configuration; also --producer-props
  --command-config FILE            configuration in a properties file; also --producer.config
  --warmup-records N               how many not to count in the steady state
  --reporting-interval MS          between lines; default 5000
  --help
";

/// What the command line asks for.
pub(crate) enum Command {
    Measure(Box<Options>),
    Help,
}

pub(crate) struct Options {
    pub(crate) topic: String,
    pub(crate) records: u64,
    pub(crate) warmup_records: u64,
    pub(crate) reporting_interval: Duration,
    pub(crate) payload: Payload,
    pub(crate) config: ProducerConfig,
    /// Records a second; `None` is as many as possible.
    throughput: Option<f64>,
}

impl Options {
    /// How long to wait, because `sent` records should have taken longer than `elapsed`.
    pub(crate) fn ahead(&self, sent: u64, elapsed: Duration) -> Option<Duration> {
        let seconds = sent as f64 / self.throughput?;
        // A rate near zero makes the next record due after all time that can be counted.
        let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        // Not for less than a sleep can be trusted with.
        due.checked_sub(elapsed)
            .filter(|early| *early >= Duration::from_millis(2))
    }
}

/// The largest value of `--record-size`, as in Java's tool.
const MAX_RECORD_SIZE: usize = i32::MAX as usize;

/// The options as they were typed.
#[derive(Default)]
struct Typed {
    bootstrap_server: Option<String>,
    topic: Option<String>,
    records: Option<u64>,
    throughput: Option<f64>,
    record_size: Option<usize>,
    payload_file: Option<PathBuf>,
    payload_delimiter: Option<String>,
    payload_monotonic: bool,
    properties: Vec<String>,
    config_file: Option<PathBuf>,
    warmup_records: u64,
    reporting_interval_ms: Option<u64>,
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, Box<dyn Error>> {
    let mut arguments = arguments.peekable();
    let mut typed = Typed::default();
    while let Some(name) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--bootstrap-server" => typed.bootstrap_server = Some(value()?),
            "--topic" => typed.topic = Some(value()?),
            "--num-records" => typed.records = Some(value()?.parse()?),
            "--throughput" => typed.throughput = Some(value()?.parse()?),
            "--record-size" => typed.record_size = Some(value()?.parse()?),
            "--payload-file" => typed.payload_file = Some(value()?.into()),
            "--payload-delimiter" => typed.payload_delimiter = Some(value()?),
            "--payload-monotonic" => typed.payload_monotonic = true,
            "--command-property" | "--producer-props" => {
                typed.properties.push(value()?);
                typed.properties.extend(more_values(&mut arguments));
            }
            "--command-config" | "--producer.config" => typed.config_file = Some(value()?.into()),
            "--warmup-records" => typed.warmup_records = value()?.parse()?,
            "--reporting-interval" => typed.reporting_interval_ms = Some(value()?.parse()?),
            "--print-metrics" | "--transactional-id" | "--transaction-duration-ms" => {
                return Err(
                    format!("{name} is an option of Java's that this example lacks").into(),
                );
            }
            _ => return Err(format!("{name} is no option; see --help").into()),
        }
    }
    typed
        .checked()
        .map(|options| Command::Measure(Box::new(options)))
}

/// What follows a value of an option that takes several.
fn more_values(arguments: &mut Peekable<impl Iterator<Item = String>>) -> Vec<String> {
    std::iter::from_fn(|| arguments.next_if(|word| !word.starts_with("--"))).collect()
}

impl Typed {
    fn checked(self) -> Result<Options, Box<dyn Error>> {
        let config = self.config()?;
        let delimiter = self.payload_delimiter.unwrap_or_else(|| "\\n".to_owned());
        let payload = match (self.record_size, self.payload_file, self.payload_monotonic) {
            (Some(0), ..) => return Err("--record-size is to be positive".into()),
            (Some(size), ..) if size > MAX_RECORD_SIZE => {
                return Err(format!("--record-size must be at most {MAX_RECORD_SIZE}").into());
            }
            (Some(size), None, false) => Payload::Random(size),
            (None, Some(path), false) => Payload::File {
                path,
                delimiter: delimiter.replace("\\n", "\n").replace("\\t", "\t"),
            },
            (None, None, true) => Payload::Monotonic,
            _ => {
                return Err(
                    "exactly one of --record-size, --payload-file and --payload-monotonic".into(),
                );
            }
        };
        let records = self.records.ok_or("--num-records is missing")?;
        if records == 0 {
            return Err("--num-records is to be positive".into());
        }
        if self.warmup_records >= records {
            return Err("--warmup-records is to be less than --num-records".into());
        }
        let interval_ms = self.reporting_interval_ms.unwrap_or(5_000);
        if interval_ms == 0 {
            return Err("--reporting-interval is to be positive".into());
        }
        Ok(Options {
            topic: self.topic.ok_or("--topic is missing")?,
            records,
            warmup_records: self.warmup_records,
            reporting_interval: Duration::from_millis(interval_ms),
            payload,
            config,
            throughput: match self.throughput.ok_or("--throughput is missing")? {
                limit if limit > 0.0 => Some(limit),
                limit if limit < 0.0 => None,
                _ => return Err("--throughput is to be positive, or -1".into()),
            },
        })
    }

    /// The file, over which the properties win, over which `--bootstrap-server` does.
    fn config(&self) -> Result<ProducerConfig, Box<dyn Error>> {
        let mut config = match &self.config_file {
            Some(path) => ProducerConfig::from_properties_file(path)?,
            None => ProducerConfig::new(),
        };
        if !config.is_set("client.id") {
            config.set("client.id", "perf-producer-client")?;
        }
        for property in &self.properties {
            let (key, value) = property
                .split_once('=')
                .ok_or_else(|| format!("{property} is not KEY=VALUE"))?;
            config.set(key, value)?;
        }
        if let Some(servers) = &self.bootstrap_server {
            config.set("bootstrap.servers", servers)?;
        }
        Ok(config)
    }
}
