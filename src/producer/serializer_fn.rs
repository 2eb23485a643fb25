//! A closure as a serializer. Java: a lambda as `Serializer`.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use super::record_data::RecordData;
use super::serializer::{Serialized, Serializer};
use crate::common::Headers;

/// Creates a serializer from a closure that converts the data into bytes, text, or an `Option` of
/// these. `None` is null.
///
/// If it needs the topic or the headers, or borrows from the data, implement [`Serializer`]
/// instead.
///
/// ```
/// use kafka_producer::producer::serializer_fn;
/// use kafka_producer::{KafkaProducer, ProducerRecord};
///
/// struct Order {
///     id: u64,
/// }
///
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().start()?;
/// let producer = KafkaProducer::builder()
///     .bootstrap_servers(broker.bootstrap_servers())
///     .value_serializer(serializer_fn(|order: &Order| match order.id {
///         0 => Err("an order has an id"),
///         id => Ok(format!("order {id}")),
///     }))
///     .build()?;
/// producer.send(ProducerRecord::new("orders", Order { id: 17 }))?.get()?;
/// assert!(producer.send(ProducerRecord::new("orders", Order { id: 0 })).is_err());
/// # Ok(())
/// # }
/// ```
pub fn serializer_fn<T, F, B, E>(serialize: F) -> SerializerFn<T, F>
where
    T: RecordData + ?Sized + 'static,
    F: Fn(&T) -> Result<B, E> + Send + Sync,
    B: Into<Serialized<'static>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    SerializerFn {
        serialize,
        input: PhantomData,
    }
}

/// A closure as a [`Serializer`], made by [`serializer_fn`].
pub struct SerializerFn<T: ?Sized, F> {
    serialize: F,
    input: PhantomData<fn(&T)>,
}

impl<T: ?Sized, F> fmt::Debug for SerializerFn<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerializerFn").finish_non_exhaustive()
    }
}

impl<T, F, B, E> Serializer for SerializerFn<T, F>
where
    T: RecordData + ?Sized + 'static,
    F: Fn(&T) -> Result<B, E> + Send + Sync,
    B: Into<Serialized<'static>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    type Input = T;

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a T,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        (self.serialize)(data).map(Into::into).map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_serializes_refuses_and_gives_null() {
        let serializer = serializer_fn(|number: &i32| match number {
            0 => Ok(None),
            -1 => Err("negative"),
            number => Ok(Some(number.to_string())),
        });
        let serialize = |number: i32| {
            let serialized = serializer.serialize("t", &mut Headers::new(), &number);
            serialized.map(|bytes| bytes.as_bytes().map(<[u8]>::to_vec))
        };
        assert_eq!(serialize(12).unwrap(), Some(b"12".to_vec()));
        assert_eq!(serialize(0).unwrap(), None);
        assert_eq!(serialize(-1).unwrap_err().to_string(), "negative");
    }
}
