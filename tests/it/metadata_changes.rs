//! Topics and leaders change while the producer runs. It learns of the change, and continues with
//! what still exists.

#![allow(clippy::disallowed_methods, reason = "tests may read the clock")]

use std::thread;
use std::time::{Duration, Instant};

use kafka_producer::common::{NodeId, PartitionInfo};
use kafka_producer::testing::{Action, Api, FakeBroker, Request, TopicConfig};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord,
    RecordMetadata, Result,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

fn send(producer: &KafkaProducer, partition: i32) -> Result<RecordMetadata> {
    let record = ProducerRecord::new(TOPIC, "value").partition(partition);
    producer.send(record)?.get()
}

fn metadata_requests(broker: &FakeBroker) -> usize {
    broker.request_count(Api::Metadata)
}

fn names(request: &Request, topic: &str) -> bool {
    request
        .partitions
        .iter()
        .any(|partition| partition.topic() == topic)
}

// KIP-951: the refusal names the new leader, and the record is sent there at once, without a
// metadata request.
#[test]
fn a_leader_that_moves_is_followed_by_the_hint_in_the_refusal() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 1)
        .start()
        .unwrap();
    let producer = producer(&broker)
        // Longer than the delivery timeout of a record, and short enough for a second request for
        // the first metadata.
        .retry_backoff(Duration::from_secs(15))
        .retry_backoff_max(Duration::from_secs(15))
        .request_timeout(Duration::from_secs(10))
        .delivery_timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    send(&producer, 0).unwrap();
    // Metadata would help too, but must not be needed.
    broker.on(Api::Metadata).always().then(Action::skip());
    for (offset, node) in [(1, 2), (2, 3), (3, 1)] {
        broker.move_leader(TOPIC, 0, NodeId(node)).unwrap();
        assert_eq!(send(&producer, 0).unwrap().offset(), offset);
    }
    let nodes: Vec<_> = broker
        .requests()
        .iter()
        .filter(|request| request.api == Api::Produce)
        .map(|request| request.node.0)
        .collect();
    assert_eq!(nodes, [1, 1, 2, 2, 3, 3, 1]);
}

/// Brokers before Produce v10 do not name the new leader, so metadata is requested.
#[test]
fn a_leader_that_moves_is_found_by_metadata_where_there_is_no_hint() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 1)
        .versions(Api::Produce, 3..=9)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    send(&producer, 0).unwrap();
    let before = metadata_requests(&broker);
    broker.move_leader(TOPIC, 0, NodeId(2)).unwrap();
    assert_eq!(send(&producer, 0).unwrap().offset(), 1);
    assert!(metadata_requests(&broker) > before);
}

/// Metadata that was in flight while the leader changed names the old one, with an older epoch. It
/// is ignored.
#[test]
fn metadata_with_an_older_leader_epoch_are_not_believed() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 1)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .metadata_max_age(Duration::from_millis(30))
        .build()
        .unwrap();
    // Connect to each node, so that each gets metadata requests in turn.
    for node in [2, 3, 1] {
        broker.move_leader(TOPIC, 0, NodeId(node)).unwrap();
        send(&producer, 0).unwrap();
    }
    // Node 3 delays its response, and node 1 answers nothing after that. Node 2 does answer: a
    // request without a response would delay the records on the same connection.
    let stale = broker.new_hold();
    broker
        .on(Api::Metadata)
        .node(NodeId(3))
        .then(Action::apply().hold(&stale));
    assert!(broker.wait_for(SOON, |broker| broker.unspent_rules() == 0));
    for node in [1, 3] {
        let on_node = broker.on(Api::Metadata).node(NodeId(node));
        on_node.always().then(Action::skip());
    }
    let before = metadata_requests(&broker);
    broker.move_leader(TOPIC, 0, NodeId(2)).unwrap();
    send(&producer, 0).unwrap();

    stale.release();
    assert!(
        broker.await_requests(Api::Metadata, before + 1, SOON),
        "the stale answer was taken in"
    );
    let to_old_leader =
        |request: &Request| request.api == Api::Produce && request.node == NodeId(1);
    let refused = broker.count_requests(to_old_leader);
    send(&producer, 0).unwrap();
    assert_eq!(broker.count_requests(to_old_leader), refused);
}

