//! The conversion of keys and values into bytes. Java: `Serializer`.
//!
//! Differs from Java: the input is an associated type, because a producer has one type of key and
//! one of value. Null never reaches a serializer; it is null on the wire. There is no `configure`,
//! because a serializer is a value that is configured when it is created.

use std::borrow::Cow;
use std::error::Error as StdError;

use super::record_data::RecordData;
use super::user_code::{contain, user_error};
use crate::common::Headers;
use crate::error::{Error, ErrorKind, Result};

/// Converts keys or values into bytes. All threads that send share one serializer.
///
/// ```
/// use kafka_producer::common::Headers;
/// use kafka_producer::{Serialized, Serializer};
///
/// struct Point(i32, i32);
/// struct PointSerializer;
///
/// impl Serializer for PointSerializer {
///     type Input = Point;
///
///     fn serialize<'a>(
///         &self,
///         _topic: &str,
///         headers: &mut Headers,
///         point: &'a Point,
///     ) -> Result<Serialized<'a>, Box<dyn std::error::Error + Send + Sync>> {
///         headers.add("format", "text");
///         Ok(format!("{},{}", point.0, point.1).into_bytes().into())
///     }
/// }
/// ```
pub trait Serializer: Send + Sync {
    /// The type that is serialized.
    type Input: RecordData + ?Sized + 'static;

    /// Converts `data` into bytes, borrowed from it if possible. May add headers to the record.
    ///
    /// # Errors
    ///
    /// Any error that says why the record cannot be sent. `send` fails with it as the cause of an
    /// error of the kind [`Serialization`](crate::ErrorKind::Serialization).
    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        data: &'a Self::Input,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>>;

    /// Called once, when the producer is closed or dropped. After a `close` inside a callback, the
    /// next `close` or the drop calls it.
    fn close(&self) {}
}

/// The output of a serializer: bytes, or null. A few bytes are stored inline, so a number needs no
/// allocation.
#[derive(Clone, Debug)]
pub struct Serialized<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Null,
    InPlace { bytes: [u8; IN_PLACE], len: u8 },
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

/// The length of a uuid's text.
const IN_PLACE: usize = 36;

impl<'a> Serialized<'a> {
    /// Null, which differs from an empty slice. A null value is a tombstone.
    pub const NULL: Self = Self(Form::Null);

    /// Copies the bytes. At most 36 bytes need no allocation.
    pub fn copied_from(bytes: &[u8]) -> Self {
        let mut in_place = [0; IN_PLACE];
        match (in_place.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(target), Ok(len)) => {
                target.copy_from_slice(bytes);
                Self(Form::InPlace {
                    bytes: in_place,
                    len,
                })
            }
            _ => Self(Form::Owned(bytes.to_vec())),
        }
    }

    /// Returns the bytes. `None` is null.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Null => None,
            Form::InPlace { bytes, len } => bytes.get(..usize::from(*len)),
            Form::Borrowed(bytes) => Some(bytes),
            Form::Owned(bytes) => Some(bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Serialized<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Form::Borrowed(bytes))
    }
}

impl<'a> From<&'a str> for Serialized<'a> {
    fn from(text: &'a str) -> Self {
        Self(Form::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Serialized<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Form::Owned(bytes))
    }
}

impl From<String> for Serialized<'_> {
    fn from(text: String) -> Self {
        Self(Form::Owned(text.into_bytes()))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Serialized<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => bytes.into(),
            Cow::Owned(bytes) => bytes.into(),
        }
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Serialized<'a> {
    fn from(data: Option<T>) -> Self {
        data.map_or(Self::NULL, Into::into)
    }
}

/// Serializes a record's key or value (`what`) with the user's serializer.
///
/// # Errors
///
/// [`ErrorKind::Serialization`] if the serializer fails or panics.
pub(crate) fn serialize<'a, S: Serializer + ?Sized>(
    serializer: &S,
    what: &'static str,
    topic: &str,
    headers: &mut Headers,
    data: Option<&'a S::Input>,
) -> Result<Serialized<'a>> {
    let Some(data) = data else {
        return Ok(Serialized::NULL);
    };
    let failed = || format!("the {what} of a record for topic {topic} cannot be serialized");
    match contain("the serializer", || {
        serializer.serialize(topic, headers, data)
    }) {
        Ok(Ok(serialized)) => Ok(serialized),
        Ok(Err(cause)) => Err(user_error(ErrorKind::Serialization, failed(), cause)),
        Err(panic) => Err(Error::new(ErrorKind::Serialization, failed()).caused_by(panic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_empty() {
        assert_eq!(Serialized::NULL.as_bytes(), None);
        assert_eq!(Serialized::from(None::<&[u8]>).as_bytes(), None);
        assert_eq!(Serialized::copied_from(b"").as_bytes(), Some(&b""[..]));
        assert_eq!(Serialized::from("").as_bytes(), Some(&b""[..]));
    }

    #[test]
    fn copies_of_every_length_are_whole() {
        let bytes: Vec<u8> = (0..60).collect();
        for len in 0..bytes.len() {
            let copy = Serialized::copied_from(&bytes[..len]);
            assert_eq!(copy.as_bytes(), Some(&bytes[..len]));
            assert_eq!(matches!(copy.0, Form::InPlace { .. }), len <= IN_PLACE);
        }
    }

    #[test]
    fn what_a_serializer_says_is_the_cause() {
        struct Refusing;
        impl Serializer for Refusing {
            type Input = str;
            fn serialize<'a>(
                &self,
                _: &str,
                _: &mut Headers,
                data: &'a str,
            ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
                assert_ne!(data, "panic");
                Err(data.into())
            }
        }
        let mut headers = Headers::new();
        let mut failure =
            |data| serialize(&Refusing, "value", "orders", &mut headers, Some(data)).unwrap_err();
        let error = failure("no schema");
        assert_eq!(error.kind(), ErrorKind::Serialization);
        assert!(
            error
                .to_string()
                .contains("value of a record for topic orders"),
            "{error}"
        );
        assert_eq!(error.source().unwrap().to_string(), "no schema");
        let error = failure("panic");
        assert_eq!(error.kind(), ErrorKind::Serialization);
        assert!(error.source().unwrap().to_string().contains("panicked"));
        let null = serialize(&Refusing, "key", "orders", &mut headers, None).unwrap();
        assert_eq!(null.as_bytes(), None);
    }
}
