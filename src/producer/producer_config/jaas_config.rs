//! Parses `sasl.jaas.config`: `LoginModule flag key=value ...;`. Java: `JaasConfig`, `JaasContext`.
//!
//! Differs from Java: a value of digits needs no quotes. A `/` outside of quotes that begins no
//! comment is an error; Java skips the rest of the line. A key that occurs twice is an error. No
//! error shows a value.

use std::fmt;

use crate::utils::Secret;

/// The single entry of the text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct JaasEntry {
    /// The class of the login module, such as `org.apache.kafka.common.security.plain.PlainLoginModule`.
    pub(super) login_module: String,
    options: Vec<(String, Secret)>,
}

/// Why the text cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JaasError(String);

impl fmt::Display for JaasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JaasError {}

impl JaasEntry {
    /// Parses the text of the key.
    ///
    /// # Errors
    ///
    /// Something is missing or malformed. The error has the position in the text.
    pub(super) fn parse(text: &str) -> Result<Self, JaasError> {
        let mut tokens = Tokenizer { rest: text, text };
        let entry = tokens.entry()?;
        match tokens.next()? {
            None => Ok(entry),
            Some(_) => {
                Err(tokens.error("there is more than one login module, and only one is allowed"))
            }
        }
    }

    /// Returns the value of an option.
    pub(super) fn option(&self, key: &str) -> Option<&str> {
        let mut options = self.options.iter();
        let (_, value) = options.find(|(name, _)| name == key)?;
        Some(value.expose())
    }

    /// Returns the options whose keys begin with `prefix`, by the rest of their keys.
    pub(super) fn options_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let options = self.options.iter();
        options.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.expose())))
    }

    /// Returns the SASL extensions (`extension_name="value"`).
    pub(super) fn extensions(&self) -> Vec<(String, String)> {
        let extensions = self.options_with("extension_");
        let owned = extensions.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.collect()
    }

    /// Returns the class without its package.
    pub(super) fn simple_name(&self) -> &str {
        let name = self.login_module.rsplit('.').next();
        name.unwrap_or(&self.login_module)
    }
}

/// Hides the values, which may be secrets.
impl fmt::Debug for JaasEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.options.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("JaasEntry")
            .field("login_module", &self.login_module)
            .field("keys", &keys)
            .finish()
    }
}

/// Returns a text as a quoted value.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[derive(Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(char),
}

struct Tokenizer<'a> {
    rest: &'a str,
    text: &'a str,
}

/// The flags of JAAS. With a single module they all mean the same.
const FLAGS: [&str; 4] = ["REQUIRED", "REQUISITE", "SUFFICIENT", "OPTIONAL"];

