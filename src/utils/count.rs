//! Counted nouns in a text: "1 record", "2 records".

use std::fmt;

/// Prints a count and its noun. Unless the count is 1, the noun gets an `s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<N>(pub(crate) N, pub(crate) &'static str);

impl<N: fmt::Display> fmt::Display for Count<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.to_string();
        let plural = if count == "1" { "" } else { "s" };
        write!(f, "{count} {}{plural}", self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noun_is_plural_unless_there_is_one() {
        let text = |count: u64| Count(count, "record").to_string();
        assert_eq!(
            [text(0), text(1), text(2)],
            ["0 records", "1 record", "2 records"]
        );
    }
}
