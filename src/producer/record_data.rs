//! A record's key or value, and the types that convert into one. Java: the type parameters of
//! `ProducerRecord`.

use std::borrow::{Borrow, Cow};
use std::fmt;

use crate::sync::Arc;

/// A type that can be a record's key or value. Every sized type is one, and so are `[T]` and `str`.
pub trait RecordData {
    /// The type in which a record stores data that was passed by value.
    type Owned: Borrow<Self>;
}

impl<T> RecordData for T {
    type Owned = T;
}

impl<T> RecordData for [T] {
    type Owned = Vec<T>;
}

impl RecordData for str {
    type Owned = String;
}

/// A record's key or value: null, borrowed, or owned.
#[expect(
    clippy::exhaustive_enums,
    reason = "data is there or not, and somebody owns it"
)]
pub enum Data<'a, T: RecordData + ?Sized> {
    /// Null. Its length on the wire is -1.
    Null,
    /// Borrowed data.
    Borrowed(&'a T),
    /// Data that the record owns.
    Owned(T::Owned),
}

impl<T: RecordData + ?Sized> Data<'_, T> {
    /// Returns the data. `None` is null.
    pub fn as_ref(&self) -> Option<&T> {
        match self {
            Self::Null => None,
            Self::Borrowed(data) => Some(data),
            Self::Owned(data) => Some(data.borrow()),
        }
    }

    /// Returns `true` if this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(super) fn reborrow(&self) -> Data<'_, T> {
        self.as_ref().map_or(Data::Null, Data::Borrowed)
    }
}

impl<T: RecordData<Owned: Clone> + ?Sized> Clone for Data<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Null => Self::Null,
            Self::Borrowed(data) => Self::Borrowed(data),
            Self::Owned(data) => Self::Owned(data.clone()),
        }
    }
}

/// Borrowed and owned data are equal when the data is.
impl<T: RecordData + PartialEq + ?Sized> PartialEq for Data<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl<T: RecordData + fmt::Debug + ?Sized> fmt::Debug for Data<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_ref() {
            None => f.write_str("null"),
            Some(data) => data.fmt(f),
        }
    }
}

/// A key or value of type `T`: a `T` or `&T`, a type that holds one, or an `Option` of these.
/// `None` is null. A bare `None` has no type: omit the key, or create a
/// [tombstone](super::ProducerRecord::tombstone).
///
/// Data that is passed by reference is never copied. The data of an `Arc` is copied, because a
/// record cannot share it. Pass `&*data` to avoid the copy.
///
/// With the feature `bytes`, `bytes::Bytes` converts to bytes. With the feature `uuid`,
/// `uuid::Uuid` converts to [`Uuid`](crate::common::Uuid).
pub trait IntoData<'a, T: RecordData + ?Sized> {
    /// Converts this into a key or value of a record.
    fn into_data(self) -> Data<'a, T>;
}

impl<'a, T: RecordData + ?Sized> IntoData<'a, T> for Data<'a, T> {
    fn into_data(self) -> Self {
        self
    }
}

impl<'a, T: RecordData + ?Sized> IntoData<'a, T> for &'a T {
    fn into_data(self) -> Data<'a, T> {
        Data::Borrowed(self)
    }
}

impl<'a, T> IntoData<'a, T> for T {
    fn into_data(self) -> Data<'a, T> {
        Data::Owned(self)
    }
}

impl<'a, T: RecordData + ?Sized> IntoData<'a, T> for Option<&'a T> {
    fn into_data(self) -> Data<'a, T> {
        self.map_or(Data::Null, Data::Borrowed)
    }
}

impl<'a, T> IntoData<'a, T> for Option<T> {
    fn into_data(self) -> Data<'a, T> {
        self.map_or(Data::Null, Data::Owned)
    }
}