impl Tokenizer<'_> {
    fn entry(&mut self) -> Result<JaasEntry, JaasError> {
        let login_module = match self.next()? {
            Some(Token::Word(module)) if !module.is_empty() => module,
            _ => return Err(self.error("there is no login module")),
        };
        match self.next()? {
            Some(Token::Word(flag))
                if FLAGS.iter().any(|known| known.eq_ignore_ascii_case(&flag)) => {}
            _ => {
                return Err(self.error(
                    "the login module is not followed by required, requisite, sufficient or optional",
                ));
            }
        }
        let mut options: Vec<(String, Secret)> = Vec::new();
        loop {
            let key = match self.next()? {
                Some(Token::Symbol(';')) => break,
                Some(Token::Word(key)) if !key.is_empty() => key,
                None => return Err(self.error("the entry does not end with ';'")),
                Some(_) => return Err(self.error("an option has no key, or ';' is missing")),
            };
            let is_assigned = self.next()? == Some(Token::Symbol('='));
            let value = match self.next()? {
                Some(Token::Word(value)) if is_assigned => Secret::new(value),
                // What looks like a key may be a value without its closing quote.
                _ => {
                    return Err(self.error(
                        "an option has no value: expected key=value, and quotes around values",
                    ));
                }
            };
            if options.iter().any(|(known, _)| *known == key) {
                return Err(self.error("an option occurs twice"));
            }
            options.push((key, value));
        }
        Ok(JaasEntry {
            login_module,
            options,
        })
    }

    fn error(&self, reason: &str) -> JaasError {
        let read = self.text.len().saturating_sub(self.rest.len());
        JaasError(format!(
            "{reason} (at character {}; expected: LoginModule required key=\"value\" ...;)",
            self.text.get(..read).unwrap_or_default().chars().count()
        ))
    }

    /// Returns the next token. Java: `StreamTokenizer.nextToken`, as `JaasConfig` configures it.
    fn next(&mut self) -> Result<Option<Token>, JaasError> {
        self.skip_blanks_and_comments()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        if matches!(first, '"' | '\'') {
            self.advance(1);
            return self.quoted_text(first).map(|text| Some(Token::Word(text)));
        }
        let end = self.rest.find(|character| !is_word(character));
        let end = end.unwrap_or(self.rest.len());
        if end == 0 {
            self.advance(first.len_utf8());
            return Ok(Some(Token::Symbol(first)));
        }
        let word = self.rest.get(..end).unwrap_or_default().to_owned();
        self.advance(end);
        Ok(Some(Token::Word(word)))
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), JaasError> {
        loop {
            self.rest = self.rest.trim_start_matches(|character| character <= ' ');
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/");
                let end = end.ok_or_else(|| self.error("a comment does not end"))?;
                self.advance(end + 2);
            } else if self.rest.starts_with('/') {
                return Err(self.error("a '/' outside of quotes: put the value in quotes"));
            } else {
                return Ok(());
            }
        }
    }

    fn quoted_text(&mut self, quote: char) -> Result<String, JaasError> {
        let mut text = String::new();
        loop {
            let mut characters = self.rest.chars();
            let next = characters.next();
            match next {
                None | Some('\n' | '\r') => return Err(self.error("a quote is not closed")),
                Some(character) => {
                    self.rest = characters.as_str();
                    match character {
                        '\\' => text.push(self.escaped()?),
                        character if character == quote => return Ok(text),
                        character => text.push(character),
                    }
                }
            }
        }
    }

    /// Reads an escape as Java's `StreamTokenizer` does. Any other character stands for itself.
    fn escaped(&mut self) -> Result<char, JaasError> {
        let digits: String = self
            .rest
            .chars()
            .take_while(|digit| ('0'..='7').contains(digit))
            .take(match self.rest.starts_with(['0', '1', '2', '3']) {
                true => 3,
                false => 2,
            })
            .collect();
        if let Ok(code) = u8::from_str_radix(&digits, 8) {
            self.advance(digits.len());
            return Ok(char::from(code));
        }
        let mut characters = self.rest.chars();
        let Some(escape) = characters.next() else {
            return Err(self.error("a quote is not closed"));
        };
        self.rest = characters.as_str();
        Ok(match escape {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        })
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '.' | '-' | '_' | '$')
        || character >= '\u{a0}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::utils::mutations::mutated;

    fn parse(text: &str) -> JaasEntry {
        JaasEntry::parse(text).unwrap()
    }

    // Java: JaasContextTest.testConfigNoOptions, testControlFlag, testSingleOption, testMultipleOptions, testQuotedOptionValue.
    #[test]
    fn an_entry_is_read() {
        let entry = parse("test.testConfigNoOptions required;");
        assert_eq!(entry.login_module, "test.testConfigNoOptions");
        assert_eq!(entry.simple_name(), "testConfigNoOptions");
        for flag in ["REQUIRED", "Requisite", "sufficient", "optional"] {
            parse(&format!("Module {flag};"));
        }
        let entry = parse(
            "org.apache.kafka.common.security.plain.PlainLoginModule required \
             username=\"al ice\"\n  password='it\"s'\tserial=-12.5 plain=a_b-c$d;  ",
        );
        assert_eq!(entry.option("username"), Some("al ice"));
        assert_eq!(entry.option("password"), Some("it\"s"));
        assert_eq!(entry.option("serial"), Some("-12.5"));
        assert_eq!(entry.option("plain"), Some("a_b-c$d"));
        assert_eq!(entry.option("absent"), None);
        assert_eq!(
            entry.options_with("pla").collect::<Vec<_>>(),
            [("in", "a_b-c$d")]
        );
    }

    // Java: JaasContextTest.testQuotedOptionName, testCommentsInConfig... and StreamTokenizer's escapes.
    #[test]
    fn quotes_escapes_and_comments_are_those_of_java() {
        let entry =
            parse("M required \"a b\"=\"c=d;//e\" /* x=y; */ z=\"\\\"\\\\\\n\\t\\101\\x\"; // end");
        assert_eq!(entry.option("a b"), Some("c=d;//e"));
        assert_eq!(entry.option("z"), Some("\"\\\n\tAx"));
        assert_eq!(entry.option("x"), None);
    }

    // Java: JaasContextTest.testMissingOptionValue, testMissingSemicolon, testMissingLoginModule, testMissingControlFlag,
    // testInvalidControlFlag, testNumericOptionWithoutQuotes (allowed here), testLoadForClientWithMultipleModules.
    #[test]
    fn each_mistake_is_named_and_no_value_is_shown() {
        for (text, reason) in [
            ("", "no login module"),
            ("  // only a comment", "no login module"),
            ("M", "not followed by required"),
            ("M;", "not followed by required"),
            ("M username=\"hunter2\";", "not followed by required"),
            ("M required", "does not end with ';'"),
            ("M required password=\"hunter2\"", "does not end with ';'"),
            ("M required password;", "an option has no value"),
            ("M required password=;", "an option has no value"),
            ("M required password=", "an option has no value"),
            ("M required password \"hunter2\";", "an option has no value"),
            ("M required =\"hunter2\";", "an option has no key"),
            ("M required password=hun/ter2;", "'/' outside of quotes"),
            ("M required password=\"hunter2;", "a quote is not closed"),
            (
                "M required password=\"hunter2\n\";",
                "a quote is not closed",
            ),
            ("M required password=\"hunter2\\", "a quote is not closed"),
            (
                "M required /* password=\"hunter2\";",
                "a comment does not end",
            ),
            ("M required a=b a=\"hunter2\";", "occurs twice"),
            (
                "M required a=b; N required password=\"hunter2\";",
                "more than one login module",
            ),
        ] {
            let error = JaasEntry::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("unter2"), "{error}");
        }
        let entry = parse("M required password=\"hunter2\";");
        assert!(!format!("{entry:?}").contains("hunter2"));
    }

    #[test]
    fn any_changed_entry_is_read_or_refused() {
        let seeds = [
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"a;b\\\"c\";",
            "/* c */ M sufficient k='\\101\\u0041' // c\n l=\"\u{e9}\\n\" m=1;",
        ];
        for seed in seeds {
            parse(seed);
        }
        mutated(&seeds, 10_000, |text| {
            let text = String::from_utf8_lossy(text);
            if let Ok(entry) = JaasEntry::parse(&text) {
                let options = entry.options.iter();
                let length: usize = options
                    .map(|(key, value)| key.len() + value.expose().len())
                    .sum();
                assert!(length < text.len());
            }
        });
    }

    #[test]
    fn the_place_of_a_mistake_is_told() {
        let error = JaasEntry::parse("M required k;").unwrap_err().to_string();
        assert!(error.contains("(at character 13;"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_value_when_it_is_quoted(value in "\\PC*|[\\x00-\\x7f]*") {
            let entry = parse(&format!("M required k={};", quoted(&value)));
            prop_assert_eq!(entry.option("k"), Some(value.as_str()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[M a-z=;\"'/*\\\\\n0-9]{0,64}") {
            let _ = JaasEntry::parse(&text);
        }
    }
}
