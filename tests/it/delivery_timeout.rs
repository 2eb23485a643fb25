//! `delivery.timeout.ms` ends every record in every state. Later responses change nothing, and the
//! memory is returned (KAFKA-19012, KAFKA-5957).

use std::thread;
use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, Failure, FakeBroker, TopicConfig};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord,
};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
const TIMEOUT: Duration = Duration::from_millis(400);
/// The value of a record that fills a batch of [`BATCH_SIZE`] bytes.
const VALUE: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
const BATCH_SIZE: usize = 200;
const BATCHES: usize = 8;

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

/// A producer with memory for [`BATCHES`] batches of one record, and [`TIMEOUT`] for each.
fn impatient(broker: &FakeBroker) -> KafkaProducerBuilder {
    quick(broker)
        .batch_size(BATCH_SIZE)
        .buffer_memory(BATCHES * BATCH_SIZE)
        .request_timeout(TIMEOUT)
        .delivery_timeout(TIMEOUT)
        .max_block(LONG)
}

/// Checks that the record expired, and with which delivery.
fn assert_timed_out(error: &Error, delivery: Delivery) {
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    let reason = error.timeout().unwrap();
    assert_eq!(reason.config, Some("delivery.timeout.ms"));
    assert!(reason.waited >= TIMEOUT, "{reason:?}");
    assert!(error.is_timeout() && error.is_retriable() && !error.is_fatal());
    let topic_partition = error.to_string();
    assert!(topic_partition.contains("orders-0"), "{topic_partition}");
    assert_eq!(error.delivery(), delivery, "{error:?}");
}

/// Sends a value until it is delivered. A slow machine, or a connection that has to be closed
/// first, may need more than one record's timeout.
fn deliver(producer: &KafkaProducer, (topic, partition): (&str, i32), value: &str) {
    let is_delivered = (0..50).any(|_| {
        let result = send(producer, (topic, partition), value).get_timeout(LONG);
        result.is_ok_and(|metadata| metadata.partition() == partition)
    });
    assert!(is_delivered);
}

/// Returns the number of batches that fit into the memory. Nothing may be in flight. Takes the
/// smaller of two counts, because a batch that expires during the count makes room.
fn room(broker: &FakeBroker, producer: &KafkaProducer) -> usize {
    let count = || {
        let hold = broker.new_hold();
        let held = Action::apply().hold(&hold);
        broker.on(Api::Produce).always().then(held);
        let is_taken = |_: &u32| {
            producer
                .try_send(ProducerRecord::new("orders", VALUE))
                .is_ok()
        };
        let taken = (0..).take_while(is_taken).count();
        broker.clear_script();
        hold.release();
        producer.flush().unwrap();
        taken
    };
    count().min(count())
}

// Java: SenderTest.testExpiryOfUnsentBatchesShouldNotCauseUnresolvedSequences.
#[test]
fn a_batch_that_was_never_sent_expires_not_written() {
    let broker = broker();
    broker.on(Api::InitProducerId).always().then(Action::skip());
    let producer = impatient(&broker).build().unwrap();
    let outcomes = Outcomes::default();
    for label in ["a", "b", "c"] {
        let record = ProducerRecord::new("orders", VALUE);
        let added = producer.send_with_callback(record, outcomes.callback(label));
        added.unwrap();
    }
    for (_, result) in outcomes.wait_for(3) {
        assert_timed_out(&result.unwrap_err(), Delivery::NotWritten);
    }
    assert_eq!(outcomes.labels(), ["a", "b", "c"]);
    assert_eq!(broker.request_count(Api::Produce), 0);
    broker.disconnect(NodeId(1)).unwrap();
    broker.clear_script();
    deliver(&producer, ORDERS, VALUE);
    assert_eq!(room(&broker, &producer), BATCHES);
}

// Java: SenderTest.testMetadataTopicExpiry has the like; KafkaProducerTest has none.
#[test]
fn a_batch_without_a_leader_expires_not_written() {
    let broker = broker();
    // Time for the first record to be refused, and for the metadata after that.
    let producer = impatient(&broker)
        .request_timeout(millis(1500))
        .delivery_timeout(millis(1500))
        .build()
        .unwrap();
    deliver(&producer, ORDERS, VALUE);
    broker.remove_leader("orders", 0).unwrap();
    // The first record goes to the former leader, which may have appended it despite the response.
    // After that the producer knows that there is no leader.
    for delivery in [Delivery::MaybeWritten, Delivery::NotWritten] {
        let sent = send(&producer, ORDERS, VALUE).get_timeout(LONG);
        assert_timed_out(&sent.unwrap_err(), delivery);
    }
    broker.move_leader("orders", 0, NodeId(1)).unwrap();
    deliver(&producer, ORDERS, VALUE);
}

