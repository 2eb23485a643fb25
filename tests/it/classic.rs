//! The producer of Kafka 0.8 on real sockets: both modes, leaders that move and fail, refused
//! messages, codecs, and what it loses.

use kafka_producer::ErrorCode;
use kafka_producer::classic::{
    DefaultEncoder, DefaultPartitioner, ErrorKind, KeyedMessage, Partitioner, Producer,
    ProducerConfig,
};
use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};

use crate::support::classic_account::{Account, ByNumber, LOSSY};
use crate::support::producing::{A_MOMENT, LONG, values};

type Message = KeyedMessage<String, String>;

/// A configuration with a client id of its own per test, so that tests share no counts.
fn config(broker: &FakeBroker, test: &str, settings: &[(&str, &str)]) -> ProducerConfig {
    let brokers = broker.bootstrap_servers();
    let common = [
        ("metadata.broker.list", brokers.as_str()),
        ("client.id", test),
        ("request.required.acks", "1"),
        ("retry.backoff.ms", "1"),
        ("serializer.class", "kafka.serializer.StringEncoder"),
    ];
    ProducerConfig::new([&common, settings].concat()).unwrap()
}

fn producer(
    broker: &FakeBroker,
    test: &str,
    settings: &[(&str, &str)],
) -> Producer<String, String> {
    Producer::new(config(broker, test, settings)).unwrap()
}

fn by_number(
    broker: &FakeBroker,
    test: &str,
    settings: &[(&str, &str)],
) -> Producer<String, String> {
    let config = config(broker, test, settings);
    Producer::with_classes(config, ByNumber, DefaultEncoder, DefaultEncoder).unwrap()
}

fn message(value: impl ToString) -> Message {
    KeyedMessage::new("t", value.to_string())
}

fn placed(partition: i32, value: &str) -> Message {
    message(value).part_key(partition.to_string())
}

// Java: SyncProducerTest.testReachableServer, testProduceCorrectlyReceivesResponse.
#[test]
fn both_modes_deliver_with_every_number_of_acks() {
    for mode in ["sync", "async"] {
        for acks in ["0", "1", "-1"] {
            let broker = FakeBroker::builder()
                .nodes(2)
                .topic("t", 3)
                .start()
                .unwrap();
            let settings = [("producer.type", mode), ("request.required.acks", acks)];
            let producer = producer(&broker, &format!("it-modes-{mode}{acks}"), &settings);
            for number in 0..100 {
                let key = format!("key-{}", number % 10);
                producer.send(message(number).key(key)).unwrap();
            }
            producer.close().unwrap();
            // With acks=0 the broker may still be reading.
            assert!(broker.await_records("t", 100, LONG), "{mode} {acks}");
            for partition in 0..3 {
                let records = broker.records("t", partition);
                let numbers = records.iter().map(|record| record.value.clone().unwrap());
                let numbers: Vec<i32> = numbers
                    .map(|text| String::from_utf8(text).unwrap().parse().unwrap())
                    .collect();
                assert!(numbers.is_sorted(), "{numbers:?}");
                for record in records {
                    let key = String::from_utf8(record.key.unwrap()).unwrap();
                    let home = Partitioner::partition(&mut DefaultPartitioner, &key, 3);
                    assert_eq!(home, partition);
                }
            }
            assert_eq!(broker.protocol_violations(), Vec::<String>::new());
            assert!(broker.await_connections(0, LONG));
        }
    }
}

#[test]
fn one_call_sends_to_many_topics_with_one_request_per_broker() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("a", 2)
        .topic("b", 2)
        .start()
        .unwrap();
    let producer = by_number(&broker, "it-topics", &[]);
    let messages = [("a", 0), ("a", 1), ("b", 0), ("b", 1)].map(|(topic, partition)| {
        KeyedMessage::new(topic, "v".to_owned()).part_key(partition.to_string())
    });
    producer.send_all(messages).unwrap();
    assert_eq!((broker.record_count("a"), broker.record_count("b")), (2, 2));
    assert_eq!(broker.request_count(Api::Produce), 2);
}

#[test]
fn a_leader_that_moves_is_found_by_the_retry() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("t", 1)
        .start()
        .unwrap();
    let producer = producer(&broker, "it-moves", &[]);
    producer.send(message("a")).unwrap();
    broker.move_leader("t", 0, NodeId(2)).unwrap();
    producer.send(message("b")).unwrap();
    assert_eq!(values(&broker, ("t", 0)), ["a", "b"]);
    assert_eq!(producer.stats().resends(), 1);
    broker.remove_leader("t", 0).unwrap();
    let error = producer.send(message("c")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
    assert_eq!(error.to_string(), "Failed to send messages after 3 tries.");
    broker.move_leader("t", 0, NodeId(1)).unwrap();
    producer.send(message("d")).unwrap();
    assert_eq!(values(&broker, ("t", 0)), ["a", "b", "d"]);
}

