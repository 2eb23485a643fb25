//! The options of `kafka-console-producer`, and the configuration that they come to.

use std::error::Error;

use kafka_producer::ProducerConfig;

/// What the command line asks for.
pub(crate) enum Command {
    Produce(Box<Options>),
    Help,
}

pub(crate) struct Options {
    pub(crate) topic: String,
    pub(crate) is_sync: bool,
    pub(crate) config: ProducerConfig,
    /// `--property`, for the reader of lines.
    pub(crate) reader_properties: Vec<(String, String)>,
}

/// Options that stand for one configuration key: option, key, value where neither the option nor the key is given, and
/// help. Of two for one key, the later one wins.
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
        "the same, and wins over it",
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

/// What each option is for; the settings above are listed with it.
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
        "--producer-property KEY=VALUE",
        "a key of the producer's configuration",
    ),
    ("--command-property KEY=VALUE", "the same"),
    (
        "--producer.config FILE",
        "a properties file; --producer-property wins over it",
    ),
    ("--command-config FILE", "the same"),
    (
        "--property KEY=VALUE",
        "how a line is read: parse.key, key.separator, parse.headers,",
    ),
    (
        "",
        "headers.delimiter, headers.separator, headers.key.separator,",
    ),
    ("", "null.marker, ignore.error"),
    ("--reader-property KEY=VALUE", "the same"),
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

/// The command line as it was given.
#[derive(Default)]
struct Given {
    bootstrap_servers: Option<String>,
    topic: Option<String>,
    is_sync: bool,
    codec: Option<String>,
    config_file: Option<String>,
    producer_properties: Vec<(String, String)>,
    reader_properties: Vec<(String, String)>,
    settings: Vec<(&'static str, String)>,
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut given = Given::default();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let (name, mut attached) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let has_value = attached.is_some();
        let mut value = || {
            let value = attached.take().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--bootstrap-server" => given.bootstrap_servers = Some(value()?),
            "--topic" => given.topic = Some(value()?),
            "--producer.config" | "--command-config" => given.config_file = Some(value()?),
            "--producer-property" | "--command-property" => {
                given.producer_properties.push(property(&value()?));
            }
            "--property" | "--reader-property" => given.reader_properties.push(property(&value()?)),
            "--compression-codec" => {
                let named = attached.or_else(|| arguments.next_if(|next| !next.starts_with("--")));
                given.codec = Some(named.unwrap_or_else(|| "gzip".to_owned()));
            }
            "--sync" | "--help" if has_value => {
                return Err(format!("{name} takes no value"));
            }
            "--sync" => given.is_sync = true,
            "--help" => return Ok(Command::Help),
            _ => match SETTINGS.iter().find(|(option, ..)| *option == name) {
                Some((option, ..)) => given.settings.push((option, value()?)),
                None => return Err(format!("{name} is no option of this program")),
            },
        }
    }
    given
        .into_options()
        .map(|options| Command::Produce(Box::new(options)))
}

fn property(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// An error and what caused it.
fn text(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Given {
    fn into_options(self) -> Result<Options, String> {
        let config = self.config().map_err(|error| text(&error))?;
        if !config.is_set("bootstrap.servers") {
            return Err("--bootstrap-server is required".to_owned());
        }
        let topic = self.topic.ok_or("--topic is required")?;
        config.validate().map_err(|error| text(&error))?;
        Ok(Options {
            topic,
            is_sync: self.is_sync,
            config,
            reader_properties: self.reader_properties,
        })
    }

    /// The file, then the properties, then the options that were given, then what this program has as defaults.
    fn config(&self) -> kafka_producer::Result<ProducerConfig> {
        let mut config = match &self.config_file {
            Some(path) => ProducerConfig::from_properties_file(path)?,
            None => ProducerConfig::new(),
        };
        for (key, value) in &self.producer_properties {
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
