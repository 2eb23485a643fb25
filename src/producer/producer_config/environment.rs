//! The configuration from the environment. Java has no counterpart; the names are those of Kafka's
//! container images.

use std::env;
use std::ffi::{OsStr, OsString};

use super::{Located, ProducerConfig, config_error};
use crate::error::Result;

impl ProducerConfig {
    /// Reads every environment variable whose name begins with `prefix`. The rest of the name is
    /// the key in upper case, with an underscore for each point. With the prefix `KAFKA_`,
    /// `KAFKA_BOOTSTRAP_SERVERS` is `bootstrap.servers`.
    ///
    /// To let the environment override a configuration, [`merge`](Self::merge) this into it:
    ///
    /// ```
    /// # use kafka_producer::ProducerConfig;
    /// # fn main() -> kafka_producer::Result<()> {
    /// let mut config = ProducerConfig::from_properties("client.id=orders")?;
    /// config.merge(ProducerConfig::from_env("ORDERS_KAFKA_")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A variable that names no key of Kafka is not an error: the producer logs a warning when it
    /// is built.
    ///
    /// # Errors
    ///
    /// `prefix` is empty, a value is not UTF-8, or [`set`](Self::set) refuses it. The message lists
    /// every refused variable.
    pub fn from_env(prefix: &str) -> Result<Self> {
        Self::from_variables(prefix, env::vars_os())
    }

    fn from_variables(
        prefix: &str,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        if prefix.is_empty() {
            let text =
                "the prefix of the environment variables is empty: every variable would be a key";
            return Err(config_error(text));
        }
        let key = |name: &OsStr| name.to_str()?.strip_prefix(prefix).map(key_of);
        let mut entries: Vec<(OsString, String, String)> = Vec::new();
        for (name, value) in variables {
            let Some(key) = key(&name).filter(|key| !key.is_empty()) else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                let name = name.to_string_lossy();
                config_error(format!("the environment variable {name} is not UTF-8"))
            })?;
            entries.push((name, key, value));
        }
        // The environment has no order, but the message of an error should have one.
        entries.sort();
        let located = entries.iter().map(|(name, key, value)| Located {
            place: Some(name.to_string_lossy().into_owned()),
            key,
            value,
        });
        Self::from_located(&located.collect::<Vec<_>>())
    }
}

fn key_of(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<ProducerConfig> {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        ProducerConfig::from_variables("KAFKA_", variables)
    }

    #[test]
    fn variables_with_the_prefix_are_keys() {
        let config = from(&[
            ("KAFKA_BOOTSTRAP_SERVERS", "a:1"),
            ("KAFKA_MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION", "2"),
            ("LINGER_MS", "7"),
            ("KAFKA_", "nothing"),
        ])
        .unwrap();
        assert_eq!(config.get("bootstrap.servers"), Some("a:1"));
        assert_eq!(
            config.get("max.in.flight.requests.per.connection"),
            Some("2")
        );
        assert!(!config.is_set("linger.ms"));
    }

    #[test]
    fn every_variable_that_is_refused_is_named() {
        let error = from(&[("KAFKA_LINGER_MS", "soon"), ("KAFKA_ACKS", "2")]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("KAFKA_LINGER_MS") && text.contains("KAFKA_ACKS"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_prefix_is_refused() {
        let error = ProducerConfig::from_variables("", std::iter::empty()).unwrap_err();
        assert!(error.to_string().contains("prefix"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let variable = ("KAFKA_CLIENT_ID".into(), OsString::from_vec(vec![0xff]));
        let error = ProducerConfig::from_variables("KAFKA_", [variable].into_iter()).unwrap_err();
        assert!(error.to_string().contains("KAFKA_CLIENT_ID"), "{error}");
    }
}
