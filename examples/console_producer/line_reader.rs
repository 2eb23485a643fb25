//! Converts a line to a record. Java: `LineMessageReader` of Kafka's tools, with its properties.
//!
//! `headers <headers.delimiter> key <key.separator> value`. `parse.headers` and `parse.key` say
//! which parts a line has.
//!
//! Differs from Java: keys and values are bytes and need not be UTF-8; `headers.separator` is text
//! and not a pattern; no separator may be empty.

use kafka_producer::ProducerRecord;
use kafka_producer::common::{Header, Headers};

pub(crate) struct LineReader {
    parse_key: bool,
    parse_headers: bool,
    ignore_error: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
    line_number: u64,
}

impl LineReader {
    pub(crate) fn new(properties: &[(String, String)]) -> Result<Self, String> {
        let mut reader = Self {
            parse_key: false,
            parse_headers: false,
            ignore_error: false,
            key_separator: "\t".to_owned(),
            headers_delimiter: "\t".to_owned(),
            headers_separator: ",".to_owned(),
            headers_key_separator: ":".to_owned(),
            null_marker: None,
            line_number: 0,
        };
        for (key, value) in properties {
            let is_true = value.trim().eq_ignore_ascii_case("true");
            match key.as_str() {
                "parse.key" => reader.parse_key = is_true,
                "parse.headers" => reader.parse_headers = is_true,
                "ignore.error" => reader.ignore_error = is_true,
                "key.separator" => reader.key_separator.clone_from(value),
                "headers.delimiter" => reader.headers_delimiter.clone_from(value),
                "headers.separator" => reader.headers_separator.clone_from(value),
                "headers.key.separator" => reader.headers_key_separator.clone_from(value),
                "null.marker" => reader.null_marker = Some(value.clone()),
                _ => return Err(format!("--property {key} is not known")),
            }
        }
        reader.check_separators()?;
        Ok(reader)
    }

    /// Fails if two separators are equal, because the parts of a line could not be told apart. The
    /// key's separator may equal that of the headers.
    fn check_separators(&self) -> Result<(), String> {
        let marks = [
            ("headers.delimiter", Some(&self.headers_delimiter)),
            ("headers.separator", Some(&self.headers_separator)),
            ("headers.key.separator", Some(&self.headers_key_separator)),
            ("null.marker", self.null_marker.as_ref()),
            ("key.separator", Some(&self.key_separator)),
        ];
        for (index, (name, mark)) in marks.iter().enumerate() {
            if mark.is_some_and(|mark| mark.is_empty()) && *name != "null.marker" {
                return Err(format!("{name} may not be empty"));
            }
            for (other_name, other) in marks.iter().skip(index + 1) {
                let matters = *other_name != "key.separator" || *name == "null.marker";
                if matters && mark.is_some() && mark == other {
                    return Err(format!("{name} and {other_name} may not be equal"));
                }
            }
        }
        Ok(())
    }

    /// Returns the record of a line without its line end.
    pub(crate) fn record<'a>(
        &mut self,
        topic: &'a str,
        line: &'a [u8],
    ) -> Result<ProducerRecord<'a>, String> {
        self.line_number += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (headers, line) = self.part(
            self.parse_headers,
            line,
            &self.headers_delimiter,
            "headers delimiter",
        )?;
        let (key, value) = self.part(self.parse_key, line, &self.key_separator, "key separator")?;
        let mut record = ProducerRecord::new(topic, self.unless_null(value));
        if let Some(key) = key.and_then(|key| self.unless_null(key)) {
            record = record.key(key);
        }
        if let Some(headers) = headers.and_then(|headers| self.unless_null(headers)) {
            record.headers = self.headers(headers)?;
        }
        Ok(record)
    }

    /// Splits off the part before the separator, if the line has that part. Returns it and the
    /// rest.
    fn part<'a>(
        &self,
        is_expected: bool,
        line: &'a [u8],
        mark: &str,
        name: &str,
    ) -> Result<(Option<&'a [u8]>, &'a [u8]), String> {
        if !is_expected {
            return Ok((None, line));
        }
        match split_once(line, mark.as_bytes()) {
            Some((part, rest)) => Ok((Some(part), rest)),
            None if self.ignore_error => Ok((None, line)),
            None => {
                let (number, line) = (self.line_number, String::from_utf8_lossy(line));
                Err(format!("no {name} found on line number {number}: '{line}'"))
            }
        }
    }

    fn headers(&self, mut text: &[u8]) -> Result<Headers, String> {
        let mut headers = Headers::new();
        loop {
            let (pair, rest) = match split_once(text, self.headers_separator.as_bytes()) {
                Some((pair, rest)) => (pair, Some(rest)),
                None => (text, None),
            };
            headers.extend([self.header(pair)?]);
            match rest {
                Some(rest) => text = rest,
                None => return Ok(headers),
            }
        }
    }

    fn header(&self, pair: &[u8]) -> Result<Header, String> {
        let number = self.line_number;
        let (key, value) = match split_once(pair, self.headers_key_separator.as_bytes()) {
            Some((key, value)) => (key, self.unless_null(value)),
            None if self.ignore_error => (pair, None),
            None => {
                let pair = String::from_utf8_lossy(pair);
                return Err(format!(
                    "no header key separator in '{pair}' on line number {number}"
                ));
            }
        };
        let Some(key) = self.unless_null(key) else {
            return Err(format!(
                "a header's key on line number {number} is the null marker"
            ));
        };
        let key = std::str::from_utf8(key)
            .map_err(|_| format!("a header's key on line number {number} is not UTF-8"))?;
        Ok(Header::new(key, value))
    }

    fn unless_null<'a>(&self, part: &'a [u8]) -> Option<&'a [u8]> {
        let is_null = self
            .null_marker
            .as_ref()
            .is_some_and(|marker| marker.as_bytes() == part);
        (!is_null).then_some(part)
    }
}

/// Returns what is before and after the first `mark`. `mark` is not empty.
fn split_once<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}
