//! What `acks` waits for: no acknowledgement, the leader's, or that of all in-sync replicas.

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{Acks, Delivery, ErrorCode, ErrorKind, KafkaProducer};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);

/// Two replicas, of which both must be in sync.
fn broker() -> FakeBroker {
    FakeBroker::builder()
        .nodes(2)
        .topic_with("orders", TopicConfig::new(1).min_insync_replicas(2))
        .start()
        .unwrap()
}

fn with_acks(broker: &FakeBroker, acks: Acks) -> KafkaProducer {
    record_by_record(broker)
        .enable_idempotence(acks == Acks::All)
        .acks(acks)
        .build()
        .unwrap()
}

#[test]
fn requests_say_what_is_asked_for() {
    for (acks, code) in [(Acks::All, -1), (Acks::Leader, 1), (Acks::None, 0)] {
        let broker = broker();
        let producer = with_acks(&broker, acks);
        for _ in 0..3 {
            send(&producer, ORDERS, "v").get_timeout(LONG).unwrap();
        }
        producer.close(LONG).unwrap();
        assert!(broker.await_records("orders", 3, LONG));
        let asked = broker.count_requests(|request| request.acks == Some(code));
        assert_eq!(asked, broker.request_count(Api::Produce));
        let first = &attempts(&broker, ORDERS)[0];
        assert_eq!(first.producer_id == -1, acks != Acks::All);
        let ids = broker.request_count(Api::InitProducerId);
        assert_eq!(ids, usize::from(acks == Acks::All));
    }
}

#[test]
fn all_waits_for_the_replicas_and_leader_does_not() {
    let broker = broker();
    broker.stop_node(NodeId(2)).unwrap();
    let leader = with_acks(&broker, Acks::Leader);
    assert_eq!(offsets(&[send(&leader, ORDERS, "leader")]), [0]);

    let all = with_acks(&broker, Acks::All);
    let waiting = send(&all, ORDERS, "all");
    let refused = broker.request_count(Api::Produce) + 3;
    assert!(broker.await_requests(Api::Produce, refused, LONG));
    assert!(!waiting.is_done());
    broker.start_node(NodeId(2)).unwrap();
    assert_eq!(offsets(&[waiting]), [1]);
    assert_eq!(values(&broker, ORDERS), ["leader", "all"]);
}

// Java: SenderTest.testAppendInExpiryCallback (with acks=0), RecordSendTest.
#[test]
fn none_is_delivered_when_it_is_sent_and_has_no_offset() {
    let broker = broker();
    let producer = with_acks(&broker, Acks::None);
    let hold = broker.new_hold();
    let stalled = Action::apply().hold_request(&hold);
    broker.on(Api::Produce).then(stalled);
    let outcomes = Outcomes::default();
    for number in 0..20 {
        let record = kafka_producer::ProducerRecord::new("orders", number.to_string());
        let added = producer.send_with_callback(record, outcomes.callback("sent"));
        added.unwrap();
    }
    // The broker has not handled any of them.
    for (_, result) in outcomes.wait_for(20) {
        let metadata = result.unwrap();
        assert_eq!((metadata.offset(), metadata.has_offset()), (-1, false));
        assert!(metadata.timestamp().is_some());
    }
    assert_eq!(broker.log_end_offset("orders", 0), 0);
    hold.release();
    producer.close(LONG).unwrap();
    assert!(broker.await_records("orders", 20, LONG));
}

/// With `acks=0` a broker reports an error by closing the connection. The record's result is not
/// affected, and the producer continues.
#[test]
fn none_hears_of_errors_by_the_end_of_the_connection() {
    let broker = broker();
    let producer = with_acks(&broker, Acks::None);
    let refused = Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    broker.on(Api::Produce).then(refused);
    send(&producer, ORDERS, "lost").get_timeout(LONG).unwrap();
    let connections = broker.accepted_connections();
    // Records that are written before the producer sees the end of the connection are lost too.
    let is_through = (0..100).any(|_| {
        send(&producer, ORDERS, "sent").get_timeout(LONG).unwrap();
        broker.await_records("orders", 1, A_MOMENT)
    });
    assert!(is_through);
    assert!(values(&broker, ORDERS).iter().all(|value| value == "sent"));
    assert!(broker.accepted_connections() > connections);
}

/// With `acks=0` too, a record that was never sent is known not to be written.
#[test]
fn none_that_was_never_sent_is_not_written() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    broker.remove_leader("orders", 0).unwrap();
    let producer = quick(&broker)
        .enable_idempotence(false)
        .acks(Acks::None)
        .request_timeout(millis(100))
        .delivery_timeout(millis(100))
        .build()
        .unwrap();
    let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.delivery(), Delivery::NotWritten);
}
