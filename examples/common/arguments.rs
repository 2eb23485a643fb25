//! Parses a command line: options with a value, as `--name value` or `--name=value`, and options
//! without one.

#![allow(dead_code, reason = "no example uses all of it")]

use std::fmt::Display;
use std::iter::Peekable;
use std::str::FromStr;

pub(crate) struct Arguments<I: Iterator<Item = String>> {
    words: Peekable<I>,
    /// The option that was read last.
    name: String,
    /// The text after `=` in the same word.
    attached: Option<String>,
}

impl<I: Iterator<Item = String>> Arguments<I> {
    pub(crate) fn new(words: I) -> Self {
        Self {
            words: words.peekable(),
            name: String::new(),
            attached: None,
        }
    }

    /// Returns the name of the next option, or `None` at the end. Fails if the last option has a
    /// value and takes none.
    pub(crate) fn next_name(&mut self) -> Result<Option<String>, String> {
        if self.attached.is_some() {
            return Err(format!("{} takes no value", self.name));
        }
        let Some(word) = self.words.next() else {
            return Ok(None);
        };
        match word.split_once('=') {
            Some((name, value)) if is_name(name) => {
                self.name = name.to_owned();
                self.attached = Some(value.to_owned());
            }
            _ => self.name = word,
        }
        Ok(Some(self.name.clone()))
    }

    /// Returns the value of the option.
    pub(crate) fn value(&mut self) -> Result<String, String> {
        self.optional_value()
            .ok_or_else(|| format!("{} needs a value", self.name))
    }

    /// Returns the value of an option whose value may be omitted.
    pub(crate) fn optional_value(&mut self) -> Option<String> {
        let attached = self.attached.take();
        attached.or_else(|| self.words.next_if(|word| !is_name(word)))
    }

    /// Returns the values of an option that takes several.
    pub(crate) fn values(&mut self) -> Result<Vec<String>, String> {
        let first = self.value()?;
        let more = std::iter::from_fn(|| self.words.next_if(|word| !is_name(word)));
        Ok(std::iter::once(first).chain(more).collect())
    }

    /// Parses the value of the option.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self) -> Result<T, String> {
        let text = self.value()?;
        text.parse()
            .map_err(|error| format!("{} {text}: {error}", self.name))
    }

    /// Returns the error text for an option that the program does not have.
    pub(crate) fn unknown(&self) -> String {
        format!("{} is no option", self.name)
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with("--")
}

/// Splits `key=value`.
pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not KEY=VALUE")),
    }
}

/// Fails if both options are given; each replaces the other.
pub(crate) fn not_both(
    (name, is_given): (&str, bool),
    (other, is_other_given): (&str, bool),
) -> Result<(), String> {
    match is_given && is_other_given {
        true => Err(format!("{name} and {other} cannot be given together")),
        false => Ok(()),
    }
}

/// Warns that Kafka will remove an option.
pub(crate) fn deprecated(name: &str, instead: &str) {
    eprintln!("Warning: {name} is deprecated. Use {instead} instead.");
}
