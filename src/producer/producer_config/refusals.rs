//! What is wrong with a configuration: every mistake of it goes into one error, so that it is corrected in one round. Java:
//! `ConfigException`, which names one.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::producer::config_def::{ConfigKey, config_error};

/// The mistakes found so far, and the keys that they concern.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    keys: BTreeSet<String>,
    errors: Vec<Error>,
}

impl Refusals {
    /// Notes what is wrong with the value of one key.
    pub(crate) fn refuse_key(&mut self, key: &str, error: Error) {
        self.leave_out(key);
        self.errors.push(error);
    }

    /// Notes a rule that the values of several keys break.
    pub(super) fn refuse(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Leaves a key out of all further checks.
    pub(super) fn leave_out(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
    }

    /// Returns the value of a key. If there is none, notes why and returns a stand-in, which is used for nothing.
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

    /// Returns whether one of these keys has no value to compare with others.
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
