//! The Java serializer classes that a configuration may name, and the types of this library that
//! replace them. Java: `key.serializer`, `value.serializer`.

use std::any::type_name;

use crate::producer::{
    BooleanSerializer, BytesSerializer, DoubleSerializer, FloatSerializer, IntegerSerializer,
    ListSerializer, LongSerializer, Serializer, ShortSerializer, StringSerializer, UuidSerializer,
    VoidSerializer,
};

const PACKAGE: &str = "org.apache.kafka.common.serialization.";

/// Returns the types that replace a Java class. The plain ones produce the same bytes for the same
/// data, so each of them replaces all.
fn stand_ins(class: &str) -> Option<Vec<&'static str>> {
    Some(match class.strip_prefix(PACKAGE)? {
        "StringSerializer" | "ByteArraySerializer" | "BytesSerializer" | "ByteBufferSerializer" => {
            vec![path::<BytesSerializer>(), path::<StringSerializer>()]
        }
        "BooleanSerializer" => vec![path::<BooleanSerializer>()],
        "ShortSerializer" => vec![path::<ShortSerializer>()],
        "IntegerSerializer" => vec![path::<IntegerSerializer>()],
        "LongSerializer" => vec![path::<LongSerializer>()],
        "FloatSerializer" => vec![path::<FloatSerializer>()],
        "DoubleSerializer" => vec![path::<DoubleSerializer>()],
        "UUIDSerializer" => vec![path::<UuidSerializer>()],
        "VoidSerializer" => vec![path::<VoidSerializer>()],
        "ListSerializer" => vec![path::<ListSerializer<BytesSerializer>>()],
        _ => return None,
    })
}

/// Returns the path of a type without its parameters. `TypeId` would require types that borrow
/// nothing, but a serializer may borrow.
fn path<S>() -> &'static str {
    let name = type_name::<S>();
    name.split_once('<').map_or(name, |(path, _)| path)
}

/// Returns whether a type of this library replaces the class.
pub(super) fn is_known(class: &str) -> bool {
    stand_ins(class).is_some()
}

/// Compares a known class with the builder's serializer.
///
/// # Errors
///
/// They differ. The text says how, and what to do.
pub(super) fn compare<S: Serializer>(class: &str, builder_method: &str) -> Result<(), String> {
    let expected = stand_ins(class).unwrap_or_default();
    if expected.contains(&path::<S>()) {
        return Ok(());
    }
    let expected = expected.last().and_then(|path| path.rsplit("::").next());
    let expected = expected.unwrap_or("a serializer");
    Err(if path::<S>() == path::<BytesSerializer>() {
        format!(
            "the builder takes bytes and text; call .{builder_method}({expected}) on it, or remove the key"
        )
    } else {
        format!(
            "the serializer that the builder got from .{builder_method}(..) is {}, which takes {}; remove the key, or the call",
            type_name::<S>(),
            type_name::<S::Input>()
        )
    })
}
