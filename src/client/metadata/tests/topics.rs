//! The topics that are kept.

use super::*;

// Java: ProducerMetadataTest.testTopicExpiry.
#[test]
fn a_topic_expires_after_metadata_max_idle() {
    let f = Fixture::new();
    f.add(&["one"]);
    f.update(&response_with(&["one"]));
    f.time.advance_ms(IDLE_MS - 1);
    f.update(&response_with(&["one"]));
    assert!(f.metadata.contains_topic("one"));
    f.time.advance_ms(1);
    f.update(&response_with(&["one"]));
    assert!(!f.metadata.contains_topic("one"));
    assert!(f.metadata.load().topic("one").is_none());

    f.add(&["two"]);
    f.update(&response_with(&["two"]));
    for _ in 0..3 {
        f.time.advance_ms(IDLE_MS / 2);
        f.update(&response_with(&["two"]));
        assert!(f.metadata.contains_topic("two"));
        f.add(&["two"]);
    }

    // A topic without metadata stays, because a caller may wait for it.
    f.add(&["three"]);
    f.time.advance_ms(IDLE_MS);
    f.update(&response_with(&["three"]));
    assert!(f.metadata.contains_topic("three"));
}

// Java: ProducerMetadataTest.testMetadataPartialUpdate.
#[test]
fn new_topics_are_requested_alone() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["one"]);
    assert_eq!(f.due_ms(), 0);
    f.update(&response_with(&["one"]));
    assert!(!f.metadata.is_update_requested());
    f.add(&["one"]);
    assert!(!f.metadata.is_update_requested(), "it is not new");

    f.add(&["two", "three"]);
    let (names, version) = f.request();
    assert_eq!(names, ["three", "two"]);
    f.answer(version, &response_with(&["two"]));
    // Java keeps "three" as new and sends requests as fast as responses arrive. See
    // `MetadataState::apply`.
    f.metadata.request_update_for_topic("three");
    assert_eq!(f.due_ms(), BACKOFF_MS);
    assert_eq!(f.request().0, ["one", "three", "two"]);
    let cluster = f.metadata.load();
    assert!(
        cluster.topic("one").is_some(),
        "not in the response, and kept"
    );
    assert!(cluster.topic("two").is_some() && cluster.topic("three").is_none());
}

// Java: ProducerMetadataTest.testRequestUpdateForTopic.
#[test]
fn only_a_new_topic_is_requested_alone() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["one", "two"]);
    f.update(&response_with(&["one", "two"]));
    f.add(&["new"]);

    f.metadata.request_update_for_topic("new");
    assert!(f.request().1.is_partial);
    f.update(&response_with(&["new"]));
    f.metadata.request_update_for_topic("one");
    assert!(!f.request().1.is_partial);
}

#[test]
fn a_new_topic_that_is_answered_with_an_error_is_asked_for_with_backoff() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    f.add(&["t"]);
    f.update(&response(vec![error_topic(
        "t",
        ErrorCode::LEADER_NOT_AVAILABLE,
    )]));
    assert!(f.metadata.is_update_requested());
    assert_eq!(f.due_ms(), BACKOFF_MS);
    assert!(!f.request().1.is_partial);
}

#[test]
fn topics_that_were_not_asked_for_are_not_kept() {
    let f = Fixture::new();
    f.add(&["mine"]);
    f.update_all(&response_with(&["mine", "other"]));
    let cluster = f.metadata.load();
    assert_eq!(cluster.topics().count(), 1);
    assert!(cluster.topic("mine").is_some());
}
