//! The serializers that come with the library, in Java's wire forms. Java: `org.apache.kafka.common.serialization`.

use std::any::TypeId;
use std::error::Error as StdError;

use super::record_data::RecordData;
use super::serializer::{Serialized, Serializer};
use crate::common::{Headers, Uuid};

/// Bytes unchanged, and text as UTF-8. The default of a producer. Java: `ByteArraySerializer`,
/// which is an alias here. (Java's own `BytesSerializer` is for the class `Bytes`, which has no
/// counterpart.)
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesSerializer;

impl Serializer for BytesSerializer {
    type Input = [u8];

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a [u8],
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        Ok(data.into())
    }
}

/// Text as UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct StringSerializer;

impl Serializer for StringSerializer {
    type Input = str;

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        Ok(data.into())
    }
}

macro_rules! serializers {
    ($($(#[$doc:meta])* $name:ident: $input:ty, |$data:ident| $bytes:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default)]
            pub struct $name;

            impl Serializer for $name {
                type Input = $input;

                fn serialize<'a>(
                    &self,
                    _: &str,
                    _: &mut Headers,
                    $data: &'a $input,
                ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
                    Ok($bytes)
                }
            }
        )+
    };
}

serializers! {
    /// One byte: 1 or 0.
    BooleanSerializer: bool, |data| Serialized::copied_from(&[u8::from(*data)]);

    /// Two bytes, big-endian.
    ShortSerializer: i16, |data| Serialized::copied_from(&data.to_be_bytes());

    /// Four bytes, big-endian.
    IntegerSerializer: i32, |data| Serialized::copied_from(&data.to_be_bytes());

    /// Eight bytes, big-endian.
    LongSerializer: i64, |data| Serialized::copied_from(&data.to_be_bytes());

    /// Four bytes, IEEE 754, big-endian.
    FloatSerializer: f32, |data| Serialized::copied_from(&data.to_be_bytes());

    /// Eight bytes, IEEE 754, big-endian.
    DoubleSerializer: f64, |data| Serialized::copied_from(&data.to_be_bytes());

    /// The 36 characters of the usual form, in lower case: `01234567-89ab-cdef-fedc-ba9876543210`.
    UuidSerializer: Uuid, |data| Serialized::copied_from(&hyphenated(data));

    /// Always null, for records without keys or without values.
    VoidSerializer: (), |_data| Serialized::NULL;
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Formats an id as groups of 8, 4, 4, 4 and 12 hexadecimal digits.
fn hyphenated(id: &Uuid) -> [u8; 36] {
    let mut text = [b'-'; 36];
    let digits = id
        .as_bytes()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf]);
    let places = (0..36).filter(|place| ![8, 13, 18, 23].contains(place));
    for (place, digit) in places.zip(digits) {
        let digit = HEX_DIGITS.get(usize::from(digit)).copied();
        if let (Some(character), Some(digit)) = (text.get_mut(place), digit) {
            *character = digit;
        }
    }
    text
}

/// A list whose elements another serializer serializes. Java: `ListSerializer`.
///
/// As in Java, the lengths of the elements are left out if `S` is a serializer of this library with
/// a fixed length: [`ShortSerializer`], [`IntegerSerializer`], [`LongSerializer`],
/// [`FloatSerializer`], [`DoubleSerializer`], [`UuidSerializer`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ListSerializer<S>(S);

impl<S> ListSerializer<S> {
    /// Creates a serializer of lists of the type that `inner` takes.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S: Serializer + 'static> Serializer for ListSerializer<S> {
    type Input = [<S::Input as RecordData>::Owned];

    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Headers,
        data: &'a Self::Input,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        let same_length = has_same_length::<S>();
        let mut list = Vec::new();
        if same_length {
            list.push(CONSTANT_SIZE);
            list.extend(0i32.to_be_bytes()); // how many elements are null
        } else {
            list.push(VARIABLE_SIZE);
        }
        list.extend(length(data.len())?.to_be_bytes());
        for element in data {
            let element = self
                .0
                .serialize(topic, headers, std::borrow::Borrow::borrow(element))?;
            let bytes = element.as_bytes();
            if !same_length {
                let length = bytes.map_or(Ok(NULL_ELEMENT), |bytes| length(bytes.len()))?;
                list.extend(length.to_be_bytes());
            }
            list.extend_from_slice(bytes.unwrap_or_default());
        }
        Ok(list.into())
    }

    fn close(&self) {
        self.0.close();
    }
}

/// The first byte of a list, which identifies its form.
const CONSTANT_SIZE: u8 = 0;
const VARIABLE_SIZE: u8 = 1;

const NULL_ELEMENT: i32 = -1;

