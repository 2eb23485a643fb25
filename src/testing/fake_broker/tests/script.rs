//! Every action, and the choice of rules.

use super::*;
use crate::testing::{Action, Api, Failure};

fn three_nodes() -> (FakeBroker, Client) {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic("t", 6)
        .start()
        .unwrap();
    let client = Client::connect(&broker, 1);
    (broker, client)
}

/// Sends a batch for t-0 without reading the reply.
fn send(client: &mut Client, value: &str) -> i32 {
    client.send(9, request("t", 0, plain(&[value])))
}

#[test]
fn fails_as_often_as_it_says_and_in_order() {
    let (broker, mut client) = three_nodes();
    let (first, second) = (
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::KAFKA_STORAGE_ERROR,
    );
    broker.on(Api::Produce).times(2).then(Action::fail(first));
    broker.on(Api::Produce).then(Action::fail(second));
    assert_eq!(broker.unspent_rules(), 2);
    let codes: Vec<_> = (0..4)
        .map(|_| client.produce_code("t", 0, plain(&["a"])))
        .collect();
    assert_eq!(codes, [first, first, second, ErrorCode::NONE]);
    assert_eq!(
        (broker.unspent_rules(), broker.log_end_offset("t", 0)),
        (0, 1)
    );
}

#[test]
fn fails_always_until_the_script_is_cleared() {
    let (broker, mut client) = three_nodes();
    let code = ErrorCode::REQUEST_TIMED_OUT;
    broker.on(Api::Produce).always().then(Action::fail(code));
    for _ in 0..3 {
        assert_eq!(client.produce_code("t", 0, plain(&["a"])), code);
    }
    broker.clear_script();
    assert_eq!(client.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
}

#[test]
fn a_failure_has_a_message_and_record_errors() {
    let (broker, mut client) = three_nodes();
    let failure = Failure::new(ErrorCode::INVALID_RECORD)
        .message("bad")
        .record_error(1, "worse");
    broker.on(Api::Produce).then(Action::fail(failure));
    let answer = client.produce("t", 0, plain(&["a", "b"]));
    assert_eq!(answer.error_message.as_deref(), Some("bad"));
    let error = &answer.record_errors[0];
    assert_eq!(error.batch_index, 1);
    assert_eq!(error.batch_index_error_message.as_deref(), Some("worse"));
}

#[test]
fn a_failure_can_come_after_the_append() {
    let (broker, mut client) = three_nodes();
    let failure = Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND).after_append();
    broker.on(Api::Produce).then(Action::fail(failure));
    let answer = client.produce("t", 0, plain(&["a"]));
    assert_eq!(
        answer.error_code,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
    );
    assert_eq!((answer.base_offset, broker.log_end_offset("t", 0)), (-1, 1));
}

#[test]
fn one_request_can_take_the_failures_of_several_partitions() {
    let (broker, mut client) = three_nodes();
    let (a, b) = (
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::KAFKA_STORAGE_ERROR,
    );
    broker
        .on(Api::Produce)
        .partition("t", 0)
        .then(Action::fail(a));
    broker
        .on(Api::Produce)
        .partition("t", 0)
        .then(Action::fail(b));
    broker
        .on(Api::Produce)
        .partition("t", 3)
        .then(Action::fail(b));
    broker
        .on(Api::Produce)
        .partition("u", 0)
        .then(Action::fail(b));
    let mut codes = || {
        let batches = [0, 3].map(|partition| (partition, plain(&["x"])));
        client.send(9, request_of_batches("t", batches.to_vec()));
        let partitions = client.receive_produce(9).1.topics.remove(0).partitions;
        partitions.iter().map(|p| p.error_code).collect::<Vec<_>>()
    };
    assert_eq!(codes(), [a, b]);
    assert_eq!(codes(), [b, ErrorCode::NONE]);
    assert_eq!(codes(), [ErrorCode::NONE, ErrorCode::NONE]);
    assert_eq!(
        broker.unspent_rules(),
        1,
        "that for the topic that was not named"
    );
}

