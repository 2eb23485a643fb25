//! Records of every shape: null, empty, small and large keys, values and headers, and timestamps in
//! any order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::brokers::PARTITIONS;
use crate::history::Outcome;
use crate::load::{Header, Record, Subject};

/// A record with everything that a reader sees.
#[derive(Clone, PartialEq)]
pub(crate) struct Shape {
    pub(crate) partition: i32,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<Header>,
}

impl Shape {
    fn as_record(&self) -> Record<'_> {
        Record {
            partition: Some(self.partition),
            timestamp: Some(self.timestamp),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}

/// Prints sizes and checksums instead of the many bytes.
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brief = |bytes: Option<&[u8]>| match bytes {
            None => "null".to_owned(),
            Some(bytes) => format!("{} B {:08x}", bytes.len(), crc32c::crc32c(bytes)),
        };
        let headers = self.headers.iter();
        let headers = headers.map(|(key, value)| (key, brief(value.as_deref())));
        f.debug_struct("Shape")
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .field("key", &brief(self.key.as_deref()))
            .field("value", &brief(self.value.as_deref()))
            .field("headers", &headers.collect::<Vec<_>>())
            .finish()
    }
}

/// Sends one record of every shape. The result has the order within each partition.
pub(crate) fn send_each<S: Subject>(
    bootstrap_servers: &str,
    properties: &[(&str, &str)],
) -> Vec<Shape> {
    let shapes = every_shape();
    let producer = S::start(bootstrap_servers, properties);
    let acked = Arc::new(AtomicUsize::new(0));
    for shape in &shapes {
        let (partition, acked) = (shape.partition, Arc::clone(&acked));
        producer.send(
            shape.as_record(),
            Box::new(move |outcome| {
                if matches!(outcome, Outcome::Acked { partition: p, .. } if p == partition) {
                    acked.fetch_add(1, Ordering::Relaxed);
                }
            }),
        );
    }
    producer.flush();
    assert_eq!(acked.load(Ordering::Relaxed), shapes.len());
    shapes
}

/// Compares what was sent with what was read, by partition.
pub(crate) fn assert_same(sent: &[Shape], read: &[Shape]) {
    for partition in 0..PARTITIONS {
        let of_partition = |shape: &&Shape| shape.partition == partition;
        let sent: Vec<_> = sent.iter().filter(of_partition).collect();
        let read: Vec<_> = read.iter().filter(of_partition).collect();
        for (sent, read) in sent.iter().zip(&read) {
            assert_eq!(sent, read);
        }
        assert_eq!(sent.len(), read.len(), "partition {partition}");
    }
    assert_eq!(sent.len(), read.len());
}

fn every_shape() -> Vec<Shape> {
    let keys = [
        None,
        Some(Vec::new()),
        Some(b"key".to_vec()),
        Some(noise(300)),
    ];
    let values = [
        None,
        Some(Vec::new()),
        Some(b"value".repeat(20)),
        Some(vec![0; 200_000]),
        Some(noise(100_000)),
    ];
    let few = vec![("header".into(), Some(b"value".to_vec()))];
    let many = vec![
        ("null".into(), None),
        ("twice".into(), Some(noise(70_000))),
        ("twice".into(), Some(Vec::new())),
        (
            "\u{3ba}\u{3b5}\u{3c6}\u{3b1}\u{3bb}\u{3af}\u{3b4}\u{3b1}".into(),
            Some(vec![0, 255]),
        ),
    ];
    // The last is the end of the year 9999.
    let timestamps = [1_700_000_000_000, 1, 1_700_000_000_001, 253_402_300_799_999];

    let mut shapes = Vec::new();
    for key in &keys {
        for value in &values {
            for headers in [&Vec::new(), &few, &many] {
                shapes.push(Shape {
                    partition: shapes.len() as i32 % PARTITIONS,
                    timestamp: timestamps[shapes.len() / 7 % timestamps.len()],
                    key: key.clone(),
                    value: value.clone(),
                    headers: headers.clone(),
                });
            }
        }
    }
    // The largest record that both producers allow by default.
    shapes.push(Shape {
        value: Some(noise(990_000)),
        ..shapes[0].clone()
    });
    shapes
}

/// Returns bytes that do not compress, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        // Xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    bytes.take(len).collect()
}
