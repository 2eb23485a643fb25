//! What a configuration key is, and how its text is read and checked. Java: `ConfigDef`.

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
    /// The rule as Kafka's documentation prints it; empty where there is none.
    pub(crate) valid: &'static str,
    pub(crate) importance: Importance,
    /// What the key means, with its unit.
    pub(crate) doc: &'static str,
}

/// What is printed of a password. Java: `Password.HIDDEN`.
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

/// What a key is where nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    Required,
    Null,
    Text(&'static str),
}

/// Which values of the type are valid. Java: `ConfigDef.Validator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Any,
    /// A text of at least one character above U+0020.
    NonEmpty,
    AtLeast(i64),
    Between(i64, i64),
    /// A range, or one value outside of it.
    BetweenOr(i64, i64, i64),
    /// A range of hundredths, for numbers with a point.
    Hundredths(i32, i32),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
}

/// How much a key matters to an ordinary user. Java: `ConfigDef.Importance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Importance {
    High,
    Medium,
    Low,
}

impl ConfigKey {
    /// Kafka's name of the key, such as `linger.ms`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The type as Kafka's documentation has it: `BOOLEAN`, `SHORT`, `INT`, `LONG`, `DOUBLE`, `STRING`, `LIST`, `CLASS` or
    /// `PASSWORD`.
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

    /// The default as text; `None` where Kafka has none, or it is null.
    pub fn default_value(&self) -> Option<&'static str> {
        match self.default {
            DefaultValue::Text(text) => Some(text),
            DefaultValue::Required | DefaultValue::Null => None,
        }
    }

    /// Whether Kafka has no default for the key. Of these only `bootstrap.servers` must be set here: serializers are values
    /// that the builder has a default for.
    pub fn is_required(&self) -> bool {
        self.default == DefaultValue::Required
    }

    /// The valid values as Kafka's documentation has them, such as `[0,...]`; empty where all of the type are valid.
    pub fn valid_values(&self) -> &'static str {
        self.valid
    }

    /// How much the key matters to an ordinary user: `HIGH`, `MEDIUM` or `LOW`.
    pub fn importance(&self) -> &'static str {
        match self.importance {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }

    /// What the key means, with its unit.
    pub fn documentation(&self) -> &'static str {
        self.doc.trim_start()
    }

    /// Whether `text` is a value of this key.
    ///
    /// # Errors
    ///
    /// With key, value and reason, where it is not.
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

    /// The text without blanks around it; one of the allowed ones where the key allows only some.
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

    /// Splits a comma-separated list. An empty text is the empty list.
    ///
    /// # Errors
    ///
    /// If an element is empty: it may have been the value of a variable that was not set.
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

    /// An error that names this key, the value unless it is secret, and what is wrong with it.
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

/// Removes the blanks around a value: everything up to U+0020. Java: `String.trim`.
///
/// Blanks beyond that belong to the value. Two values of `transactional.id` that differ in a no-break space are two
/// identities to every other client.
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
