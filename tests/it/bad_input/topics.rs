//! Topics that do not exist, have illegal names or are forbidden, and partitions that a topic does not have.

use kafka_producer::common::Cluster;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, Partitioner, ProducerRecord,
};

use super::{PATIENCE, assert_works, cause, chain, deliver, impatient, producer_for};

fn broker() -> FakeBroker {
    let builder = FakeBroker::builder().topic("orders", 3);
    builder.auto_create_topics(false).start().unwrap()
}

/// Checks that a send to `topic` fails and that other topics still work. Returns the error.
fn refused(topic: &str) -> Error {
    let broker = broker();
    let producer = producer_for(&broker);
    assert_works(&producer, &broker, "orders");
    let error = deliver(&producer, ProducerRecord::new(topic, "v")).unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(error.topic_partition().unwrap().topic(), topic);
    assert_works(&producer, &broker, "orders");
    producer.close(PATIENCE).unwrap();
    error
}

// Java: KafkaProducerTest.testMetadataTimeoutWithMissingTopic.
#[test]
fn a_missing_topic_times_out() {
    let error = refused("missing");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    assert!(error.is_retriable(), "somebody may create it");
    assert_eq!(
        error.to_string(),
        "topic missing was not in the cluster's metadata after 2000 ms (max.block.ms)"
    );
    assert_eq!(
        cause(&error),
        "the cluster returned UNKNOWN_TOPIC_OR_PARTITION (3) for topic 'missing': it does not exist, and is \
         created on demand only if the brokers allow it (auto.create.topics.enable)"
    );
}

#[test]
fn a_missing_topic_that_is_created_while_a_send_waits() {
    let broker = broker();
    let producer = impatient(&broker.bootstrap_servers())
        .max_block(PATIENCE)
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| deliver(&producer, ProducerRecord::new("late", "v")));
        let asked = broker.wait_for(PATIENCE, |broker| {
            broker.count_requests(|request| request.topics.iter().any(|topic| topic == "late")) >= 2
        });
        assert!(asked);
        let config = kafka_producer::testing::TopicConfig::new(1);
        broker.create_topic("late", config).unwrap();
        sent.join().unwrap().unwrap();
    });
}

// Java: KafkaProducerTest.testSendToInvalidTopic.
#[test]
fn an_invalid_topic_is_refused() {
    for topic in ["topic abc", "a/b", "..", "orders\n"] {
        let error = refused(topic);
        assert_eq!(error.kind(), ErrorKind::InvalidTopic, "{topic}");
        assert_eq!(error.code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
        assert!(!error.is_retriable());
        let printed = topic.replace('\n', "\\n");
        assert_eq!(
            chain(&error),
            [format!(
                "'{printed}' is not a valid topic name: it may have up to 249 letters, digits, '.', '_' and '-'"
            )]
        );
    }
}

#[test]
fn a_topic_without_a_name_is_refused() {
    let error = refused("");
    assert_eq!(error.kind(), ErrorKind::InvalidTopic);
    assert_eq!(chain(&error), ["the topic is empty: a topic needs a name"]);
}

/// A longer name than any broker accepts and than the protocol can express. It must not enter the
/// metadata request for all topics, which could not be written.
#[test]
fn a_topic_with_a_name_that_is_too_long() {
    for length in [250, 40_000, 3 << 20] {
        let error = refused(&"x".repeat(length));
        assert_eq!(error.kind(), ErrorKind::InvalidTopic);
        let expected = format!("the topic's name has {length} bytes, which is more than 249");
        assert_eq!(chain(&error), [expected]);
    }
    let broker = broker();
    let producer = producer_for(&broker);
    for topic in ["", &"x".repeat(40_000)] {
        let error = producer.partitions_for(topic).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTopic);
    }
    assert_works(&producer, &broker, "orders");
}

// Java: KafkaProducerTest.testPartitionsForWithNullTopic, and TopicAuthorizationException of a send.
#[test]
fn a_forbidden_topic_is_refused() {
    let broker = FakeBroker::builder()
        .topic("orders", 1)
        .topic("secret", 1)
        .start()
        .unwrap();
    let forbidden = Action::fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    broker
        .on(Api::Metadata)
        .topic("secret")
        .always()
        .then(forbidden);
    let producer = producer_for(&broker);
    for error in [
        deliver(&producer, ProducerRecord::new("secret", "v")).unwrap_err(),
        producer.partitions_for("secret").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Authorization);
        assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        assert!(!error.is_retriable());
        assert_eq!(
            chain(&error),
            [
                "not authorized for topic 'secret'; the principal needs the rights Describe and Write on the topic"
            ]
        );
    }
    assert_works(&producer, &broker, "orders");
}