#[test]
fn a_rule_can_be_for_one_node_or_topic() {
    let (broker, mut first) = three_nodes();
    let mut second = Client::connect(&broker, 2);
    let code = ErrorCode::KAFKA_STORAGE_ERROR;
    broker
        .on(Api::Produce)
        .node(NodeId(2))
        .then(Action::fail(code));
    broker.on(Api::Produce).topic("u").then(Action::fail(code));
    assert_eq!(first.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
    assert_eq!(second.produce_code("t", 1, plain(&["a"])), code);
    assert_eq!(second.produce_code("t", 1, plain(&["a"])), ErrorCode::NONE);
    assert_eq!(broker.unspent_rules(), 1);
}

#[test]
fn skip_and_disconnect_appends_nothing() {
    let (broker, mut client) = three_nodes();
    broker.on(Api::Produce).then(Action::skip().disconnect());
    send(&mut client, "a");
    assert!(client.is_at_end());
    assert_eq!(broker.log_end_offset("t", 0), 0);
}

#[test]
fn applies_and_drops_the_reply() {
    let (broker, mut client) = three_nodes();
    broker.on(Api::Produce).then(Action::apply().disconnect());
    client.send(9, request("t", 0, sequenced(0, 0, &["a"])));
    assert!(client.is_at_end());
    assert_eq!(broker.log_end_offset("t", 0), 1);
    let answer = Client::connect(&broker, 1).produce("t", 0, sequenced(0, 0, &["a"]));
    assert_eq!(
        (answer.error_code, answer.base_offset),
        (ErrorCode::NONE, 0)
    );
    assert_eq!(broker.log_end_offset("t", 0), 1, "the retry is a duplicate");
}

#[test]
fn never_reply_sends_no_response() {
    let (broker, mut client) = three_nodes();
    broker.on(Api::Produce).then(Action::skip());
    broker.on(Api::Produce).then(Action::apply().never_reply());
    send(&mut client, "a");
    send(&mut client, "b");
    let third = send(&mut client, "c");
    assert_eq!(
        client.receive_produce(9).0,
        third,
        "the first reply is to the third request"
    );
    assert_eq!(values(&broker, "t", 0), ["b", "c"]);
}

#[test]
fn reply_twice_sends_the_response_twice() {
    let (broker, mut client) = three_nodes();
    broker.on(Api::Produce).then(Action::apply().reply_twice());
    let first = send(&mut client, "a");
    let second = send(&mut client, "b");
    let ids: Vec<_> = (0..3).map(|_| client.receive_produce(9).0).collect();
    assert_eq!(ids, [first, first, second]);
    assert_eq!(broker.log_end_offset("t", 0), 2);
}

#[test]
fn wrong_correlation_id_changes_the_correlation_id() {
    let (broker, mut client) = three_nodes();
    broker
        .on(Api::Produce)
        .then(Action::apply().wrong_correlation_id());
    let sent = send(&mut client, "a");
    assert_ne!(client.receive_produce(9).0, sent);
}

#[test]
fn reply_with_bytes_sends_raw_bytes() {
    let (broker, mut client) = three_nodes();
    broker
        .on(Api::Produce)
        .then(Action::skip().reply_with_bytes(*b"\0\0\0\x02hi"));
    broker
        .on(Api::Produce)
        .then(Action::skip().reply_with_body(*b"\0hi"));
    send(&mut client, "a");
    let second = send(&mut client, "b");
    assert_eq!(client.receive_raw().unwrap(), b"hi");
    let expected = [&second.to_be_bytes()[..], b"\0hi"].concat();
    assert_eq!(client.receive_raw().unwrap(), expected);
    assert_eq!(broker.log_end_offset("t", 0), 0);
}

#[test]
fn cut_reply_ends_a_response_at_any_byte() {
    let (broker, mut client) = three_nodes();
    send(&mut client, "a");
    let length = client.receive_raw().unwrap().len() + 4;
    for cut in 0..length {
        broker.on(Api::Produce).then(Action::apply().cut_reply(cut));
        let mut client = Client::connect(&broker, 1);
        send(&mut client, "a");
        let mut received = Vec::new();
        client.stream.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), cut);
    }
    assert_eq!(broker.record_count("t"), length as u64 + 1);
}

#[test]
fn omit_partition_removes_a_partition_from_the_response() {
    let (broker, mut client) = three_nodes();
    broker
        .on(Api::Produce)
        .then(Action::apply().omit_partition("t", 3));
    let batches = [0, 3].map(|partition| (partition, plain(&["x"])));
    client.send(9, request_of_batches("t", batches.to_vec()));
    assert_eq!(only_partition(client.receive_produce(9).1).index, 0);
    assert_eq!(broker.log_end_offset("t", 3), 1);
}

#[test]
fn throttle_sets_the_throttle_time() {
    let (broker, mut client) = three_nodes();
    broker
        .on(Api::Produce)
        .then(Action::apply().throttle(Duration::from_millis(250)));
    for expected in [250, 0] {
        send(&mut client, "a");
        assert_eq!(client.receive_produce(9).1.throttle_time_ms, expected);
    }
}

#[test]
fn a_held_reply_holds_those_behind_it_but_not_their_requests() {
    let (broker, mut client) = three_nodes();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let sent: Vec<_> = ["a", "b", "c"]
        .map(|value| send(&mut client, value))
        .to_vec();
    assert!(broker.await_records("t", 3, TIMEOUT));
    // The reply to a request on another connection does not wait.
    assert_eq!(
        Client::connect(&broker, 2).produce_code("t", 1, plain(&["x"])),
        ErrorCode::NONE
    );
    client.stream.set_nonblocking(true).unwrap();
    let nothing = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    client.stream.set_nonblocking(false).unwrap();
    hold.release();
    let received: Vec<_> = (0..3).map(|_| client.receive_produce(9).0).collect();
    assert_eq!(received, sent);
    assert_eq!(values(&broker, "t", 0), ["a", "b", "c"]);
}

