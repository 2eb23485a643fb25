//! Serializes keys and values as JSON. Java: `org.apache.kafka.connect.json.JsonSerializer`.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use serde_core::Serialize;

use super::serializer::{Serialized, Serializer};
use crate::common::Headers;

/// Serializes every type that implements serde's `Serialize` as JSON.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use kafka_producer::producer::JsonSerializer;
/// use kafka_producer::{KafkaProducer, ProducerRecord};
///
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().start()?;
/// let producer = KafkaProducer::builder()
///     .bootstrap_servers(broker.bootstrap_servers())
///     .value_serializer(JsonSerializer::new())
///     .build()?;
/// let order = BTreeMap::from([("id", 17), ("amount", 3)]);
/// producer.send(ProducerRecord::new("orders", order).key("17"))?.get()?;
/// # Ok(())
/// # }
/// ```
pub struct JsonSerializer<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> JsonSerializer<T> {
    /// Creates a serializer of `T`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: ?Sized> Default for JsonSerializer<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ?Sized> Clone for JsonSerializer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for JsonSerializer<T> {}

impl<T: ?Sized> fmt::Debug for JsonSerializer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonSerializer")
    }
}

impl<T: Serialize + 'static> Serializer for JsonSerializer<T> {
    type Input = T;

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a T,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        Ok(serde_json::to_vec(data)?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn data_is_written_as_json_and_its_failure_is_an_error() {
        let serializer = JsonSerializer::new();
        let data = BTreeMap::from([("a", Some(1)), ("b", None)]);
        let json = serializer
            .serialize("t", &mut Headers::new(), &data)
            .unwrap();
        assert_eq!(json.as_bytes(), Some(&br#"{"a":1,"b":null}"#[..]));
        // JSON requires text as keys, and not lists.
        let data = BTreeMap::from([(vec![1], 1)]);
        let error = JsonSerializer::new().serialize("t", &mut Headers::new(), &data);
        assert!(error.unwrap_err().to_string().contains("key"));
    }
}
