//! The options of `kafka-console-producer`, and the configuration that they result in.

use kafka_producer::ProducerConfig;

use super::arguments::{Arguments, deprecated, not_both, property};
use super::causes::with_causes;
use super::reader_config;

/// What the command line asks for.
pub(crate) enum Command {
    Produce(Box<Options>),
    Help,
    Version,
}

pub(crate) struct Options {
    pub(crate) topic: String,
    pub(crate) is_sync: bool,
    pub(crate) config: ProducerConfig,
    /// `--reader-config` and `--reader-property`, for the reader of lines.
    pub(crate) reader_properties: Vec<(String, String)>,
}

/// Options that set one configuration key: option, key, default value, and help. If two options set
/// the same key, the later one wins.
const SETTINGS: &[(&str, &str, &str, &str)] = &[
    (
        "--timeout",
        "linger.ms",
        "1000",
        "ms that a record waits for others",
    ),
    (
        "--request-required-acks",
        "acks",
        "-1",
        "replicas that must have a record",
    ),
    (
        "--request-timeout-ms",
        "request.timeout.ms",
        "1500",
        "ms that a request is waited for",
    ),
    (
        "--message-send-max-retries",
        "retries",
        "3",
        "times that a batch is sent again",
    ),
    (
        "--retry-backoff-ms",
        "retry.backoff.ms",
        "100",
        "ms before a batch is sent again",
    ),
    (
        "--socket-buffer-size",
        "send.buffer.bytes",
        "102400",
        "bytes of the socket's send buffer",
    ),
    (
        "--max-memory-bytes",
        "buffer.memory",
        "33554432",
        "bytes of records that may wait",
    ),
    ("--batch-size", "batch.size", "16384", "bytes of a batch"),
    (
        "--max-partition-memory-bytes",
        "batch.size",
        "16384",
        "the same, and wins over it; deprecated",
    ),
    (
        "--metadata-expiry-ms",
        "metadata.max.age.ms",
        "300000",
        "ms until metadata is refreshed",
    ),
    (
        "--max-block-ms",
        "max.block.ms",
        "60000",
        "ms that a send may block",
    ),
];

/// The help of every other option.
const OTHERS: &[(&str, &str)] = &[
    (
        "--bootstrap-server HOST:PORT,...",
        "brokers to connect to first (required)",
    ),
    ("--topic NAME", "topic to send to (required)"),
    (
        "--sync",
        "wait for each record before the next line is read",
    ),
    (
        "--compression-codec [CODEC]",
        "none, gzip, snappy, lz4 or zstd; gzip where none is named",
    ),
    (
        "--command-property KEY=VALUE",
        "a key of the producer's configuration",
    ),
    ("--producer-property KEY=VALUE", "the same; deprecated"),
    (
        "--command-config FILE",
        "a properties file; --command-property wins over it",
    ),
    ("--producer.config FILE", "the same; deprecated"),
    (
        "--reader-property KEY=VALUE",
        "how a line is read: parse.key, key.separator, parse.headers,",
    ),
    (
        "",
        "headers.delimiter, headers.separator, headers.key.separator,",
    ),
    ("", "null.marker, ignore.error"),
    ("--property KEY=VALUE", "the same; deprecated"),
    (
        "--reader-config FILE",
        "a properties file; --reader-property wins over it",
    ),
    (
        "--line-reader CLASS",
        "org.apache.kafka.tools.LineMessageReader, and no other",
    ),
    ("--version", "the version of the library"),
    ("--help", "this text"),
];

pub(crate) fn usage() -> String {
    let mut text = String::from("Sends lines of the standard input to a topic.\n");
    for (option, help) in OTHERS {
        text.push_str(&format!("\n  {option:<34} {help}"));
    }
    for (option, key, default, help) in SETTINGS {
        text.push_str(&format!(
            "\n  {option:<34} {help} ({key}, default {default})"
        ));
    }
    text
}

/// The default reader of Kafka's tool, under its current name and its old one.
const LINE_READERS: [&str; 2] = [
    "org.apache.kafka.tools.LineMessageReader",
    "kafka.tools.ConsoleProducer$LineMessageReader",
];

