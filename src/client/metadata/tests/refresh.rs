//! When an update is due.

use super::*;

// Java: MetadataTest.testUpdateMetadataAllowedImmediatelyAfterBootstrap.
#[test]
fn an_update_is_due_at_once_after_the_bootstrap() {
    let f = Fixture::new();
    f.metadata
        .bootstrap(vec![Node::new(NodeId(-1), "localhost", 9002, None)]);
    assert_eq!(f.due_ms(), 0);
    assert!(f.metadata.snapshot().is_bootstrap());
    assert_eq!(f.metadata.update_version(), 1);
}

// Java: MetadataTest.testTimeToNextUpdate.
#[test]
fn an_update_is_due_after_the_max_age_or_the_backoff() {
    let f = Fixture::new();
    assert_eq!(f.due_ms(), 0);
    f.update_all(&response_with(&[]));
    assert_eq!(f.due_ms(), MAX_AGE_MS);

    // A requested update waits only for the backoff.
    f.metadata.request_update();
    assert_eq!(f.due_ms(), BACKOFF_MS);
    f.time.advance_ms(BACKOFF_MS - 1);
    assert_eq!(f.due_ms(), 1);
    f.time.advance_ms(1);
    assert_eq!(f.due_ms(), 0);
    f.update_all(&response_with(&[]));
    assert!(!f.metadata.is_update_requested());

    f.time.advance_ms(MAX_AGE_MS - 1);
    assert_eq!(f.due_ms(), 1);
    f.time.advance_ms(1);
    assert_eq!(f.due_ms(), 0);
}

// Java: MetadataTest.testTimeToNextUpdateRetryBackoff.
#[test]
fn an_update_after_a_failure_waits_for_the_backoff() {
    let f = Fixture::new();
    f.metadata.failed_update(f.time.now());
    assert_eq!(f.due_ms(), BACKOFF_MS);
    f.time.advance_ms(BACKOFF_MS);
    assert_eq!(f.due_ms(), 0);
}

// Java: MetadataTest.testTimeToNextUpdateRetryBackoff, exponential.
#[test]
fn the_backoff_grows_with_failed_updates_and_a_success_resets_it() {
    let f = Fixture::with(config(1600));
    for expected in [100, 200, 400, 800, 1600, 1600] {
        f.metadata.failed_update(f.time.now());
        let due = f.due_ms();
        assert!(
            (expected * 8 / 10..=(expected * 12 / 10).min(1600)).contains(&due),
            "{due} after {expected}"
        );
        // The jitter is drawn once.
        assert_eq!(f.due_ms(), due);
        f.time.advance_ms(due);
        assert_eq!(f.due_ms(), 0);
    }
    f.update_all(&response_with(&[]));
    f.metadata.request_update();
    assert!(f.due_ms() <= 120);
}

// Java: MetadataTest.testTimeToNextUpdateOverwriteBackoff.
#[test]
fn an_added_topic_skips_the_backoff_after_a_successful_update() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.metadata.request_update();
    assert_eq!(f.due_ms(), BACKOFF_MS);
    f.add(&["new"]);
    assert_eq!(f.due_ms(), 0);
}

#[test]
fn after_a_failed_update_partial_requests_wait_for_the_backoff() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["new"]);
    assert!(f.request().1.is_partial);
    f.metadata.failed_update(f.time.now());
    f.metadata.request_update_for_topic("new");
    assert_eq!(f.due_ms(), BACKOFF_MS, "a topic that was added before");
    f.add(&["other"]);
    assert_eq!(f.due_ms(), BACKOFF_MS, "a topic that is added now");
    f.time.advance_ms(BACKOFF_MS);
    assert_eq!(f.request().0, ["new", "other"]);
}

#[test]
fn a_request_for_a_new_topic_while_one_is_in_flight_does_not_ask_again() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["new"]);
    let (_, version) = f.request();
    f.metadata.request_update_for_topic("new");
    f.answer(version, &response_with(&["new"]));
    assert!(!f.metadata.is_update_requested());
}

// Java: MetadataTest.testUpdateMetadata..., exponential backoff of equivalent responses (KIP-580).
#[test]
fn responses_that_change_nothing_are_asked_for_less_and_less_often() {
    let f = Fixture::with(MetadataConfig {
        max_age: ms(1_000_000),
        ..config(1600)
    });
    f.add(&["t"]);
    f.update_all(&response_with(&["t"]));
    let mut last = 0;
    for expected in [100, 200, 400, 800] {
        f.metadata.request_update();
        f.time.advance_ms(f.due_ms());
        f.update_all(&response_with(&["t"]));
        f.metadata.request_update();
        let due = f.due_ms();
        assert!(
            (expected * 8 / 10..=expected * 12 / 10).contains(&due),
            "{due}"
        );
        assert!(due > last);
        last = due;
    }
    // A new epoch is a change.
    f.time.advance_ms(last);
    f.update_all(&response(vec![topic("t", vec![partition(0, 1, 2)])]));
    f.metadata.request_update();
    assert!(f.due_ms() <= 120);
}

#[test]
fn an_update_that_is_due_by_age_does_not_wait_for_the_backoff_of_equivalent_responses() {
    let f = Fixture::with(MetadataConfig {
        max_age: ms(1000),
        ..config(1_000_000)
    });
    f.add(&["t"]);
    for _ in 0..8 {
        f.update_all(&response_with(&["t"]));
    }
    assert_eq!(f.due_ms(), 1000);
    f.metadata.request_update();
    assert_eq!(f.due_ms(), 1000, "12,800 ms, were it not for the age");
}

// Java: MetadataTest.testFailedUpdate.
#[test]
fn a_failed_update_backs_off_and_stays_requested() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.time.advance_ms(BACKOFF_MS);
    f.metadata.request_update();
    assert_eq!(f.due_ms(), 0);
    f.metadata.failed_update(f.time.now());
    assert_eq!(f.due_ms(), BACKOFF_MS);
    assert!(f.metadata.is_update_requested(), "it is still wanted");
}

// Java: MetadataTest.testRequestUpdate.
#[test]
fn a_response_satisfies_only_what_was_wanted_when_it_was_asked_for() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["one"]);
    let (names, version) = f.request();
    assert_eq!(names, ["one"]);
    assert!(version.is_partial);

    f.add(&["two"]);
    f.answer(version, &response_with(&["one"]));
    assert!(f.metadata.is_update_requested());
    let (names, version) = f.request();
    assert_eq!((names, version.is_partial), (vec!["two".to_owned()], true));
    f.answer(version, &response_with(&["two"]));
    assert!(!f.metadata.is_update_requested());
}

// Java: MetadataTest.testPartialMetadataUpdate.
#[test]
fn a_partial_response_does_not_satisfy_a_request_for_everything() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["one"]);
    let (_, partial) = f.request();
    f.metadata.request_update();
    f.answer(partial, &response_with(&["one"]));
    assert!(f.metadata.is_update_requested());
    let (names, version) = f.request();
    assert_eq!((names, version.is_partial), (vec!["one".to_owned()], false));
}

#[test]
fn extreme_configurations_do_not_overflow() {
    let f = Fixture::with(MetadataConfig {
        refresh_backoff: ms(0),
        refresh_backoff_max: ms(0),
        max_age: Duration::MAX,
        topic_idle: Duration::MAX,
    });
    f.add(&["t"]);
    f.update_all(&response_with(&["t"]));
    assert!(f.due_ms() > 1_000_000_000);
    f.metadata.request_update();
    assert_eq!(f.due_ms(), 0);
}