// Java: KafkaProducerTest.testMetadataTimeoutWithPartitionOutOfRange.
#[test]
fn a_partition_out_of_range_times_out() {
    let broker = broker();
    let producer = producer_for(&broker);
    for partition in [3, i32::MAX] {
        let record = ProducerRecord::new("orders", "v").partition(partition);
        let error = deliver(&producer, record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(
            chain(&error),
            [format!(
                "topic orders has 3 partitions, and partition {partition} did not appear within 2000 ms (max.block.ms)"
            )]
        );
        assert_eq!(error.topic_partition().unwrap().partition(), partition);
        assert_eq!(error.delivery(), Delivery::NotWritten);
    }
    assert_works(&producer, &broker, "orders");
}

#[test]
fn a_partition_that_appears_while_a_send_waits() {
    let broker = broker();
    let producer = impatient(&broker.bootstrap_servers())
        .max_block(PATIENCE)
        .build()
        .unwrap();
    assert_works(&producer, &broker, "orders");
    let asked = broker.request_count(Api::Metadata);
    std::thread::scope(|scope| {
        let record = ProducerRecord::new("orders", "v").partition(3);
        let sent = scope.spawn(|| deliver(&producer, record));
        assert!(broker.await_requests(Api::Metadata, asked + 1, PATIENCE));
        broker.add_partitions("orders", 4).unwrap();
        assert_eq!(sent.join().unwrap().unwrap().partition(), 3);
    });
}

// Java: ProducerRecordTest.testInvalidRecords.
#[test]
fn a_negative_partition_is_refused() {
    let broker = broker();
    let producer = producer_for(&broker);
    for partition in [-1, i32::MIN] {
        let record = ProducerRecord::new("orders", "v").partition(partition);
        let error = producer.send(record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IllegalArgument);
        let expected = format!("the record's partition is {partition}, and cannot be negative");
        assert_eq!(chain(&error), [expected]);
    }
    assert_works(&producer, &broker, "orders");
}

type Choice = Result<i32, Box<dyn std::error::Error + Send + Sync>>;

/// A partitioner with a bug.
#[derive(Debug)]
struct Wrong<F>(F);

impl<F: Fn() -> Choice + Send + Sync> Partitioner for Wrong<F> {
    fn partition(&self, _: &str, _: Option<&[u8]>, _: Option<&[u8]>, _: &Cluster) -> Choice {
        (self.0)()
    }
}

/// Returns the error of a record whose partition `choose` decides. Records with a partition of
/// their own still work.
fn partitioned_by(choose: impl Fn() -> Choice + Send + Sync + 'static) -> Error {
    let broker = broker();
    let producer: KafkaProducer = impatient(&broker.bootstrap_servers())
        .partitioner(Wrong(choose))
        .build()
        .unwrap();
    let error = producer
        .send(ProducerRecord::new("orders", "v"))
        .unwrap_err();
    let record = ProducerRecord::new("orders", "v").partition(0);
    deliver(&producer, record).unwrap();
    producer.close(PATIENCE).unwrap();
    error
}

// Java: KafkaProducer.partition throws IllegalArgumentException for a negative number.
#[test]
fn a_partitioner_that_chooses_what_there_is_not() {
    for (partition, why) in [
        (3, "which has 3 partitions"),
        (-1, "which is negative"),
        (i32::MIN, "which is negative"),
    ] {
        let error = partitioned_by(move || Ok(partition));
        assert_eq!(error.kind(), ErrorKind::IllegalArgument);
        let expected =
            format!("the partitioner chose partition {partition} of topic orders, {why}");
        assert_eq!(chain(&error), [expected]);
    }
}

#[test]
fn a_partitioner_that_fails() {
    let error = partitioned_by(|| Err("no partition is good enough".into()));
    assert_eq!(cause(&error), "no partition is good enough");
    assert_eq!(
        error.to_string(),
        "the partitioner chose no partition of topic orders"
    );
}

#[test]
fn a_partitioner_that_panics() {
    let error = partitioned_by(|| panic!("no partition is good enough"));
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert_eq!(
        chain(&error),
        ["the partitioner panicked: no partition is good enough"]
    );
}
