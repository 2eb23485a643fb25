//! Partitioning, dispatch, retries and refreshes, with a cluster without sockets and a clock that
//! does not move.
//!
//! Java: `AsyncProducerTest`, `ProducerTest`.

use std::time::Duration;

use super::super::mock_cluster::{Fault, MockCluster};
use super::super::{BoxError, DefaultEncoder, DefaultPartitioner};
use super::*;
use crate::utils::log::test_lines;

/// Returns a configuration whose client id is the name of the test, so that tests share no counts.
fn config(test: &str, settings: &[(&str, &str)]) -> ProducerConfig {
    let common = [
        ("metadata.broker.list", "b1:9092"),
        ("client.id", test),
        ("request.required.acks", "1"),
    ];
    ProducerConfig::new([&common, settings].concat()).unwrap()
}

fn message(topic: &str, value: impl ToString) -> KeyedMessage<String, String> {
    KeyedMessage::new(topic, value.to_string())
}

fn keyed(topic: &str, key: &str, value: &str) -> KeyedMessage<String, String> {
    message(topic, value).key(key.to_owned())
}

/// Uses the key as the partition.
struct ByNumber;

impl Partitioner<String> for ByNumber {
    fn partition(&mut self, key: &String, _: i32) -> i32 {
        key.parse().unwrap()
    }
}

fn placed(topic: &str, partition: i32, value: &str) -> KeyedMessage<String, String> {
    message(topic, value).part_key(partition.to_string())
}

fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

// Java: AsyncProducerTest.testPartitionAndCollateEvents.
#[test]
fn messages_go_to_the_leaders_of_their_partitions_in_order() {
    let cluster = MockCluster::new();
    cluster.topic("t1", &[1, 2]);
    cluster.topic("t2", &[1, 2, -1]);
    let config = config("collate", &[("message.send.max.retries", "0")]);
    let mut handler = cluster.handler_with(&config, ByNumber, DefaultEncoder);
    let events = [
        placed("t1", 1, "a"),
        placed("t2", 0, "b"),
        placed("t1", 0, "c"),
        placed("t2", 2, "no leader"),
        placed("t1", 1, "d"),
    ];
    let error = handler.handle(&events).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
    assert_eq!(cluster.values("t1", 0), ["c"]);
    assert_eq!(cluster.values("t1", 1), ["a", "d"]);
    assert_eq!(cluster.values("t2", 0), ["b"]);
    assert_eq!(cluster.values("t2", 2), Vec::<String>::new());
    // One request per broker.
    let brokers: Vec<_> = cluster
        .requests("Produce")
        .iter()
        .map(|sent| sent.broker)
        .collect();
    assert_eq!(brokers, [1, 2]);
}

// Java: AsyncProducerTest.testSerializeEvents.
#[test]
fn keys_values_and_nulls_are_encoded() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("serialize", &[]);
    let mut handler = cluster.handler(&config);
    let events = [
        keyed("t", "k", "v"),
        placed("t", 0, "unkeyed"),
        KeyedMessage::tombstone("t", "k".to_owned()),
    ];
    handler.handle(&events).unwrap();
    let records = cluster.records("t", 0);
    let keys: Vec<_> = records.iter().map(|record| record.key.as_deref()).collect();
    // The partition key is not stored.
    assert_eq!(keys, [Some(&b"k"[..]), None, Some(&b"k"[..])]);
    assert_eq!(cluster.values("t", 0), ["v", "unkeyed", "null"]);
    assert!(
        records
            .iter()
            .all(|record| record.timestamp == 1_600_000_000_000)
    );
    assert_eq!(handler.context.stats.producer_stats().bytes(), 8);
}

/// Refuses the value "bad", and panics for "worse".
struct Picky;

impl Encoder<String> for Picky {
    fn to_bytes(&self, value: &String) -> Result<Option<Vec<u8>>, BoxError> {
        match value.as_str() {
            "bad" => Err("it is bad".into()),
            "worse" => panic!("it is worse"),
            _ => Ok(Some(value.clone().into_bytes())),
        }
    }
}

