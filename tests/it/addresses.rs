//! Connections use the addresses that the user and the brokers give: with their scopes, and always
//! the current one.

#[cfg(target_os = "linux")]
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, TcpListener};
use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord};

#[cfg(target_os = "linux")]
use crate::support::proxy::Proxy;

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";
const NODE: NodeId = NodeId(1);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic(TOPIC, 1).start().unwrap()
}

fn producer_at(bootstrap_servers: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(bootstrap_servers)
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .reconnect_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

fn deliver(producer: &KafkaProducer) -> kafka_producer::Result<()> {
    let record = ProducerRecord::new(TOPIC, "value").partition(0);
    producer.send(record)?.get().map(drop)
}

/// A second process takes over node 1, and the metadata has its address. The old process keeps
/// running but leads nothing.
#[test]
fn a_broker_that_moved_is_sent_to_at_its_new_address() {
    let (old, new) = (broker(), broker());
    let producer = producer_at(&old.bootstrap_servers())
        .enable_idempotence(false)
        .build()
        .unwrap();
    deliver(&producer).unwrap();
    let not_leader = || Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    old.on(Api::Produce).always().then(not_leader());
    let port = new.port(NODE).unwrap();
    old.advertise(NODE, "127.0.0.1", port).unwrap();

    deliver(&producer).unwrap();
    assert_eq!((old.record_count(TOPIC), new.record_count(TOPIC)), (1, 1));
    assert!(old.await_connections(1, SOON), "the bootstrap connection");
}

/// The configuration asks for TLS, so nothing may be sent in plain text.
#[test]
fn a_scheme_that_asks_for_another_protocol_is_refused() {
    let broker = broker();
    let servers = broker.bootstrap_servers();
    for (scheme, reason) in [
        ("SASL_SSL", "asks for SASL_SSL"),
        ("ssl", "asks for ssl"),
        ("http", "has the scheme 'http'"),
    ] {
        let url = format!("{scheme}://{servers}");
        let error = producer_at(&url).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains(&url) && text.contains(reason), "{text}");
    }
    assert_eq!(broker.accepted_connections(), 0);
    let producer = producer_at(&format!("PLAINTEXT://{servers}"));
    deliver(&producer.build().unwrap()).unwrap();
}

/// Returns the listening addresses of this machine's interfaces: address, number and name.
#[cfg(target_os = "linux")]
fn scoped_listeners() -> Vec<(TcpListener, Ipv6Addr, String)> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut found = Vec::new();
    for line in table.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        let address = Ipv6Addr::from(u128::from_str_radix(fields[0], 16).unwrap());
        let scope = u32::from_str_radix(fields[1], 16).unwrap();
        if !address.is_loopback() && !address.is_unicast_link_local() {
            continue;
        }
        if let Ok(listener) = TcpListener::bind(SocketAddrV6::new(address, 0, 0, scope)) {
            found.push((listener, address, fields[5].to_owned()));
        }
    }
    found
}

/// A link-local address needs its scope: a connection without one fails with "invalid argument".
/// Machines without IPv6 have no such address. Most others have at least that of the loopback
/// interface.
#[cfg(target_os = "linux")]
#[test]
fn an_ipv6_scope_goes_from_the_configuration_and_the_metadata_to_the_connection() {
    for (listener, address, interface) in scoped_listeners() {
        let broker = broker();
        let target = broker.bootstrap_servers().parse().unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.ip(), IpAddr::from(address));
        let proxy = Proxy::listen(listener, target, Box::new(|frame| vec![frame]));
        for advertised in [
            format!("{address}%{interface}"),
            format!("[{address}%{interface}]"),
        ] {
            broker.advertise(NODE, &advertised, local.port()).unwrap();
            let servers = format!("[{address}%{interface}]:{}", local.port());
            let producer = producer_at(&servers).build().unwrap();
            deliver(&producer).unwrap();
            producer.close(SOON).unwrap();
        }
        assert_eq!(broker.record_count(TOPIC), 2, "{address}%{interface}");
        drop(proxy);
    }
}
