//! User code inside the producer: calls that would wait for themselves fail at once, panics are
//! contained, and callbacks run in the order of the sends (KAFKA-10790, KAFKA-10335, KAFKA-9279).

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use kafka_producer::common::{Cluster, Headers};
use kafka_producer::testing::{Action, Api, Failure, FakeBroker};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, Partitioner, ProducerInterceptor,
    ProducerRecord, RecordMetadata, Result, Serialized, Serializer,
};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);

fn broker() -> FakeBroker {
    FakeBroker::builder()
        .topic("orders", 2)
        .auto_create_topics(false)
        .start()
        .unwrap()
}

/// Runs `call` in the callback of a delivered record. Returns its result.
fn in_callback<T: Send + 'static>(
    producer: &Arc<KafkaProducer>,
    call: impl FnOnce(&KafkaProducer) -> T + Send + 'static,
) -> T {
    let (sender, called) = mpsc::channel();
    let inner = Arc::clone(producer);
    let callback = move |result: Result<RecordMetadata>| {
        result.unwrap();
        let outcome = call(&inner);
        // The caller has the last handle, so it waits for the end of the producer.
        drop(inner);
        sender.send(outcome).unwrap();
    };
    let record = ProducerRecord::new("orders", "outer").partition(0);
    producer.send_with_callback(record, callback).unwrap();
    called.recv_timeout(LONG).unwrap()
}

#[test]
fn what_would_wait_for_itself_fails_at_once() {
    let broker = broker();
    let producer = Arc::new(quick(&broker).max_block(LONG * 10).build().unwrap());
    let blocked = in_callback(&producer, |producer| {
        let open = send(producer, ORDERS, "open");
        vec![
            producer.flush().unwrap_err(),
            open.get().unwrap_err(),
            open.get_timeout(LONG * 10).unwrap_err(),
            producer.partitions_for("unknown").unwrap_err(),
            producer
                .send(ProducerRecord::new("unknown", "v"))
                .unwrap_err(),
        ]
    });
    let kinds: Vec<_> = blocked.iter().map(Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::WouldDeadlock; 5]);
    // The records of the futures are in flight, whether or not the waits fail. The record of the
    // refused send is not.
    let deliveries: Vec<_> = blocked.iter().map(Error::delivery).collect();
    assert_eq!(deliveries[1..3], [Delivery::MaybeWritten; 2]);
    assert_eq!(deliveries[4], Delivery::NotWritten);
    // Calls that need not wait succeed.
    let partitions = in_callback(&producer, |producer| producer.partitions_for("orders"));
    assert_eq!(partitions.unwrap().len(), 2);
    producer.flush().unwrap();
    assert_eq!(values(&broker, ORDERS), ["outer", "open", "outer"]);
}

#[test]
fn a_full_buffer_is_not_waited_for_in_a_callback() {
    let broker = broker();
    let producer = quick(&broker)
        .batch_size(1000)
        .buffer_memory(2000)
        .max_block(LONG * 10)
        .build()
        .unwrap();
    let producer = Arc::new(producer);
    let errors = in_callback(&producer, |producer| {
        let value = "v".repeat(600);
        let sends = (0..3).map(|_| producer.send(ProducerRecord::new("orders", &value)));
        let errors = sends.filter_map(|sent| sent.map(drop).err());
        errors.map(|error| error.kind()).collect::<Vec<_>>()
    });
    // The record of this callback may or may not have returned its memory already.
    assert!((1..=2).contains(&errors.len()), "{errors:?}");
    assert!(errors.iter().all(|kind| *kind == ErrorKind::WouldDeadlock));
    producer.flush().unwrap();
    send(&producer, ORDERS, "later").get_timeout(LONG).unwrap();
}

/// `try_send` waits nowhere, so that nothing would deadlock.
#[test]
fn a_try_send_in_a_callback_says_that_the_buffer_is_full_as_elsewhere() {
    let broker = broker();
    let producer = quick(&broker)
        .batch_size(1000)
        .buffer_memory(2000)
        .build()
        .unwrap();
    let producer = Arc::new(producer);
    let refused = in_callback(&producer, |producer| {
        let value = "v".repeat(600);
        let unsent = (0..3).filter_map(|_| {
            producer
                .try_send(ProducerRecord::new("orders", &value))
                .err()
        });
        unsent
            .map(|unsent| {
                let length = unsent.record.value.as_ref().map(<[u8]>::len);
                (unsent.error.kind(), length)
            })
            .collect::<Vec<_>>()
    });
    // The record whose callback this is may have given its memory back already, or not.
    assert!((1..=2).contains(&refused.len()), "{refused:?}");
    assert!(
        refused
            .iter()
            .all(|unsent| *unsent == (ErrorKind::WouldBlock, Some(600)))
    );
}