/// A broker denies a partition for a moment. The record is sent again, in its place.
#[test]
fn unknown_topic_or_partition_heals() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    for code in [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_TOPIC_ID,
        ErrorCode::FENCED_LEADER_EPOCH,
    ] {
        broker.on(Api::Produce).times(2).then(Action::fail(code));
        let before = metadata_requests(&broker);
        let sent: Vec<_> = (0..20)
            .map(|_| producer.send(ProducerRecord::new(TOPIC, "value")).unwrap())
            .collect();
        for pair in sent.windows(2) {
            let offsets = [
                pair[0].get().unwrap().offset(),
                pair[1].get().unwrap().offset(),
            ];
            assert_eq!(offsets[0] + 1, offsets[1], "{code}");
        }
        // The records may be delivered before the metadata request, which has a backoff of its own.
        let is_asked = broker.await_requests(Api::Metadata, before + 1, SOON);
        assert!(is_asked, "{code} asks for metadata");
    }
    assert_eq!(broker.record_count(TOPIC), 80);
}

// KAFKA-12257, KAFKA-13488: the epochs of the new topic begin at 0 again, below the known ones.
#[test]
fn a_topic_that_is_deleted_and_created_again_is_the_new_topic() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    for node in [2, 3, 1, 2, 3] {
        broker.move_leader(TOPIC, 0, NodeId(node)).unwrap();
        send(&producer, 0).unwrap();
    }
    assert_eq!(broker.leader_epoch(TOPIC, 0), Some(5));
    let old = broker.topic_id(TOPIC).unwrap();
    broker.recreate_topic(TOPIC).unwrap();
    assert_ne!(broker.topic_id(TOPIC).unwrap(), old);
    assert_eq!(broker.leader_epoch(TOPIC, 0), Some(0));
    for offset in 0..3 {
        assert_eq!(send(&producer, 0).unwrap().offset(), offset);
    }
    // Later leader changes of the new topic are followed as usual.
    broker.move_leader(TOPIC, 0, NodeId(2)).unwrap();
    assert_eq!(send(&producer, 0).unwrap().offset(), 3);
    assert_eq!(broker.record_count(TOPIC), 4);
}

/// The same with records in flight, and with brokers without topic ids.
#[test]
fn a_topic_may_be_created_again_under_load() {
    for versions in [3..=13, 3..=9] {
        let broker = FakeBroker::builder()
            .nodes(2)
            .topic(TOPIC, 2)
            .versions(Api::Produce, versions)
            .start()
            .unwrap();
        let producer = producer(&broker).build().unwrap();
        for _ in 0..3 {
            let sent: Vec<_> = (0..200)
                .map(|number| {
                    producer
                        .send(ProducerRecord::new(TOPIC, "value").partition(number % 2))
                        .unwrap()
                })
                .collect();
            broker.recreate_topic(TOPIC).unwrap();
            assert!(sent.iter().all(|sent| sent.get().is_ok()));
        }
        send(&producer, 0).unwrap();
        assert_eq!(
            broker.record_count(TOPIC) as i64,
            broker.log_end_offset(TOPIC, 0) + broker.log_end_offset(TOPIC, 1)
        );
    }
}

/// A topic disappears and comes back. Its records wait for it.
#[test]
fn records_wait_for_a_topic_that_comes_back() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .auto_create_topics(false)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    send(&producer, 0).unwrap();
    broker.delete_topic(TOPIC).unwrap();
    let waiting = producer
        .send(ProducerRecord::new(TOPIC, "value").partition(0))
        .unwrap();
    let before = metadata_requests(&broker);
    assert!(broker.await_requests(Api::Metadata, before + 2, SOON));
    assert!(!waiting.is_done());
    broker.create_topic(TOPIC, TopicConfig::new(1)).unwrap();
    assert_eq!(waiting.get().unwrap().offset(), 0);
}

/// Records of a topic that does not come back expire, and their error says why.
#[test]
fn records_of_a_topic_that_stays_away_fail() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .auto_create_topics(false)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .request_timeout(Duration::from_millis(1500))
        .delivery_timeout(Duration::from_millis(1500))
        .build()
        .unwrap();
    send(&producer, 0).unwrap();
    broker.delete_topic(TOPIC).unwrap();
    let error = send(&producer, 0).unwrap_err();
    assert!(
        error.is_timeout() || error.code().is_some_and(|code| code.refreshes_metadata()),
        "{error:?}"
    );
    assert_eq!(error.delivery(), Delivery::NotWritten);
}

// Java: PlaintextProducerSendTest.testSendToPartition and BaseProducerSendTest.testSendBeforeAndAfterPartitionExpansion.
#[test]
fn partitions_that_are_added_are_found() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 1)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    send(&producer, 0).unwrap();
    thread::scope(|scope| {
        let before = metadata_requests(&broker);
        let waiting = scope.spawn(|| send(&producer, 3));
        assert!(broker.await_requests(Api::Metadata, before + 1, SOON));
        broker.add_partitions(TOPIC, 4).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().partition(), 3);
    });
    assert_eq!(producer.partitions_for(TOPIC).unwrap().len(), 4);
}

