//! A record can be awaited without a runtime: its task is woken when the record has its result, and
//! never under a lock.

use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker, TopicConfig};
use kafka_producer::{
    Delivery, ErrorCode, ErrorKind, MockProducer, ProducerRecord, RecordFuture, RecordMetadata,
    Result,
};

use crate::support::executor::*;
use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
/// Longer than any test, so that no batch is sent because of its linger time.
const FOR_EVER: Duration = Duration::from_secs(50);

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

fn probe() -> (Arc<Probe>, Waker) {
    let probe = Arc::new(Probe::default());
    (Arc::clone(&probe), Waker::from(probe))
}

/// Waits for the end of a future without its waker, and then for the wakes that follow.
fn await_wakes(probe: &Probe, count: usize) {
    while probe.count() < count {
        thread::yield_now();
    }
}

#[test]
fn a_record_that_is_awaited_does_not_linger() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let delivered: Result<RecordMetadata> = block_on(async {
        let first = producer.send(ProducerRecord::new("orders", "a"))?.await?;
        assert_eq!(first.offset(), 0);
        producer.try_send(ProducerRecord::new("orders", "b"))?.await
    });
    assert_eq!(delivered.unwrap().offset(), 1);
}

/// One batch, many tasks: each is woken once.
#[test]
fn many_tasks_await_the_records_of_one_batch_and_each_is_woken_once() {
    const RECORDS: usize = 500;
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let futures: Vec<_> = (0..RECORDS).map(|_| send(&producer, ORDERS, "v")).collect();
    // Every other task was polled before this one, which releases the response.
    let release = async { hold.release() };
    let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = i64>>>> = Vec::new();
    for future in futures {
        tasks.push(Box::pin(async { future.await.unwrap().offset() }));
    }
    tasks.push(Box::pin(async {
        release.await;
        -1
    }));
    let (offsets, wakes) = run_all(tasks);
    assert_eq!(wakes, RECORDS);
    let expected: Vec<_> = (0..RECORDS as i64).chain([-1]).collect();
    assert_eq!(offsets, expected);
}

#[test]
fn the_waker_of_the_last_poll_is_woken_and_no_other() {
    let broker = broker();
    let producer = quick(&broker).build().unwrap();
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let mut future = send(&producer, ORDERS, "a");
    let mut dropped = send(&producer, ORDERS, "b");
    let ((first, first_waker), (last, last_waker)) = (probe(), probe());
    for waker in [&first_waker, &first_waker, &last_waker] {
        assert!(poll_for(&mut future, waker).is_pending());
    }
    assert!(poll_for(&mut dropped, Waker::noop()).is_pending());
    drop(dropped);
    hold.release();
    await_wakes(&last, 1);
    // A poll after completion returns the result again.
    for _ in 0..2 {
        let Poll::Ready(result) = poll_for(&mut future, &last_waker) else {
            panic!("woken too early");
        };
        assert_eq!(result.unwrap().offset(), 0);
    }
    producer.flush().unwrap();
    assert_eq!((first.count(), last.count()), (0, 1));
}

#[test]
fn a_task_is_woken_when_the_record_fails_and_when_the_producer_goes() {
    let broker = broker();
    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_RECORD));
    let producer = quick(&broker).build().unwrap();
    let error = block_on(send(&producer, ORDERS, "a")).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));

    for (is_closed, requests) in [(true, 2), (false, 3)] {
        broker.on(Api::Produce).then(Action::skip());
        let producer = quick(&broker)
            .delivery_timeout(millis(1500))
            .request_timeout(millis(1500))
            .build()
            .unwrap();
        let future = send(&producer, ORDERS, "a");
        assert!(broker.await_requests(Api::Produce, requests, LONG));
        let waiter = thread::spawn(move || block_on(future));
        match is_closed {
            true => drop(producer.close(Duration::ZERO)),
            false => drop(producer),
        }
        let error = waiter.join().unwrap().unwrap_err();
        assert_eq!(error.delivery(), Delivery::MaybeWritten, "{error:?}");
    }
}

