//! Each key: its default, its range, and the text of its refusal.

use super::super::error::ErrorKind;
use super::*;
use crate::utils::log::test_lines;

fn config(settings: &[(&str, &str)]) -> Result<ProducerConfig> {
    let brokers = ("metadata.broker.list", "localhost:9092");
    ProducerConfig::new([&[brokers], settings].concat())
}

fn refusal(key: &str, value: &str) -> String {
    let error = config(&[(key, value)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.to_string()
}

#[test]
fn defaults_are_those_of_kafka_0_8_2() {
    let lines = test_lines();
    let config = config(&[]).unwrap();
    assert_eq!(config.producer_type(), ProducerType::Sync);
    assert_eq!(config.request_required_acks(), 0);
    assert_eq!(config.request_timeout, Duration::from_millis(10_000));
    assert_eq!(config.client_id(), "");
    assert_eq!(config.send_buffer_bytes, Some(102_400));
    assert_eq!(config.serializer_class, "kafka.serializer.DefaultEncoder");
    assert_eq!(
        config.key_serializer_class,
        "kafka.serializer.DefaultEncoder"
    );
    assert_eq!(
        config.partitioner_class,
        "kafka.producer.DefaultPartitioner"
    );
    assert_eq!(config.compression_codec, CompressionType::None);
    assert_eq!(config.compressed_topics, Vec::<String>::new());
    assert_eq!(config.message_send_max_retries, 3);
    assert_eq!(config.retry_backoff, Duration::from_millis(100));
    assert_eq!(
        config.topic_metadata_refresh_interval,
        Some(Duration::from_secs(600))
    );
    assert_eq!(config.queue_buffering_max, Duration::from_secs(5));
    assert_eq!(config.queue_buffering_max_messages, 10_000);
    assert_eq!(config.queue_enqueue_timeout, EnqueueTimeout::Put);
    assert_eq!(config.batch_num_messages, 200);
    assert!(lines.take().is_empty());
}

#[test]
fn brokers_get_their_positions_as_ids() {
    let config =
        ProducerConfig::new([("metadata.broker.list", "a:1, [::1]:2,,b.example:65535")]).unwrap();
    let brokers: Vec<_> = config
        .broker_list()
        .iter()
        .map(|b| (b.id().0, b.host(), b.port()))
        .collect();
    assert_eq!(
        brokers,
        [(0, "a", 1), (1, "::1", 2), (2, "b.example", 65_535)]
    );
    let error = ProducerConfig::new([("client.id", "x")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Missing required property 'metadata.broker.list'"
    );
    for bad in [
        "a",
        "a:",
        ":1",
        "a:0",
        "a:65536",
        "::1:9092",
        "http://a:1",
        "[]:1",
    ] {
        let text = ProducerConfig::new([("metadata.broker.list", bad)])
            .unwrap_err()
            .to_string();
        assert!(text.contains("is not a host:port"), "{bad}: {text}");
    }
}

// Java: AsyncProducerTest.testInvalidConfiguration.
#[test]
fn an_unknown_producer_type_is_refused() {
    let text = refusal("producer.type", "sometimes");
    assert_eq!(
        text,
        "Invalid value sometimes for producer.type, valid values are sync/async"
    );
}

#[test]
fn a_batch_larger_than_the_queue_is_refused() {
    let settings = [
        ("batch.num.messages", "11"),
        ("queue.buffering.max.messages", "10"),
    ];
    let text = config(&settings).unwrap_err().to_string();
    assert!(
        text.starts_with("Batch size = 11 can't be larger than queue size = 10"),
        "{text}"
    );
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    for (key, bad) in [
        ("request.required.acks", "2"),
        ("request.required.acks", "-2"),
        ("request.timeout.ms", "0"),
        ("request.timeout.ms", "2147483648"),
        ("send.buffer.bytes", "many"),
        ("message.send.max.retries", "-1"),
        ("retry.backoff.ms", "-1"),
        ("topic.metadata.refresh.interval.ms", "1.5"),
        ("queue.buffering.max.ms", "-1"),
        ("queue.buffering.max.messages", "0"),
        ("queue.enqueue.timeout.ms", ""),
        ("batch.num.messages", "0"),
    ] {
        let text = refusal(key, bad);
        assert!(
            text.starts_with(&format!(
                "{key} has value {bad} which is not in the range ["
            )),
            "{text}"
        );
    }
}

#[test]
fn every_key_has_an_effect() {
    let config = config(&[
        ("producer.type", "async"),
        ("request.required.acks", "-1"),
        ("request.timeout.ms", " 5 "),
        ("client.id", "a.B_3-x"),
        ("send.buffer.bytes", "-1"),
        ("serializer.class", "kafka.serializer.StringEncoder"),
        ("serializer.encoding", "UTF-16"),
        ("partitioner.class", "kafka.producer.ByteArrayPartitioner"),
        ("compression.codec", "2"),
        ("compressed.topics", "a, b"),
        ("message.send.max.retries", "0"),
        ("retry.backoff.ms", "0"),
        ("topic.metadata.refresh.interval.ms", "-1"),
        ("queue.buffering.max.ms", "7"),
        ("queue.buffering.max.messages", "8"),
        ("queue.enqueue.timeout.ms", "9"),
        ("batch.num.messages", "3"),
    ])
    .unwrap();
    assert_eq!(config.producer_type(), ProducerType::Async);
    assert_eq!(config.request_required_acks(), -1);
    assert_eq!(config.request_timeout, Duration::from_millis(5));
    assert_eq!(config.client_id(), "a.B_3-x");
    assert_eq!(config.send_buffer_bytes, None);
    assert_eq!(config.serializer_class, "kafka.serializer.StringEncoder");
    // Java: the default of key.serializer.class is serializer.class.
    assert_eq!(
        config.key_serializer_class,
        "kafka.serializer.StringEncoder"
    );
    assert_eq!(config.serializer_encoding, "UTF-16");
    assert_eq!(
        config.partitioner_class,
        "kafka.producer.ByteArrayPartitioner"
    );
    assert_eq!(config.codec_of("a"), CompressionType::Snappy);
    assert_eq!(config.codec_of("c"), CompressionType::None);
    assert_eq!(config.message_send_max_retries, 0);
    assert_eq!(config.retry_backoff, Duration::ZERO);
    assert_eq!(config.topic_metadata_refresh_interval, None);
    assert_eq!(config.queue_buffering_max, Duration::from_millis(7));
    assert_eq!(config.queue_buffering_max_messages, 8);
    assert_eq!(
        config.queue_enqueue_timeout,
        EnqueueTimeout::OfferWithin(Duration::from_millis(9))
    );
    assert_eq!(config.batch_num_messages, 3);
}

#[test]
fn codecs_have_names_and_numbers() {
    for (text, codec) in [
        ("none", CompressionType::None),
        ("0", CompressionType::None),
        ("GZIP", CompressionType::Gzip),
        ("1", CompressionType::Gzip),
        ("snappy", CompressionType::Snappy),
        ("lz4", CompressionType::Lz4),
        ("3", CompressionType::Lz4),
    ] {
        let config = config(&[("compression.codec", text)]).unwrap();
        assert_eq!(config.codec_of("any"), codec, "{text}");
    }
    assert!(refusal("compression.codec", "zstd").contains("zstd is an unknown compression codec"));
    assert!(refusal("client.id", "a b").contains("client.id a b is illegal"));
}

#[test]
fn an_unknown_key_is_a_warning() {
    let lines = test_lines();
    config(&[("linger.ms", "5")]).unwrap();
    let lines = lines.take();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].1.ends_with("Property linger.ms is not valid"),
        "{lines:?}"
    );
}
