//! Batches are compressed as `compression.type` says, contain what was sent, and take more records
//! if the codec compresses well.

use std::time::Duration;

use kafka_producer::testing::{FakeBroker, StoredBatch};
use kafka_producer::{
    ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerConfig, ProducerRecord,
};

const TOPIC: &str = "orders";

fn producer(broker: &FakeBroker, codec: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::from_secs(60))
        .set("compression.type", codec)
        .unwrap()
}

fn broker() -> FakeBroker {
    FakeBroker::builder().topic(TOPIC, 1).start().unwrap()
}

/// Text that compresses very well.
fn repetitive(number: usize) -> String {
    format!(
        "{{\"order\":{number},\"state\":\"{}\"}}",
        "accepted ".repeat(10)
    )
}

/// Sends keys, values and headers of every shape in several batches, and reads them back.
fn read_back(codec: &str) -> Vec<StoredBatch> {
    let broker = broker();
    let producer = producer(&broker, codec).build().unwrap();
    let noise: Vec<u8> = (0..70_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let text = |number| (number % 2 == 0).then(|| repetitive(number));
    for number in 0..500 {
        let mut record = ProducerRecord::new(TOPIC, text(number).map(String::into_bytes))
            .timestamp(number as i64);
        if number % 3 == 0 {
            record = record.key(number.to_string());
        }
        if number % 5 == 0 {
            record = record.header("h", vec![0, number as u8]);
            record.headers.add_null("null");
        }
        drop(producer.send(record).unwrap());
    }
    // Larger than a batch, and than the window or block of any codec.
    drop(
        producer
            .send(ProducerRecord::new(TOPIC, &*noise).key(""))
            .unwrap(),
    );
    producer.flush().unwrap();

    let stored = broker.records(TOPIC, 0);
    assert_eq!(stored.len(), 501);
    for (number, record) in stored[..500].iter().enumerate() {
        assert_eq!(
            record.value,
            text(number).map(String::into_bytes),
            "record {number}"
        );
        assert_eq!(
            record.key,
            (number % 3 == 0).then(|| number.to_string().into_bytes())
        );
        assert_eq!(record.timestamp, number as i64);
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|header| (header.key(), header.value()))
            .collect();
        let bytes = [0, number as u8];
        let expected = [("h", Some(&bytes[..])), ("null", None)];
        assert_eq!(headers, if number % 5 == 0 { &expected[..] } else { &[] });
    }
    assert_eq!(stored[500].value.as_deref(), Some(&*noise));
    assert_eq!(stored[500].key.as_deref(), Some(&b""[..]));
    let batches = broker.batches(TOPIC, 0);
    assert!(
        batches
            .iter()
            .all(|batch| batch.header.compression == codec),
        "{batches:?}"
    );
    batches
}

fn total_bytes(batches: &[StoredBatch]) -> usize {
    batches.iter().map(|batch| batch.header.size_bytes).sum()
}

