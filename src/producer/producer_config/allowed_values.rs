//! The lists of addresses and files that a configuration allows. Java: the system properties
//! `org.apache.kafka.sasl.oauthbearer.allowed.urls` and `allowed.files`.

use super::ProducerConfig;
use crate::error::Result;
use crate::producer::config_def::{ConfigKey, config_error};

/// Refuses a value that is not in the list of allowed values, if there is one.
pub(super) fn check_allowed(
    config: &ProducerConfig,
    key: &ConfigKey,
    allowed: &ConfigKey,
    value: &str,
) -> Result<()> {
    if !config.is_set(allowed.name) {
        return Ok(());
    }
    let list = allowed.list(config.value(allowed).unwrap_or_default())?;
    match list.contains(&value) {
        true => Ok(()),
        false => Err(config_error(format!(
            "{}: the value is not in {}: add it there",
            key.name, allowed.name
        ))),
    }
}
