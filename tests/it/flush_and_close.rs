//! `flush` returns when everything sent before it has a result, neither earlier nor never. `close`
//! and `Drop` end every record and every wait (KAFKA-19397, KAFKA-9312, KAFKA-4235, KAFKA-6897).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{
    Delivery, ErrorCode, ErrorKind, KafkaProducer, ProducerInterceptor, ProducerRecord,
};

use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
/// Longer than any test, so that no batch is sent because of its linger time.
const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

/// Runs a flush in a thread, and returns how many results there were when it returned.
fn flush<'s>(
    scope: &'s thread::Scope<'s, '_>,
    producer: &'s KafkaProducer,
    outcomes: &'s Outcomes,
) -> mpsc::Receiver<usize> {
    let (sender, flushed) = mpsc::channel();
    scope.spawn(move || {
        producer.flush().unwrap();
        sender.send(outcomes.len()).unwrap();
    });
    flushed
}

fn send_with(producer: &KafkaProducer, outcomes: &Outcomes, value: &str) {
    let record = ProducerRecord::new("orders", value).partition(0);
    let callback = outcomes.callback(value);
    producer.send_with_callback(record, callback).unwrap();
}

// Java: KafkaProducerTest.testFlushCompleteSendOfInflightBatches.
#[test]
fn flush_sends_now_and_waits_for_what_was_sent_before() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    producer.flush().unwrap();
    let outcomes = Outcomes::default();
    for value in ["a", "b", "c"] {
        send_with(&producer, &outcomes, value);
    }
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    thread::scope(|scope| {
        let first = flush(scope, &producer, &outcomes);
        let second = flush(scope, &producer, &outcomes);
        assert!(broker.await_requests(Api::Produce, 1, LONG));
        assert!(first.recv_timeout(A_MOMENT).is_err());
        hold.release();
        assert_eq!(first.recv_timeout(LONG), Ok(3));
        assert_eq!(second.recv_timeout(LONG), Ok(3));
    });
    // After the flushes, this record lingers again.
    let lingering = send(&producer, ORDERS, "d");
    assert!(!broker.await_requests(Api::Produce, 2, A_MOMENT));
    producer.flush().unwrap();
    assert_eq!(lingering.try_get().unwrap().unwrap().offset(), 3);
}

#[test]
fn flush_does_not_wait_for_what_is_sent_meanwhile() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    let outcomes = Outcomes::default();
    let [before, meanwhile] = [broker.new_hold(), broker.new_hold()];
    for hold in [&before, &meanwhile] {
        broker.on(Api::Produce).then(Action::apply().hold(hold));
    }
    send_with(&producer, &outcomes, "before");
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    thread::scope(|scope| {
        let flushed = flush(scope, &producer, &outcomes);
        assert!(flushed.recv_timeout(A_MOMENT).is_err());
        let value = "meanwhile".repeat(100);
        let meanwhile = send(&producer, ORDERS, &value);
        before.release();
        flushed.recv_timeout(LONG).unwrap();
        assert!(!meanwhile.is_done());
    });
    meanwhile.release();
}

/// KAFKA-19397: a response names the topic by an id that the producer has since replaced.
#[test]
fn flush_ends_when_the_topic_gets_another_id_in_flight() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("orders", 1)
        .topic("other", 2)
        .start()
        .unwrap();
    let producer = record_by_record(&broker)
        .metadata_max_age(millis(20))
        .build()
        .unwrap();
    send(&producer, ("other", 1), "connected")
        .get_timeout(LONG)
        .unwrap();
    let outcomes = Outcomes::default();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    send_with(&producer, &outcomes, "a");
    assert!(broker.await_records("orders", 1, LONG));
    broker.recreate_topic("orders").unwrap();
    // The second of two requests is sent after the response to the first was processed.
    let known = broker.request_count(Api::Metadata);
    assert!(broker.await_requests(Api::Metadata, known + 3, LONG));
    thread::scope(|scope| {
        let flushed = flush(scope, &producer, &outcomes);
        hold.release();
        assert_eq!(flushed.recv_timeout(LONG), Ok(1));
    });
    let version = broker
        .requests()
        .iter()
        .map(|request| request.version)
        .max();
    assert_eq!(version, Some(13));
    outcomes.wait_for(1).remove(0).1.unwrap();
    assert_eq!(offsets(&[send(&producer, ORDERS, "b")]), [0]);
}

/// The topic is recreated before the broker handles the request, so no broker knows the topic id in
/// it.
#[test]
fn flush_ends_when_the_topic_is_recreated_before_the_append() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    let outcomes = Outcomes::default();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .then(Action::apply().hold_request(&hold));
    send_with(&producer, &outcomes, "a");
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    broker.recreate_topic("orders").unwrap();
    thread::scope(|scope| {
        let flushed = flush(scope, &producer, &outcomes);
        hold.release();
        assert_eq!(flushed.recv_timeout(LONG), Ok(1));
    });
    outcomes.wait_for(1).remove(0).1.unwrap();
    assert_eq!(values(&broker, ORDERS), ["a"]);
}

