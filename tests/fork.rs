//! A child of `fork` has the producer's memory but not its I/O thread. Every call in the child
//! fails at once, dropping the producer does nothing, and the parent continues as before.
//!
//! A program of its own, because a fork copies the whole process, including locks that threads of
//! other tests hold.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what goes wrong here is to fail the test"
)]

#[path = "it/support/producing.rs"]
#[allow(dead_code, reason = "shared by the tests")]
mod producing;

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    ConsumerGroupMetadata, Delivery, Error, ErrorKind, KafkaProducer, ProducerRecord, RecordFuture,
    Result, TopicPartition,
};
use kafka_producer_fork::{Child, in_child};
use producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
/// Longer than any test, so that no batch is sent because of its linger time.
const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 2).start().unwrap()
}

/// Returns an empty text if the call failed with `Forked`, and what it returned instead otherwise.
fn unless_forked<T: Debug>(call: &str, result: Result<T>) -> String {
    match result {
        Err(error) if is_forked(&error) => String::new(),
        other => format!("{call}: {other:?}\n"),
    }
}

fn is_forked(error: &Error) -> bool {
    error.kind() == ErrorKind::Forked && error.is_fatal() && !error.is_retriable()
}

/// Runs the calls in a child. Each of them must fail as forked, without waiting.
#[track_caller]
fn assert_forked(calls: impl FnOnce() -> String) {
    let child = in_child(LONG, calls).unwrap();
    assert_eq!(child, Child::Returned(String::new()));
}

/// Sends until a send fails. A record that is sent within a millisecond of the parent's last one
/// may still join a batch.
fn send_until_refused(producer: &KafkaProducer, partition: Option<i32>) -> Error {
    loop {
        let mut record = ProducerRecord::new("orders", "from the child");
        record.partition = partition;
        match producer.send_with_callback(record, drop) {
            Ok(()) => {}
            Err(error) => return error,
        }
    }
}

/// A producer with one delivered record, one in flight that the broker holds, and one in a batch
/// that lingers.
struct Parent {
    broker: FakeBroker,
    producer: KafkaProducer,
    done: RecordFuture,
    held: RecordFuture,
    lingering: RecordFuture,
    hold: kafka_producer::testing::Hold,
}

fn parent() -> Parent {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let done = send(&producer, ORDERS, "done");
    done.get().unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let held = send(&producer, ORDERS, "held");
    held.get_timeout(Duration::ZERO).unwrap_err();
    assert!(broker.await_requests(Api::Produce, 2, LONG));
    let lingering = send(&producer, ("orders", 1), "lingering");
    Parent {
        broker,
        producer,
        done,
        held,
        lingering,
        hold,
    }
}

impl Parent {
    /// Checks that everything sent before and after the fork arrives exactly once.
    fn assert_unharmed(self) {
        self.hold.release();
        assert_eq!(self.held.get().unwrap().offset(), 1);
        self.producer.flush().unwrap();
        assert_eq!(self.lingering.get().unwrap().offset(), 0);
        assert_eq!(
            send(&self.producer, ORDERS, "after")
                .get()
                .unwrap()
                .offset(),
            2
        );
        self.producer.close(LONG).unwrap();
        assert_eq!(self.broker.record_count("orders"), 4);
        assert_eq!(self.broker.protocol_violations(), [""; 0]);
    }
}

#[test]
fn every_wait_fails_at_once_in_a_child() {
    let parent = parent();
    assert_forked(|| {
        let producer = &parent.producer;
        let mut said = String::new();
        for future in [&parent.held, &parent.lingering] {
            let error = future.get().unwrap_err();
            assert_eq!(error.delivery(), Delivery::MaybeWritten);
            said += &unless_forked("get", Err::<(), _>(error));
            said += &unless_forked("get_timeout", future.get_timeout(FOR_EVER));
        }
        said += &unless_forked("flush", producer.flush());
        said += &unless_forked("partitions_for", producer.partitions_for("orders"));
        said += &unless_forked("partitions_for", producer.partitions_for("unknown"));
        said += &unless_forked("close", producer.close(Duration::from_secs(1)));
        let health = producer.health();
        assert!(!health.is_healthy());
        said += &unless_forked("health", health.fatal_error.map_or(Ok(()), Err));
        said += &unless_forked("close", producer.close(Duration::ZERO));
        assert_eq!(parent.done.get().unwrap().offset(), 0);
        said
    });
    parent.assert_unharmed();
}