// Java: ProducerTest.testSendWithDeadBroker.
#[test]
fn messages_for_a_dead_broker_fail_until_it_is_back() {
    let builder = FakeBroker::builder().nodes(2).replication_factor(1);
    let broker = builder.topic("t", 2).start().unwrap();
    let producer = by_number(&broker, "it-dead", &[("message.send.max.retries", "1")]);
    producer.send_all([placed(0, "a"), placed(1, "b")]).unwrap();
    broker.stop_node(NodeId(2)).unwrap();
    let error = producer
        .send_all([placed(0, "c"), placed(1, "lost")])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
    assert_eq!(values(&broker, ("t", 0)), ["a", "c"]);
    broker.start_node(NodeId(2)).unwrap();
    producer.send(placed(1, "d")).unwrap();
    assert_eq!(values(&broker, ("t", 1)), ["b", "d"]);
    assert_eq!(producer.stats().failed_sends(), 1);
}

#[test]
fn encoders_and_the_partitioner_are_those_that_the_keys_name() {
    let broker = FakeBroker::builder().topic("t", 7).start().unwrap();
    let settings = [
        ("serializer.encoding", "UTF-16BE"),
        ("key.serializer.class", "kafka.serializer.DefaultEncoder"),
        ("partitioner.class", "kafka.producer.ByteArrayPartitioner"),
    ];
    let producer = producer(&broker, "it-classes", &settings);
    producer.send(message("v").key("ab".to_owned())).unwrap();
    // `Arrays.hashCode` of the text, whose hash code is 3105.
    let home = ((31 + 97) * 31 + 98) % 7;
    assert_ne!(home, 3105 % 7);
    let records = broker.records("t", home);
    assert_eq!(records[0].value.as_deref(), Some(&b"\0v"[..]));
    assert_eq!(records[0].key.as_deref(), Some(&b"ab"[..]));
}

// Java: ProducerTest.testSendToNewTopic.
#[test]
fn a_topic_is_created_on_demand() {
    let broker = FakeBroker::builder().start().unwrap();
    let producer = producer(&broker, "it-new-topic", &[]);
    producer.send(message("a")).unwrap();
    assert_eq!(values(&broker, ("t", 0)), ["a"]);
    let strict = FakeBroker::builder()
        .auto_create_topics(false)
        .start()
        .unwrap();
    let producer = self::producer(&strict, "it-no-topic", &[]);
    assert!(producer.send(message("a")).is_err());
}

#[test]
fn a_response_that_omits_a_partition_or_makes_no_sense_is_retried() {
    let actions = [
        Action::apply().omit_partition("t", 0),
        Action::apply().disconnect(),
        Action::apply().wrong_correlation_id(),
        Action::apply().cut_reply(9),
        Action::apply().reply_with_body(vec![0xff; 40]),
        Action::skip().reply_with_bytes(*b"HTTP/1.1 400 Bad Request"),
    ];
    for (number, action) in actions.into_iter().enumerate() {
        let broker = FakeBroker::builder().topic("t", 2).start().unwrap();
        let producer = by_number(&broker, &format!("it-response-{number}"), &[]);
        broker.on(Api::Produce).then(action);
        producer.send_all([placed(0, "a"), placed(1, "b")]).unwrap();
        assert_eq!(producer.stats().resends(), 1, "{number}");
        for (partition, value) in [(0, "a"), (1, "b")] {
            let stored = values(&broker, ("t", partition));
            // Without sequence numbers, a retry writes a message again that was already written.
            let copies = if number == 5 { 1 } else { 2 };
            assert_eq!(stored, vec![value; copies], "{number}");
        }
    }
}

#[test]
fn metadata_that_make_no_sense_are_an_error_and_are_asked_for_again() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let producer = producer(&broker, "it-metadata", &[]);
    broker
        .on(Api::Metadata)
        .then(Action::skip().reply_with_body(vec![0x7f; 50]));
    broker.on(Api::Metadata).then(Action::apply().disconnect());
    producer.send(message("a")).unwrap();
    assert_eq!(values(&broker, ("t", 0)), ["a"]);
}

// Java: SyncProducerTest.testProducerCanTimeout.
#[test]
fn a_broker_that_never_responds_is_a_failure_after_the_timeout() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let settings = [
        // The metadata must come within it.
        ("request.timeout.ms", "1000"),
        ("message.send.max.retries", "0"),
    ];
    let producer = producer(&broker, "it-timeout", &settings);
    broker.on(Api::Produce).then(Action::skip().never_reply());
    let error = producer.send(message("lost")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
    assert_eq!(broker.request_count(Api::Produce), 1);
}

