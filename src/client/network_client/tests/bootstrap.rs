//! Scenarios of Java's NetworkClientTest (4.4) for the first look-up of the bootstrap servers.

use super::*;
use crate::client::ClientDnsLookup;
use crate::client::client_utils::parse_addresses;
use crate::error::Error;

const TIMEOUT_MS: u64 = 5_000;
const BACKOFF_MS: u64 = 100;

/// Returns a client that resolves these servers in the background.
fn fixture(servers: &[&str], change: impl FnOnce(&mut NetworkClientConfig)) -> Fixture {
    let servers: Vec<_> = servers.iter().map(|url| (*url).to_owned()).collect();
    let mut config = config();
    config.bootstrap = Some(BootstrapConfig {
        addresses: parse_addresses(&servers, crate::network::SecurityProtocol::Plaintext).unwrap(),
        lookup: ClientDnsLookup::UseAllDnsIps,
        timeout: ms(TIMEOUT_MS),
        retry_backoff: ms(BACKOFF_MS),
    });
    change(&mut config);
    let f = Fixture::bootstrapped(config);
    f.metadata.bootstrap(Vec::new());
    f
}

/// Returns the addresses of the first nodes in the metadata.
fn nodes(f: &Fixture) -> Vec<String> {
    let cluster = f.metadata.load();
    let nodes = cluster.nodes().iter();
    nodes
        .map(|node| format!("{} {}:{}", node.id(), node.host(), node.port()))
        .collect()
}

fn wait_fails(f: &Fixture) -> Error {
    let version = f.metadata.update_version();
    f.metadata
        .await_update(version, ms(0), &f.time)
        .unwrap_err()
}

#[test]
fn the_servers_are_resolved_in_the_background() {
    let mut f = fixture(&["first:9092", "second:9093"], |_| {});
    assert!(f.poll().is_empty());
    assert_eq!(f.resolver.take_asked(), ["first", "second"]);
    f.resolver.answer("first", Err("no such host"));
    assert!(f.poll().is_empty());
    assert_eq!(nodes(&f), [""; 0], "the other one may have an address");
    f.resolver.answer("second", Ok(&["10.0.0.2"]));
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    assert_eq!(nodes(&f), ["-1 second:9093"]);
    assert!(f.metadata.bootstrap_error().is_none());
    // It is never resolved again.
    f.time.advance_ms(2 * TIMEOUT_MS);
    assert!(f.poll().is_empty());
    assert!(f.metadata.bootstrap_error().is_none());
}

#[test]
fn numeric_addresses_need_no_name_service() {
    let mut f = fixture(&["10.0.0.7:9092"], |_| {});
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    assert_eq!(nodes(&f), ["-1 10.0.0.7:9092"]);
    assert_eq!(f.resolver.take_asked(), [""; 0]);
}

#[test]
fn a_failed_look_up_is_repeated_after_the_backoff() {
    let mut f = fixture(&["first:9092"], |_| {});
    for _ in 0..3 {
        assert!(f.poll().is_empty());
        assert_eq!(f.resolver.take_asked(), ["first"]);
        f.resolver.answer("first", Err("no such host"));
        assert!(f.poll().is_empty());
        assert!(f.poll().is_empty());
        assert_eq!(f.resolver.take_asked(), [""; 0], "the backoff is not over");
        f.time.advance_ms(BACKOFF_MS);
    }
    assert!(f.poll().is_empty());
    f.resolver.answer("first", Ok(&["10.0.0.1"]));
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    assert_eq!(nodes(&f), ["-1 first:9092"]);
}

#[test]
fn a_name_that_hangs_does_not_delay_the_others() {
    let mut f = fixture(&["first:9092", "hangs:9092"], |_| {});
    assert!(f.poll().is_empty());
    f.resolver.answer("first", Ok(&["10.0.0.1"]));
    assert!(f.poll().is_empty());
    f.time.advance_ms(TIMEOUT_MS);
    assert!(f.poll().is_empty());
    assert_eq!(
        nodes(&f),
        ["-1 first:9092"],
        "a name that hangs holds back no other"
    );
    assert!(f.metadata.bootstrap_error().is_none());
}

#[test]
fn after_the_deadline_every_wait_fails_for_good() {
    let mut f = fixture(&["first:9092"], |_| {});
    assert!(f.poll().is_empty());
    f.resolver.answer("first", Err("no such host"));
    assert!(f.poll().is_empty());
    f.time.advance_ms(TIMEOUT_MS);
    assert!(f.poll().is_empty());
    for _ in 0..2 {
        let error = wait_fails(&f);
        assert_eq!(error.kind(), ErrorKind::BootstrapResolution);
        assert!(error.is_fatal() && !error.is_retriable() && !error.is_timeout());
        let text = error.to_string();
        assert!(
            text.contains("within 5000 ms (bootstrap.resolve.timeout.ms)"),
            "{text}"
        );
        assert!(text.contains("first: no such host"), "{text}");
    }
    // The name service may be back, but is not asked any more.
    f.resolver.take_asked();
    f.time.advance_ms(BACKOFF_MS);
    assert!(f.poll().is_empty());
    assert_eq!(f.resolver.take_asked(), [""; 0]);
    assert_eq!(wait_fails(&f).kind(), ErrorKind::BootstrapResolution);
}

/// Java's loop fails in every round in this case.
#[test]
fn the_rebootstrap_timer_does_nothing_before_the_servers_are_resolved() {
    let mut f = fixture(&["first:9092"], |config| {
        config.metadata_recovery_rebootstrap_trigger = ms(1_000);
    });
    assert!(f.poll().is_empty());
    let version = f.metadata.update_version();
    for _ in 0..40 {
        f.time.advance_ms(TIMEOUT_MS / 50);
        assert!(f.poll().is_empty());
    }
    assert_eq!(f.metadata.update_version(), version);
    f.resolver.answer("first", Ok(&["10.0.0.1"]));
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    assert_eq!(nodes(&f), ["-1 first:9092"]);
}
