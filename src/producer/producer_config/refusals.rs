//! The mistakes in a configuration. One error lists them all, so that they can be corrected
//! together. Java's `ConfigException` names only one.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::producer::config_def::{ConfigKey, config_error};

/// The mistakes so far, and their keys.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    keys: BTreeSet<String>,
    errors: Vec<Error>,
}

impl Refusals {
    /// Adds a problem with the value of one key.
    pub(crate) fn refuse_key(&mut self, key: &str, error: Error) {
        self.leave_out(key);
        self.errors.push(error);
    }

    /// Adds a broken rule between the values of several keys.
    pub(super) fn refuse(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Excludes a key from all further checks.
    pub(super) fn leave_out(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
    }

    /// Returns the value of a key. If there is none, notes why and returns a stand-in that is never
    /// used.
    pub(super) fn value_or<T>(&mut self, key: &ConfigKey, value: Result<T>, stand_in: T) -> T {
        match value {
            Ok(value) => value,
            Err(error) => {
                if !self.concern(&[key]) {
                    self.refuse_key(key.name, error);
                }
                stand_in
            }
        }
    }

    /// Returns whether one of these keys has no valid value.
    pub(super) fn concern(&self, keys: &[&ConfigKey]) -> bool {
        keys.iter().any(|key| self.keys.contains(key.name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Returns all mistakes as one error, if there are any.
    pub(super) fn into_result(mut self) -> Result<()> {
        if self.errors.len() > 1 {
            let texts: Vec<_> = self.errors.iter().map(ToString::to_string).collect();
            return Err(config_error(format!(
                "{} settings are refused:\n  {}",
                texts.len(),
                texts.join("\n  ")
            )));
        }
        self.errors.pop().map_or(Ok(()), Err)
    }
}
