//! When metadata is requested, and from which node. Java: parts of `NetworkClientTest`.

use super::*;
use crate::client::metadata::MetadataConfig;
use crate::common::NodeId;
use crate::protocol::messages::{MetadataBroker, MetadataResponse};
use crate::utils::{MockTime, Time};

const BACKOFF_MS: u64 = 100;
const RECONNECT_MS: u64 = 50;
const REQUEST_TIMEOUT_MS: u64 = 1000;
const TRIGGER_MS: u64 = 5000;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct Fixture {
    updater: MetadataUpdater,
    time: MockTime,
}

impl Fixture {
    fn new(recovery_strategy: MetadataRecoveryStrategy) -> Self {
        let time = MockTime::new();
        let config = MetadataConfig {
            refresh_backoff: ms(BACKOFF_MS),
            refresh_backoff_max: ms(BACKOFF_MS),
            max_age: ms(300_000),
            topic_idle: ms(300_000),
        };
        let metadata = Arc::new(Metadata::new(config, time.now()));
        metadata.bootstrap(vec![Node::new(NodeId(-1), "boot", 1, None)]);
        let config = MetadataUpdaterConfig {
            reconnect_backoff: ms(RECONNECT_MS),
            request_timeout: ms(REQUEST_TIMEOUT_MS),
            recovery_strategy,
            rebootstrap_trigger: ms(TRIGGER_MS),
        };
        Self {
            updater: MetadataUpdater::new(metadata, config),
            time,
        }
    }

    fn step(&mut self, seen: LeastLoadedNode) -> MetadataStep {
        self.updater.maybe_update(self.time.now(), || seen)
    }

    fn send(&mut self) -> MetadataRequestVersion {
        match self.step(node(true, false)) {
            MetadataStep::Send(_, _, version) => version,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, version: MetadataRequestVersion, response: &MetadataResponse) {
        let now = self.time.now();
        response.with_view(13, |view| {
            self.updater.handle_response(version, view, now);
        });
    }

    fn is_bootstrap(&self) -> bool {
        self.updater.metadata().snapshot().is_bootstrap()
    }
}

fn node(can_send: bool, can_connect: bool) -> LeastLoadedNode {
    LeastLoadedNode {
        node: Some(LoadedNode {
            node: Node::new(NodeId(1), "host", 1, None),
            can_send,
            can_connect,
        }),
        has_ready_connection: can_send,
        is_any_connecting: false,
    }
}

fn nothing() -> LeastLoadedNode {
    LeastLoadedNode {
        node: None,
        has_ready_connection: false,
        is_any_connecting: false,
    }
}

fn good() -> MetadataResponse {
    MetadataResponse {
        brokers: vec![MetadataBroker {
            node_id: 1,
            host: "host".to_owned(),
            port: 1,
            rack: None,
        }],
        ..MetadataResponse::default()
    }
}

fn error(error_code: ErrorCode) -> MetadataResponse {
    MetadataResponse {
        error_code,
        ..good()
    }
}

#[test]
fn one_request_at_a_time() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    assert!(f.updater.is_update_due(f.time.now()));
    let version = f.send();
    assert!(!f.updater.is_update_due(f.time.now()));
    let wait = MetadataStep::Wait(ms(REQUEST_TIMEOUT_MS));
    assert_eq!(f.step(node(true, false)), wait);
    f.answer(version, &good());
    assert_eq!(f.step(node(true, false)), MetadataStep::Wait(ms(300_000)));
}

#[test]
fn connects_unless_a_connection_is_being_made_already() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    let connect = f.step(node(false, true));
    assert!(matches!(connect, MetadataStep::Connect(_, wait) if wait == ms(RECONNECT_MS)));
    let connecting = LeastLoadedNode {
        is_any_connecting: true,
        ..node(false, true)
    };
    assert_eq!(f.step(connecting), MetadataStep::Wait(ms(RECONNECT_MS)));
    // It cannot take another request.
    assert_eq!(
        f.step(node(false, false)),
        MetadataStep::Wait(Duration::MAX)
    );
}

#[test]
fn a_lost_connection_counts_as_a_failed_update_if_one_was_due() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    f.updater.handle_server_disconnect(f.time.now());
    assert_eq!(
        f.step(node(true, false)),
        MetadataStep::Wait(ms(BACKOFF_MS))
    );
    f.time.advance_ms(BACKOFF_MS);
    let version = f.send();
    f.answer(version, &good());

    // No update was due, so nothing failed, but the metadata may be out of date.
    f.time.advance_ms(1000);
    f.updater.handle_server_disconnect(f.time.now());
    assert!(f.updater.is_update_due(f.time.now()));
}

#[test]
fn a_failed_request_is_tried_again_after_the_backoff() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    f.send();
    f.updater.handle_failed_request(None, f.time.now());
    assert_eq!(
        f.step(node(true, false)),
        MetadataStep::Wait(ms(BACKOFF_MS))
    );
}

// Java: a response without brokers.
#[test]
fn a_response_without_brokers_is_a_failed_update() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    let version = f.send();
    f.answer(version, &MetadataResponse::default());
    assert!(f.is_bootstrap());
    assert_eq!(
        f.step(node(true, false)),
        MetadataStep::Wait(ms(BACKOFF_MS))
    );
    let version = {
        f.time.advance_ms(BACKOFF_MS);
        f.send()
    };
    f.answer(version, &error(ErrorCode::UNKNOWN_SERVER_ERROR));
    assert!(f.is_bootstrap());
    assert_eq!(
        f.step(node(true, false)),
        MetadataStep::Wait(ms(BACKOFF_MS))
    );
}