/// Implements the conversion for an equivalent type, and for an `Option` of it.
macro_rules! into_data {
    ($([$($generics:tt)*] $source:ty as $target:ty, |$data:ident| $into:expr;)+) => {
        $(
            impl<'a, $($generics)*> IntoData<'a, $target> for $source {
                fn into_data(self) -> Data<'a, $target> {
                    let $data = self;
                    $into
                }
            }

            impl<'a, $($generics)*> IntoData<'a, $target> for Option<$source> {
                fn into_data(self) -> Data<'a, $target> {
                    self.map_or(Data::Null, |$data| $into)
                }
            }
        )+
    };
}

into_data! {
    [] &'a str as [u8], |text| Data::Borrowed(text.as_bytes());
    [] String as [u8], |text| Data::Owned(text.into_bytes());
    [] &'a String as [u8], |text| Data::Borrowed(text.as_bytes());
    [] Cow<'a, str> as [u8], |text| match text {
        Cow::Borrowed(text) => Data::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Data::Owned(text.into_bytes()),
    };
    [] Cow<'a, [u8]> as [u8], |bytes| match bytes {
        Cow::Borrowed(bytes) => Data::Borrowed(bytes),
        Cow::Owned(bytes) => Data::Owned(bytes),
    };
    [] Box<str> as [u8], |text| Data::Owned(String::from(text).into_bytes());
    [] &'a Box<str> as [u8], |text| Data::Borrowed(text.as_bytes());
    [] Arc<str> as [u8], |text| Data::Owned(text.as_bytes().to_vec());
    [] &'a Arc<str> as [u8], |text| Data::Borrowed(text.as_bytes());
    [] &'a Cow<'a, str> as [u8], |text| Data::Borrowed(text.as_bytes());
    [T] Box<[T]> as [T], |items| Data::Owned(items.into_vec());
    [T] &'a Box<[T]> as [T], |items| Data::Borrowed(items);
    [T: Clone] Arc<[T]> as [T], |items| Data::Owned(items.to_vec());
    [T] &'a Arc<[T]> as [T], |items| Data::Borrowed(items);
    [T] Vec<T> as [T], |items| Data::Owned(items);
    [T] &'a Vec<T> as [T], |items| Data::Borrowed(items);
    [T, const N: usize] [T; N] as [T], |items| Data::Owned(items.into());
    [T, const N: usize] &'a [T; N] as [T], |items| Data::Borrowed(items);
    [] String as str, |text| Data::Owned(text);
    [] &'a String as str, |text| Data::Borrowed(text);
    [] Cow<'a, str> as str, |text| match text {
        Cow::Borrowed(text) => Data::Borrowed(text),
        Cow::Owned(text) => Data::Owned(text),
    };
    [] Box<str> as str, |text| Data::Owned(text.into());
    [] &'a Box<str> as str, |text| Data::Borrowed(text);
    [] Arc<str> as str, |text| Data::Owned(String::from(&*text));
    [] &'a Arc<str> as str, |text| Data::Borrowed(text);
    [] &'a Cow<'a, str> as str, |text| Data::Borrowed(text);
}

#[cfg(feature = "bytes")]
into_data! {
    [] bytes::Bytes as [u8], |bytes| Data::Owned(bytes.into());
    [] &'a bytes::Bytes as [u8], |bytes| Data::Borrowed(bytes);
    [] bytes::BytesMut as [u8], |bytes| Data::Owned(bytes.into());
    [] &'a bytes::BytesMut as [u8], |bytes| Data::Borrowed(bytes);
}

