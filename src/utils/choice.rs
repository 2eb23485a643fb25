//! Values that are one of a few names, as enums that print and read those names.

use std::fmt;

/// A text is none of the names that a type has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseChoiceError {
    name: String,
    /// The type, and the names that it has.
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

            /// Returns the value of this name.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                [$(Self::$variant),+]
                    .into_iter()
                    .find(|choice| choice.as_str() == name)
            }
        }

        /// Reads the name that [`as_str`](Self::as_str) returns.
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
