//! Batches expire in time, whatever happens to their partition, their request or their transaction.

use super::transactions::{added, initialized_with, outcome, with_record};
use super::*;
use crate::protocol::ApiKey;

/// The leader stays away and the metadata do not change. A flush waits for each of the records.
#[test]
fn every_record_expires_while_its_leader_is_away() {
    let mut fixture = Fixture::plain();
    fixture.client().backoff(NodeId(0), Duration::from_secs(60));
    for _ in 0..3 {
        let sent = fixture.append(0);
        fixture.run();
        let wait = fixture.client().polled_timeouts().last().copied();
        assert!(wait.unwrap() <= DELIVERY_TIMEOUT, "{wait:?}");
        fixture.time.advance(DELIVERY_TIMEOUT);
        fixture.run_once();
        assert!(sent.error().is_timeout());
        assert_eq!(sent.error().delivery(), Delivery::NotWritten);
    }
    assert!(!fixture.accumulator.has_incomplete());
}

/// The commit learns of the expiry in the same round, and not after the following wait.
#[test]
fn a_commit_fails_at_once_when_a_record_expires() {
    let mut fixture = with_record();
    fixture.client().backoff(NodeId(0), Duration::from_secs(10));
    let sent = fixture.append(0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.run();
    fixture.advance(1500);
    fixture.run_once();
    assert_eq!(sent.error().kind(), ErrorKind::Timeout);
    assert!(outcome(&result).unwrap().unwrap_err().is_abortable());
}

/// The batch fails after the transactional step of its round, so the next round follows without a
/// wait.
#[test]
fn a_commit_hears_at_once_that_a_record_cannot_be_sent() {
    let mut fixture = initialized_with(Setup {
        compression: CompressionType::Zstd,
        ..Setup::default()
    });
    let mut versions = ApiKey::ALL.map(|key| (key, *key.versions().start(), *key.versions().end()));
    for (key, _, last) in &mut versions {
        if *key == ApiKey::Produce {
            *last = 6;
        }
    }
    fixture.begin();
    let sent = fixture.append(0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.client().set_api_versions(&versions);
    fixture.request(ApiKey::AddPartitionsToTxn);
    let added = added(&[(0, ErrorCode::NONE)]);
    fixture.client().respond(added);
    for _ in 0..4 {
        if !sent.is_done() {
            fixture.run_once();
        }
    }
    assert_eq!(sent.error().kind(), ErrorKind::UnsupportedVersion);
    let timeouts = fixture.client().polled_timeouts();
    assert_eq!(timeouts.last(), Some(&Duration::ZERO));
    fixture.run_once();
    assert!(outcome(&result).unwrap().is_err());
}

/// The process was stopped while the response arrived. It is read before the batch expires.
#[test]
fn a_response_that_has_arrived_is_read_before_its_batch_expires() {
    let mut fixture = Fixture::plain();
    let acked = fixture.send(0);
    let refused = fixture.send(1);
    let id = fixture.client().requests()[1].correlation_id;
    fixture.client().respond(ok(0, 7));
    let code = ErrorCode::NOT_ENOUGH_REPLICAS;
    let answer = produce_response(1, code, -1);
    fixture.client().respond_to(id, answer);
    fixture.advance(1600);
    fixture.run_once();
    assert_eq!(acked.offset(), 7);
    assert_eq!(refused.error().code(), Some(code));
    assert_eq!(refused.error().delivery(), Delivery::NotWritten);
}

/// Without a response the batch expires in the same round.
#[test]
fn a_batch_without_a_response_expires_in_the_first_round_after_its_time() {
    let mut fixture = Fixture::new(&expiring());
    let sent = fixture.send(0);
    fixture.advance(900);
    fixture.run_once();
    assert!(sent.error().is_timeout());
}

impl Fixture {
    fn without_retry_backoff(mut self) -> Self {
        self.sender.config.retry_backoff = Duration::ZERO;
        self
    }

    /// Runs one round that must wait, and asserts that it does.
    #[track_caller]
    fn assert_waits(&mut self) {
        self.run_once();
        let wait = self.client().polled_timeouts().last().copied().unwrap();
        assert!(wait >= Duration::from_millis(10), "{wait:?}");
    }
}

#[test]
fn a_fatal_error_without_a_retry_backoff_does_not_spin() {
    let mut fixture = Fixture::idempotent().without_retry_backoff();
    let error = Error::new(ErrorKind::Fenced, "fenced").into_fatal();
    fixture.ledger.transition_to_fatal_error(error);
    fixture.run_once();
    fixture.assert_waits();
    assert_eq!(
        fixture.client().polled_timeouts().last(),
        Some(&Duration::MAX)
    );
    let late = fixture.append(0);
    fixture.assert_waits();
    assert_eq!(late.error().kind(), ErrorKind::Fenced);
}

#[test]
fn a_search_for_a_node_without_a_retry_backoff_does_not_spin() {
    let setup = Setup {
        idempotent: true,
        ..Setup::default()
    };
    let connecting: fn(&mut MockClient, NodeId) = |client, node| {
        client.delay_ready(node, Duration::from_secs(10));
    };
    let backing_off: fn(&mut MockClient, NodeId) = |client, node| {
        client.backoff(node, Duration::from_secs(10));
    };
    for away in [connecting, backing_off] {
        for transactional in [false, true] {
            let setup = Setup {
                transactional,
                ..setup.clone()
            };
            let mut fixture = Fixture::new(&setup).without_retry_backoff();
            for node in [0, 1] {
                away(fixture.client(), NodeId(node));
            }
            if transactional {
                fixture.manager().initialize_transactions().unwrap();
            }
            for _ in 0..3 {
                fixture.assert_waits();
            }
        }
    }
}
