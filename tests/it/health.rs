//! `producer.health()`: what a readiness probe needs, without a request to a broker.

use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    ConnectionState, ErrorCode, ErrorKind, Health, KafkaProducer, KafkaProducerBuilder,
    MockProducer, Producer, ProducerRecord,
};

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

fn producer(servers: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(servers)
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .reconnect_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

/// Waits until the producer's health matches.
#[allow(
    clippy::disallowed_methods,
    reason = "the end of a broker takes its own time to be noticed"
)]
fn wait_until(producer: &KafkaProducer, is_so: impl Fn(&Health) -> bool) {
    let begin = std::time::Instant::now();
    while !is_so(&producer.health()) {
        assert!(begin.elapsed() < SOON, "{:?}", producer.health());
        std::thread::yield_now();
    }
}

#[test]
fn a_producer_is_healthy_from_the_first_response_to_its_close() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker.bootstrap_servers()).build().unwrap();
    producer
        .send(ProducerRecord::new(TOPIC, "value"))
        .unwrap()
        .get()
        .unwrap();
    let requests = broker.requests().len();
    let health = producer.health();
    assert!(health.is_healthy(), "{health:?}");
    assert!(health.connected_nodes() >= 1);
    assert!(health.since_last_response.unwrap() < SOON);
    assert_eq!(health.buffer_available_bytes, health.buffer_total_bytes);
    let leader = health
        .nodes
        .iter()
        .find(|node| node.id == NodeId(1))
        .unwrap();
    assert_eq!(leader.state, ConnectionState::Ready);
    assert!(leader.last_error.is_none());
    let port = broker.port(NodeId(1)).unwrap();
    assert!(leader.address.ends_with(&format!(":{port}")), "{leader:?}");
    assert_eq!(broker.requests().len(), requests, "it asked a broker");

    producer.close(SOON).unwrap();
    let health = producer.health();
    assert!(!health.is_healthy() && !health.is_open);
}

#[test]
fn a_producer_whose_brokers_are_gone_is_not_healthy_and_says_why() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker.bootstrap_servers()).build().unwrap();
    producer
        .send(ProducerRecord::new(TOPIC, "value"))
        .unwrap()
        .get()
        .unwrap();
    drop(broker);
    wait_until(&producer, |health| !health.is_healthy());
    let health = producer.health();
    assert_eq!(health.connected_nodes(), 0);
    let errors = health
        .nodes
        .iter()
        .filter_map(|node| node.last_error.as_ref());
    assert!(errors.count() > 0, "{health:?}");
    assert!(health.fatal_error.is_none() && health.is_open);
}

#[test]
fn a_producer_without_a_response_is_not_healthy() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::ApiVersions)
        .always()
        .then(Action::apply().hold(&hold));
    let producer = producer(&broker.bootstrap_servers()).build().unwrap();
    assert!(broker.await_requests(Api::ApiVersions, 1, SOON));
    let health = producer.health();
    assert!(!health.is_healthy());
    assert_eq!(health.since_last_response, None);
    hold.release();
    wait_until(&producer, Health::is_healthy);
}

#[test]
fn a_fenced_producer_says_what_ended_it() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker.bootstrap_servers())
        .transactional_id("t")
        .build()
        .unwrap();
    producer.init_transactions().unwrap();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_PRODUCER_EPOCH));
    broker.fence_producer("t").unwrap();
    let refused =
        producer.transaction(|transaction| transaction.send(ProducerRecord::new(TOPIC, "value")));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Fenced);
    let health = producer.health();
    assert!(!health.is_healthy());
    assert_eq!(health.fatal_error.unwrap().kind(), ErrorKind::Fenced);
}

#[test]
fn a_mock_is_healthy_until_the_test_says_otherwise() {
    let mock = MockProducer::new(true).with_transactional_id("t");
    let producer: &dyn Producer = &mock;
    assert!(producer.health().is_healthy());
    mock.set_unreachable(Some(ErrorKind::Network.into()));
    let health = producer.health();
    assert!(!health.is_healthy() && health.connected_nodes() == 0);
    mock.set_unreachable(None);
    assert!(producer.health().is_healthy());
    mock.init_transactions().unwrap();
    mock.fence_producer().unwrap();
    mock.begin_transaction().unwrap();
    drop(mock.send(ProducerRecord::new(TOPIC, "value")).unwrap());
    mock.commit_transaction().unwrap_err();
    // The commit may have failed only because of the record.
    drop(mock.abort_transaction());
    let health = producer.health();
    assert_eq!(health.fatal_error.unwrap().kind(), ErrorKind::Fenced);
    let closed = MockProducer::new(true);
    closed.close(SOON).unwrap();
    assert!(!closed.health().is_healthy());
}