#[test]
fn sends_fail_in_a_child() {
    let parent = parent();
    assert_forked(|| {
        let producer = &parent.producer;
        let to = |topic| ProducerRecord::new(topic, "from the child");
        let mut said = unless_forked("send to a new topic", producer.send(to("new")));
        // Partition 0 has no open batch. Partition 1 has one that a record could join.
        said += &unless_forked("send", producer.send(to("orders").partition(0)));
        for partition in [Some(1), Some(0), None] {
            let error = send_until_refused(producer, partition);
            said += &unless_forked("send_with_callback", Err::<(), _>(error));
        }
        said += &unless_forked("send", producer.send(to("orders").partition(1)));
        let with_time = to("orders").partition(1).timestamp(7);
        said += &unless_forked("send with a timestamp", producer.send(with_time));
        for topic in ["orders", "new"] {
            let refused = producer.try_send(to(topic).partition(1));
            said += &unless_forked("try_send", refused.map_err(Error::from));
            let refused = producer.try_send_with_callback(to(topic), drop);
            said += &unless_forked("try_send_with_callback", refused.map_err(Error::from));
        }
        said
    });
    parent.assert_unharmed();
}

#[test]
fn a_child_that_polls_its_futures_learns_of_the_fork() {
    let parent = parent();
    assert_forked(|| {
        while !parent.lingering.is_done() {}
        let polled = parent.lingering.try_get().unwrap();
        unless_forked("try_get", polled)
    });
    parent.assert_unharmed();
}

#[test]
fn transactional_calls_fail_in_a_child() {
    let broker = broker();
    let producer = quick(&broker).transactional_id("payments").build().unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    drop(send(&producer, ORDERS, "before"));
    let offsets = HashMap::from([(TopicPartition::new("lines", 0), 7.into())]);
    let group = ConsumerGroupMetadata::new("readers");
    assert_forked(|| {
        let sent = producer.send_offsets_to_transaction(&offsets, &group);
        let mut said = unless_forked("send_offsets_to_transaction", sent);
        let none = producer.send_offsets_to_transaction(&HashMap::new(), &group);
        said += &unless_forked("send_offsets_to_transaction of none", none);
        said += &unless_forked("commit_transaction", producer.commit_transaction());
        said += &unless_forked("abort_transaction", producer.abort_transaction());
        said += &unless_forked("begin_transaction", producer.begin_transaction());
        said += &unless_forked("init_transactions", producer.init_transactions());
        let closure = producer.transaction(|_| -> Result<()> { panic!("it runs") });
        said + &unless_forked("transaction", closure)
    });
    producer.commit_transaction().unwrap();
    assert_eq!(broker.committed_records("orders").len(), 1);
    assert_eq!(broker.protocol_violations(), [""; 0]);
}

#[test]
fn dropping_a_producer_in_a_child_does_nothing() {
    let Parent {
        broker,
        producer,
        done,
        held,
        lingering,
        hold,
    } = parent();
    // The child drops its copy, and the parent keeps its own.
    let mut producer = Some(producer);
    assert_forked(|| {
        drop(producer.take());
        drop(broker.bootstrap_servers());
        String::new()
    });
    let producer = producer.unwrap();
    Parent {
        broker,
        producer,
        done,
        held,
        lingering,
        hold,
    }
    .assert_unharmed();
}

#[test]
fn a_producer_that_the_child_builds_works() {
    let parent = parent();
    let servers = parent.broker.bootstrap_servers();
    let child = in_child(LONG, || {
        let own = KafkaProducer::builder().bootstrap_servers(&servers).build();
        let own = own.unwrap();
        let sent = own
            .send(ProducerRecord::new("of-the-child", "value"))
            .unwrap();
        sent.get().unwrap().to_string()
    });
    assert_eq!(
        child.unwrap(),
        Child::Returned("of-the-child-0@0".to_owned())
    );
    parent.assert_unharmed();
}
