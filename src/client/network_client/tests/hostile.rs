//! Brokers that violate the protocol. No response completes a request twice, or the wrong one.

use super::*;

fn payload(header: &RequestHeader, correlation_id: i32) -> Vec<u8> {
    let body = produce_response(0).into();
    encode_response(ApiKey::Produce, header.api_version, correlation_id, &body).unwrap()
}

fn assert_closed(f: &mut Fixture) {
    assert_eq!(f.selector.take_closed(), [NODE]);
    assert!(f.client.connection_failed(NODE));
    assert!(f.client.connection_delay(NODE, f.now()) > ms(0));
    assert!(!f.client.has_in_flight_requests());
    assert!(f.poll().is_empty());
}

#[test]
fn a_wrong_correlation_id_closes_the_connection() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    // Responses out of order are wrong too: brokers respond in the order of the requests.
    f.selector
        .receive(NODE, payload(&second, second.correlation_id));
    let expected = [
        (first.correlation_id, false, true),
        (second.correlation_id, false, true),
    ];
    assert_eq!(failures(&f.poll()), expected);
    assert_closed(&mut f);
}

#[test]
fn a_response_that_comes_twice() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    f.selector
        .receive(NODE, payload(&first, first.correlation_id));
    f.selector
        .receive(NODE, payload(&first, first.correlation_id));
    f.selector
        .receive(NODE, payload(&second, second.correlation_id));
    let responses = f.poll();
    assert_eq!(responses.len(), 2);
    assert!(matches!(responses[0].outcome, Ok(Some(_))));
    assert_eq!(
        failures(&responses[1..]),
        [(second.correlation_id, false, true)]
    );
    assert_closed(&mut f);
}

#[test]
fn a_response_to_no_request_closes_the_connection() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.selector.receive(NODE, vec![0; 64]);
    assert!(f.poll().is_empty());
    assert_closed(&mut f);
}

#[test]
fn a_frame_that_comes_before_anything_was_asked() {
    let mut f = Fixture::new();
    let node = f.node(0);
    f.client.ready(&node, f.now());
    f.selector.receive(NODE, vec![0; 64]);
    assert!(f.poll().is_empty());
    assert_closed(&mut f);
}

#[test]
fn a_response_to_a_request_that_is_not_written_yet() {
    let mut f = Fixture::new();
    f.make_ready(0);
    f.selector.hold_sends(NODE, Some(9));
    let id = f.send(NODE);
    let header = RequestHeader {
        api_key: 0,
        api_version: 12,
        correlation_id: id.0,
        client_id: None,
    };
    f.selector.receive(NODE, payload(&header, id.0));
    assert_eq!(failures(&f.poll()), [(id.0, false, true)]);
    assert_closed(&mut f);
}

#[test]
fn a_frame_without_a_correlation_id_closes_the_connection() {
    for length in 0..4 {
        let mut f = Fixture::new();
        f.make_ready(0);
        let id = f.send_and_write(NODE).correlation_id;
        f.selector.receive(NODE, vec![0; length]);
        assert_eq!(failures(&f.poll()), [(id, false, true)]);
        assert_closed(&mut f);
    }
}

#[test]
fn a_response_that_cannot_be_understood() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    let mut damaged = payload(&first, first.correlation_id);
    damaged.truncate(damaged.len() - 1);
    f.selector.receive(NODE, damaged);
    let responses = f.poll();
    assert_eq!(responses.len(), 2);
    let Err(RequestFailure::InvalidResponse { message }) = &responses[0].outcome else {
        panic!("{responses:?}");
    };
    assert!(
        message.contains("Produce v12") && message.contains("10.0.0.0:9092"),
        "{message}"
    );
    assert_eq!(
        failures(&responses[1..]),
        [(second.correlation_id, false, true)]
    );
    assert_closed(&mut f);
}

// As in Java.
#[test]
fn bytes_after_a_response_are_left_alone() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let header = f.send_and_write(NODE);
    let mut long = payload(&header, header.correlation_id);
    long.push(0);
    f.selector.receive(NODE, long);
    let responses = f.poll();
    let outcome = &responses[0].outcome;
    assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
    assert!(f.client.is_ready(NODE, f.now()));
}

#[test]
fn versions_that_cannot_be_understood() {
    let mut f = Fixture::new();
    let header = f.connect(0);
    let mut garbage = header.correlation_id.to_be_bytes().to_vec();
    garbage.extend([0xff; 40]);
    f.selector.receive(NODE, garbage);
    assert!(f.poll().is_empty());
    assert_closed(&mut f);
}

#[test]
fn a_response_that_comes_with_the_end_of_the_connection_counts() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let first = f.send_and_write(NODE);
    let second = f.send_and_write(NODE);
    f.selector
        .receive(NODE, payload(&first, first.correlation_id));
    f.selector.server_disconnect(NODE);
    let responses = f.poll();
    assert!(matches!(responses[0].outcome, Ok(Some(_))));
    assert_eq!(
        failures(&responses[1..]),
        [(second.correlation_id, false, true)]
    );
}