// Java: AsyncProducerTest.testIncompatibleEncoder.
#[test]
fn a_sync_producer_returns_what_an_encoder_fails_with_and_sends_nothing() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("incompatible-sync", &[]);
    let mut handler = cluster.handler_with(&config, DefaultPartitioner, Picky);
    for (value, cause) in [
        ("bad", "it is bad"),
        ("worse", "the encoder panicked: it is worse"),
    ] {
        let error = handler
            .handle(&[message("t", "good"), message("t", value)])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization);
        let text = error.chain().to_string();
        assert_eq!(
            text,
            format!("Error serializing message for topic t: {cause}")
        );
    }
    assert_eq!(cluster.connections(), Vec::<i32>::new());
    assert_eq!(handler.context.stats.serialization_error_rate.count(), 2);
}

#[test]
fn an_async_producer_logs_what_an_encoder_refuses_and_sends_the_rest() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("incompatible-async", &[("producer.type", "async")]);
    let mut handler = cluster.handler_with(&config, DefaultPartitioner, Picky);
    let lines = test_lines();
    handler
        .handle(&[message("t", "bad"), message("t", "good")])
        .unwrap();
    assert_eq!(cluster.values("t", 0), ["good"]);
    assert_eq!(handler.context.stats.serialization_error_rate.count(), 1);
    let errors = lines.take();
    assert!(
        errors
            .iter()
            .any(|(level, line)| *level == log::Level::Error
                && line.contains("Error serializing message for topic t: it is bad"))
    );
    // Nothing is left to send.
    handler.handle(&[message("t", "bad")]).unwrap();
    assert_eq!(cluster.requests("Produce").len(), 1);
}

// Java: AsyncProducerTest.testInvalidPartition.
#[test]
fn a_partition_out_of_range_fails_the_call() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1, 1]);
    let config = config("invalid-partition", &[("message.send.max.retries", "0")]);
    for bad in [-1, 2] {
        let mut handler = cluster.handler_with(&config, ByNumber, DefaultEncoder);
        let lines = test_lines();
        let error = handler
            .handle(&[placed("t", bad, "x"), placed("t", 0, "y")])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
        let wanted = format!(
            "Invalid partition id: {bad} for topic t; Valid values are in the inclusive range of [0, 1]"
        );
        assert!(lines.take().iter().any(|(_, line)| line.contains(&wanted)));
    }
    assert!(cluster.requests("Produce").is_empty());
}

// Java: AsyncProducerTest.testNoBroker.
#[test]
fn without_a_broker_the_messages_fail() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    cluster.stop(1);
    let config = config("no-broker", &[("message.send.max.retries", "2")]);
    let mut handler = cluster.handler(&config);
    let lines = test_lines();
    let error = handler.handle(&[message("t", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "Failed to send messages after 2 tries.");
    let lines = lines.take();
    assert!(lines.iter().any(|(_, line)| {
        line.contains("fetching topic metadata for topics {\"t\"} from broker [\"b1:9092\"] failed")
    }));
    assert!(
        lines
            .iter()
            .any(|(_, line)| line.contains("1 messages are lost"))
    );
    let stats = &handler.context.stats;
    // Makes N + 1 attempts, each with a backoff after it.
    assert_eq!(
        (stats.resend_rate.count(), stats.failed_send_rate.count()),
        (3, 1)
    );
    assert_eq!(cluster.open_connections(), 0);
}

// Java: AsyncProducerTest.testRandomPartitioner.
#[test]
fn messages_without_a_key_stay_on_one_partition_with_a_leader_until_a_refresh() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[-1, 1, -1, 2, 1]);
    let config = config("random", &[("topic.metadata.refresh.interval.ms", "1000")]);
    let mut handler = cluster.handler(&config);
    let mut chosen = BTreeSet::new();
    for round in 0..40 {
        for _ in 0..3 {
            handler.handle(&[message("t", round)]).unwrap();
        }
        let at: Vec<_> = (0..5)
            .filter(|partition| cluster.values("t", *partition).contains(&round.to_string()))
            .collect();
        assert_eq!(at.len(), 1, "{at:?}");
        chosen.extend(at);
        cluster.time.advance_ms(1001);
    }
    assert_eq!(chosen, BTreeSet::from([1, 3, 4]));
}

