//! Deserializes the configuration from any format of serde: a map from Kafka's keys to texts,
//! numbers or booleans.
//!
//! It is not serializable, because the output would contain passwords.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::ProducerConfig;

/// Reads a map from keys to texts, numbers or booleans, as [`from_map`](ProducerConfig::from_map)
/// does. A null leaves the key unset. The elements of a list are joined with commas.
///
/// ```
/// # use kafka_producer::ProducerConfig;
/// let config: ProducerConfig = serde_json::from_str(
///     r#"{ "bootstrap.servers": ["a:9092", "b:9092"], "linger.ms": 20, "enable.idempotence": true }"#,
/// )?;
/// assert_eq!(config.get("bootstrap.servers"), Some("a:9092,b:9092"));
/// # Ok::<(), serde_json::Error>(())
/// ```
impl<'de> Deserialize<'de> for ProducerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = ProducerConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from configuration keys of Kafka to their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ProducerConfig, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Scalar>()? {
            if let Some(value) = value.0 {
                entries.push((key, value));
            }
        }
        // The error's text has no more than its `Display`, and so no passwords.
        ProducerConfig::from_map(entries).map_err(A::Error::custom)
    }
}

/// A value as in a configuration file; `None` is a null.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

macro_rules! visit {
    ($($method:ident($type:ty);)+) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<Scalar, E> {
            Ok(Scalar(Some(value.to_string())))
        })+
    };
}

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list of these, or null")
    }

    visit! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f64(f64);
        visit_str(&str);
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_none<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        Scalar::deserialize(deserializer)
    }

    fn visit_seq<A>(self, mut list: A) -> Result<Scalar, A::Error>
    where
        A: serde_core::de::SeqAccess<'de>,
    {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element::<Scalar>()? {
            elements.extend(element.0);
        }
        Ok(Scalar(Some(elements.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use crate::producer::ProducerConfig;

    fn read(json: &str) -> Result<ProducerConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_map_of_texts_numbers_booleans_and_lists_is_read() {
        let config = read(
            r#"{"bootstrap.servers": ["a:1", "b:2"], "linger.ms": 20, "enable.idempotence": false, "client.id": null}"#,
        )
        .unwrap();
        assert_eq!(config.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(config.get("linger.ms"), Some("20"));
        assert_eq!(config.get("enable.idempotence"), Some("false"));
        assert!(!config.is_set("client.id"));
    }

    #[test]
    fn every_value_that_is_refused_is_named() {
        let text = read(r#"{"linger.ms": "soon", "acks": 2}"#)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("linger.ms") && text.contains("acks"),
            "{text}"
        );
        let text = read(r#"{"acks": {"all": true}}"#).unwrap_err().to_string();
        assert!(text.contains("a text, a number"), "{text}");
    }
}