fn has_same_length<S: 'static>() -> bool {
    let same_length = [
        TypeId::of::<ShortSerializer>(),
        TypeId::of::<IntegerSerializer>(),
        TypeId::of::<LongSerializer>(),
        TypeId::of::<FloatSerializer>(),
        TypeId::of::<DoubleSerializer>(),
        TypeId::of::<UuidSerializer>(),
    ];
    same_length.contains(&TypeId::of::<S>())
}

fn length(length: usize) -> Result<i32, Box<dyn StdError + Send + Sync>> {
    i32::try_from(length).map_err(|_| "a list is longer than 2147483647 bytes or elements".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<S: Serializer>(serializer: S, data: &S::Input) -> String {
        let serialized = serializer
            .serialize("t", &mut Headers::new(), data)
            .unwrap();
        let bytes = serialized.as_bytes();
        bytes.map_or_else(
            || "null".into(),
            |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        )
    }

    // The expected bytes come from the serializers of Kafka 4.3.1.

    #[test]
    fn numbers_have_the_bytes_of_java() {
        assert_eq!(hex(BooleanSerializer, &true), "01");
        assert_eq!(hex(BooleanSerializer, &false), "00");
        assert_eq!(hex(ShortSerializer, &-2), "fffe");
        assert_eq!(hex(ShortSerializer, &i16::MIN), "8000");
        assert_eq!(hex(IntegerSerializer, &-2), "fffffffe");
        assert_eq!(hex(IntegerSerializer, &i32::MAX), "7fffffff");
        assert_eq!(hex(LongSerializer, &-2), "fffffffffffffffe");
        assert_eq!(hex(LongSerializer, &i64::MIN), "8000000000000000");
        assert_eq!(hex(FloatSerializer, &0.5), "3f000000");
        assert_eq!(hex(FloatSerializer, &f32::MAX), "7f7fffff");
        assert_eq!(hex(DoubleSerializer, &0.1), "3fb999999999999a");
        assert_eq!(
            hex(DoubleSerializer, &f64::NEG_INFINITY),
            "fff0000000000000"
        );
    }

    #[test]
    fn text_bytes_and_nothing_are_serialized_as_java_does() {
        assert_eq!(
            hex(StringSerializer, "gr\u{fc}\u{df} \u{1f600}"),
            "6772c3bcc39f20f09f9880"
        );
        assert_eq!(hex(BytesSerializer, &[0, 255]), "00ff");
        assert_eq!(hex(VoidSerializer, &()), "null");
    }

    #[test]
    fn a_uuid_is_serialized_as_text() {
        let id = Uuid::from_bytes(0x0123456789abcdeffedcba9876543210u128.to_be_bytes());
        let serialized = UuidSerializer
            .serialize("t", &mut Headers::new(), &id)
            .unwrap();
        let expected = "01234567-89ab-cdef-fedc-ba9876543210";
        assert_eq!(serialized.as_bytes(), Some(expected.as_bytes()));
    }

    // Java: ListSerializerTest and ListDeserializerTest work on these forms.
    #[test]
    fn lists_have_the_bytes_of_java() {
        let integers = ListSerializer::new(IntegerSerializer);
        assert_eq!(
            hex(integers, &[1, -2]),
            "00000000000000000200000001fffffffe"
        );
        assert_eq!(hex(integers, &[]), "000000000000000000");
        let strings = ListSerializer::new(StringSerializer);
        let elements = ["a", "", "bc"].map(String::from);
        assert_eq!(
            hex(strings, &elements),
            "0100000003000000016100000000000000026263"
        );
        assert_eq!(hex(strings, &[]), "0100000000");
        let booleans = ListSerializer::new(BooleanSerializer);
        assert_eq!(
            hex(booleans, &[true, false]),
            "010000000200000001010000000100"
        );
        let ids = ListSerializer::new(UuidSerializer);
        let one_two = Uuid::from_bytes((1u128 << 64 | 2).to_be_bytes());
        assert_eq!(
            hex(ids, &[one_two]),
            "00000000000000000130303030303030302d303030302d303030312d303030302d303030303030303030303032"
        );
    }

    #[test]
    fn null_elements_of_a_list_are_kept() {
        struct EmptyIsNull;
        impl Serializer for EmptyIsNull {
            type Input = str;
            fn serialize<'a>(
                &self,
                _: &str,
                _: &mut Headers,
                data: &'a str,
            ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
                Ok((!data.is_empty()).then_some(data).into())
            }
        }
        let elements = ["a", ""].map(String::from);
        let list = ListSerializer::new(EmptyIsNull);
        assert_eq!(hex(list, &elements), "01000000020000000161ffffffff");
    }
}
