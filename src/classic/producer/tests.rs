//! `send` and `close` in both modes. Java: `AsyncProducerTest`, `ProducerTest`.

use std::sync::mpsc;

use super::super::mock_cluster::MockCluster;
use super::*;
use crate::sync::OnceLock;
use crate::utils::MockTime;

type Message = KeyedMessage<String, String>;

fn config(test: &str, settings: &[(&str, &str)]) -> ProducerConfig {
    let common = [("metadata.broker.list", "b1:9092"), ("client.id", test)];
    ProducerConfig::new([&common, settings].concat()).unwrap()
}

fn message(number: usize) -> Message {
    KeyedMessage::new("t", number.to_string())
}

#[derive(Default)]
struct Handled {
    batches: Mutex<Vec<Vec<String>>>,
    closes: Mutex<u32>,
}

/// Waits at the gate, if there is one, and then records the batch.
struct Recorder {
    handled: Arc<Handled>,
    gate: Option<mpsc::Receiver<()>>,
}

impl EventHandler<String, String> for Recorder {
    fn handle(&mut self, events: &[Message]) -> Result<()> {
        if let Some(gate) = &self.gate {
            // It opens when its sender is gone.
            gate.recv().unwrap_err();
        }
        let values = events.iter().filter_map(|event| event.message.clone());
        self.handled.batches.lock().push(values.collect());
        match events
            .iter()
            .any(|event| event.message.as_deref() == Some("refused"))
        {
            true => Err(Error::new(ErrorKind::FailedToSendMessage, "no")),
            false => Ok(()),
        }
    }

    fn close(&mut self) {
        *self.handled.closes.lock() += 1;
    }
}

fn recorder() -> (Recorder, Arc<Handled>) {
    let handled = Arc::new(Handled::default());
    let recorder = Recorder {
        handled: Arc::clone(&handled),
        gate: None,
    };
    (recorder, handled)
}

// Java: AsyncProducerTest.testProducerQueueSize.
#[test]
fn a_full_queue_refuses_a_message_and_counts_it() {
    let (mut handler, handled) = recorder();
    let (open, gate) = mpsc::channel::<()>();
    handler.gate = Some(gate);
    let settings = [
        ("producer.type", "async"),
        ("queue.buffering.max.messages", "10"),
        ("batch.num.messages", "1"),
        ("queue.enqueue.timeout.ms", "0"),
    ];
    let producer = Producer::with_event_handler(config("queue-size", &settings), handler).unwrap();
    // The send thread holds at most one, which may or may not be one of the ten.
    let error = producer.send_all((0..12).map(message)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueFull);
    assert_eq!(
        error.to_string(),
        "Event queue is full of unsent messages, could not send event: KeyedMessage(t)"
    );
    let stats = producer.stats();
    assert_eq!((stats.messages(), stats.dropped_messages()), (12, 1));
    let metrics = producer.metrics();
    let size = metrics.find(
        "ProducerSendThread",
        "ProducerQueueSize",
        &[("clientId", "queue-size")],
    );
    let size = size.unwrap().value().as_number().unwrap();
    let dropped = metrics.number("ProducerTopicMetrics", "DroppedMessagesPerSec.Count");
    assert_eq!(dropped, Some(1.0));
    assert!((9.0..=10.0).contains(&size), "{size}");
    drop(open);
    producer.close().unwrap();
    // Those before the refused one were queued and are sent; those after it were not tried.
    let count = handled.batches.lock().len();
    assert!((10..=11).contains(&count), "{count}");
    assert!(producer.metrics().is_empty());
    assert_eq!(stats.dropped_messages(), 1);
}

