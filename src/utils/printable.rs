//! Text that a peer sent, in a form that is fit for a log line or an error.

use std::fmt;

/// What is printed of a text that a peer sent.
const MAX_PRINTED_CHARS: usize = 255;

/// Text from the wire as it may stand in a log or an error: control characters escaped, and not too long.
pub(crate) fn printable(text: &str) -> impl fmt::Display + '_ {
    Printable(text)
}

struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(MAX_PRINTED_CHARS) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if characters.next().is_some() {
            f.write_str("...")?;
        }
        Ok(())
    }
}