// Java: NetworkClientTest.testRebootstrap; KIP-899: all known brokers are gone.
#[test]
fn rebootstraps_when_no_node_is_of_use() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    // There is nothing else to start from yet.
    assert_eq!(f.step(nothing()), MetadataStep::Wait(ms(RECONNECT_MS)));
    let version = f.send();
    f.answer(version, &good());
    f.updater.metadata().request_update();
    f.time.advance_ms(BACKOFF_MS);

    let full = LeastLoadedNode {
        has_ready_connection: true,
        ..nothing()
    };
    assert_eq!(f.step(full), MetadataStep::Wait(ms(RECONNECT_MS)));
    assert_eq!(f.step(nothing()), MetadataStep::Rebootstrap);
    f.updater.rebootstrap(f.time.now());
    assert!(f.is_bootstrap());
    assert_eq!(f.step(nothing()), MetadataStep::Wait(ms(RECONNECT_MS)));
}

#[test]
fn the_strategy_none_never_rebootstraps() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::None);
    let version = f.send();
    f.answer(version, &good());
    f.updater.metadata().request_update();
    f.time.advance_ms(BACKOFF_MS);
    assert_eq!(f.step(nothing()), MetadataStep::Wait(ms(RECONNECT_MS)));
    let version = f.send();
    f.answer(version, &error(ErrorCode::REBOOTSTRAP_REQUIRED));
    f.time.advance_ms(TRIGGER_MS * 2);
    assert!(!f.updater.needs_rebootstrap(f.time.now()));
    assert_eq!(f.updater.rebootstrap_due(), None);
}

// Java: NetworkClientTest.testRebootstrapTriggered...; KIP-1102.
#[test]
fn rebootstraps_after_a_time_without_a_good_answer() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    let version = f.send();
    f.answer(version, &good());
    assert_eq!(f.updater.rebootstrap_due(), None);

    f.updater.metadata().request_update();
    f.time.advance_ms(BACKOFF_MS);
    let first = f.time.now();
    f.send();
    assert_eq!(f.updater.rebootstrap_due(), Some(first + ms(TRIGGER_MS)));
    f.updater.handle_failed_request(None, f.time.now());
    f.time.advance_ms(TRIGGER_MS - 1);
    f.send();
    assert!(!f.updater.needs_rebootstrap(f.time.now()));
    f.time.advance_ms(1);
    assert!(f.updater.needs_rebootstrap(f.time.now()));

    f.updater.rebootstrap(f.time.now());
    assert!(
        !f.updater.needs_rebootstrap(f.time.now()),
        "the time starts again"
    );
    assert_eq!(
        f.updater.rebootstrap_due(),
        Some(f.time.now() + ms(TRIGGER_MS))
    );
}

// Java: NetworkClientTest.testRebootstrapRequiredError...; KIP-1102.
#[test]
fn rebootstraps_when_a_broker_asks_for_it_but_not_hot() {
    let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
    for round in 0..3 {
        let version = f.send();
        f.answer(version, &error(ErrorCode::REBOOTSTRAP_REQUIRED));
        assert!(f.updater.needs_rebootstrap(f.time.now()), "{round}");
        f.updater.rebootstrap(f.time.now());
        assert!(!f.updater.needs_rebootstrap(f.time.now()));
        assert_eq!(
            f.step(node(true, false)),
            MetadataStep::Wait(ms(BACKOFF_MS))
        );
        f.time.advance_ms(BACKOFF_MS);
    }
}

/// A program calls `try_send` in a loop, which requests the update of a new topic over and over.
#[test]
fn a_new_topic_is_requested_with_backoff_after_updates_that_failed() {
    let answers = [
        error(ErrorCode::UNKNOWN_SERVER_ERROR),
        MetadataResponse::default(),
    ];
    for answer in answers {
        let mut f = Fixture::new(MetadataRecoveryStrategy::Rebootstrap);
        let version = f.send();
        f.answer(version, &good());
        let start = f.time.now();
        let mut requests = 0;
        for round in 0..20_000 {
            let topic = if round % 100 == 0 { "new" } else { "newer" };
            let metadata = f.updater.metadata();
            metadata.add(topic, f.time.now());
            metadata.request_update_for_topic(topic);
            if let MetadataStep::Send(_, _, version) = f.step(node(true, false)) {
                requests += 1;
                f.answer(version, &answer);
            }
            if round % 10 == 0 {
                f.time.advance_ms(1);
            }
        }
        assert_eq!(f.time.now() - start, ms(2000));
        assert!((10..=21).contains(&requests), "{requests} requests in 2 s");
    }
}

#[test]
fn every_strategy_has_its_name() {
    let from = MetadataRecoveryStrategy::from_name;
    assert_eq!(
        from("rebootstrap"),
        Some(MetadataRecoveryStrategy::Rebootstrap)
    );
    assert_eq!(from("none"), Some(MetadataRecoveryStrategy::None));
    assert_eq!(from("other"), None);
}