// Java: AsyncProducerTest.testProduceAfterClosed.
#[test]
fn a_closed_producer_refuses_and_closes_its_handler_once() {
    for mode in ["sync", "async"] {
        let (handler, handled) = recorder();
        let settings = [("producer.type", mode)];
        let producer =
            Producer::with_event_handler(config(&format!("closed-{mode}"), &settings), handler)
                .unwrap();
        producer.send(message(1)).unwrap();
        producer.close().unwrap();
        producer.close().unwrap();
        let error = producer.send(message(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProducerClosed);
        // A refused message is not counted.
        assert_eq!(producer.stats().messages(), 1);
        drop(producer);
        assert_eq!(*handled.closes.lock(), 1);
        assert_eq!(*handled.batches.lock(), [["1"]]);
    }
}

#[test]
fn a_dropped_producer_is_closed() {
    for mode in ["sync", "async"] {
        let (handler, handled) = recorder();
        let settings = [("producer.type", mode)];
        let producer =
            Producer::with_event_handler(config(&format!("dropped-{mode}"), &settings), handler)
                .unwrap();
        producer.send(message(1)).unwrap();
        drop(producer);
        assert_eq!(*handled.batches.lock(), [["1"]]);
        assert_eq!(*handled.closes.lock(), 1);
    }
}

#[test]
fn a_sync_send_handles_all_messages_of_the_call_and_returns_the_error() {
    let (handler, handled) = recorder();
    let producer = Producer::with_event_handler(config("sync-send", &[]), handler).unwrap();
    producer.send_all((0..3).map(message)).unwrap();
    let error = producer
        .send(KeyedMessage::new("t", "refused".to_owned()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedToSendMessage);
    producer.send_all([]).unwrap();
    assert_eq!(
        *handled.batches.lock(),
        [vec!["0", "1", "2"], vec!["refused"]]
    );
    assert_eq!(producer.stats().messages(), 4);
}

/// A queue that is always full. It records its calls, and ends the send thread immediately.
#[derive(Default)]
struct FullQueue(Mutex<Vec<Option<Duration>>>, Mutex<Vec<Duration>>);

type Item = Event<String, String>;

impl BlockingQueue<Item> for FullQueue {
    fn put(&self, _: Item) {
        self.0.lock().push(None);
    }

    fn offer(&self, item: Item) -> Result<(), Item> {
        self.offer_within(item, Duration::ZERO)
    }

    fn offer_within(&self, item: Item, timeout: Duration) -> Result<(), Item> {
        self.0.lock().push(Some(timeout));
        Err(item)
    }

    fn force(&self, _: Item) {}

    fn poll(&self, timeout: Duration) -> Option<Item> {
        self.1.lock().push(timeout);
        Some(Event::Shutdown)
    }

    fn len(&self) -> usize {
        0
    }

    fn remaining_capacity(&self) -> usize {
        0
    }
}

// Java: ProducerTest.testAsyncSendCanCorrectlyFailWithTimeout.
#[test]
fn the_enqueue_timeout_decides_how_long_a_full_queue_is_waited_for() {
    for (setting, asked) in [
        ("0", Some(Duration::ZERO)),
        ("70", Some(Duration::from_millis(70))),
        ("-1", None),
    ] {
        let (handler, _) = recorder();
        let settings = [
            ("producer.type", "async"),
            ("queue.enqueue.timeout.ms", setting),
            ("queue.buffering.max.ms", "70"),
        ];
        let queue = Arc::new(FullQueue::default());
        let config = config(&format!("enqueue{setting}"), &settings);
        let producer = Producer::with_parts(
            config,
            Box::new(handler),
            Arc::clone(&queue) as Queue<String, String>,
            Arc::new(MockTime::new()),
        )
        .unwrap();
        let outcome = producer.send(message(1)).map_err(|error| error.kind());
        let expected = if asked.is_some() {
            Err(ErrorKind::QueueFull)
        } else {
            Ok(())
        };
        assert_eq!(outcome, expected);
        assert_eq!(*queue.0.lock(), [asked]);
        // The send thread gathers for the queue time.
        producer.close().unwrap();
        assert_eq!(*queue.1.lock(), [Duration::from_millis(70)]);
    }
}

/// Calls its own producer.
struct Calls(
    Arc<OnceLock<Producer<String, String>>>,
    Arc<Mutex<Vec<ErrorKind>>>,
);

impl EventHandler<String, String> for Calls {
    fn handle(&mut self, _: &[Message]) -> Result<()> {
        let producer = self.0.get().unwrap();
        let errors = [producer.send(message(1)), producer.close()];
        self.1.lock().extend(
            errors
                .into_iter()
                .filter_map(|outcome| outcome.err().map(|error| error.kind())),
        );
        Ok(())
    }

    fn close(&mut self) {}
}

#[test]
fn a_handler_that_calls_its_own_producer_gets_an_error() {
    for mode in ["sync", "async"] {
        let (cell, errors) = (Arc::default(), Arc::default());
        let handler = Calls(Arc::clone(&cell), Arc::clone(&errors));
        let settings = [("producer.type", mode)];
        let producer =
            Producer::with_event_handler(config(&format!("reentrant-{mode}"), &settings), handler);
        let producer = cell.get_or_init(|| producer.unwrap());
        producer.send(message(1)).unwrap();
        producer.close().unwrap();
        assert_eq!(*errors.lock(), [ErrorKind::WouldDeadlock; 2]);
    }
}

#[test]
fn senders_take_turns_and_lose_nothing() {
    let (handler, handled) = recorder();
    let settings = [
        ("producer.type", "async"),
        ("queue.buffering.max.messages", "200"),
    ];
    let producer = Producer::with_event_handler(config("turns", &settings), handler).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|number| producer.send(message(number)).unwrap()));
        }
    });
    producer.close().unwrap();
    assert_eq!(
        handled.batches.lock().iter().map(Vec::len).sum::<usize>(),
        2000
    );
    // No batch was larger than batch.num.messages.
    assert!(
        handled
            .batches
            .lock()
            .iter()
            .all(|batch| batch.len() <= 200)
    );
}

