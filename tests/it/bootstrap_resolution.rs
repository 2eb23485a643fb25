//! Names of `bootstrap.servers` that are resolved in the background (KIP-909).

use std::time::Duration;

use kafka_producer::testing::FakeBroker;
use kafka_producer::{ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord};

/// The top-level domain `invalid` has no names (RFC 2606).
const UNKNOWN: &str = "no-such-host.invalid:9092";

fn producer(servers: &str, timeout: Duration) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(servers)
        .bootstrap_resolve_timeout(timeout)
}

#[test]
fn a_producer_starts_from_the_names_that_resolve() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let servers = format!("{UNKNOWN},{}", broker.bootstrap_servers());
    let producer = producer(&servers, Duration::from_secs(20)).build().unwrap();
    let future = producer.send(ProducerRecord::new("orders", "a")).unwrap();
    assert_eq!(future.get().unwrap().offset(), 0);
}

#[test]
fn every_call_fails_for_good_after_the_time() {
    let producer = producer(UNKNOWN, Duration::from_millis(200))
        .transactional_id("t")
        .build()
        .unwrap();
    let errors = [
        producer.init_transactions().unwrap_err(),
        producer.init_transactions().unwrap_err(),
        producer.partitions_for("orders").unwrap_err(),
        producer.begin_transaction().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::BootstrapResolution, "{error}");
        assert!(error.is_fatal() && !error.is_retriable());
    }
    producer.flush().unwrap();
    producer.close(Duration::from_secs(20)).unwrap();
}

#[test]
fn sends_fail_and_wait_no_longer_than_once() {
    let producer = producer(UNKNOWN, Duration::from_millis(200))
        .build()
        .unwrap();
    let send = || producer.send(ProducerRecord::new("orders", "a"));
    for _ in 0..2 {
        let error = send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BootstrapResolution, "{error}");
    }
    let error = producer.try_send(ProducerRecord::new("orders", "a"));
    let error = error.unwrap_err().error;
    assert_eq!(error.kind(), ErrorKind::BootstrapResolution, "{error}");
}

#[test]
fn an_entry_that_is_no_address_fails_while_the_producer_is_built() {
    for servers in ["host", "host:70000", "http://host:9092"] {
        let built = producer(servers, Duration::from_secs(20)).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Config, "{servers}");
    }
}