#[test]
fn a_waker_that_panics_harms_no_other() {
    let broker = broker();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let mut bad = send(&producer, ORDERS, "a");
    let good = send(&producer, ORDERS, "b");
    let bomb = Probe::on_wake(|| panic!("on purpose"));
    assert!(poll_for(&mut bad, &Waker::from(Arc::clone(&bomb))).is_pending());
    assert_eq!(block_on(good).unwrap().offset(), 1);
    await_wakes(&bomb, 1);
    assert_eq!(block_on(bad).unwrap().offset(), 0);
    assert_eq!(block_on(send(&producer, ORDERS, "c")).unwrap().offset(), 2);
}

/// A waker may own a task, which may own the producer. Dropping the producer waits for the I/O
/// thread. If the I/O thread dropped the waker under the batch's lock, it would wait for itself.
#[test]
fn a_waker_that_is_replaced_is_dropped_under_no_lock() {
    let broker = broker();
    let producer = Arc::new(quick(&broker).build().unwrap());
    broker.on(Api::Produce).then(Action::skip());
    let mut future = send(&producer, ORDERS, "a");
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    let closes = Probe::on_drop(move || drop(producer.close(Duration::ZERO)));
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        assert!(poll_for(&mut future, &Waker::from(closes)).is_pending());
        // This drops the last reference to the first waker.
        drop(poll_for(&mut future, Waker::noop()));
        done.send(block_on(future)).unwrap();
    });
    let result = is_done.recv_timeout(LONG).unwrap();
    assert_eq!(result.unwrap_err().delivery(), Delivery::MaybeWritten);
}

/// A waker that runs its task inline runs it where callbacks run.
#[test]
fn a_waker_runs_where_callbacks_run() {
    let broker = broker();
    let producer = Arc::new(quick(&broker).linger(FOR_EVER).build().unwrap());
    let (sender, results) = mpsc::channel();
    let inside = Arc::clone(&producer);
    let probe = Probe::on_wake(move || {
        sender.send(inside.flush().unwrap_err().kind()).unwrap();
    });
    let mut future = send(&producer, ORDERS, "a");
    assert!(poll_for(&mut future, &Waker::from(probe)).is_pending());
    assert_eq!(
        results.recv_timeout(LONG).unwrap(),
        ErrorKind::WouldDeadlock
    );
}

#[test]
fn records_of_a_batch_that_is_split_are_awaited_in_its_parts() {
    const RECORDS: usize = 40;
    let config = TopicConfig::new(1).max_message_bytes(1500);
    let broker = FakeBroker::builder()
        .topic_with("orders", config)
        .start()
        .unwrap();
    let producer = quick(&broker).linger(FOR_EVER).build().unwrap();
    let value = "v".repeat(200);
    let futures: Vec<RecordFuture> = (0..RECORDS)
        .map(|_| send(&producer, ORDERS, &value))
        .collect();
    let (results, _) = run_all(futures);
    let mut offsets: Vec<_> = results
        .into_iter()
        .map(|result| result.unwrap().offset())
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..RECORDS as i64).collect::<Vec<_>>());
    assert!(broker.batches("orders", 0).len() > 1);
}

#[test]
fn sends_to_a_mock_are_awaited() {
    let mock = MockProducer::new(false);
    let mut future = mock.send(ProducerRecord::new("orders", "a")).unwrap();
    let (probe, waker) = probe();
    assert!(poll_for(&mut future, Waker::noop()).is_pending());
    assert!(poll_for(&mut future, &waker).is_pending());
    mock.error_next(ErrorCode::INVALID_RECORD);
    assert_eq!(probe.count(), 1);
    let error = block_on(future).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::INVALID_RECORD));
    let at_once = MockProducer::new(true);
    let sent = at_once.send(ProducerRecord::new("orders", "a")).unwrap();
    assert_eq!(block_on(sent).unwrap().offset(), 0);
}
