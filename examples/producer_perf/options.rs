//! The options of `kafka-producer-perf-test`, and the configuration that they result in.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use kafka_producer::ProducerConfig;

use super::arguments::{Arguments, deprecated, not_both, property};
use super::keys::Keys;
use super::payload::Payload;
use super::throughput;

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
  --key-distribution KIND          none, range (0, 1, 2 ... and again from 0) or random; default none
  --record-key-range N             keys are less than this, in decimal
  --random-seed N                  for values and keys; default 0
  --command-property KEY=VALUE ..  configuration
  --producer-props KEY=VALUE ..    the same; deprecated
  --command-config FILE            configuration in a properties file; --command-property wins over it
  --producer.config FILE           the same; deprecated
  --transactional-id ID            sends in transactions
  --transaction-duration-ms MS     until a transaction is committed; default 3000; sends in transactions
  --print-metrics                  prints the producer's metrics at the end
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
    pub(crate) keys: Keys,
    pub(crate) random_seed: u64,
    /// How long a transaction stays open. `None` sends without transactions.
    pub(crate) transaction_duration: Option<Duration>,
    pub(crate) prints_metrics: bool,
    pub(crate) config: ProducerConfig,
    /// Records per second. `None` is without a limit.
    throughput: Option<f64>,
}

impl Options {
    /// Returns how long to wait if `sent` records took less time than they should have, given
    /// `elapsed`.
    pub(crate) fn ahead(&self, sent: u64, elapsed: Duration) -> Option<Duration> {
        throughput::ahead(sent, self.throughput?, elapsed)
    }
}

/// The largest value of `--record-size`, as in Java's tool.
const MAX_RECORD_SIZE: usize = i32::MAX as usize;

/// The options as given on the command line.
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
    key_distribution: Option<String>,
    key_range: Option<u32>,
    random_seed: u64,
    command_properties: Vec<String>,
    producer_props: Vec<String>,
    command_config: Option<PathBuf>,
    producer_config: Option<PathBuf>,
    transactional_id: Option<String>,
    transaction_duration_ms: Option<u64>,
    print_metrics: bool,
    warmup_records: u64,
    reporting_interval_ms: Option<u64>,
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command, Box<dyn Error>> {
    let mut arguments = Arguments::new(words);
    let mut typed = Typed::default();
    while let Some(name) = arguments.next_name()? {
        match name.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--bootstrap-server" => typed.bootstrap_server = Some(arguments.value()?),
            "--topic" => typed.topic = Some(arguments.value()?),
            "--num-records" => typed.records = Some(arguments.parsed()?),
            "--throughput" => typed.throughput = Some(arguments.parsed()?),
            "--record-size" => typed.record_size = Some(arguments.parsed()?),
            "--payload-file" => typed.payload_file = Some(arguments.parsed()?),
            "--payload-delimiter" => typed.payload_delimiter = Some(arguments.value()?),
            "--payload-monotonic" => typed.payload_monotonic = true,
            "--key-distribution" => typed.key_distribution = Some(arguments.value()?),
            "--record-key-range" => typed.key_range = Some(arguments.parsed()?),
            "--random-seed" => typed.random_seed = arguments.parsed::<i64>()? as u64,
            "--command-property" => typed.command_properties.extend(arguments.values()?),
            "--producer-props" => typed.producer_props.extend(arguments.values()?),
            "--command-config" => typed.command_config = Some(arguments.parsed()?),
            "--producer.config" => typed.producer_config = Some(arguments.parsed()?),
            "--transactional-id" => typed.transactional_id = Some(arguments.value()?),
            "--transaction-duration-ms" => {
                typed.transaction_duration_ms = Some(arguments.parsed()?);
            }
            "--print-metrics" => typed.print_metrics = true,
            "--warmup-records" => typed.warmup_records = arguments.parsed()?,
            "--reporting-interval" => typed.reporting_interval_ms = Some(arguments.parsed()?),
            _ => return Err(format!("{}; see --help", arguments.unknown()).into()),
        }
    }
    typed
        .checked()
        .map(|options| Command::Measure(Box::new(options)))
}

