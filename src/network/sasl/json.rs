//! A small JSON parser, for the claims of tokens.

use zeroize::Zeroizing;

use crate::utils::Secret;

/// A JSON value. Objects keep their order. A text may be a token or a secret key: it is not printed, and overwritten when it
/// is dropped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it was written. No other type keeps every digit.
    Number(String),
    Text(Secret),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// The deepest nesting. Claims are flat.
const MAX_DEPTH: usize = 16;

impl Json {
    /// Parses a text. Returns `None` if it is not one JSON value.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let value = parser.value(0)?;
        parser.skip_blanks();
        parser.rest.is_empty().then_some(value)
    }

    /// Returns the last member of this name, as RFC 7519 requires for claims.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .rfind(|(member, _)| member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    #[cfg(feature = "oauth-oidc")]
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.expose()),
            _ => None,
        }
    }

    /// Returns the JSON text, or `None` if a number is too large for JSON parsers.
    #[cfg(feature = "oauth-oidc")]
    pub(super) fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => {
                let value: f64 = number.parse().ok()?;
                value.is_finite().then(|| number.clone())?
            }
            Self::Text(text) => json_text(text.expose()),
            Self::List(values) => {
                let values: Option<Vec<_>> = values.iter().map(Self::to_text).collect();
                format!("[{}]", values?.join(","))
            }
            Self::Object(members) => {
                let members: Option<Vec<_>> = members
                    .iter()
                    .map(|(name, value)| Some(format!("{}:{}", json_text(name), value.to_text()?)))
                    .collect();
                format!("{{{}}}", members?.join(","))
            }
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_blanks();
        match self.rest.chars().next()? {
            '{' => self.object(depth),
            '[' => self.list(depth),
            '"' => self.text().map(|text| Json::Text(text.into())),
            't' => self.take("true").map(|()| Json::Bool(true)),
            'f' => self.take("false").map(|()| Json::Bool(false)),
            'n' => self.take("null").map(|()| Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.take("{")?;
        let mut members = Vec::new();
        if self.take("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            let name = self.text()?;
            self.take(":")?;
            members.push((name.to_string(), self.value(depth + 1)?));
            if self.take(",").is_none() {
                self.take("}")?;
                return Some(Json::Object(members));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.take("[")?;
        let mut values = Vec::new();
        if self.take("]").is_some() {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.take(",").is_none() {
                self.take("]")?;
                return Some(Json::List(values));
            }
        }
    }

    fn text(&mut self) -> Option<Zeroizing<String>> {
        self.take("\"")?;
        // An escape is longer than what it stands for. So the text never moves, which would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(self.text_length()?));
        loop {
            let mut characters = self.rest.chars();
            let character = characters.next()?;
            self.rest = characters.as_str();
            match character {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                '\0'..='\u{1f}' => return None,
                character => text.push(character),
            }
        }
    }

    /// The bytes before the quote that ends a text.
    fn text_length(&self) -> Option<usize> {
        let mut is_escaped = false;
        self.rest.bytes().position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        })
    }

    fn escaped(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let escape = characters.next()?;
        self.rest = characters.as_str();
        Some(match escape {
            '"' | '\\' | '/' => escape,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = self.unit()?;
                if !(0xd800..0xdc00).contains(&unit) {
                    return char::from_u32(unit);
                }
                self.rest = self.rest.strip_prefix("\\u")?;
                let low = self.unit()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return None;
                }
                char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn number(&mut self) -> Option<Json> {
        let is_part = |character: char| {
            character.is_ascii_digit() || matches!(character, '-' | '+' | '.' | 'e' | 'E')
        };
        let end = self.rest.find(|character| !is_part(character));
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        is_number(number).then(|| Json::Number(number.to_owned()))
    }
}

/// Returns whether the text is a number by RFC 8259, section 6.
fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.strip_prefix(['+', '-']).or(Some(exponent))),
        None => (digits, None),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    let mut others = fraction.into_iter().chain(exponent);
    is_digits(whole) && !has_leading_zero && others.all(is_digits)
}

