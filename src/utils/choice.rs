//! Enums whose values have names, which they print and parse.

use std::fmt;

/// A text that is none of a type's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseChoiceError {
    name: String,
    /// The type, and its names.
    choice: &'static str,
    names: &'static [&'static str],
}

impl ParseChoiceError {
    pub(crate) fn new(name: &str, choice: &'static str, names: &'static [&'static str]) -> Self {
        let name = name.to_owned();
        Self {
            name,
            choice,
            names,
        }
    }
}

impl fmt::Display for ParseChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, choice, names) = (&self.name, self.choice, self.names.join(", "));
        write!(f, "`{name}` is not a name of {choice}: use one of {names}")
    }
}

impl std::error::Error for ParseChoiceError {}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Returns the value as a configuration file spells it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Returns the value with this name.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                [$(Self::$variant),+]
                    .into_iter()
                    .find(|choice| choice.as_str() == name)
            }
        }

        /// Parses the name that [`as_str`](Self::as_str) returns.
        impl std::str::FromStr for $name {
            type Err = $crate::utils::ParseChoiceError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::from_name(name).ok_or_else(|| {
                    Self::Err::new(name, stringify!($name), &[$($text),+])
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use choice;