/// A new topic has fewer partitions. Records of the missing ones do not delay the others.
#[test]
fn partitions_that_are_gone_hold_up_nobody() {
    let broker = FakeBroker::builder().topic(TOPIC, 4).start().unwrap();
    let producer = producer(&broker)
        .max_block(Duration::from_millis(1500))
        .request_timeout(Duration::from_millis(1500))
        .delivery_timeout(Duration::from_millis(1500))
        .build()
        .unwrap();
    for partition in 0..4 {
        send(&producer, partition).unwrap();
    }
    broker.delete_topic(TOPIC).unwrap();
    broker.create_topic(TOPIC, TopicConfig::new(2)).unwrap();
    let orphans: Vec<_> = [3, 2]
        .map(|partition| {
            producer
                .send(ProducerRecord::new(TOPIC, "value").partition(partition))
                .unwrap()
        })
        .into();
    for partition in [0, 1, 0, 1] {
        send(&producer, partition).unwrap();
    }
    for orphan in orphans {
        let error = orphan.get().unwrap_err();
        assert_eq!(error.delivery(), Delivery::NotWritten, "{error:?}");
    }
    let error = send(&producer, 3).unwrap_err();
    assert!(error.to_string().contains("has 2 partitions"), "{error}");
    assert_eq!(broker.record_count(TOPIC), 4);
}

// KAFKA-8662: one topic has an error, others do not.
#[test]
fn a_topic_in_error_leaves_the_others_alone() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .topic("second", 1)
        .topic("forbidden", 1)
        .start()
        .unwrap();
    let forbidden = Action::fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    broker
        .on(Api::Metadata)
        .topic("forbidden")
        .always()
        .then(forbidden);
    let producer = producer(&broker)
        .metadata_max_age(Duration::from_millis(20))
        .build()
        .unwrap();
    let error_of = |topic: &str| -> Error {
        producer
            .send(ProducerRecord::new(topic, "value"))
            .unwrap()
            .get()
            .unwrap_err()
    };
    for _ in 0..20 {
        send(&producer, 0).unwrap();
        let error = error_of("forbidden");
        assert_eq!(error.kind(), ErrorKind::Authorization);
        assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        assert!(error.to_string().contains("forbidden"), "{error}");
        assert_eq!(error.delivery(), Delivery::NotWritten);
        let error = error_of("not/legal");
        assert_eq!(error.kind(), ErrorKind::InvalidTopic);
        assert!(error.to_string().contains("not/legal"), "{error}");
        producer
            .send(ProducerRecord::new("second", "value"))
            .unwrap()
            .get()
            .unwrap();
    }
    assert_eq!(broker.record_count(TOPIC), 20);
    assert_eq!(broker.record_count("second"), 20);
    // Then the error ends.
    broker.clear_script();
    while let Err(error) = producer
        .send(ProducerRecord::new("forbidden", "value"))
        .unwrap()
        .get()
    {
        assert_eq!(error.kind(), ErrorKind::Authorization);
    }
}

/// The error of one partition in the metadata does not affect the topic's other partitions.
#[test]
fn a_partition_without_a_leader_leaves_the_others_alone() {
    let broker = FakeBroker::builder().topic(TOPIC, 3).start().unwrap();
    broker.remove_leader(TOPIC, 1).unwrap();
    let producer = producer(&broker).build().unwrap();
    let waiting = producer
        .send(ProducerRecord::new(TOPIC, "value").partition(1))
        .unwrap();
    for partition in [0, 2, 0, 2] {
        send(&producer, partition).unwrap();
    }
    assert!(!waiting.is_done());
    broker.move_leader(TOPIC, 1, NodeId(1)).unwrap();
    assert_eq!(waiting.get().unwrap().partition(), 1);
}

// KAFKA-7572.
#[test]
fn a_negative_partition_is_refused_at_once() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    let record = ProducerRecord::new(TOPIC, "value").partition(-1);
    let error = producer.send(record).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalArgument);
    assert!(error.to_string().contains("-1"), "{error}");
    assert_eq!(broker.record_count(TOPIC), 0);
}

/// The response to a record can say too that the client may not write.
#[test]
fn a_producer_that_may_not_write_is_told_so() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
    let error = send(&producer, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization);
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(!error.is_fatal());
    assert_eq!(send(&producer, 0).unwrap().offset(), 0);
}

