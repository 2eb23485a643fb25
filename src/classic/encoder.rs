//! Converts keys and values to bytes. Java: `kafka.serializer.Encoder`, `DefaultEncoder`,
//! `NullEncoder`, `StringEncoder`.

use super::error::{BoxError, Error, Result};

/// Converts a key or a value to bytes.
///
/// The producer calls it on one thread at a time: the caller in sync mode, the send thread in async
/// mode. It is not called for a null key or value.
pub trait Encoder<T: ?Sized>: Send {
    /// Returns the bytes to send; `None` is null.
    ///
    /// # Errors
    ///
    /// Any error. A sync producer returns it from `send`, and then sends nothing of that call. An
    /// async producer logs it and discards the message.
    fn to_bytes(&self, value: &T) -> Result<Option<Vec<u8>>, BoxError>;
}

/// Uses bytes as they are: `kafka.serializer.DefaultEncoder`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a value without parts")]
pub struct DefaultEncoder;

impl<T: AsRef<[u8]> + ?Sized> Encoder<T> for DefaultEncoder {
    fn to_bytes(&self, value: &T) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(Some(value.as_ref().to_vec()))
    }
}

/// Replaces every value by null: `kafka.serializer.NullEncoder`.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a value without parts")]
pub struct NullEncoder;

impl<T: ?Sized> Encoder<T> for NullEncoder {
    fn to_bytes(&self, _: &T) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(None)
    }
}

/// Encodes text: `kafka.serializer.StringEncoder`.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringEncoder(Charset);

/// The encodings that every Java runtime supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Charset {
    #[default]
    Utf8,
    Ascii,
    Latin1,
    /// Big-endian, with a byte order mark in front.
    Utf16,
    Utf16Be,
    Utf16Le,
}

impl StringEncoder {
    /// Creates an encoder for `serializer.encoding`. The default encoding is UTF-8.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for an encoding other than UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE or UTF-16LE.
    pub fn new(encoding: &str) -> Result<Self> {
        let charset = match encoding.to_ascii_uppercase().as_str() {
            "UTF8" | "UTF-8" => Charset::Utf8,
            "ASCII" | "US-ASCII" => Charset::Ascii,
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Charset::Latin1,
            "UTF-16" => Charset::Utf16,
            "UTF-16BE" => Charset::Utf16Be,
            "UTF-16LE" => Charset::Utf16Le,
            _ => {
                return Err(Error::config(format!(
                    "serializer.encoding: unknown encoding '{encoding}', valid values are UTF-8, US-ASCII, ISO-8859-1, \
                     UTF-16, UTF-16BE and UTF-16LE"
                )));
            }
        };
        Ok(Self(charset))
    }

    fn encode(self, text: &str) -> Vec<u8> {
        match self.0 {
            Charset::Utf8 => text.as_bytes().to_vec(),
            Charset::Ascii => single_bytes(text, 0x7f),
            Charset::Latin1 => single_bytes(text, 0xff),
            Charset::Utf16 => {
                let mut bytes = vec![0xfe, 0xff];
                bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
                bytes
            }
            Charset::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Charset::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }
}

/// Replaces unsupported characters by question marks, as Java's `String.getBytes` does.
fn single_bytes(text: &str, last: u8) -> Vec<u8> {
    let byte = |c| u8::try_from(u32::from(c)).ok().filter(|byte| *byte <= last);
    text.chars().map(|c| byte(c).unwrap_or(b'?')).collect()
}

impl<T: AsRef<str> + ?Sized> Encoder<T> for StringEncoder {
    fn to_bytes(&self, value: &T) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(Some(self.encode(value.as_ref())))
    }
}

/// The encoders that `serializer.class` and `key.serializer.class` can name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EncoderClass {
    Default,
    Null,
    String(StringEncoder),
}

impl EncoderClass {
    pub(crate) fn new(key: &str, class: &str, encoding: &str) -> Result<Self> {
        match class {
            "kafka.serializer.DefaultEncoder" => Ok(Self::Default),
            "kafka.serializer.NullEncoder" => Ok(Self::Null),
            "kafka.serializer.StringEncoder" => Ok(Self::String(StringEncoder::new(encoding)?)),
            _ => Err(Error::config(format!(
                "{key}: unknown class '{class}'; a program's own encoder is given to Producer::with_classes"
            ))),
        }
    }
}

impl<T: AsRef<[u8]> + ?Sized> Encoder<T> for EncoderClass {
    fn to_bytes(&self, value: &T) -> Result<Option<Vec<u8>>, BoxError> {
        match self {
            Self::Default => DefaultEncoder.to_bytes(value),
            Self::Null => NullEncoder.to_bytes(value),
            Self::String(encoder) => encoder.to_bytes(std::str::from_utf8(value.as_ref())?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encoding: &str, value: &str) -> Vec<u8> {
        let encoder = StringEncoder::new(encoding).unwrap();
        encoder.to_bytes(value).unwrap().unwrap()
    }

    #[test]
    fn text_is_encoded_as_java_encodes_it() {
        assert_eq!(text("UTF8", "a\u{e4}"), [b'a', 0xc3, 0xa4]);
        assert_eq!(text("utf-8", "a"), b"a");
        assert_eq!(text("ISO-8859-1", "\u{e4}\u{20ac}"), [0xe4, b'?']);
        assert_eq!(text("US-ASCII", "a\u{e4}"), *b"a?");
        assert_eq!(text("UTF-16", "a"), [0xfe, 0xff, 0, b'a']);
        assert_eq!(text("UTF-16BE", "a"), [0, b'a']);
        assert_eq!(text("UTF-16LE", "a"), [b'a', 0]);
        let error = StringEncoder::new("EBCDIC").unwrap_err();
        assert!(
            error.to_string().contains("unknown encoding 'EBCDIC'"),
            "{error}"
        );
    }

    #[test]
    fn classes_encode_bytes_and_refuse_what_they_cannot() {
        let class = |name| EncoderClass::new("serializer.class", name, "UTF8");
        let bytes = [0xffu8];
        let default = class("kafka.serializer.DefaultEncoder").unwrap();
        assert_eq!(default.to_bytes(&bytes).unwrap(), Some(vec![0xff]));
        let null = class("kafka.serializer.NullEncoder").unwrap();
        assert_eq!(null.to_bytes(&bytes).unwrap(), None);
        let string = class("kafka.serializer.StringEncoder").unwrap();
        assert_eq!(string.to_bytes("text").unwrap(), Some(b"text".to_vec()));
        assert!(string.to_bytes(&bytes).is_err());
        assert!(class("com.example.Mine").is_err());
    }
}