/// The response lacks the partition.
#[test]
fn flush_ends_when_the_answer_leaves_the_partition_out() {
    let broker = broker();
    let producer = record_by_record(&broker).build().unwrap();
    let outcomes = Outcomes::default();
    let omitted = Action::apply().omit_partition("orders", 0);
    broker.on(Api::Produce).times(2).then(omitted);
    send_with(&producer, &outcomes, "a");
    producer.flush().unwrap();
    let (_, result) = outcomes.wait_for(1).remove(0);
    assert_eq!(result.unwrap().offset(), 0);
    assert_eq!(values(&broker, ORDERS), ["a"]);
    assert_eq!(broker.request_count(Api::Produce), 3);
}

/// KAFKA-19479: the batch has been split, and its records are not delivered yet.
#[test]
fn flush_waits_for_the_parts_of_a_split_batch() {
    const RECORDS: usize = 8;
    let topic = TopicConfig::new(1).max_message_bytes(500);
    let broker = FakeBroker::builder()
        .topic_with("orders", topic)
        .start()
        .unwrap();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let outcomes = Outcomes::default();
    let sent: Vec<String> = (0..RECORDS).map(|n| n.to_string().repeat(200)).collect();
    for value in &sent {
        send_with(&producer, &outcomes, value);
    }
    // The whole batch and its halves are refused. The first quarter is accepted but has no response
    // yet.
    let hold = broker.new_hold();
    let attempts = Arc::new(AtomicUsize::new(0));
    let (flag, held) = (Arc::clone(&attempts), Arc::new(hold));
    let gate = Arc::clone(&held);
    broker.on_request(move |_, request| {
        let is_small = request.batches.first()?.header.record_count <= 2;
        let is_first = is_small && flag.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| Action::apply().hold(&gate))
    });
    thread::scope(|scope| {
        let flushed = flush(scope, &producer, &outcomes);
        assert!(broker.wait_for(LONG, |_| attempts.load(Ordering::SeqCst) > 0));
        assert!(flushed.recv_timeout(A_MOMENT).is_err());
        held.release();
        assert_eq!(flushed.recv_timeout(LONG), Ok(RECORDS));
    });
    assert!(
        outcomes
            .wait_for(RECORDS)
            .iter()
            .all(|(_, result)| result.is_ok())
    );
    assert_eq!(outcomes.labels(), sent);
    assert_eq!(values(&broker, ORDERS), sent);
}

#[test]
fn flush_ends_when_what_it_waits_for_fails() {
    let broker = broker();
    let producer = quick(&broker)
        .linger(Duration::ZERO)
        .request_timeout(millis(100))
        .delivery_timeout(millis(200))
        .build()
        .unwrap();
    broker.on(Api::Produce).always().then(Action::skip());
    let outcomes = Outcomes::default();
    send_with(&producer, &outcomes, "a");
    producer.flush().unwrap();
    let (_, result) = outcomes.wait_for(1).remove(0);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
}

// Java: KafkaProducerTest.testCloseIsIdempotent, SenderTest.testCloseWithProducerIdReset.
#[test]
fn close_delivers_everything_and_nothing_is_taken_after_it() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let futures = ["a", "b", "c"].map(|value| send(&producer, ORDERS, value));
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS));
    producer.close(Duration::MAX).unwrap();
    let offsets: Vec<_> = futures
        .iter()
        .map(|future| future.try_get().unwrap().unwrap().offset())
        .collect();
    assert_eq!(offsets, [0, 1, 2]);
    assert!(broker.await_connections(0, LONG));

    let unsent = producer
        .send(ProducerRecord::new("orders", "late"))
        .unwrap_err();
    assert_eq!(unsent.kind(), ErrorKind::Closed);
    assert_eq!(unsent.delivery(), Delivery::NotWritten);
    let unknown = producer.partitions_for("unknown").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Closed);
    producer.flush().unwrap();
    producer.close(Duration::ZERO).unwrap();
    assert_eq!(values(&broker, ORDERS), ["a", "b", "c"]);
}