#[test]
fn without_a_codec_batches_are_plain() {
    assert!(total_bytes(&read_back("none")) > 95_000);
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_is_read_back() {
    assert!(total_bytes(&read_back("gzip")) < 85_000);
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_is_read_back() {
    assert!(total_bytes(&read_back("snappy")) < 85_000);
}

#[cfg(feature = "lz4")]
#[test]
fn lz4_is_read_back() {
    assert!(total_bytes(&read_back("lz4")) < 85_000);
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_is_read_back() {
    assert!(total_bytes(&read_back("zstd")) < 85_000);
}

/// Returns how many bytes 300 records take in one batch.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn size_at_level(codec: &str, level_key: &str, level: i32) -> usize {
    let broker = broker();
    let producer = producer(&broker, codec)
        .set(level_key, &level.to_string())
        .unwrap()
        .batch_size(1 << 20)
        .build()
        .unwrap();
    for number in 0..300_u64 {
        let word = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 97;
        let value = format!(
            "order {number} of customer {word}, state {}",
            repetitive(number as usize)
        );
        drop(producer.send(ProducerRecord::new(TOPIC, value)).unwrap());
    }
    producer.flush().unwrap();
    assert_eq!(broker.record_count(TOPIC), 300);
    total_bytes(&broker.batches(TOPIC, 0))
}

#[cfg(feature = "gzip")]
#[test]
fn more_effort_of_gzip_makes_smaller_batches() {
    let fast = size_at_level("gzip", "compression.gzip.level", 1);
    let best = size_at_level("gzip", "compression.gzip.level", 9);
    assert!(best < fast, "{best} bytes at level 9, {fast} at level 1");
}

#[cfg(feature = "zstd")]
#[test]
fn more_effort_of_zstd_makes_smaller_batches() {
    let fast = size_at_level("zstd", "compression.zstd.level", -1000);
    let best = size_at_level("zstd", "compression.zstd.level", 19);
    assert!(
        best < fast,
        "{best} bytes at level 19, {fast} at level -1000"
    );
}

/// A level that a codec does not have is an error, whichever codec is chosen.
#[test]
fn a_level_that_a_codec_does_not_have_is_an_error() {
    for (key, levels) in [
        ("compression.gzip.level", ["0", "10", "-2"]),
        ("compression.lz4.level", ["0", "18", "-1"]),
        ("compression.zstd.level", ["23", "-131073", "x"]),
    ] {
        for level in levels {
            let error = ProducerConfig::new().set(key, level).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(key), "{error}");
            assert!(error.to_string().contains(level), "{error}");
        }
    }
}

/// This library's lz4 has one level, so another one is an error instead of being ignored.
#[cfg(feature = "lz4")]
#[test]
fn an_lz4_level_that_cannot_be_honoured_is_an_error() {
    let with_level = |level| {
        let mut config = ProducerConfig::new();
        config.bootstrap_servers("localhost:9092");
        config.set("compression.type", "lz4").unwrap();
        config.set("compression.lz4.level", level).unwrap();
        config.validate()
    };
    with_level("9").unwrap();
    let error = with_level("12").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("lz4"), "{error}");
}

/// Codecs are Cargo features. The error for a missing one names its feature.
#[test]
fn a_codec_that_was_not_compiled_in_is_an_error() {
    for (codec, is_compiled_in) in [
        ("gzip", cfg!(feature = "gzip")),
        ("snappy", cfg!(feature = "snappy")),
        ("lz4", cfg!(feature = "lz4")),
        ("zstd", cfg!(feature = "zstd")),
    ] {
        let mut config = ProducerConfig::new();
        config.bootstrap_servers("localhost:9092");
        config.set("compression.type", codec).unwrap();
        match config.validate() {
            Ok(()) => assert!(is_compiled_in, "{codec}"),
            Err(error) => {
                assert!(!is_compiled_in, "{codec}: {error}");
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains(codec), "{error}");
                assert!(error.to_string().contains("feature"), "{error}");
            }
        }
    }
}

/// The estimator learns the compression ratio, so that later batches of `batch.size` hold more
/// records. Without it, a batch would be closed when its uncompressed records reach `batch.size`.
#[cfg(feature = "gzip")]
#[test]
fn batches_hold_more_records_once_the_ratio_is_known() {
    const BATCH_SIZE: usize = 8_000;
    let broker = broker();
    let producer = producer(&broker, "gzip")
        .batch_size(BATCH_SIZE)
        .build()
        .unwrap();
    let value = "accepted ".repeat(20);
    let uncompressed_fit = i32::try_from(BATCH_SIZE / value.len()).unwrap();
    for _ in 0..60 {
        for _ in 0..400 {
            drop(producer.send(ProducerRecord::new(TOPIC, &*value)).unwrap());
        }
        producer.flush().unwrap();
    }
    let batches = broker.batches(TOPIC, 0);
    let first = batches[0].header.record_count;
    assert!(
        first <= uncompressed_fit + 1,
        "{first} records before anything is known"
    );
    let largest = batches
        .iter()
        .map(|batch| batch.header.record_count)
        .max()
        .unwrap();
    assert!(
        largest > 2 * uncompressed_fit,
        "{largest} records, and {uncompressed_fit} fit without compression"
    );
    assert!(
        batches
            .iter()
            .all(|batch| batch.header.size_bytes <= BATCH_SIZE + 1000)
    );
}

/// `max.request.size` is compared with the size before compression, as in Java.
#[cfg(feature = "gzip")]
#[test]
fn a_record_is_too_large_by_its_size_before_compression() {
    let broker = broker();
    let producer = producer(&broker, "gzip").build().unwrap();
    let zeros = vec![0; 2 << 20];
    let error = producer
        .send(ProducerRecord::new(TOPIC, &*zeros))
        .unwrap()
        .get()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordTooLarge);
    assert!(error.to_string().contains("max.request.size"), "{error}");
}