#[test]
fn dropping_a_hold_lets_go() {
    let (broker, mut client) = three_nodes();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    send(&mut client, "a");
    drop(hold);
    client.receive_produce(9);
}

#[test]
fn a_held_request_lands_after_its_client_has_gone() {
    let (broker, mut client) = three_nodes();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .then(Action::apply().hold_request(&hold));
    client.send(9, request("t", 0, sequenced(0, 0, &["a"])));
    assert!(broker.await_requests(Api::Produce, 1, TIMEOUT));
    assert_eq!(broker.log_end_offset("t", 0), 0);
    drop(client);
    hold.release();
    assert!(broker.await_records("t", 1, TIMEOUT));
}

#[test]
fn a_held_request_is_lost_with_its_node() {
    let (broker, mut client) = three_nodes();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .then(Action::apply().hold_request(&hold));
    send(&mut client, "a");
    assert!(broker.await_requests(Api::Produce, 1, TIMEOUT));
    broker.stop_node(NodeId(1)).unwrap();
    assert!(
        broker.await_connections(0, TIMEOUT),
        "it does not wait for the hold"
    );
    hold.release();
    assert!(client.is_at_end());
    assert_eq!(broker.log_end_offset("t", 0), 0);
}

#[test]
fn delays_come_before_the_handling_or_the_reply() {
    let (broker, mut client) = three_nodes();
    let delay = Duration::from_millis(1);
    broker.on(Api::Produce).then(Action::apply().delay(delay));
    broker
        .on(Api::Produce)
        .then(Action::apply().delay_request(delay));
    let sent = [send(&mut client, "a"), send(&mut client, "b")];
    assert_eq!(
        [client.receive_produce(9).0, client.receive_produce(9).0],
        sent
    );

    // Longer than any test waits. The test shows that nothing waits for it.
    let forever = Duration::from_secs(1_000_000);
    broker.on(Api::Produce).then(Action::apply().delay(forever));
    broker
        .on(Api::Produce)
        .then(Action::apply().delay_request(forever));
    send(&mut client, "c");
    assert!(broker.await_records("t", 3, TIMEOUT));
    send(&mut client, "d");
    assert!(broker.await_requests(Api::Produce, 4, TIMEOUT));
    assert_eq!(broker.log_end_offset("t", 0), 3);
}

#[test]
fn a_delayed_reply_can_end_the_connection() {
    let (broker, mut client) = three_nodes();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .then(Action::apply().hold(&hold).disconnect());
    send(&mut client, "a");
    assert!(broker.await_records("t", 1, TIMEOUT));
    assert_eq!(broker.connection_count(), 1);
    hold.release();
    assert!(client.is_at_end());
}

#[test]
fn a_hook_comes_before_the_rules_and_can_use_the_broker() {
    let (broker, mut client) = three_nodes();
    broker.on_request(|broker, request| {
        if request.correlation_id == 1 {
            broker.move_leader("t", 0, NodeId(2)).unwrap();
        }
        (request.correlation_id == 2).then(|| Action::fail(ErrorCode::REQUEST_TIMED_OUT))
    });
    broker.on(Api::Produce).times(2).then(Action::apply());
    let codes: Vec<_> = (0..2)
        .map(|_| client.produce_code("t", 0, plain(&["a"])))
        .collect();
    assert_eq!(
        codes,
        [
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::REQUEST_TIMED_OUT
        ]
    );
    assert_eq!(
        broker.unspent_rules(),
        1,
        "the rule has one request left to take"
    );
}

#[test]
fn a_hook_can_fail_one_partition() {
    let (broker, mut client) = three_nodes();
    let code = ErrorCode::MESSAGE_TOO_LARGE;
    broker.on_request(move |_, _| Some(Action::apply().fail_partition("t", 3, code)));
    let batches = [0, 3].map(|partition| (partition, plain(&["x"])));
    client.send(9, request_of_batches("t", batches.to_vec()));
    let partitions = client.receive_produce(9).1.topics.remove(0).partitions;
    let codes: Vec<_> = partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, code]);
}

#[test]
fn a_hook_can_stop_its_own_node() {
    let (broker, mut client) = three_nodes();
    broker.on_request(|broker, request| {
        broker.stop_node(request.node).unwrap();
        None
    });
    send(&mut client, "a");
    assert!(client.is_at_end());
    assert_eq!(broker.log_end_offset("t", 0), 0);
    assert_eq!(broker.leader("t", 0), Some(NodeId(2)));
}

#[test]
fn a_hook_that_panics_costs_its_connection_alone() {
    let (broker, mut client) = three_nodes();
    broker.on_request(|_, request| {
        assert_ne!(request.correlation_id, 1, "on purpose");
        None
    });
    send(&mut client, "a");
    assert!(client.is_at_end());
    assert!(broker.await_connections(0, TIMEOUT));
    let mut other = Client::connect(&broker, 1);
    other.correlation_id = 1;
    assert_eq!(other.produce_code("t", 0, plain(&["b"])), ErrorCode::NONE);
}