// Java: SenderTest.testForceCloseWithProducerIdReset.
#[test]
fn close_fails_what_is_not_delivered_in_time() {
    for timeout in [Duration::ZERO, millis(100)] {
        let broker = broker();
        let producer = record_by_record(&broker).build().unwrap();
        send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
        broker.on(Api::Produce).always().then(Action::skip());
        let mut futures = send_one_by_one(&broker, &producer, ORDERS, ["a", "b", "c", "d", "e"]);
        // Five batches are in flight, and these wait behind them.
        let long = ["f", "g"].map(|value| value.repeat(1000));
        futures.extend(long.each_ref().map(|value| send(&producer, ORDERS, value)));

        let error = producer.close(timeout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("7 records"), "{error}");
        for (place, future) in futures.iter().enumerate() {
            let error = future.try_get().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            let delivery = match place < 5 {
                true => Delivery::MaybeWritten,
                false => Delivery::NotWritten,
            };
            assert_eq!(error.delivery(), delivery, "{place}");
        }
        assert!(broker.await_connections(0, LONG));
    }
}

/// A callback cannot wait. What is not delivered yet fails, and the call returns.
#[test]
fn close_in_a_callback_returns_at_once() {
    for timeout in [Duration::ZERO, FOR_EVER] {
        let broker = broker();
        let producer = Arc::new(record_by_record(&broker).build().unwrap());
        let outcomes = Outcomes::default();
        let hold = broker.new_hold();
        broker.on(Api::Produce).then(Action::apply().hold(&hold));
        let (closer, (sender, closed)) = (Arc::clone(&producer), mpsc::channel());
        let record = ProducerRecord::new("orders", "a");
        let closing = move |_| sender.send(closer.close(timeout)).unwrap();
        producer.send_with_callback(record, closing).unwrap();
        let value = "b".repeat(1000);
        send_with(&producer, &outcomes, &value);
        hold.release();
        closed.recv_timeout(LONG).unwrap().unwrap();
        let (_, result) = outcomes.wait_for(1).remove(0);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Closed);
        producer.close(LONG).unwrap();
        assert!(broker.await_connections(0, LONG));
    }
}

/// Counts how often it was closed.
struct Counting(Arc<AtomicUsize>);

impl ProducerInterceptor for Counting {
    fn close(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A producer that counts how often its plugins were closed.
fn counted(broker: &FakeBroker) -> (KafkaProducer, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let producer = record_by_record(broker)
        .interceptor(Counting(Arc::clone(&closed)))
        .build()
        .unwrap();
    (producer, closed)
}

// Java: KafkaProducerTest.testInterceptorConstructClose.
#[test]
fn plugins_are_closed_once_wherever_the_producer_is_closed() {
    let broker = broker();
    let (producer, closed) = counted(&broker);
    producer.close(LONG).unwrap();
    producer.close(LONG).unwrap();
    drop(producer);
    assert_eq!(closed.load(Ordering::SeqCst), 1, "closed and dropped");

    let (producer, closed) = counted(&broker);
    let producer = Arc::new(producer);
    let (closer, (sender, was_closed)) = (Arc::clone(&producer), mpsc::channel());
    let closing = move |_| {
        let result = closer.close(FOR_EVER);
        drop(closer);
        sender.send(result).unwrap();
    };
    let record = || ProducerRecord::new("orders", "a");
    producer.send_with_callback(record(), closing).unwrap();
    was_closed.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(closed.load(Ordering::SeqCst), 0, "records may be under way");
    drop(producer);
    assert_eq!(closed.load(Ordering::SeqCst), 1, "closed in a callback");

    let (producer, closed) = counted(&broker);
    let (last, (sender, was_dropped)) = (Arc::new(producer), mpsc::channel());
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let dropped = Arc::clone(&last);
    let dropping = move |_| {
        drop(dropped);
        sender.send(()).unwrap();
    };
    last.send_with_callback(record(), dropping).unwrap();
    drop(last);
    hold.release();
    was_dropped.recv_timeout(LONG).unwrap();
    assert_eq!(closed.load(Ordering::SeqCst), 1, "dropped in a callback");
    assert!(broker.await_connections(0, LONG));
}

// Java: KafkaProducerTest.testCloseWhenWaitingForMetadataUpdate; KAFKA-6897.
#[test]
fn close_wakes_senders_that_wait_for_memory_or_metadata() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("orders", 1)
        .topic("other", 2)
        .auto_create_topics(false)
        .start()
        .unwrap();
    let producer = quick(&broker)
        .batch_size(1000)
        .buffer_memory(1000)
        .max_block(FOR_EVER)
        .build()
        .unwrap();
    // Metadata comes from the second node, whose responses are not held.
    send(&producer, ("other", 1), "connected")
        .get_timeout(LONG)
        .unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let in_flight = send(&producer, ORDERS, "in flight");
    assert!(broker.await_requests(Api::Produce, 2, LONG));
    thread::scope(|scope| {
        let (sender, refused) = mpsc::channel();
        let block_on = |topic: &'static str| {
            let (producer, sender) = (&producer, sender.clone());
            scope.spawn(move || {
                let value = "v".repeat(600);
                let record = ProducerRecord::new(topic, value).partition(0);
                let refused = producer.send(record);
                sender.send(refused.unwrap_err().kind()).unwrap();
            });
        };
        block_on("orders");
        block_on("orders");
        block_on("unknown");
        // The test can see when the last one waits. The others have had time to wait by then.
        assert!(broker.wait_for(LONG, |broker| {
            broker.count_requests(|request| request.topics.iter().any(|name| name == "unknown")) > 1
        }));
        let closed = scope.spawn(|| producer.close(LONG));
        // Nothing becomes free before the close ends, so no one waits for it.
        for _ in 0..2 {
            assert_eq!(refused.recv_timeout(LONG / 2), Ok(ErrorKind::Closed));
        }
        assert!(!in_flight.is_done());
        hold.release();
        closed.join().unwrap().unwrap();
        assert_eq!(refused.recv_timeout(LONG), Ok(ErrorKind::Closed));
    });
    assert_eq!(in_flight.try_get().unwrap().unwrap().offset(), 0);
}