/// The leader is unreachable, the metadata does not change, and no caller waits for a record.
#[test]
fn every_record_expires_while_its_leader_is_unreachable() {
    let broker = FakeBroker::builder().nodes(2).topic("orders", 1);
    let broker = broker.start().unwrap();
    let leader = broker.leader("orders", 0).unwrap();
    let producer = impatient(&broker).build().unwrap();
    deliver(&producer, ORDERS, VALUE);
    broker.on(Api::Metadata).always().then(Action::skip());
    broker.close_listener(leader).unwrap();
    broker.disconnect(leader).unwrap();
    let outcomes = Outcomes::default();
    for (number, label) in ["a", "b", "c"].into_iter().enumerate() {
        let record = ProducerRecord::new("orders", VALUE);
        let added = producer.send_with_callback(record, outcomes.callback(label));
        added.unwrap();
        let (_, result) = outcomes.wait_for(number + 1).pop().unwrap();
        assert!(result.unwrap_err().is_timeout());
    }
    let record = ProducerRecord::new("orders", VALUE);
    let added = producer.send_with_callback(record, outcomes.callback("d"));
    added.unwrap();
    producer.flush().unwrap();
    assert_eq!(outcomes.labels(), ["a", "b", "c", "d"]);
    producer.close(Duration::MAX).unwrap();
}

/// The delivery of a batch that expires in its backoff depends on its earlier attempts.
#[test]
fn a_batch_that_expires_between_attempts_knows_about_the_earlier_ones() {
    let refused = Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS);
    let appended = Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND).after_append();
    let attempts = [
        (vec![refused.clone()], Delivery::NotWritten),
        (vec![appended.clone()], Delivery::MaybeWritten),
        // A refusal says nothing about earlier attempts.
        (vec![appended, refused], Delivery::MaybeWritten),
    ];
    let expire = |(failures, delivery): (Vec<Failure>, Delivery)| {
        let broker = broker();
        let producer = quick(&broker)
            .request_timeout(millis(2000))
            .delivery_timeout(millis(2000))
            // With any jitter, the last backoff outlasts the delivery timeout, and the first of two
            // leaves time for the second attempt.
            .retry_backoff(millis(if failures.len() == 1 { 5000 } else { 1100 }))
            .retry_backoff_max(millis(5000))
            .build()
            .unwrap();
        for failure in &failures {
            let action = Action::fail(failure.clone());
            broker.on(Api::Produce).then(action);
        }
        let error = send(&producer, ORDERS, "a").get_timeout(LONG).unwrap_err();
        assert_timed_out(&error, delivery);
    };
    thread::scope(|scope| {
        for attempt in attempts {
            scope.spawn(|| expire(attempt));
        }
    });
}

