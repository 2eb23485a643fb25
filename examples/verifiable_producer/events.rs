//! The output: JSON objects with the same fields in the same order as those of Kafka's
//! `VerifiableProducer`.

use std::fmt::{Display, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_producer::{Error, ErrorKind, RecordMetadata};

/// An object under construction.
pub(crate) struct Event(String);

impl Event {
    pub(crate) fn now(name: &str) -> Self {
        Self(format!(
            "{{\"timestamp\":{},\"name\":\"{name}\"",
            unix_millis()
        ))
    }

    /// Adds a number, or another value that JSON writes without quotes.
    pub(crate) fn number(mut self, name: &str, number: impl Display) -> Self {
        // Writing to a String cannot fail.
        _ = write!(self.0, ",\"{name}\":{number}");
        self
    }

    fn text(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.number(name, quoted(text)),
            None => self.number(name, "null"),
        }
    }

    pub(crate) fn line(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Returns the line of a message that was delivered or that failed.
pub(crate) fn outcome(
    topic: &str,
    key: Option<&str>,
    value: &str,
    result: &kafka_producer::Result<RecordMetadata>,
) -> String {
    let event = match result {
        Ok(metadata) => Event::now("producer_send_success")
            .text("key", key)
            .text("value", Some(value))
            .number("offset", metadata.offset())
            .text("topic", Some(metadata.topic()))
            .number("partition", metadata.partition()),
        Err(error) => Event::now("producer_send_error")
            .text("topic", Some(topic))
            .text("key", key)
            .text("value", Some(value))
            .text("exception", Some(&format!("class {}", exception(error))))
            .text("message", Some(&error.to_string())),
    };
    event.line()
}

pub(crate) fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => _ = write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns the class name of Java's exception.
pub(crate) fn exception(error: &Error) -> String {
    let class = match error.kind() {
        ErrorKind::Config => "org.apache.kafka.common.config.ConfigException",
        ErrorKind::Timeout => "org.apache.kafka.common.errors.TimeoutException",
        ErrorKind::BufferExhausted => "org.apache.kafka.clients.producer.BufferExhaustedException",
        ErrorKind::RecordTooLarge => "org.apache.kafka.common.errors.RecordTooLargeException",
        ErrorKind::Serialization => "org.apache.kafka.common.errors.SerializationException",
        ErrorKind::InvalidTopic => "org.apache.kafka.common.errors.InvalidTopicException",
        ErrorKind::IllegalArgument => "java.lang.IllegalArgumentException",
        ErrorKind::IllegalState | ErrorKind::Closed => "java.lang.IllegalStateException",
        _ => match error.code().and_then(|code| code.name()) {
            Some(code) => return format!("org.apache.kafka.common.errors.{}", of_code(code)),
            None if error.kind() == ErrorKind::Network => {
                "org.apache.kafka.common.errors.NetworkException"
            }
            None => "org.apache.kafka.common.KafkaException",
        },
    };
    class.to_owned()
}

/// Returns the exception of an error code: its words in camel case, with a few exceptions.
pub(crate) fn of_code(code: &str) -> String {
    let other = match code {
        "UNKNOWN_SERVER_ERROR" => "UnknownServer",
        "CORRUPT_MESSAGE" => "CorruptRecord",
        "REQUEST_TIMED_OUT" => "Timeout",
        "MESSAGE_TOO_LARGE" => "RecordTooLarge",
        "RECORD_LIST_TOO_LARGE" => "RecordBatchTooLarge",
        "STALE_CONTROLLER_EPOCH" => "ControllerMoved",
        "NETWORK_EXCEPTION" => "Network",
        "INVALID_TOPIC_EXCEPTION" => "InvalidTopic",
        "TOPIC_ALREADY_EXISTS" => "TopicExists",
        "INVALID_CONFIG" => "InvalidConfiguration",
        "OUT_OF_ORDER_SEQUENCE_NUMBER" => "OutOfOrderSequence",
        "DUPLICATE_SEQUENCE_NUMBER" => "DuplicateSequence",
        "INVALID_PRODUCER_ID_MAPPING" => "InvalidPidMapping",
        "INVALID_TRANSACTION_TIMEOUT" => "InvalidTxnTimeout",
        "KAFKA_STORAGE_ERROR" => "KafkaStorage",
        "SASL_AUTHENTICATION_FAILED" => "SaslAuthentication",
        "DELEGATION_TOKEN_AUTH_DISABLED" => "DelegationTokenDisabled",
        "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" => "UnsupportedByAuthentication",
        "NON_EMPTY_GROUP" => "GroupNotEmpty",
        "PRINCIPAL_DESERIALIZATION_FAILURE" => "PrincipalDeserialization",
        "FETCH_SESSION_TOPIC_ID_ERROR" => "FetchSessionTopicId",
        // The two that do not end in "Exception".
        "OFFSET_METADATA_TOO_LARGE" => return "OffsetMetadataTooLarge".to_owned(),
        "INVALID_REGULAR_EXPRESSION" => return "InvalidRegularExpression".to_owned(),
        code => {
            let code = code.replace("AUTHORIZATION_FAILED", "AUTHORIZATION");
            return format!("{}Exception", camel_case(&code));
        }
    };
    format!("{other}Exception")
}

fn camel_case(code: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{first}{}", rest.to_ascii_lowercase())
    };
    code.split('_').map(word).collect()
}