/// The command line as it was given.
#[derive(Default)]
struct Given {
    bootstrap_servers: Option<String>,
    topic: Option<String>,
    is_sync: bool,
    codec: Option<String>,
    command_config: Option<String>,
    producer_config: Option<String>,
    command_properties: Vec<(String, String)>,
    producer_properties: Vec<(String, String)>,
    reader_config: Option<String>,
    reader_properties: Vec<(String, String)>,
    properties: Vec<(String, String)>,
    settings: Vec<(&'static str, String)>,
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut given = Given::default();
    let mut arguments = Arguments::new(words);
    while let Some(name) = arguments.next_name()? {
        match name.as_str() {
            "--bootstrap-server" => given.bootstrap_servers = Some(arguments.value()?),
            "--topic" => given.topic = Some(arguments.value()?),
            "--command-config" => given.command_config = Some(arguments.value()?),
            "--producer.config" => given.producer_config = Some(arguments.value()?),
            "--command-property" => given.command_properties.push(pair(&arguments.value()?)),
            "--producer-property" => given.producer_properties.push(pair(&arguments.value()?)),
            "--reader-config" => given.reader_config = Some(arguments.value()?),
            "--reader-property" => given.reader_properties.push(pair(&arguments.value()?)),
            "--property" => given.properties.push(pair(&arguments.value()?)),
            "--line-reader" => check_line_reader(&arguments.value()?)?,
            "--compression-codec" => {
                let named = arguments.optional_value();
                given.codec = Some(named.unwrap_or_else(|| "gzip".to_owned()));
            }
            "--sync" => given.is_sync = true,
            "--help" => return Ok(Command::Help),
            "--version" => return Ok(Command::Version),
            _ => match SETTINGS.iter().find(|(option, ..)| *option == name) {
                Some((option, ..)) => given.settings.push((option, arguments.value()?)),
                None => return Err(arguments.unknown()),
            },
        }
    }
    given.check_pairs()?;
    given
        .into_options()
        .map(|options| Command::Produce(Box::new(options)))
}

/// Fails for any other reader: it is a Java class, which this program cannot load.
fn check_line_reader(class: &str) -> Result<(), String> {
    match LINE_READERS.contains(&class) {
        true => Ok(()),
        false => Err(format!(
            "--line-reader {class}: this program reads lines as {} does, and cannot load classes",
            LINE_READERS[0]
        )),
    }
}

/// Splits `key=value`. As in Kafka's tool, a key without `=` has an empty value.
fn pair(text: &str) -> (String, String) {
    property(text).unwrap_or_else(|_| (text.to_owned(), String::new()))
}

impl Given {
    /// Fails if an option and its deprecated name are both given.
    fn check_pairs(&self) -> Result<(), String> {
        for ((new, is_new), (old, is_old)) in [
            (
                ("--command-config", self.command_config.is_some()),
                ("--producer.config", self.producer_config.is_some()),
            ),
            (
                ("--command-property", !self.command_properties.is_empty()),
                ("--producer-property", !self.producer_properties.is_empty()),
            ),
            (
                ("--reader-property", !self.reader_properties.is_empty()),
                ("--property", !self.properties.is_empty()),
            ),
        ] {
            not_both((new, is_new), (old, is_old))?;
            if is_old {
                deprecated(old, new);
            }
        }
        let is_old = |(option, _): &(&str, String)| *option == "--max-partition-memory-bytes";
        if self.settings.iter().any(is_old) {
            deprecated("--max-partition-memory-bytes", "--batch-size");
        }
        Ok(())
    }

    /// Returns the properties of the file and then those of the command line, which win.
    fn reader_properties(&self) -> Result<Vec<(String, String)>, String> {
        let mut properties = match &self.reader_config {
            Some(path) => reader_config::read(path)?,
            None => Vec::new(),
        };
        properties.extend(self.reader_properties.iter().cloned());
        properties.extend(self.properties.iter().cloned());
        Ok(properties)
    }

    fn into_options(self) -> Result<Options, String> {
        let reader_properties = self.reader_properties()?;
        let config = self.config().map_err(|error| with_causes(&error))?;
        if !config.is_set("bootstrap.servers") {
            return Err("--bootstrap-server is required".to_owned());
        }
        let topic = self.topic.ok_or("--topic is required")?;
        config.validate().map_err(|error| with_causes(&error))?;
        Ok(Options {
            topic,
            is_sync: self.is_sync,
            config,
            reader_properties,
        })
    }

    /// Applies the file, then the properties, then the options, then this program's defaults.
    fn config(&self) -> kafka_producer::Result<ProducerConfig> {
        let file = self.command_config.as_ref();
        let mut config = match file.or(self.producer_config.as_ref()) {
            Some(path) => ProducerConfig::from_properties_file(path)?,
            None => ProducerConfig::new(),
        };
        let properties = self.command_properties.iter();
        for (key, value) in properties.chain(&self.producer_properties) {
            config.set(key, value)?;
        }
        if let Some(servers) = &self.bootstrap_servers {
            config.bootstrap_servers(servers);
        }
        config.set("compression.type", self.codec.as_deref().unwrap_or("none"))?;
        if !config.is_set("client.id") {
            config.client_id("console-producer");
        }
        for (option, key, default, _) in SETTINGS {
            match self
                .settings
                .iter()
                .rev()
                .find(|(given, _)| given == option)
            {
                Some((_, value)) => config.set(key, value)?,
                None if config.is_set(key) => continue,
                None => config.set(key, default)?,
            };
        }
        Ok(config)
    }
}
