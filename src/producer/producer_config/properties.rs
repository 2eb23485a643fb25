//! Parses Java's `.properties` format. Java: `Properties.load`.
//!
//! Differs from Java: the text is UTF-8. Java's ISO 8859-1 with escapes is a subset.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// Why a text is not a properties file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PropertiesError {
    MalformedEscape,
    LoneSurrogate,
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedEscape => f.write_str("\\u is not followed by four hexadecimal digits"),
            Self::LoneSurrogate => f.write_str("\\u escapes do not make a character"),
        }
    }
}

impl std::error::Error for PropertiesError {}

/// An entry, and the number of the line on which it begins, from 1.
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: String,
}

/// Returns the entries in the order of the file. A key that occurs twice appears twice.
///
/// # Errors
///
/// The first malformed entry: its line, and the reason.
pub(super) fn parse_entries(text: &str) -> Result<Vec<Entry>, (usize, PropertiesError)> {
    let lines = logical_lines(text);
    let entries = lines.iter().map(|(line, text)| match entry(text) {
        Ok((key, value)) => Ok(Entry {
            line: *line,
            key,
            value,
        }),
        Err(error) => Err((*line, error)),
    });
    entries.collect()
}

#[cfg(test)]
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, PropertiesError> {
    let entries = parse_entries(text).map_err(|(_, error)| error)?;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect())
}

/// Joins continued lines, and discards blank lines, comments and leading blanks. Each line comes
/// with the number of the natural line on which it begins.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut rest = text;
    let mut number = 0;
    let mut begun = 1;
    // Empty until a line has begun. A lone backslash adds nothing, and a comment may follow it.
    let mut line = String::new();
    while !rest.is_empty() {
        let (natural, after) = split_natural_line(rest);
        rest = after;
        number += 1;
        if line.is_empty() {
            begun = number;
        }
        let natural = natural.trim_start_matches(is_blank);
        // A comment is never continued, whatever its last character is.
        if line.is_empty() && natural.starts_with(['#', '!']) {
            continue;
        }
        line.push_str(natural);
        if ends_with_continuation(&line) {
            line.pop();
            // The end of the text ends the continuation. Even an empty line counts then.
            if rest.is_empty() {
                lines.push((begun, std::mem::take(&mut line)));
            }
        } else if !line.is_empty() {
            lines.push((begun, std::mem::take(&mut line)));
        }
    }
    if !line.is_empty() {
        lines.push((begun, line));
    }
    lines
}

/// Splits off the first line. Lines end with `\n`, `\r` or `\r\n`.
///
/// After a backslash at the end of the text, Java does not see `\r\n` as the end: it looks for more
/// after the `\r`. So the `\n` counts as an empty line there.
fn split_natural_line(text: &str) -> (&str, &str) {
    let Some((line, after)) = text.split_once(['\n', '\r']) else {
        return (text, "");
    };
    let is_carriage_return = text.as_bytes().get(line.len()) == Some(&b'\r');
    match after.strip_prefix('\n') {
        Some(rest) if is_carriage_return && !rest.is_empty() => (line, rest),
        _ => (line, after),
    }
}

/// Returns whether the next line continues this one. An even number of final backslashes are
/// escaped backslashes; with an odd number, the last one continues the line.
fn ends_with_continuation(line: &str) -> bool {
    let backslashes = line.len() - line.trim_end_matches('\\').len();
    backslashes % 2 == 1
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Splits a line into key and value. The key ends at the first unescaped blank, `=` or `:`; blanks
/// around that separator are skipped.
fn entry(line: &str) -> Result<(String, String), PropertiesError> {
    let mut rest = line.chars().peekable();
    let key = unescape(&mut rest, |c| is_blank(c) || c == '=' || c == ':')?;
    skip_blanks(&mut rest);
    if rest.next_if(|&c| c == '=' || c == ':').is_some() {
        skip_blanks(&mut rest);
    }
    let value = unescape(&mut rest, |_| false)?;
    Ok((key, value))
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|&c| is_blank(c)).is_some() {}
}

/// Reads up to an unescaped character for which `ends` is true, or to the end of the line.
fn unescape(
    rest: &mut Peekable<Chars<'_>>,
    ends: impl Fn(char) -> bool,
) -> Result<String, PropertiesError> {
    let mut text = String::new();
    while let Some(c) = rest.next_if(|&c| !ends(c)) {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('f') => text.push('\x0c'),
            Some('u') => text.push(unicode_escape(rest)?),
            Some(other) => text.push(other),
            None => {}
        }
    }
    Ok(text)
}

