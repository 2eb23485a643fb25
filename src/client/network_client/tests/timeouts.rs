//! Requests and connections that take too long.

use super::*;

// Java: NetworkClientTest.testRequestTimeout, testDefaultRequestTimeout, testTimedOutNodes...
#[test]
fn a_request_timeout_closes_the_connection() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE).correlation_id;
    let mut request = f.request(NODE);
    request.request_timeout = ms(REQUEST_TIMEOUT_MS - 200);
    let second = f.client.send(request, f.now()).unwrap();
    f.poll();
    f.selector.hold_sends(NODE, Some(0));
    let third = f.send(NODE);

    f.time.advance_ms(REQUEST_TIMEOUT_MS - 201);
    assert!(f.poll().is_empty());
    f.time.advance_ms(1);
    // One is late, and the connection is closed with all of its requests.
    let expected = [
        (first, true, true),
        (second.0, true, true),
        (third.0, true, false),
    ];
    assert_eq!(failures(&f.poll()), expected);
    assert_eq!(f.selector.take_closed(), [NODE]);
    assert!(f.client.connection_failed(NODE));
    assert!(f.metadata.is_update_requested(), "the node may be gone");
}

// Java: NetworkClientTest.testRequestTimeoutExcludesThrottleTime...
#[test]
fn a_request_timeout_excludes_the_throttle_time() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    f.answer(NODE, &first, produce_response(500));
    assert_eq!(f.poll().len(), 1);
    f.time.advance_ms(REQUEST_TIMEOUT_MS + 499);
    assert!(f.poll().is_empty());
    f.time.advance_ms(1);
    assert_eq!(failures(&f.poll()), [(second.correlation_id, true, true)]);
}

/// The process was stopped for longer than `request.timeout.ms`. When it continues, the first
/// response is there, and the second request has timed out.
#[test]
fn responses_that_have_arrived_are_read_before_requests_time_out() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let answered = f.send_and_write(NODE);
    f.answer(NODE, &answered, produce_response(0));
    f.selector.suspend(Duration::from_secs(3600));
    let responses = f.poll();
    assert!(
        matches!(
            responses[..],
            [ClientResponse {
                outcome: Ok(Some(_)),
                ..
            }]
        ),
        "{responses:?}"
    );
    assert_eq!(f.selector.take_closed(), []);

    let lost = f.send_and_write(NODE);
    f.selector.suspend(Duration::from_secs(3600));
    assert_eq!(failures(&f.poll()), [(lost.correlation_id, true, true)]);
}

#[test]
fn a_connection_that_was_made_during_a_late_wait_is_kept() {
    let mut f = Fixture::new();
    let node = f.node(0);
    f.client.ready(&node, f.now());
    f.selector.suspend(Duration::from_secs(3600));
    f.poll();
    assert!(!f.client.connection_failed(NODE));
    assert_eq!(f.selector.take_closed(), []);
}

// Java: NetworkClientTest.testConnectionSetupTimeout; testApiVersions... "not stuck if channel never ready".
#[test]
fn a_connection_setup_timeout_closes_the_connection() {
    let mut f = Fixture::new();
    f.selector.hold_connects(true);
    let node = f.node(0);
    f.client.ready(&node, f.now());
    assert_eq!(f.client.connection_delay(NODE, f.now()), ms(SETUP_MS));
    f.time.advance_ms(SETUP_MS - 1);
    f.poll();
    assert!(!f.client.connection_failed(NODE));
    f.time.advance_ms(1);
    f.poll();
    assert!(f.client.connection_failed(NODE));
    assert_eq!(f.selector.take_closed(), [NODE]);
    assert!(f.metadata.is_update_requested());
}

// The wait itself ends in time, whatever the caller's timeout is.
#[test]
fn poll_waits_no_longer_than_until_something_is_given_up() {
    let mut f = Fixture::new();
    let far = Duration::from_secs(1_000_000);
    f.make_ready(0);
    f.send_and_write(NODE);
    f.time.advance_ms(300);
    let now = f.now();
    assert_eq!(
        f.client.poll_timeout(far, now),
        ms(REQUEST_TIMEOUT_MS - 300)
    );
    assert_eq!(f.client.poll_timeout(ms(3), now), ms(3));
    // The mock's wait takes its full time, and then the request times out.
    let responses = f.client.poll(far, now);
    assert_eq!(
        f.selector.last_poll_timeout(),
        Some(ms(REQUEST_TIMEOUT_MS - 300))
    );
    assert_eq!(failures(&responses).len(), 1);
}

#[test]
fn poll_waits_no_longer_than_until_an_attempt_to_connect_is_given_up() {
    let mut f = Fixture::bootstrapped(NetworkClientConfig {
        connection_setup_timeout: ms(200),
        connection_setup_timeout_max: ms(200),
        ..config()
    });
    f.update_metadata();
    f.selector.hold_connects(true);
    let node = f.node(0);
    f.client.ready(&node, f.now());
    f.client.poll(Duration::MAX, f.now());
    assert_eq!(f.selector.last_poll_timeout(), Some(ms(200)));
    assert!(f.client.connection_failed(NODE));
}

#[test]
fn without_anything_to_wait_for_poll_lasts_a_request_timeout() {
    let mut f = Fixture::new();
    f.client.poll(Duration::MAX, f.now());
    assert_eq!(f.selector.last_poll_timeout(), Some(ms(REQUEST_TIMEOUT_MS)));
}