// Java: SyncProducerTest.testMessageSizeTooLarge.
#[test]
fn a_message_that_is_too_large_fails_alone() {
    let topic = TopicConfig::new(1).max_message_bytes(1000);
    let broker = FakeBroker::builder()
        .topic_with("t", topic)
        .start()
        .unwrap();
    let producer = producer(
        &broker,
        "it-too-large",
        &[("message.send.max.retries", "0")],
    );
    // Together the messages are too large, each alone is not.
    producer
        .send_all((0..8).map(|_| message("x".repeat(300))))
        .unwrap();
    assert_eq!(broker.record_count("t"), 8);
    let messages = [
        message("before"),
        message("y".repeat(2000)),
        message("after"),
    ];
    let error = producer.send_all(messages).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
    assert_eq!(values(&broker, ("t", 0))[8..], ["before", "after"]);
}

// Java: SyncProducerTest.testMessageSizeTooLargeWithAckZero, testProduceRequestWithNoResponse.
#[test]
fn acks_0_loses_what_the_broker_refuses_and_goes_on() {
    let topic = TopicConfig::new(1).max_message_bytes(1000);
    let broker = FakeBroker::builder()
        .topic_with("t", topic)
        .start()
        .unwrap();
    let producer = producer(&broker, "it-acks-0", &[("request.required.acks", "0")]);
    producer.send(message("y".repeat(2000))).unwrap();
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    // The broker closes the connection. It is random how many messages are written before the
    // producer notices.
    let arrives = (0..100).any(|number| {
        producer.send(message(number)).unwrap();
        broker.await_records("t", 1, A_MOMENT)
    });
    assert!(arrives);
    assert_eq!(producer.stats().failed_sends(), 0);
}

#[test]
fn codecs_compress_the_topics_that_are_named() {
    let codecs = [
        ("gzip", cfg!(feature = "gzip")),
        ("snappy", cfg!(feature = "snappy")),
        ("lz4", cfg!(feature = "lz4")),
    ];
    for (codec, is_built) in codecs {
        let broker = FakeBroker::builder()
            .topic("t", 1)
            .topic("plain", 1)
            .start()
            .unwrap();
        let settings = [
            ("compression.codec", codec),
            ("compressed.topics", "t,other"),
        ];
        let config = config(&broker, &format!("it-{codec}"), &settings);
        let producer = Producer::<String, String>::new(config);
        if !is_built {
            assert_eq!(producer.unwrap_err().kind(), ErrorKind::InvalidConfig);
            continue;
        }
        let text = "accepted ".repeat(30);
        let plain = KeyedMessage::new("plain", text.clone());
        producer
            .unwrap()
            .send_all([message(&text), plain, message(&text)])
            .unwrap();
        assert_eq!(values(&broker, ("t", 0)), [text.clone(), text.clone()]);
        assert_eq!(values(&broker, ("plain", 0)), [text]);
        let codec_of = |topic| broker.batches(topic, 0)[0].header.compression;
        assert_eq!((codec_of("t"), codec_of("plain")), (codec, "none"));
    }
}

#[test]
fn an_async_producer_gathers_batches() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let settings = [
        ("producer.type", "async"),
        ("batch.num.messages", "50"),
        ("queue.buffering.max.ms", "600000"),
    ];
    let producer = producer(&broker, "it-batches", &settings);
    producer.send_all((0..120).map(message)).unwrap();
    // The other messages wait for more, or for the close.
    assert!(broker.await_records("t", 100, LONG));
    producer.close().unwrap();
    let counts: Vec<_> = broker
        .batches("t", 0)
        .iter()
        .map(|batch| batch.header.record_count)
        .collect();
    assert_eq!(counts, [50, 50, 20]);
    let numbers: Vec<_> = (0..120).map(|number| number.to_string()).collect();
    assert_eq!(values(&broker, ("t", 0)), numbers);
}

#[test]
fn what_is_lost_while_a_broker_restarts_is_what_the_counts_say() {
    account(if std::env::var_os("KAFKA_PRODUCER_LONG").is_some() {
        1_000_000
    } else {
        20_000
    });
}

/// Sends messages in async mode while one of two brokers stops and restarts, and accounts for each.
fn account(count: usize) {
    let builder = FakeBroker::builder().nodes(2).replication_factor(1);
    let broker = builder.topic("t", 4).start().unwrap();
    let config = config(&broker, "it-accounts", LOSSY);
    let account = Account::send(config, "t", 4, count, |producer, number| {
        if number == count / 4 {
            broker.stop_node(NodeId(2)).unwrap();
        }
        if number == count / 2 {
            // The outage had an effect.
            assert!(broker.wait_for(LONG, |_| producer.stats().failed_sends() > 0));
            broker.start_node(NodeId(2)).unwrap();
        }
    });
    let stored = broker.all_records("t").into_iter();
    account.check(stored.map(|record| record.value.unwrap()));
}

#[test]
fn a_refusal_of_any_code_is_retried() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let producer = producer(&broker, "it-codes", &[]);
    for code in [
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::CORRUPT_MESSAGE,
    ] {
        broker.on(Api::Produce).then(Action::fail(code));
        producer.send(message(code)).unwrap();
    }
    assert_eq!(producer.stats().resends(), 3);
    assert_eq!(broker.record_count("t"), 3);
}