/// Reads the rest of a unicode escape. Characters beyond 16 bits are two escapes, as Java writes
/// them.
fn unicode_escape(rest: &mut Peekable<Chars<'_>>) -> Result<char, PropertiesError> {
    let mut units = vec![hex_unit(rest)?];
    if matches!(units.first(), Some(0xd800..=0xdbff)) {
        if rest.next() != Some('\\') || rest.next() != Some('u') {
            return Err(PropertiesError::LoneSurrogate);
        }
        units.push(hex_unit(rest)?);
    }
    let mut decoded = char::decode_utf16(units);
    match (decoded.next(), decoded.next()) {
        (Some(Ok(c)), None) => Ok(c),
        _ => Err(PropertiesError::LoneSurrogate),
    }
}

fn hex_unit(rest: &mut Peekable<Chars<'_>>) -> Result<u16, PropertiesError> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = rest.next().and_then(|c| c.to_digit(16));
        let digit = digit.and_then(|digit| u16::try_from(digit).ok());
        unit = unit << 4 | digit.ok_or(PropertiesError::MalformedEscape)?;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> (String, String) {
        let mut entries = parse(line).unwrap();
        assert_eq!(entries.len(), 1, "{line:?} -> {entries:?}");
        entries.pop().unwrap()
    }

    #[test]
    fn each_separator_ends_a_key() {
        for line in [
            "key=value",
            "key:value",
            "key value",
            "key\tvalue",
            "key = value",
            "  key  :  value",
            "key\x0c=value",
        ] {
            assert_eq!(one(line), ("key".into(), "value".into()), "{line:?}");
        }
        assert_eq!(one("key==value"), ("key".into(), "=value".into()));
        assert_eq!(one("key"), ("key".into(), String::new()));
        assert_eq!(one("key="), ("key".into(), String::new()));
        assert_eq!(one("=value"), (String::new(), "value".into()));
        // Blanks after the value are part of it.
        assert_eq!(one("key=value "), ("key".into(), "value ".into()));
    }

    #[test]
    fn comments_blank_lines_and_line_ends() {
        let text = "# a=1\r\n ! b=2 \\\nc=3\r\r\n\t\nd=4\\\\\ne=5";
        let expected = [("c", "3"), ("d", "4\\"), ("e", "5")];
        assert_eq!(
            parse(text).unwrap(),
            expected.map(|(k, v)| (k.into(), v.into()))
        );
    }

    #[test]
    fn a_backslash_continues_a_line() {
        assert_eq!(
            one("bootstrap.servers=a:1,\\\r\n    b:2,\\\n\tc:3"),
            ("bootstrap.servers".into(), "a:1,b:2,c:3".into())
        );
        // A comment character in a continued line is part of the value.
        assert_eq!(one("a=1\\\n#2"), ("a".into(), "1#2".into()));
        assert_eq!(one("a=1\\"), ("a".into(), "1".into()));
        assert_eq!(one("a=1\\\n\n"), ("a".into(), "1".into()));
    }

    /// The results are those of `java.util.Properties` in JDK 17.
    #[test]
    fn a_continued_line_that_is_empty_leaves_nothing_behind() {
        for text in [
            "\\\n# client.id=old\nclient.id=orders",
            "\\\r\n! client.id=old\r\nclient.id=orders",
            " \\\n\\\n\t#\\\nclient.id=orders",
            "\\\n\nclient.id=orders",
            "\\\n   client.id=orders\n",
            "client.id=orders\\\r\n",
        ] {
            assert_eq!(one(text), ("client.id".into(), "orders".into()), "{text:?}");
        }
        for nothing in ["\\\n#", "\\\n\n", "\\\r\n", "\\\n  "] {
            assert_eq!(parse(nothing).unwrap(), [], "{nothing:?}");
        }
        for empty_key in ["\\", "\\\n", "\\\r", "\\\n\\\n"] {
            assert_eq!(
                one(empty_key),
                (String::new(), String::new()),
                "{empty_key:?}"
            );
        }
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(one("a\\ b\\=c\\:=d"), ("a b=c:".into(), "d".into()));
        assert_eq!(one(r"a=\t\n\r\f\q\\"), ("a".into(), "\t\n\r\x0cq\\".into()));
        assert_eq!(
            one(r"a=\u00e9\u20AC"),
            ("a".into(), "\u{e9}\u{20ac}".into())
        );
        assert_eq!(one(r"a=\ud83d\ude00"), ("a".into(), "\u{1f600}".into()));
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for line in [
            r"a=\u12",
            r"a=\uzzzz",
            r"a=\u",
            "a=\\u00e\u{e9}",
            r"a=\ud83d\u12",
        ] {
            assert_eq!(parse(line), Err(PropertiesError::MalformedEscape), "{line}");
        }
        for line in [
            r"a=\ud83d",
            r"a=\ud83dx",
            r"a=\ude00",
            r"a=\ud83d\u0041",
            r"a=\ud83d\n",
        ] {
            assert_eq!(parse(line), Err(PropertiesError::LoneSurrogate), "{line}");
        }
    }
}
