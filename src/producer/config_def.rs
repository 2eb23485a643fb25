//! A configuration key, and how its text is parsed and validated. Java: `ConfigDef`.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// A configuration key: its type, default, valid values and meaning.
#[derive(Debug)]
pub struct ConfigKey {
    /// Kafka's name of the key.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: DefaultValue,
    pub(crate) rule: Rule,
    /// The valid values as Kafka's documentation prints them; empty if there is no rule.
    pub(crate) valid: &'static str,
    pub(crate) importance: Importance,
    /// What the key means, with its unit.
    pub(crate) doc: &'static str,
}

/// The replacement of a password in texts. Java: `Password.HIDDEN`.
pub(crate) const HIDDEN: &str = "[hidden]";

/// The type of a key's value. Java: `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Short,
    Int,
    Long,
    Double,
    String,
    List,
    Class,
    /// A text that is never printed.
    Password,
}

/// The value of a key that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    Required,
    Null,
    Text(&'static str),
}

/// The valid values of a key. Java: `ConfigDef.Validator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Any,
    /// A text of at least one character above U+0020.
    NonEmpty,
    AtLeast(i64),
    Between(i64, i64),
    /// A range, or one value outside of it.
    BetweenOr(i64, i64, i64),
    /// A range in hundredths, for decimal numbers.
    Hundredths(i32, i32),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
}

/// The importance of a key to an ordinary user. Java: `ConfigDef.Importance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Importance {
    High,
    Medium,
    Low,
}

impl ConfigKey {
    /// Returns Kafka's name of the key, such as `linger.ms`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the type as in Kafka's documentation: `BOOLEAN`, `SHORT`, `INT`, `LONG`, `DOUBLE`,
    /// `STRING`, `LIST`, `CLASS` or `PASSWORD`.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Boolean => "BOOLEAN",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::String => "STRING",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }

    /// Returns the default as text, or `None` if Kafka has no default or it is null.
    pub fn default_value(&self) -> Option<&'static str> {
        match self.default {
            DefaultValue::Text(text) => Some(text),
            DefaultValue::Required | DefaultValue::Null => None,
        }
    }

    /// Returns `true` if Kafka has no default for the key. Of these keys only `bootstrap.servers`
    /// must be set here, because the builder has default serializers.
    pub fn is_required(&self) -> bool {
        self.default == DefaultValue::Required
    }

    /// Returns the valid values as in Kafka's documentation, such as `[0,...]`. Returns an empty
    /// text if all values of the type are valid.
    pub fn valid_values(&self) -> &'static str {
        self.valid
    }

    /// Returns the key's importance to an ordinary user: `HIGH`, `MEDIUM` or `LOW`.
    pub fn importance(&self) -> &'static str {
        match self.importance {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }

    /// Returns the meaning of the key, with its unit.
    pub fn documentation(&self) -> &'static str {
        self.doc.trim_start()
    }

    /// Checks that `text` is a valid value of this key.
    ///
    /// # Errors
    ///
    /// The text is not valid. The error has the key, the value and the reason.
    pub(crate) fn check(&self, text: &str) -> Result<()> {
        match self.kind {
            Kind::Boolean => self.boolean(text).map(drop),
            Kind::Short | Kind::Int | Kind::Long => self.number(text).map(drop),
            Kind::Double => self.decimal(text).map(drop),
            Kind::Password => Ok(()),
            Kind::String | Kind::Class => self.choice(text).map(drop),
            Kind::List => self.list(text).map(drop),
        }
    }

    pub(crate) fn boolean(&self, text: &str) -> Result<bool> {
        let text = trim(text);
        if text.eq_ignore_ascii_case("true") {
            Ok(true)
        } else if text.eq_ignore_ascii_case("false") {
            Ok(false)
        } else {
            Err(self.invalid(text, "expected true or false"))
        }
    }

    pub(crate) fn number(&self, text: &str) -> Result<i64> {
        let text = trim(text);
        let (bits, number): (_, Option<i64>) = match self.kind {
            Kind::Short => (16, text.parse::<i16>().ok().map(i64::from)),
            Kind::Int => (32, text.parse::<i32>().ok().map(i64::from)),
            _ => (64, text.parse().ok()),
        };
        let Some(number) = number else {
            return Err(self.invalid(text, format_args!("not a whole number of {bits} bits")));
        };
        match self.rule {
            Rule::AtLeast(min) if number < min => {
                Err(self.invalid(text, format_args!("must be at least {min}")))
            }
            Rule::Between(min, max) if number < min || number > max => {
                Err(self.invalid(text, format_args!("must be from {min} to {max}")))
            }
            Rule::BetweenOr(min, max, other)
                if (number < min || number > max) && number != other =>
            {
                Err(self.invalid(
                    text,
                    format_args!("must be from {min} to {max}, or {other}"),
                ))
            }
            _ => Ok(number),
        }
    }

    pub(crate) fn decimal(&self, text: &str) -> Result<f64> {
        let text = trim(text);
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        let Some(number) = number else {
            return Err(self.invalid(text, "not a number"));
        };
        match self.rule {
            Rule::Hundredths(min, max) => {
                let (min, max) = (f64::from(min) / 100.0, f64::from(max) / 100.0);
                match (min..=max).contains(&number) {
                    true => Ok(number),
                    false => Err(self.invalid(text, format_args!("must be from {min} to {max}"))),
                }
            }
            _ => Ok(number),
        }
    }

    /// Returns the text without surrounding blanks. If the key allows only certain values, returns
    /// the one that matches.
    pub(crate) fn choice<'t>(&self, text: &'t str) -> Result<&'t str> {
        let text = trim(text);
        if self.rule == Rule::NonEmpty && text.is_empty() {
            return Err(self.invalid(text, "must not be empty"));
        }
        let (allowed, found) = match self.rule {
            Rule::OneOf(allowed) => (allowed, allowed.contains(&text)),
            Rule::OneOfIgnoringCase(allowed) => (
                allowed,
                allowed.iter().any(|a| a.eq_ignore_ascii_case(text)),
            ),
            _ => return Ok(text),
        };
        if found {
            Ok(text)
        } else {
            let allowed = allowed.join(", ");
            Err(self.invalid(text, format_args!("must be one of {allowed}")))
        }
    }

    /// Splits a comma-separated list. An empty text is an empty list.
    ///
    /// # Errors
    ///
    /// An element is empty. It may come from a variable that was not set.
    pub(crate) fn list<'t>(&self, text: &'t str) -> Result<Vec<&'t str>> {
        let text = trim(text);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let elements: Vec<_> = text.split(',').map(trim_element).collect();
        match elements.iter().position(|element| element.is_empty()) {
            Some(index) => Err(self.invalid(
                text,
                format_args!("element {} of the list is empty", index + 1),
            )),
            None => Ok(elements),
        }
    }

    /// Returns an error with the key, the value unless it is secret, and the reason.
    pub(crate) fn invalid(&self, value: &str, reason: impl fmt::Display) -> Error {
        let value = match self.kind {
            Kind::Password => HIDDEN,
            _ => value,
        };
        config_error(format!(
            "invalid value '{value}' for {}: {reason}",
            self.name
        ))
    }
}

/// Removes the blanks around a value: every character up to U+0020. Java: `String.trim`.
///
/// Other blanks belong to the value. If two values of `transactional.id` differ in a no-break
/// space, every other client treats them as two ids.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// Removes the blanks around an element of a list. Java: `ConfigDef.COMMA_WITH_WHITESPACE`.
pub(crate) fn trim_element(element: &str) -> &str {
    element.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
}

/// An error of the configuration. Java: `ConfigException`.
pub(crate) fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}
