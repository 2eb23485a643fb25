//! Formats a peer's text for a log line or an error.

use std::fmt;

/// The most characters to print of a peer's text.
const MAX_PRINTED_CHARS: usize = 255;

/// Formats text from the wire for a log or an error: escapes control characters, and limits the
/// length.
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
