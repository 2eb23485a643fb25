//! The options of `kafka-verifiable-producer`, and the configuration that they result in.

use std::error::Error;

use kafka_producer::ProducerConfig;

use super::arguments::{Arguments, deprecated, not_both};

pub(crate) const USAGE: &str = "\
verifiable_producer --topic NAME --bootstrap-server HOST:PORT,..

  --topic NAME                where to send
  --bootstrap-server HOST:..  brokers to connect to first
  --max-messages N            how many to send; default -1: until the program is ended
  --throughput N              messages a second at most; default -1: as many as possible
  --acks N                    0, 1 or -1; default -1
  --message-create-time MS    the timestamp of the first message; later ones are later by the age of the program
  --value-prefix N            comes before each number, with a dot
  --repeating-keys N          keys are 0, 1 ... N - 1, and again from 0
  --command-config FILE       a properties file, which wins over --acks and --bootstrap-server
  --producer.config FILE      the same; deprecated
  --help
";

/// What the command line asks for.
pub(crate) enum Command {
    Produce(Box<Options>),
    Help,
}

pub(crate) struct Options {
    pub(crate) topic: String,
    /// Less than 0 means without a limit.
    pub(crate) max_messages: i32,
    /// Less than 0 means without a limit.
    pub(crate) throughput: i32,
    pub(crate) message_create_time: Option<i64>,
    pub(crate) config: ProducerConfig,
    value_prefix: Option<i32>,
    repeating_keys: Option<i32>,
}

impl Options {
    pub(crate) fn value(&self, number: u64) -> String {
        match self.value_prefix {
            Some(prefix) => format!("{prefix}.{number}"),
            None => number.to_string(),
        }
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys {
            repeating: self.repeating_keys,
            next: 0,
        }
    }
}

/// Produces the keys of the messages in turn.
pub(crate) struct Keys {
    repeating: Option<i32>,
    next: i32,
}

impl Keys {
    pub(crate) fn next(&mut self) -> Option<String> {
        let repeating = self.repeating?;
        let key = self.next;
        self.next = key.wrapping_add(1);
        if self.next == repeating {
            self.next = 0;
        }
        Some(key.to_string())
    }
}

/// Without arguments it asks for help, as Kafka's tool does.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Command, Box<dyn Error>> {
    let mut arguments = Arguments::new(words);
    let (mut topic, mut servers, mut acks) = (None, None, -1);
    let (mut command_config, mut producer_config) = (None, None);
    let mut options = Options {
        topic: String::new(),
        max_messages: -1,
        throughput: -1,
        message_create_time: None,
        config: ProducerConfig::new(),
        value_prefix: None,
        repeating_keys: None,
    };
    let mut is_empty = true;
    while let Some(name) = arguments.next_name()? {
        is_empty = false;
        match name.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--topic" => topic = Some(arguments.value()?),
            "--bootstrap-server" => servers = Some(arguments.value()?),
            "--max-messages" => options.max_messages = arguments.parsed()?,
            "--throughput" => options.throughput = arguments.parsed()?,
            "--acks" => acks = arguments.parsed()?,
            "--message-create-time" => {
                let time = arguments.parsed()?;
                options.message_create_time = Some(time).filter(|time| *time != -1);
            }
            "--value-prefix" => options.value_prefix = Some(arguments.parsed()?),
            "--repeating-keys" => options.repeating_keys = Some(arguments.parsed()?),
            "--command-config" => command_config = Some(arguments.value()?),
            "--producer.config" => producer_config = Some(arguments.value()?),
            _ => return Err(format!("{}; see --help", arguments.unknown()).into()),
        }
    }
    if is_empty {
        return Ok(Command::Help);
    }
    options.topic = topic.ok_or("--topic is required")?;
    let servers = servers.ok_or("--bootstrap-server is required")?;
    if !(-1..=1).contains(&acks) {
        return Err(format!("--acks {acks} is not 0, 1 or -1").into());
    }
    not_both(
        ("--command-config", command_config.is_some()),
        ("--producer.config", producer_config.is_some()),
    )?;
    if producer_config.is_some() {
        deprecated("--producer.config", "--command-config");
    }
    options.config.set("bootstrap.servers", &servers)?;
    options.config.set("acks", &acks.to_string())?;
    options.config.set("retries", "0")?;
    if let Some(path) = command_config.or(producer_config) {
        options
            .config
            .merge(ProducerConfig::from_properties_file(path)?);
    }
    options.config.validate()?;
    Ok(Command::Produce(Box::new(options)))
}