// Java: SenderTest.testInflightBatchesExpireOnDeliveryTimeout, testWhenFirstBatchExpireNoSendSecondBatchIfGuaranteeOrder,
// testExpiredBatchDoesNotRetry, testExpiredBatchDoesNotSplitOnMessageTooLargeError.
#[test]
fn what_is_answered_to_an_expired_batch_is_too_late() {
    let answers = [
        Action::apply(),
        Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        Action::fail(ErrorCode::MESSAGE_TOO_LARGE),
        Action::fail(ErrorCode::INVALID_RECORD),
        Action::fail(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
        Action::fail(ErrorCode::DUPLICATE_SEQUENCE_NUMBER),
        Action::apply().disconnect(),
        Action::apply().reply_twice(),
        Action::apply().omit_partition("orders", 0),
    ];
    thread::scope(|scope| {
        for answer in answers {
            scope.spawn(move || answer_too_late(answer));
        }
    });
}

fn answer_too_late(answer: Action) {
    const LATE: Duration = Duration::from_millis(1000);
    let broker = broker();
    let producer = impatient(&broker)
        .request_timeout(LATE)
        .delivery_timeout(LATE)
        .build()
        .unwrap();
    deliver(&producer, ORDERS, VALUE);
    let hold = broker.new_hold();
    // The first attempt takes half of the delivery timeout, so the second one's request timeout
    // comes much later.
    let first = Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER).delay(LATE / 2);
    broker.on(Api::Produce).then(first);
    broker.on(Api::Produce).then(answer.clone().hold(&hold));
    let outcomes = Outcomes::default();
    let record = ProducerRecord::new("orders", "expired");
    let added = producer.send_with_callback(record, outcomes.callback("expired"));
    added.unwrap();
    let (_, result) = outcomes.wait_for(1).remove(0);
    if broker.unspent_rules() > 0 {
        // The machine was too slow for a second attempt.
        return;
    }
    assert_timed_out(&result.unwrap_err(), Delivery::MaybeWritten);
    hold.release();

    // It is neither sent nor completed again, and its memory was returned once.
    deliver(&producer, ORDERS, "later");
    let log = values(&broker, ORDERS);
    let expired = log.iter().filter(|value| *value == "expired").count();
    assert!(expired <= 1, "{answer:?}: {log:?}");
    assert_eq!(log.last().unwrap(), "later", "{answer:?}");
    assert_eq!(outcomes.len(), 1, "{answer:?}");
    assert_eq!(room(&broker, &producer), BATCHES, "{answer:?}");
    producer.close(LONG).unwrap();
    assert_eq!(outcomes.len(), 1, "{answer:?}");
}

/// More batches than the memory holds expire in flight, in several rounds.
#[test]
fn memory_comes_back_from_every_batch_that_expires() {
    let broker = broker();
    let producer = impatient(&broker).build().unwrap();
    deliver(&producer, ORDERS, VALUE);
    assert_eq!(room(&broker, &producer), BATCHES);
    broker
        .on(Api::Produce)
        .always()
        .then(Action::apply().never_reply());
    let outcomes = Outcomes::default();
    for n in 0..3 * BATCHES {
        let record = ProducerRecord::new("orders", VALUE);
        // Blocks when the memory is used up, until a batch expires.
        let added = producer.send_with_callback(record, outcomes.callback(n.to_string()));
        added.unwrap();
    }
    let expired = outcomes.wait_for(3 * BATCHES);
    assert!(expired.iter().all(|(_, result)| result.is_err()));
    broker.clear_script();
    deliver(&producer, ORDERS, VALUE);
    assert_eq!(room(&broker, &producer), BATCHES);
}

/// A broker stops reading in the middle of a request, the batch expires, and its memory is wanted for another topic. What
/// the rest of the request carries must still be the batch.
#[test]
fn the_memory_of_a_batch_is_not_used_again_while_it_is_being_written() {
    const SIZE: usize = 8 << 20;
    let topic = TopicConfig::new(1).max_message_bytes(2 * SIZE);
    let broker = FakeBroker::builder()
        .topic_with("orders", topic.clone())
        .topic_with("other", topic)
        .start()
        .unwrap();
    let producer = quick(&broker)
        .batch_size(2 * SIZE)
        .buffer_memory(4 * SIZE)
        .max_request_size(2 * SIZE)
        .request_timeout(millis(500))
        .delivery_timeout(millis(500))
        .max_block(LONG)
        .build()
        .unwrap();
    for topic in ["orders", "other"] {
        deliver(&producer, (topic, 0), "first");
    }
    let stalled = broker.new_hold();
    let reads_no_more = Action::apply().hold_request(&stalled);
    broker.on(Api::Produce).then(reads_no_more);
    let held = send(&producer, ORDERS, "held");
    let (orders, other) = ("o".repeat(SIZE), "x".repeat(SIZE));
    let half_written = send(&producer, ORDERS, &orders);
    held.get_timeout(LONG).unwrap_err();
    half_written.get_timeout(LONG).unwrap_err();
    let others = [(); 3].map(|()| send(&producer, ("other", 0), &other));
    stalled.release();
    for future in &others {
        // They may expire too. The test is about what is written of them.
        let _ = future.get_timeout(LONG);
    }
    deliver(&producer, ORDERS, "last");
    let is_of = |topic: &str, filling: &str| {
        let known = ["first", "held", "last", filling];
        let values = values(&broker, (topic, 0));
        values.iter().all(|value| known.contains(&&**value))
    };
    assert!(is_of("orders", &orders));
    assert!(is_of("other", &other));
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
}