// KAFKA-4235.
#[test]
fn every_record_that_was_taken_completes_once_when_close_comes_between() {
    const THREADS: usize = 4;
    for round in 0..40 {
        let broker = FakeBroker::builder().topic("orders", 2).start().unwrap();
        let producer = quick(&broker).build().unwrap();
        send(&producer, ORDERS, "first").get_timeout(LONG).unwrap();
        let (taken, completed) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let start = Barrier::new(THREADS + 1);
        let refusals = thread::scope(|scope| {
            let senders: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        loop {
                            let completed = Arc::clone(&completed);
                            let count = move |_| {
                                completed.fetch_add(1, Ordering::SeqCst);
                            };
                            let record = ProducerRecord::new("orders", "v");
                            match producer.send_with_callback(record, count) {
                                Ok(()) => taken.fetch_add(1, Ordering::SeqCst),
                                Err(error) => return error.kind(),
                            };
                        }
                    })
                })
                .collect();
            start.wait();
            // Vary the moment of the close.
            let until = round * 50;
            broker.wait_for(LONG, |_| taken.load(Ordering::SeqCst) >= until);
            match round % 2 {
                0 => producer.close(LONG).unwrap(),
                _ => drop(producer.close(Duration::ZERO)),
            }
            senders
                .into_iter()
                .map(|sender| sender.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(refusals, [ErrorKind::Closed; THREADS]);
        let taken = taken.load(Ordering::SeqCst);
        assert_eq!(completed.load(Ordering::SeqCst), taken, "round {round}");
        let written = broker.all_records("orders").len() - 1;
        assert!(written <= taken);
        assert!(round % 2 == 1 || written == taken, "{written} of {taken}");
    }
}

// Wrappers of librdkafka lose these records: rust-rdkafka #518.
#[test]
fn a_producer_that_is_dropped_delivers_what_it_has() {
    let broker = broker();
    let outcomes = Outcomes::default();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    for value in ["a", "b", "c"] {
        send_with(&producer, &outcomes, value);
    }
    drop(producer);
    assert_eq!(outcomes.len(), 3);
    assert_eq!(values(&broker, ORDERS), ["a", "b", "c"]);
    assert!(broker.await_connections(0, LONG));
}

#[test]
fn a_drop_is_bounded_by_the_request_timeout() {
    let broker = broker();
    let producer = quick(&broker)
        .linger(Duration::ZERO)
        .request_timeout(millis(100))
        .delivery_timeout(FOR_EVER)
        .build()
        .unwrap();
    broker.on(Api::Produce).always().then(Action::skip());
    let future = send(&producer, ORDERS, "a");
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    drop(producer);
    let error = future.try_get().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
}

/// The I/O thread cannot wait for itself. It runs until everything is delivered.
#[test]
fn the_last_handle_may_go_away_in_a_callback() {
    let broker = broker();
    let producer = Arc::new(record_by_record(&broker).build().unwrap());
    let outcomes = Outcomes::default();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let (is_last, handle) = (Arc::new(AtomicBool::new(false)), Arc::clone(&producer));
    let dropped_last = Arc::clone(&is_last);
    let record = ProducerRecord::new("orders", "a");
    let dropping = move |_| {
        dropped_last.store(Arc::strong_count(&handle) == 1, Ordering::SeqCst);
        drop(handle);
    };
    producer.send_with_callback(record, dropping).unwrap();
    let value = "b".repeat(1000);
    send_with(&producer, &outcomes, &value);
    drop(producer);
    hold.release();
    let (_, result) = outcomes.wait_for(1).remove(0);
    assert_eq!(result.unwrap().offset(), 1);
    assert!(is_last.load(Ordering::SeqCst));
    assert!(broker.await_connections(0, LONG));
}