// Java: AsyncProducerTest.testFailedSendRetryLogic.
#[test]
fn only_what_failed_is_sent_again_with_fresh_metadata_after_the_backoff() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1, 1]);
    let config = config("retry", &[("retry.backoff.ms", "70")]);
    let mut handler = cluster.handler_with(&config, ByNumber, DefaultEncoder);
    let refused = Fault::Refuse(tp("t", 1), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    cluster.faults([Some(refused.clone()), Some(refused), None]);
    handler
        .handle(&[placed("t", 0, "a"), placed("t", 1, "b")])
        .unwrap();
    assert_eq!(cluster.values("t", 0), ["a"]);
    assert_eq!(cluster.values("t", 1), ["b"]);
    let at: Vec<_> = cluster
        .requests("Produce")
        .iter()
        .map(|sent| sent.at.as_millis())
        .collect();
    assert_eq!(at, [0, 70, 140]);
    let stats = &handler.context.stats;
    assert_eq!(
        (stats.resend_rate.count(), stats.failed_send_rate.count()),
        (2, 0)
    );
    assert_eq!(cluster.requests("Metadata").len(), 3);
}

#[test]
fn correlation_ids_ascend_and_the_log_names_their_range() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("correlation", &[("message.send.max.retries", "0")]);
    let mut handler = cluster.handler(&config);
    // 0 for the refresh, 1 for the message, 2 for the request.
    handler.handle(&[message("t", "x")]).unwrap();
    assert_eq!(cluster.requests("Produce")[0].correlation_id, 2);
    cluster.faults([Some(Fault::DropResponse)]);
    let lines = test_lines();
    handler.handle(&[message("t", "y")]).unwrap_err();
    // 3 for the message, 4 for the request, 5 for the refresh after it.
    let wanted = "Failed to send requests for topics t with correlation ids in [3,5]";
    assert!(lines.take().iter().any(|(_, line)| line.contains(wanted)));
}

#[test]
fn metadata_is_refreshed_by_its_interval() {
    for (interval, advance, expected) in [
        ("1000", 1000, 1),
        ("1000", 1001, 2),
        ("-1", 99_999, 1),
        ("0", 1, 2),
    ] {
        let cluster = MockCluster::new();
        cluster.topic("t", &[1]);
        let settings = [("topic.metadata.refresh.interval.ms", interval)];
        let config = config(&format!("interval{interval}-{advance}"), &settings);
        let mut handler = cluster.handler(&config);
        handler.handle(&[message("t", 1)]).unwrap();
        cluster.time.advance_ms(advance);
        handler.handle(&[message("t", 2)]).unwrap();
        assert_eq!(
            cluster.requests("Metadata").len(),
            expected,
            "{interval} {advance}"
        );
    }
}

#[test]
fn a_refresh_is_for_all_topics_since_the_last_one() {
    let cluster = MockCluster::new();
    cluster.topic("a", &[1]);
    cluster.topic("b", &[1]);
    let config = config(
        "refresh-topics",
        &[("topic.metadata.refresh.interval.ms", "1000")],
    );
    let mut handler = cluster.handler(&config);
    for topic in ["a", "b"] {
        handler.handle(&[message(topic, 1)]).unwrap();
    }
    cluster.time.advance_ms(1001);
    handler.handle(&[message("a", 1)]).unwrap();
    let topics: Vec<_> = cluster
        .requests("Metadata")
        .into_iter()
        .map(|sent| sent.topics)
        .collect();
    assert_eq!(topics, [vec!["a"], vec!["b"], vec!["a", "b"]]);
}

// Java: ProducerTest.testUpdateBrokerPartitionInfo.
#[test]
fn brokers_of_the_list_are_tried_until_one_has_metadata() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[3]);
    cluster.stop(1);
    let all_but_one = [("metadata.broker.list", "b1:9092,b2:9092")];
    for _ in 0..10 {
        let config = config("broker-list", &all_but_one);
        let mut handler = cluster.handler(&config);
        handler.handle(&[message("t", "x")]).unwrap();
        drop(handler);
    }
    assert!(cluster.connections().contains(&1));
    assert_eq!(cluster.values("t", 0).len(), 10);
    // Each fetch connects to the broker of the metadata and closes the connection afterwards.
    assert_eq!(cluster.open_connections(), 0);
}