/// Each callback sends the next record.
#[test]
fn a_callback_may_send() {
    fn send_next(producer: &Arc<KafkaProducer>, left: usize, done: mpsc::Sender<()>) {
        let inner = Arc::clone(producer);
        let record = ProducerRecord::new("orders", left.to_string()).partition(0);
        let callback = move |result: Result<RecordMetadata>| {
            result.unwrap();
            if left > 0 {
                return send_next(&inner, left - 1, done);
            }
            drop(inner);
            done.send(()).unwrap();
        };
        producer.send_with_callback(record, callback).unwrap();
    }
    let broker = broker();
    let producer = Arc::new(quick(&broker).build().unwrap());
    let (sender, done) = mpsc::channel();
    send_next(&producer, 100, sender);
    done.recv_timeout(LONG).unwrap();
    let expected: Vec<_> = (0..=100).rev().map(|left| left.to_string()).collect();
    assert_eq!(values(&broker, ORDERS), expected);
}

// Java: the guarantee of KafkaProducer.send about the callbacks of one partition.
#[test]
fn callbacks_run_in_the_order_of_the_sends() {
    const RECORDS: usize = 3000;
    let broker = broker();
    let producer = quick(&broker).batch_size(300).build().unwrap();
    for code in [
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
    ] {
        broker.on(Api::Produce).times(10).then(Action::fail(code));
    }
    let seen: Arc<[Mutex<Vec<usize>>; 2]> = Arc::default();
    thread::scope(|scope| {
        for partition in [0, 1] {
            let (producer, seen) = (&producer, &seen);
            scope.spawn(move || {
                for number in 0..RECORDS {
                    let record = ProducerRecord::new("orders", number.to_string());
                    let seen = Arc::clone(seen);
                    let callback = move |result: Result<RecordMetadata>| {
                        let metadata = result.unwrap();
                        assert_eq!(metadata.offset(), number as i64);
                        seen[metadata.partition() as usize]
                            .lock()
                            .unwrap()
                            .push(number);
                    };
                    let record = record.partition(partition);
                    producer.send_with_callback(record, callback).unwrap();
                }
            });
        }
    });
    producer.flush().unwrap();
    for seen in seen.iter() {
        assert!(seen.lock().unwrap().iter().copied().eq(0..RECORDS));
    }
}

// Java: SenderTest.testCorrectHandlingOfOutOfOrderResponsesWhenSecondSucceeds. The broker has all
// three batches in order and acknowledges two. Their callbacks do not wait for the one that is
// retried.
#[test]
fn what_is_acknowledged_during_a_retry_is_told_first() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
    let not_replicated = Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND).after_append();
    let (replies, retry) = (broker.new_hold(), broker.new_hold());
    let on_produce = || broker.on(Api::Produce);
    on_produce().then(Action::fail(not_replicated).hold(&replies));
    on_produce().times(2).then(Action::apply().hold(&replies));
    on_produce().then(Action::apply().hold(&retry));
    let outcomes = Outcomes::default();
    for (requests, value) in (2..).zip(["a", "b", "c"]) {
        let record = ProducerRecord::new("orders", value).partition(0);
        let added = producer.send_with_callback(record, outcomes.callback(value));
        added.unwrap();
        assert!(broker.await_requests(Api::Produce, requests, LONG));
    }
    replies.release();
    outcomes.wait_for(2);
    retry.release();
    let offsets: Vec<_> = outcomes
        .wait_for(3)
        .into_iter()
        .map(|(label, result)| (label, result.unwrap().offset()))
        .collect();
    let expected = [("b", 2), ("c", 3), ("a", 1)].map(|(label, offset)| (label.to_owned(), offset));
    assert_eq!(offsets, expected);
    assert_eq!(values(&broker, ORDERS), ["first", "a", "b", "c"]);
}

#[test]
fn a_panic_in_a_callback_harms_nobody_else() {
    let broker = broker();
    let producer = quick(&broker).linger(millis(100)).build().unwrap();
    let outcomes = Outcomes::default();
    let mut futures = Vec::new();
    for number in 0..10 {
        let record = ProducerRecord::new("orders", number.to_string()).partition(0);
        let callback = outcomes.callback(number.to_string());
        let panicking = move |result| {
            callback(result);
            assert!(number % 3 != 0, "a callback of the test");
        };
        producer.send_with_callback(record, panicking).unwrap();
        futures.push(send(&producer, ORDERS, "other"));
    }
    assert_eq!(
        offsets(&futures),
        (0..10).map(|n| 2 * n + 1).collect::<Vec<_>>()
    );
    let expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    outcomes.wait_for(10);
    assert_eq!(outcomes.labels(), expected);
    assert_eq!(offsets(&[send(&producer, ORDERS, "later")]), [20]);
    producer.close(LONG).unwrap();
}