#[test]
fn classes_come_from_the_configuration() {
    let refusal = |key, class| {
        let config = config("classes", &[(key, class)]);
        Producer::<Vec<u8>, Vec<u8>>::new(config)
            .unwrap_err()
            .to_string()
    };
    assert!(
        refusal("serializer.class", "com.example.Mine")
            .starts_with("serializer.class: unknown class")
    );
    assert!(
        refusal("key.serializer.class", "Mine").starts_with("key.serializer.class: unknown class")
    );
    assert!(refusal("partitioner.class", "Mine").starts_with("partitioner.class: unknown class"));
    let settings = [("partitioner.class", "kafka.producer.ByteArrayPartitioner")];
    Producer::<Vec<u8>, String>::new(config("classes", &settings)).unwrap();
}

/// Panics in each call.
struct Panics;

impl EventHandler<String, String> for Panics {
    fn handle(&mut self, _: &[Message]) -> Result<()> {
        panic!("not now");
    }

    fn close(&mut self) {
        panic!("not ever");
    }
}

#[test]
fn a_handler_that_panics_harms_neither_send_nor_close_nor_drop() {
    for mode in ["sync", "async"] {
        let settings = [("producer.type", mode)];
        let config = config(&format!("panics-{mode}"), &settings);
        let producer = Producer::with_event_handler(config.clone(), Panics).unwrap();
        let outcome = producer.send(message(1)).map_err(|error| error.kind());
        let expected = if mode == "sync" {
            Err(ErrorKind::Panic)
        } else {
            Ok(())
        };
        assert_eq!(outcome, expected);
        producer.close().unwrap();
        let dropped = Producer::with_event_handler(config, Panics).unwrap();
        drop(dropped);
    }
}

// Java: ProducerTest.testSendNullMessage.
#[test]
fn a_null_message_is_delivered() {
    let cluster = MockCluster::new();
    cluster.topic("t", &[1]);
    let config = config("null-message", &[]);
    let handler = cluster.handler(&config);
    let producer = Producer::with_event_handler(config, handler).unwrap();
    producer
        .send(KeyedMessage::tombstone("t", "k".to_owned()))
        .unwrap();
    producer.close().unwrap();
    assert_eq!(cluster.values("t", 0), ["null"]);
    assert_eq!(cluster.open_connections(), 0);
}

#[test]
fn a_producer_that_follows_a_closed_one_starts_its_counts_anew() {
    for mode in ["sync", "async"] {
        let config = config(&format!("follows-{mode}"), &[("producer.type", mode)]);
        let make = || Producer::with_event_handler(config.clone(), recorder().0).unwrap();
        let first = make();
        first.send(message(1)).unwrap();
        first.close().unwrap();
        // The closed one still exists, and so do its counts.
        let second = make();
        assert_eq!(
            (first.stats().messages(), second.stats().messages()),
            (1, 0)
        );
        assert!(first.metrics().is_empty());
        let count = |producer: &Producer<String, String>| {
            let metrics = producer.metrics();
            metrics.number("ProducerTopicMetrics", "MessagesPerSec.Count")
        };
        let third = make();
        third.send(message(1)).unwrap();
        third.close().unwrap();
        // An open producer keeps the shared counts.
        assert_eq!((count(&second), count(&third)), (Some(1.0), None));
    }
}