/// Without the right to write idempotently nothing is sent.
#[test]
fn a_producer_that_may_not_be_idempotent_is_told_so() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let unauthorized = Action::fail(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    broker.on(Api::InitProducerId).always().then(unauthorized);
    let idempotent = producer(&broker).build().unwrap();
    let error = send(&idempotent, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization);
    assert_eq!(error.code(), Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let plain = producer(&broker).enable_idempotence(false).build().unwrap();
    assert_eq!(send(&plain, 0).unwrap().offset(), 0);
}

#[test]
fn a_topic_is_created_on_demand() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .default_topic(TopicConfig::new(3))
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    let sent = producer
        .send(ProducerRecord::new("new", "value").partition(2))
        .unwrap();
    assert_eq!(
        (sent.get().unwrap().partition(), broker.record_count("new")),
        (2, 1)
    );
    assert_eq!(producer.partitions_for("newer").unwrap().len(), 3);
}

/// A real broker first says that the topic does not exist, and then that it has no leader.
#[test]
fn a_topic_that_is_being_created_is_waited_for() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    for code in [
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::LEADER_NOT_AVAILABLE,
    ] {
        broker
            .on(Api::Metadata)
            .topic(TOPIC)
            .times(2)
            .then(Action::fail(code));
    }
    let producer = producer(&broker).build().unwrap();
    assert_eq!(send(&producer, 0).unwrap().offset(), 0);
    assert_eq!(broker.unspent_rules(), 0);
}

/// A topic without records leaves the metadata, and returns when it is needed. Java:
/// metadata.max.idle.ms.
#[test]
fn only_topics_in_use_are_asked_for() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .topic("second", 1)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    send(&producer, 0).unwrap();
    producer
        .send(ProducerRecord::new("second", "value"))
        .unwrap()
        .get()
        .unwrap();
    let requests = broker.requests();
    let asked: Vec<_> = requests
        .iter()
        .filter(|request| request.api == Api::Metadata)
        .map(|request| (request.is_for_all_topics, request.topics.clone()))
        .collect();
    // Only the second topic is requested, because the first one is known.
    assert_eq!(asked.last().unwrap(), &(false, vec!["second".to_owned()]));
    assert!(asked.iter().all(|(all, _)| !all), "{asked:?}");
    assert!(requests.iter().any(|request| names(request, "second")));
}

/// A node is down just while a new topic is requested, so the response does not list it.
#[test]
fn a_node_that_was_away_for_a_moment_gets_its_partitions_back() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .replication_factor(1)
        .topic(TOPIC, 2)
        .topic("other", 1)
        .start()
        .unwrap();
    // Without a connection to node 2, because its end would request an update.
    let bootstrap = format!("127.0.0.1:{}", broker.port(NodeId(1)).unwrap());
    let producer = producer(&broker)
        .bootstrap_servers(&bootstrap)
        .build()
        .unwrap();
    send(&producer, 0).unwrap();
    broker.stop_node(NodeId(2)).unwrap();
    let record = ProducerRecord::new("other", "value");
    producer.send(record).unwrap().get().unwrap();
    broker.start_node(NodeId(2)).unwrap();
    let has_leaders = || {
        let partitions = producer.partitions_for(TOPIC).unwrap();
        let mut leaders = partitions.iter().map(PartitionInfo::leader);
        leaders.all(|leader| leader.is_some())
    };
    let deadline = Instant::now() + SOON;
    while !has_leaders() {
        assert!(Instant::now() < deadline);
        thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(broker.leader(TOPIC, 1), Some(NodeId(2)));
}

/// Brokers before 2.8 have no topic ids by which a new topic could be told from the old one.
#[test]
fn a_topic_without_an_id_that_is_created_anew_is_found() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 1)
        .versions(Api::Produce, 3..=9)
        .versions(Api::Metadata, 4..=9)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .enable_idempotence(false)
        .delivery_timeout(SOON)
        .request_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    for node in [2, 1, 3, 2] {
        broker.move_leader(TOPIC, 0, NodeId(node)).unwrap();
        send(&producer, 0).unwrap();
    }
    let epoch = broker.leader_epoch(TOPIC, 0).unwrap();
    broker.recreate_topic(TOPIC).unwrap();
    assert!(broker.leader_epoch(TOPIC, 0).unwrap() < epoch);
    assert_ne!(broker.leader(TOPIC, 0), Some(NodeId(2)));
    assert_eq!(send(&producer, 0).unwrap().offset(), 0);
}
