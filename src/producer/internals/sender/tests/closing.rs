//! Closing: gracefully, by force, and after a panic.

use std::panic::AssertUnwindSafe;

use super::*;

/// Does the work of the I/O thread on this thread: rounds while it should run, then its end.
fn run_to_end(fixture: &mut Fixture, mut between: impl FnMut(&mut Fixture)) {
    for _ in 0..100 {
        if !fixture.sender.should_run() {
            let reason = Error::new(ErrorKind::Closed, "closed");
            fixture
                .sender
                .shut_down(&reason, |client, id, node| client.was_written(id, node));
            return;
        }
        fixture.run_once();
        between(fixture);
    }
    panic!("the sender does not end");
}

#[test]
fn a_graceful_close_delivers_everything_first() {
    let mut fixture = Fixture::plain();
    let sent = [fixture.append(0), fixture.append(1)];
    fixture.accumulator.close();
    fixture.sender.control().initiate_close();
    run_to_end(&mut fixture, |fixture| {
        if fixture.in_flight() == 2 {
            fixture.client().respond_from(NodeId(0), ok(0, 0));
            fixture.client().respond_from(NodeId(1), ok(1, 0));
        }
    });
    assert!(sent.iter().all(|sent| sent.offset() == 0));
    assert!(fixture.metadata.is_closed());
}

// Java: SenderTest.testForceClose...
#[test]
fn a_forced_close_fails_what_is_left() {
    let mut fixture = Fixture::plain();
    let in_flight = fixture.send(0);
    fixture.client().backoff(NodeId(1), Duration::from_secs(60));
    let waiting = fixture.send(1);
    fixture.accumulator.close();
    fixture.sender.control().force_close();
    run_to_end(&mut fixture, |_| {
        panic!("a forced close does no further round")
    });
    assert_eq!(in_flight.error().kind(), ErrorKind::Closed);
    assert_eq!(in_flight.error().delivery(), Delivery::MaybeWritten);
    assert_eq!(waiting.error().kind(), ErrorKind::Closed);
    assert_eq!(waiting.error().delivery(), Delivery::NotWritten);
    assert!(!fixture.accumulator.has_incomplete());
}

#[test]
fn a_forced_close_knows_what_never_left() {
    let mut fixture = Fixture::plain();
    fixture.client().set_written(false);
    let sent = fixture.send(0);
    fixture.sender.control().force_close();
    run_to_end(&mut fixture, |_| ());
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
}

// A broken invariant fails the producer and completes every future.
#[test]
fn a_panic_ends_the_producer_with_an_outcome_for_everything() {
    let mut fixture = Fixture::idempotent();
    let in_flight = fixture.send(0);
    fixture
        .client()
        .prepare_response_matching(|_| panic!("a bug"), ok(1, 0));
    let (waiting, manager) = (fixture.append(1), fixture.ledger.clone());
    let (accumulator, metadata) = (
        Arc::clone(&fixture.accumulator),
        Arc::clone(&fixture.metadata),
    );
    let sender = fixture.sender;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        std::thread::spawn(move || sender.run()).join().unwrap();
    }));
    assert!(ended.is_ok());
    for sent in [&in_flight, &waiting] {
        assert_eq!(sent.error().kind(), ErrorKind::Internal);
    }
    assert!(manager.fatal_error().is_some());
    assert!(accumulator.is_closed() && metadata.is_closed() && !accumulator.has_incomplete());
}

// A panic on the I/O thread drops the batches that it holds. Their requests may have left.
#[test]
fn a_batch_that_is_lost_in_flight_by_a_bug_may_be_written() {
    let mut fixture = Fixture::plain();
    let sent = fixture.send(0);
    fixture.sender.in_flight.clear();
    assert_eq!(sent.error().kind(), ErrorKind::Internal);
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
}

// The wake-up of the close may be used up by then, and no response is expected.
#[test]
fn a_close_ends_at_once_if_the_producer_fails_meanwhile() {
    let mut fixture = Fixture::idempotent();
    let in_flight = fixture.send(0);
    fixture.client().backoff(NodeId(1), Duration::from_secs(60));
    let waiting = fixture.append(1);
    fixture.accumulator.close();
    fixture.sender.control().initiate_close();
    fixture.answer(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, -1);
    let before = fixture.client().polled_timeouts().len();
    run_to_end(&mut fixture, |_| ());
    let waits = &fixture.client().polled_timeouts()[before..];
    assert_eq!(waits, [Duration::ZERO]);
    for sent in [in_flight, waiting] {
        assert!(sent.error().is_fatal());
    }
}