/// Returns a text as a JSON string.
pub(crate) fn json_text(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..='\u{1f}' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            character => json.push(character),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::utils::mutations::mutated;

    #[test]
    fn parse_reads_every_kind_of_value() {
        let json = Json::parse(
            " {\"exp\":1.5e9, \"sub\" : \"a\\u00e4\\ud83d\\ude00\\n\",\"scope\":[\"x\",\"y\"],\"o\":{},\"l\":[],\
             \"t\":true,\"f\":false,\"n\":null} ",
        )
        .unwrap();
        assert_eq!(json.member("exp"), Some(&Json::Number("1.5e9".to_owned())));
        let sub = Json::Text(Secret::new("a\u{e4}\u{1f600}\n"));
        assert_eq!(json.member("sub"), Some(&sub));
        let scope = ["x", "y"].map(|text| Json::Text(Secret::new(text)));
        assert_eq!(json.member("scope"), Some(&Json::List(scope.to_vec())));
        assert_eq!(json.member("t"), Some(&Json::Bool(true)));
        assert_eq!(json.member("absent"), None);
    }

    // Java: Jackson, which reads integers of any size.
    #[test]
    fn a_number_keeps_its_digits() {
        for number in [
            "0",
            "-0",
            "9007199254740993",
            "-12345678901234567890123",
            "0.10000000000000000001",
            "1E+2",
            "0.5e-7",
        ] {
            let json = Json::parse(&format!(" {number} "));
            assert_eq!(json, Some(Json::Number(number.to_owned())));
        }
    }

    // RFC 7519, section 4. Java: Jackson.
    #[test]
    fn the_last_of_several_members_counts() {
        let json = Json::parse(r#"{"exp":1,"sub":"a","exp":2}"#).unwrap();
        assert_eq!(json.member("exp"), Some(&Json::Number("2".to_owned())));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "{\"a\":1",
            "{\"a\":1}x",
            "[1,]",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\ue000\"",
            "\"\\u12\"",
            "tru",
            "-",
            "1e",
            "1e+",
            "1.",
            ".5",
            "+1",
            "-01",
            "1.5.5",
            "1e5e5",
            "1-1",
            "{a:1}",
            "\"\n\"",
        ] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Json::parse(&deep), None);
    }

    #[test]
    fn a_text_is_not_printed_and_leaves_no_copy_behind() {
        let json = Json::parse(r#"{"access_token":"hunter2"}"#).unwrap();
        assert!(!format!("{json:?}").contains("hunter2"));
        for text in ["", r#"\u0041\\\""#, r"\ud83d\ude00\/", "\u{1f600}\u{e4}a"] {
            let quoted = format!("\"{}\",1", text.repeat(100));
            let mut parser = Parser { rest: &quoted };
            let read = parser.text().unwrap();
            assert_eq!(read.capacity(), text.len() * 100, "{text}");
            assert!(read.len() <= read.capacity() && parser.rest == ",1");
        }
    }

    /// Values are what they were when they are written and read again.
    #[test]
    fn any_changed_value_is_read_or_refused() {
        let seeds = [
            r#"{"sub":"alice","exp":1900000000.5,"scope":["a","b"],"nested":[[[{"a":-1.5e300}]]]}"#,
            r#"[true,false,null,"\u0041\ud83d\ude00\n\"",{},[],0,-1]"#,
        ];
        for seed in seeds {
            assert!(Json::parse(seed).is_some(), "{seed}");
        }
        mutated(&seeds, 5_000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(json) = Json::parse(&text) else {
                return;
            };
            _ = json.member("sub");
            #[cfg(feature = "oauth-oidc")]
            if let Some(written) = json.to_text() {
                assert_eq!(Json::parse(&written), Some(json), "{text}");
            }
        });
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:\\\\u0-9a-f\\-+.eE ]{0,64}") {
            let _ = Json::parse(&text);
        }
    }
}
