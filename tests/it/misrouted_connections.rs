//! An address leads to another broker than the metadata says (KIP-1242).

use std::error::Error as _;
use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Api, FakeBroker};
use kafka_producer::{Delivery, KafkaProducer, KafkaProducerBuilder, ProducerRecord};

const SOON: Duration = Duration::from_secs(20);

/// Node 2 leads the partition, but its address leads to node 1.
fn misrouted() -> FakeBroker {
    let broker = FakeBroker::builder()
        .nodes(2)
        .cluster_id("here")
        .topic("orders", 1)
        .start()
        .unwrap();
    broker.move_leader("orders", 0, NodeId(2)).unwrap();
    let port = broker.port(NodeId(1)).unwrap();
    broker.advertise(NodeId(2), "127.0.0.1", port).unwrap();
    broker
}

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    let port = broker.port(NodeId(1)).unwrap();
    KafkaProducer::builder()
        .bootstrap_servers(format!("127.0.0.1:{port}"))
        .delivery_timeout(Duration::from_millis(1500))
        .request_timeout(Duration::from_millis(1000))
}

#[test]
fn a_permanent_misroute_is_the_source_of_the_error() {
    let broker = misrouted();
    let producer = producer(&broker).build().unwrap();
    let error = producer
        .send(ProducerRecord::new("orders", "a"))
        .and_then(|future| future.get())
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("not node 2 of cluster here"), "{cause}");
    // The node's reconnect backoff limits the attempts.
    let attempts = broker.count_requests(|request| request.api == Api::ApiVersions);
    assert!(attempts < 100, "{attempts}");
    assert_eq!(broker.record_count("orders"), 0);
}

#[test]
fn records_go_on_when_the_address_is_right_again() {
    let broker = misrouted();
    let port = broker.port(NodeId(1)).unwrap();
    let right = FakeBroker::port(&broker, NodeId(2)).unwrap();
    assert_ne!(port, right);
    let producer = producer(&broker)
        .delivery_timeout(SOON * 2)
        .build()
        .unwrap();
    let future = producer.send(ProducerRecord::new("orders", "a")).unwrap();
    let is_refused = |broker: &FakeBroker| broker.request_count(Api::ApiVersions) >= 3;
    assert!(broker.wait_for(SOON, is_refused));
    broker.advertise(NodeId(2), "127.0.0.1", right).unwrap();
    assert_eq!(future.get_timeout(SOON).unwrap().offset(), 0);
}

#[test]
fn without_the_check_records_go_to_the_broker_at_the_address() {
    let broker = misrouted();
    let producer = producer(&broker)
        .metadata_cluster_check_enable(false)
        .build()
        .unwrap();
    let error = producer
        .send(ProducerRecord::new("orders", "a"))
        .and_then(|future| future.get())
        .unwrap_err();
    // Node 1 does not lead the partition.
    assert!(broker.request_count(Api::Produce) > 0);
    assert!(error.is_timeout(), "{error}");
}