// Java: ProducerTest.testSendToNewTopic.
#[test]
fn a_topic_that_appears_during_the_retries_is_sent_to() {
    let cluster = MockCluster::new();
    let config = config("new-topic", &[]);
    let mut handler = cluster.handler(&config);
    cluster.topic_error("t", ErrorCode::LEADER_NOT_AVAILABLE);
    let error = handler.handle(&[message("t", "lost")]).unwrap_err();
    assert_eq!(error.to_string(), "Failed to send messages after 3 tries.");
    cluster.topic_error("t", ErrorCode::NONE);
    cluster.topic("t", &[2]);
    handler.handle(&[message("t", "x")]).unwrap();
    assert_eq!(cluster.values("t", 0), ["x"]);
}

// Java: ProducerTest.testSendWithDeadBroker.
#[test]
fn a_dead_leader_fails_its_messages_and_a_new_one_takes_them() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1, 2]);
    let config = config("dead-broker", &[]);
    let mut handler = cluster.handler_with(&config, ByNumber, DefaultEncoder);
    handler.handle(&[placed("t", 1, "a")]).unwrap();
    cluster.stop(2);
    assert!(handler.handle(&[placed("t", 1, "lost")]).is_err());
    // Those of the living broker succeed in the same call.
    assert!(
        handler
            .handle(&[placed("t", 0, "b"), placed("t", 1, "lost")])
            .is_err()
    );
    assert_eq!(cluster.values("t", 0), ["b"]);
    cluster.topic("t", &[1, 3]);
    handler.handle(&[placed("t", 1, "c")]).unwrap();
    cluster.start(2);
    assert_eq!(cluster.values("t", 1), ["a", "c"]);
}

#[test]
fn an_error_in_the_middle_of_a_dispatch_keeps_the_messages_of_the_other_brokers() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1, 2, 3]);
    let config = config("mended-dispatch", &[("message.send.max.retries", "0")]);
    let mut handler = cluster.handler_with(&config, ByNumber, DefaultEncoder);
    cluster.time.advance_ms(1);
    let events = [
        placed("t", 0, "a"),
        placed("t", 1, "b"),
        placed("t", 2, "c"),
    ];
    let mut outstanding = handler.serialize(&events).unwrap();
    // A timestamp that no batch can hold: the batch of the second broker cannot be built.
    outstanding[1].timestamp = -2;
    let failed = handler.dispatch(outstanding);
    let failed: Vec<_> = failed
        .iter()
        .map(|message| message.payload.as_deref())
        .collect();
    assert_eq!(failed, [Some(&b"b"[..])]);
    assert_eq!(cluster.values("t", 0), ["a"]);
    assert_eq!(cluster.values("t", 2), ["c"]);
}

#[test]
fn a_response_that_makes_no_sense_fails_the_request_and_is_retried() {
    for (name, fault) in [
        ("omit", Fault::Omit(tp("t", 1))),
        ("drop", Fault::DropResponse),
        ("wrong-id", Fault::WrongCorrelationId),
        ("garbage", Fault::Garbage),
    ] {
        let cluster = MockCluster::new();
        cluster.topic("t", &[1, 1]);
        let config = config(name, &[]);
        let mut handler = cluster.handler_with(&config, ByNumber, DefaultEncoder);
        cluster.faults([Some(fault)]);
        let lines = test_lines();
        handler
            .handle(&[placed("t", 0, "a"), placed("t", 1, "b")])
            .unwrap();
        // At least once: the first attempt wrote both too.
        assert_eq!(cluster.values("t", 0), ["a", "a"], "{name}");
        assert_eq!(cluster.values("t", 1), ["b", "b"], "{name}");
        assert_eq!(handler.context.stats.resend_rate.count(), 1);
        if name == "omit" {
            let wanted = "Incomplete response (1 partitions) for producer request (2 partitions)";
            assert!(lines.take().iter().any(|(_, line)| line.contains(wanted)));
        }
    }
}

