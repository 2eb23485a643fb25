//! Errors of topics.

use super::*;

// Java: MetadataTest.testMetadataTopicErrors, testInvalidTopicError, testTopicAuthorizationError.
#[test]
fn errors_of_a_topic_are_its_own() {
    let f = Fixture::new();
    f.add(&["bad name", "secret", "missing", "good"]);
    f.update_all(&response(vec![
        error_topic("bad name", ErrorCode::INVALID_TOPIC_EXCEPTION),
        error_topic("secret", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        error_topic("missing", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        topic("good", vec![partition(0, 0, 1)]),
    ]));
    let kind = |topic| f.metadata.topic_error(topic).map(|error| error.kind());
    assert_eq!(kind("bad name"), Some(ErrorKind::InvalidTopic));
    assert_eq!(kind("secret"), Some(ErrorKind::Authorization));
    assert_eq!(kind("missing"), Some(ErrorKind::Broker));
    assert_eq!(kind("good"), None);
    assert_eq!(f.leader("good", 0), Some(0));
    let retriable = |topic| f.metadata.topic_error(topic).unwrap().is_retriable();
    assert!(retriable("missing") && !retriable("secret"));

    f.update_all(&response_with(&["bad name", "good"]));
    assert_eq!((kind("bad name"), kind("secret")), (None, None));
}

// Java: MetadataTest.testMetadataTopicErrors.
#[test]
fn maybe_throw_exception_for_topic_throws_once() {
    let f = Fixture::new();
    f.add(&["invalid", "secret", "missing"]);
    let bad = response(vec![
        error_topic("invalid", ErrorCode::INVALID_TOPIC_EXCEPTION),
        error_topic("secret", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        error_topic("missing", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ]);
    let thrown = |topic: &str| {
        let result = f.metadata.maybe_throw_exception_for_topic(topic);
        result.err().map(|error| error.kind())
    };
    f.update_all(&bad);
    assert_eq!(thrown("invalid"), Some(ErrorKind::InvalidTopic));
    assert_eq!(thrown("invalid"), None, "thrown");
    assert_eq!(thrown("secret"), None, "cleared with the other");
    f.update_all(&bad);
    assert_eq!(thrown("secret"), Some(ErrorKind::Authorization));
    f.update_all(&bad);
    assert_eq!(thrown("missing"), None, "it may come into being");

    // The fatal error comes first, and clears the others.
    f.update_all(&bad);
    f.metadata
        .fatal_error(Error::new(ErrorKind::Authentication, "no"));
    assert_eq!(thrown("invalid"), Some(ErrorKind::Authentication));
    assert_eq!(thrown("invalid"), None);
    assert!(f.metadata.topic_error("invalid").is_some(), "still known");
}

#[test]
fn names_from_the_wire_are_printed_without_control_characters() {
    let f = Fixture::new();
    let name = "a\u{1b}[31m\nb";
    f.add(&[name]);
    f.update_all(&response(vec![error_topic(
        name,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
    )]));
    let text = f.metadata.topic_error(name).unwrap().to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.contains("\\n"), "{text:?}");
    assert_eq!(printable(&"x".repeat(10_000)).to_string().len(), 258);

    let text = described(&response(vec![error_topic(
        name,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    )]));
    assert!(!text.unwrap().contains(char::is_control));
}

#[test]
fn a_description_of_many_errors_is_short() {
    let topics = (0..1000)
        .map(|index| error_topic(&format!("t{index}"), ErrorCode::INVALID_TOPIC_EXCEPTION));
    let text = described(&response(topics.collect())).unwrap();
    assert!(
        text.ends_with(", and 995 more") && text.len() < 250,
        "{text}"
    );
    assert_eq!(described(&response_with(&["t"])), None);
}

fn described(response: &MetadataResponse) -> Option<String> {
    response.with_view(VERSION, describe_errors)
}