impl Typed {
    fn checked(self) -> Result<Options, Box<dyn Error>> {
        self.check_pairs()?;
        let config = self.config()?;
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
        if self.transaction_duration_ms == Some(0) {
            return Err("--transaction-duration-ms is to be positive".into());
        }
        Ok(Options {
            topic: self.topic.clone().ok_or("--topic is missing")?,
            records,
            warmup_records: self.warmup_records,
            reporting_interval: Duration::from_millis(interval_ms),
            payload: self.payload()?,
            keys: Keys::new(
                self.key_distribution.as_deref(),
                self.key_range,
                self.random_seed,
            )?,
            random_seed: self.random_seed,
            transaction_duration: config
                .is_set("transactional.id")
                .then(|| Duration::from_millis(self.transaction_duration_ms.unwrap_or(3_000))),
            prints_metrics: self.print_metrics,
            config,
            throughput: match self.throughput.ok_or("--throughput is missing")? {
                limit if limit > 0.0 => Some(limit),
                limit if limit < 0.0 => None,
                _ => return Err("--throughput is to be positive, or -1".into()),
            },
        })
    }

    /// Fails if an option and its deprecated name are both given.
    fn check_pairs(&self) -> Result<(), String> {
        for (new, is_new, old, is_old) in [
            (
                "--command-property",
                !self.command_properties.is_empty(),
                "--producer-props",
                !self.producer_props.is_empty(),
            ),
            (
                "--command-config",
                self.command_config.is_some(),
                "--producer.config",
                self.producer_config.is_some(),
            ),
        ] {
            not_both((new, is_new), (old, is_old))?;
            if is_old {
                deprecated(old, new);
            }
        }
        Ok(())
    }

    fn payload(&self) -> Result<Payload, Box<dyn Error>> {
        let delimiter = self.payload_delimiter.as_deref().unwrap_or("\\n");
        match (self.record_size, &self.payload_file, self.payload_monotonic) {
            (Some(0), ..) => Err("--record-size is to be positive".into()),
            (Some(size), ..) if size > MAX_RECORD_SIZE => {
                Err(format!("--record-size must be at most {MAX_RECORD_SIZE}").into())
            }
            (Some(size), None, false) => Ok(Payload::Random(size)),
            (None, Some(path), false) => Ok(Payload::File {
                path: path.clone(),
                delimiter: delimiter.replace("\\n", "\n").replace("\\t", "\t"),
            }),
            (None, None, true) => Ok(Payload::Monotonic),
            _ => Err("exactly one of --record-size, --payload-file and --payload-monotonic".into()),
        }
    }

    /// Applies the file, then the properties, then the options.
    fn config(&self) -> Result<ProducerConfig, Box<dyn Error>> {
        let file = self.command_config.as_ref();
        let mut config = match file.or(self.producer_config.as_ref()) {
            Some(path) => ProducerConfig::from_properties_file(path)?,
            None => ProducerConfig::new(),
        };
        if !config.is_set("client.id") {
            config.set("client.id", "perf-producer-client")?;
        }
        for text in self.command_properties.iter().chain(&self.producer_props) {
            let (key, value) = property(text)?;
            config.set(&key, &value)?;
        }
        if let Some(servers) = &self.bootstrap_server {
            config.set("bootstrap.servers", servers)?;
        }
        if let Some(id) = &self.transactional_id {
            config.set("transactional.id", id)?;
        }
        // `--transaction-duration-ms` alone turns transactions on too.
        if self.transaction_duration_ms.is_some() && !config.is_set("transactional.id") {
            let id = format!("performance-producer-{:032x}", fastrand::u128(..));
            config.set("transactional.id", &id)?;
        }
        Ok(config)
    }
}