#[test]
fn acks_0_reads_no_response_and_loses_what_the_broker_refuses() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("acks-0", &[("request.required.acks", "0")]);
    let mut handler = cluster.handler(&config);
    cluster.faults([
        Some(Fault::Refuse(
            tp("t", 0),
            ErrorCode::INVALID_TOPIC_EXCEPTION,
        )),
        None,
    ]);
    handler.handle(&[message("t", "lost")]).unwrap();
    handler.handle(&[message("t", "x")]).unwrap();
    assert_eq!(cluster.values("t", 0), ["x"]);
    assert_eq!(handler.context.stats.resend_rate.count(), 0);
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    cluster.max_batch_records(2);
    let config = config("halved", &[]);
    let mut handler = cluster.handler(&config);
    let events: Vec<_> = (0..7).map(|number| message("t", number)).collect();
    handler.handle(&events).unwrap();
    assert_eq!(cluster.values("t", 0), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(handler.context.stats.resend_rate.count(), 0);
    // A single message is not split.
    cluster.max_batch_records(0);
    assert!(handler.handle(&[message("t", "x")]).is_err());
}

#[cfg(feature = "gzip")]
#[test]
fn compressed_topics_chooses_what_the_codec_is_for() {
    for (topics, expected) in [("", ["gzip", "gzip"]), ("a", ["gzip", "none"])] {
        let cluster = MockCluster::new();
        cluster.topic("a", &[1]);
        cluster.topic("b", &[1]);
        let settings = [("compression.codec", "gzip"), ("compressed.topics", topics)];
        let config = config(&format!("codecs{}", topics.len()), &settings);
        let mut handler = cluster.handler(&config);
        handler
            .handle(&[message("a", "x"), message("b", "y")])
            .unwrap();
        let codecs: Vec<_> = cluster
            .batches()
            .into_iter()
            .map(|(_, codec, _)| codec)
            .collect();
        assert_eq!(codecs, expected);
    }
}

#[test]
fn a_panicking_partitioner_fails_the_call() {
    struct Panics;
    impl Partitioner<String> for Panics {
        fn partition(&mut self, _: &String, _: i32) -> i32 {
            panic!("no idea");
        }
    }
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("panics", &[("message.send.max.retries", "0")]);
    let mut handler = cluster.handler_with(&config, Panics, DefaultEncoder);
    let lines = test_lines();
    assert!(handler.handle(&[keyed("t", "k", "v")]).is_err());
    assert!(
        lines
            .take()
            .iter()
            .any(|(_, line)| line.contains("the partitioner panicked: no idea"))
    );
}

#[test]
fn brokers_that_lead_nothing_keep_their_connection_until_the_close() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("pool", &[("topic.metadata.refresh.interval.ms", "1000")]);
    let mut handler = cluster.handler(&config);
    handler.handle(&[message("t", 1)]).unwrap();
    cluster.topic("t", &[2]);
    cluster.time.advance_ms(1001);
    handler.handle(&[message("t", 2)]).unwrap();
    assert_eq!(cluster.open_connections(), 2);
    // A refresh replaces the connections of leaders.
    let before = cluster.connections().len();
    cluster.time.advance(Duration::from_secs(2));
    handler.handle(&[message("t", 3)]).unwrap();
    assert_eq!(&cluster.connections()[before..], [1, 2]);
    handler.close();
    assert_eq!(cluster.open_connections(), 0);
}

#[test]
fn requests_and_sockets_have_what_the_keys_say() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let settings = [
        ("request.required.acks", "-1"),
        ("request.timeout.ms", "1234"),
        ("send.buffer.bytes", "4321"),
    ];
    let config = config("keys", &settings);
    cluster.handler(&config).handle(&[message("t", 1)]).unwrap();
    let timeout = Duration::from_millis(1234);
    assert_eq!(cluster.channel_options(), Some((Some(4321), timeout)));
    for api in ["Metadata", "Produce"] {
        let sent = &cluster.requests(api)[0];
        assert_eq!(sent.client_id.as_deref(), Some("keys"));
        let asks_for = (api == "Produce").then_some((-1, 1234));
        assert_eq!(sent.asks_for, asks_for);
    }
}