#[cfg(feature = "uuid")]
into_data! {
    [] uuid::Uuid as crate::common::Uuid, |id| Data::Owned(id.into());
    [] &'a uuid::Uuid as crate::common::Uuid, |id| Data::Owned((*id).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<'a>(data: impl IntoData<'a, [u8]>) -> Data<'a, [u8]> {
        data.into_data()
    }

    fn text<'a>(data: impl IntoData<'a, str>) -> Data<'a, str> {
        data.into_data()
    }

    #[test]
    fn borrows_what_is_given_by_reference() {
        let (string, vec) = (String::from("ab"), b"ab".to_vec());
        for data in [
            bytes("ab"),
            bytes(b"ab"),
            bytes(&b"ab"[..]),
            bytes(&string),
            bytes(&vec),
            bytes(Cow::Borrowed("ab")),
            bytes(Cow::Borrowed(&b"ab"[..])),
            bytes(Some("ab")),
            bytes(Some(b"ab")),
            bytes(Some(&vec)),
            bytes(Some(&vec[..])),
        ] {
            assert!(matches!(data, Data::Borrowed(b"ab")), "{data:?}");
        }
        for data in [text("ab"), text(&string), text(Some("ab"))] {
            assert!(matches!(data, Data::Borrowed("ab")), "{data:?}");
        }
    }

    #[test]
    fn keeps_what_is_given_by_value() {
        let (string, vec) = (String::from("ab"), b"ab".to_vec());
        let (string_at, vec_at) = (string.as_ptr(), vec.as_ptr());
        for (data, at) in [(bytes(string), string_at), (bytes(Some(vec)), vec_at)] {
            let Data::Owned(owned) = data else {
                panic!("{data:?}")
            };
            assert_eq!(
                (owned.as_slice(), owned.as_ptr()),
                (&b"ab"[..], at),
                "copied"
            );
        }
        assert_eq!(bytes([1, 2]).as_ref(), Some(&[1, 2][..]));
        assert_eq!(text(String::from("ab")).as_ref(), Some("ab"));
    }

    #[test]
    fn none_is_serialized_as_null() {
        assert!(bytes(None::<&str>).is_null());
        assert!(bytes(None::<Vec<u8>>).is_null());
        assert!(text(None::<String>).is_null());
    }

    #[test]
    fn boxes_and_arcs_go_by_value_and_by_reference() {
        let (boxed, shared): (Box<[u8]>, Arc<[u8]>) = (Box::from(*b"ab"), Arc::from(*b"ab"));
        let (boxed_text, shared_text): (Box<str>, Arc<str>) = ("ab".into(), "ab".into());
        let cow = Cow::Borrowed("ab");
        for data in [
            bytes(&boxed),
            bytes(&shared),
            bytes(&*shared),
            bytes(&boxed_text),
            bytes(&shared_text),
            bytes(&cow),
        ] {
            assert!(matches!(data, Data::Borrowed(b"ab")), "{data:?}");
        }
        for data in [text(&boxed_text), text(&shared_text), text(&cow)] {
            assert!(matches!(data, Data::Borrowed("ab")), "{data:?}");
        }
        for data in [bytes(boxed), bytes(shared), bytes(Some(boxed_text.clone()))] {
            assert!(
                matches!(&data, Data::Owned(owned) if owned == b"ab"),
                "{data:?}"
            );
        }
        for data in [text(boxed_text), text(shared_text)] {
            assert!(
                matches!(&data, Data::Owned(owned) if owned == "ab"),
                "{data:?}"
            );
        }
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn bytes_of_the_bytes_crate_are_bytes() {
        let data = bytes::Bytes::from_static(b"ab");
        assert!(matches!(bytes(&data), Data::Borrowed(b"ab")));
        assert_eq!(bytes(data).as_ref(), Some(&b"ab"[..]));
        let data = bytes::BytesMut::from(&b"ab"[..]);
        assert_eq!(bytes(Some(data)).as_ref(), Some(&b"ab"[..]));
    }

    #[cfg(feature = "uuid")]
    #[test]
    fn a_uuid_of_the_uuid_crate_is_one_of_ours() {
        let id = uuid::Uuid::from_bytes([7; 16]);
        let data: Data<'_, crate::common::Uuid> = id.into_data();
        assert_eq!(data.as_ref().map(|id| *id.as_bytes()), Some([7; 16]));
    }
}