/// The record is refused in `send`, which runs the callback itself.
#[test]
fn a_panic_in_a_callback_on_the_senders_own_thread_is_contained() {
    let broker = broker();
    let producer = quick(&broker).max_request_size(1000).build().unwrap();
    let record = ProducerRecord::new("orders", vec![0; 2000]);
    let (sender, called) = mpsc::channel();
    let panicking = move |result: Result<RecordMetadata>| {
        sender.send(result.unwrap_err().kind()).unwrap();
        panic!("a callback of the test");
    };
    producer.send_with_callback(record, panicking).unwrap();
    assert_eq!(called.try_recv(), Ok(ErrorKind::RecordTooLarge));
    assert_eq!(offsets(&[send(&producer, ORDERS, "later")]), [0]);
}

/// Panics or fails if the value says so.
struct Moody;

fn moody(value: &str) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
    assert!(value != "panic", "user code of the test");
    match value {
        "fail" => Err("no".into()),
        _ => Ok(()),
    }
}

impl Serializer for Moody {
    type Input = str;

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        data: &'a str,
    ) -> std::result::Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        moody(data)?;
        Ok(data.into())
    }

    fn close(&self) {
        panic!("a serializer of the test");
    }
}

#[test]
fn a_serializer_that_panics_fails_its_record_alone() {
    let broker = broker();
    let producer = quick(&broker)
        .batch_size(1000)
        .buffer_memory(1000)
        .value_serializer(Moody)
        .build()
        .unwrap();
    // If failures leaked memory, the buffer would soon be full.
    for _ in 0..20 {
        for wrong in ["panic", "fail"] {
            let record = ProducerRecord::new("orders", wrong);
            let callback = |_| unreachable!("the record was not taken");
            let error = producer.send_with_callback(record, callback).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization);
            assert!(error.source().is_some());
        }
        let record = ProducerRecord::new("orders", "right").partition(0);
        producer.send(record).unwrap().get_timeout(LONG).unwrap();
    }
    assert_eq!(values(&broker, ORDERS), ["right"; 20]);
    producer.close(LONG).unwrap();
}

impl Partitioner for Moody {
    fn partition(
        &self,
        _: &str,
        _: Option<&[u8]>,
        value: Option<&[u8]>,
        _: &Cluster,
    ) -> std::result::Result<i32, Box<dyn StdError + Send + Sync>> {
        moody(&String::from_utf8_lossy(value.unwrap()))?;
        Ok(1)
    }

    fn on_new_batch(&self, _: &str, _: &Cluster, _: i32) -> bool {
        panic!("a partitioner of the test");
    }
}

#[test]
fn a_partitioner_that_panics_fails_its_record_alone() {
    let broker = broker();
    let producer = quick(&broker).partitioner(Moody).build().unwrap();
    let failure = |value| {
        producer
            .send(ProducerRecord::new("orders", value))
            .unwrap_err()
    };
    assert_eq!(failure("panic").kind(), ErrorKind::Panic);
    assert_eq!(failure("fail").kind(), ErrorKind::IllegalArgument);
    // It also panics in `on_new_batch`.
    assert_eq!(failure("right").kind(), ErrorKind::Panic);
    // A record with a partition of its own does not need the partitioner.
    assert_eq!(offsets(&[send(&producer, ORDERS, "right")]), [0]);
    producer.close(LONG).unwrap();
}

/// Panics in every method, and counts the calls.
#[derive(Clone, Default)]
struct Explosive(Arc<Mutex<Vec<&'static str>>>);

impl Explosive {
    fn explode(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
        panic!("an interceptor of the test");
    }
}

impl ProducerInterceptor for Explosive {
    fn on_send(
        &self,
        record: &mut ProducerRecord<'_>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        record.topic = "unknown".into();
        self.explode("send");
        Ok(())
    }

    fn on_acknowledgement(&self, _: &RecordMetadata, error: Option<&Error>, _: &Headers) {
        self.explode(if error.is_some() { "error" } else { "ack" });
    }

    fn close(&self) {
        self.explode("close");
    }
}

// Java: ProducerInterceptorsTest.testOnSendChain, testOnAcknowledgementChain.
#[test]
fn an_interceptor_that_panics_is_passed_over() {
    let broker = broker();
    let explosive = Explosive::default();
    let producer = quick(&broker)
        .max_request_size(1000)
        .interceptor(explosive.clone())
        .build()
        .unwrap();
    let outcomes = Outcomes::default();
    let record = ProducerRecord::new("orders", "a").partition(0);
    let added = producer.send_with_callback(record, outcomes.callback("a"));
    added.unwrap();
    let (_, result) = outcomes.wait_for(1).remove(0);
    assert_eq!(result.unwrap().topic(), "orders");
    let record = ProducerRecord::new("orders", vec![0; 2000]);
    let added = producer.send_with_callback(record, outcomes.callback("too large"));
    added.unwrap();
    let (_, result) = outcomes.wait_for(2).remove(1);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::RecordTooLarge);
    producer.close(Duration::MAX).unwrap();
    let calls = explosive
        .0
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    assert_eq!(*calls, ["send", "ack", "send", "error", "close"]);
    assert_eq!(outcomes.len(), 2);
    assert_eq!(values(&broker, ORDERS), ["a"]);
}
