//! Arguments of the form `--name value` and `--flag`.

use crate::Failure;

/// What was typed behind the command.
#[derive(Default)]
pub(crate) struct Arguments {
    pairs: Vec<(String, Option<String>)>,
}

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut pairs: Vec<(String, Option<String>)> = Vec::new();
        for argument in arguments {
            match argument.strip_prefix("--") {
                Some(name) => pairs.push((name.to_owned(), None)),
                None => match pairs.last_mut() {
                    Some((_, value @ None)) => *value = Some(argument),
                    _ => return Err(format!("{argument} belongs to no option").into()),
                },
            }
        }
        Ok(Self { pairs })
    }

    /// An error when there is an option of another name.
    pub(crate) fn allow_only(&self, names: &[&str]) -> Result<(), Failure> {
        let unknown = self
            .pairs
            .iter()
            .find(|(name, _)| !names.contains(&&name[..]));
        match unknown {
            Some((name, _)) => Err(format!("--{name} is none of --{}", names.join(" --")).into()),
            None => Ok(()),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.pairs.iter().any(|(given, _)| given == name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(given, _)| given == name)
            .and_then(|(_, value)| value.as_deref())
    }

    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, Failure> {
        self.text(name).map_or(Ok(default), |text| {
            text.parse()
                .map_err(|error| format!("--{name} {text}: {error}").into())
        })
    }
}
