//! A mock behaves as a real producer does wherever no broker is needed. One table of states and
//! calls drives both, and every result and every later call must be the same.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    ConsumerGroupMetadata, Error, ErrorCode, ErrorKind, KafkaProducer, MockProducer,
    OffsetAndMetadata, Producer, ProducerRecord, RecordFuture, RecordMetadata, Result,
    TopicPartition,
};

use crate::support::producing::*;

const ID: &str = "payments";

/// A producer of one of the two kinds.
enum Subject {
    // In this order, because a producer that is dropped with an open transaction asks its broker to
    // abort it.
    Real {
        producer: Arc<KafkaProducer>,
        broker: FakeBroker,
    },
    Mock(Arc<MockProducer>),
}

impl Subject {
    fn real(max_block: Duration, id: Option<&str>) -> Self {
        let broker = FakeBroker::builder()
            .topic("t", 3)
            .topic("in", 1)
            // A mock has no broker whose first refusal would leave the delivery of a record
            // unknown.
            .instant_auto_creation(true)
            .start()
            .unwrap();
        let mut builder = quick(&broker).max_block(max_block);
        if let Some(id) = id {
            builder = builder.transactional_id(id);
        }
        let producer = Arc::new(builder.build().unwrap());
        until_done(|| producer.partitions_for("t")).unwrap();
        Self::Real { producer, broker }
    }

    /// Sends stay open until `deliver`.
    fn mock(id: Option<&str>) -> Self {
        let mock = MockProducer::new(false).with_topic("t", 3);
        Self::Mock(Arc::new(match id {
            Some(id) => mock.with_transactional_id(id),
            None => mock,
        }))
    }

    fn producer(&self) -> Arc<dyn Producer> {
        match self {
            Self::Real { producer, .. } => Arc::clone(producer) as Arc<dyn Producer>,
            Self::Mock(mock) => Arc::clone(mock) as Arc<dyn Producer>,
        }
    }

    /// Lets what was sent be delivered.
    fn deliver(&self) {
        if let Self::Mock(mock) = self {
            while mock.complete_next() {}
        }
    }

    /// Sends a record that the broker refuses, and waits until it has.
    fn send_refused(&self) -> Error {
        if let Self::Real { broker, .. } = self {
            let refusal = Action::fail(ErrorCode::INVALID_RECORD);
            broker.on(Api::Produce).then(refusal);
        }
        let future = self.producer().send(record("refused")).unwrap();
        if let Self::Mock(mock) = self {
            assert!(mock.error_next(ErrorCode::INVALID_RECORD));
        }
        future.get().unwrap_err()
    }

    fn fence(&self) {
        match self {
            Self::Real { broker, .. } => broker.fence_producer(ID).unwrap(),
            Self::Mock(mock) => mock.fence_producer().unwrap(),
        }
    }

    fn outcome_of(&self, sent: Result<RecordFuture>) -> String {
        match sent {
            Err(error) => format!("refused: {}", told(&error)),
            Ok(future) => {
                self.deliver();
                match future.get() {
                    Ok(metadata) => format!("delivered to {}", metadata.topic_partition()),
                    Err(error) => format!("failed: {}", told(&error)),
                }
            }
        }
    }
}

fn until_done<T>(call: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.is_timeout() => {}
            done => return done,
        }
    }
}

fn record(value: &str) -> ProducerRecord<'_> {
    ProducerRecord::new("t", value).partition(0)
}

/// Returns what a program can see of an error.
fn told(error: &Error) -> String {
    let mut told = format!("{:?} {:?}", error.kind(), error.delivery());
    if let Some(code) = error.code() {
        told += &format!(" {code}");
    }
    if let Some(reason) = error.timeout() {
        told += &format!(" {:?} {:?}", reason.waiting_for, reason.config);
    }
    for (is, what) in [
        (error.is_retriable(), "retriable"),
        (error.is_abortable(), "abortable"),
        (error.is_aborted(), "aborted"),
        (error.is_fatal(), "fatal"),
        (error.is_timeout(), "timeout"),
    ] {
        if is {
            told += " ";
            told += what;
        }
    }
    told
}

fn outcome<T: Debug>(result: Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => told(&error),
    }
}

/// The state of the producer when a call is made.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Without transactions.
    Plain,
    PlainClosed,
    Uninitialized,
    Ready,
    InTransaction,
    WithRecord,
    WithOffsets,
    /// A record of the transaction was refused.
    Failed,
    Committed,
    Aborted,
    /// Another producer has taken over, and this one does not know it yet.
    FencedUnknowing,
    /// It knows.
    Fenced,
    Closed,
}

use State::*;

const STATES: [State; 13] = [
    Plain,
    PlainClosed,
    Uninitialized,
    Ready,
    InTransaction,
    WithRecord,
    WithOffsets,
    Failed,
    Committed,
    Aborted,
    FencedUnknowing,
    Fenced,
    Closed,
];

impl State {
    fn id(self) -> Option<&'static str> {
        (!matches!(self, Plain | PlainClosed)).then_some(ID)
    }

    /// Brings a new producer into this state.
    fn enter(self, subject: &Subject) {
        let producer = subject.producer();
        if matches!(self, PlainClosed) {
            producer.close(LONG).unwrap();
        }
        if matches!(self, Plain | PlainClosed | Uninitialized) {
            return;
        }
        until_done(|| producer.init_transactions()).unwrap();
        if matches!(self, Ready) {
            return;
        }
        producer.begin_transaction().unwrap();
        if matches!(self, InTransaction) {
            return;
        }
        if matches!(self, WithOffsets) {
            until_done(|| producer.send_offsets_to_transaction(&offsets(), &group("g"))).unwrap();
            return;
        }
        let sent = subject.outcome_of(producer.send(record("sent")));
        assert_eq!(sent, "delivered to t-0");
        match self {
            Failed => {
                assert!(subject.send_refused().is_abortable());
            }
            Committed => until_done(|| producer.commit_transaction()).unwrap(),
            Aborted => until_done(|| producer.abort_transaction()).unwrap(),
            FencedUnknowing => subject.fence(),
            Fenced => {
                subject.fence();
                let error = until_done(|| producer.abort_transaction()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Fenced);
            }
            Closed => producer.close(LONG).unwrap(),
            _ => {}
        }
    }
}

fn offsets() -> HashMap<TopicPartition, OffsetAndMetadata> {
    HashMap::from([(TopicPartition::new("in", 0), 7.into())])
}

fn group(id: &str) -> ConsumerGroupMetadata {
    ConsumerGroupMetadata::new(id)
}

/// A call and its result.
struct Call {
    name: &'static str,
    /// The real producer waits for `max.block.ms`, which is then short.
    waits: bool,
    make: fn(&Subject) -> String,
}

const fn call(name: &'static str, make: fn(&Subject) -> String) -> Call {
    Call {
        name,
        waits: false,
        make,
    }
}

const fn waiting(name: &'static str, make: fn(&Subject) -> String) -> Call {
    Call {
        name,
        waits: true,
        make,
    }
}

fn sends(subject: &Subject, record: ProducerRecord<'_>) -> String {
    subject.outcome_of(subject.producer().send(record))
}

fn to(topic: &str) -> ProducerRecord<'_> {
    ProducerRecord::new(topic, "value")
}

/// A send whose callback must be called exactly once, unless the call itself fails.
fn sends_with_callback(subject: &Subject, record: ProducerRecord<'_>) -> String {
    let (told_to, outcomes) = mpsc::channel();
    let callback = move |result: Result<RecordMetadata>| {
        told_to
            .send(outcome(
                result.map(|metadata| metadata.topic_partition().clone()),
            ))
            .unwrap();
    };
    let sent = subject.producer().send_with_callback(record, callback);
    subject.deliver();
    let outcomes: Vec<_> = outcomes.iter().collect();
    format!("{}, callback {outcomes:?}", outcome(sent))
}

fn sends_offsets(subject: &Subject, count: usize, group: &ConsumerGroupMetadata) -> String {
    let offsets = offsets().into_iter().take(count).collect();
    outcome(
        subject
            .producer()
            .send_offsets_to_transaction(&offsets, group),
    )
}

fn partitions_for(subject: &Subject, topic: &str) -> String {
    let partitions = subject.producer().partitions_for(topic);
    outcome(partitions.map(|partitions| {
        let numbers: Vec<_> = partitions.iter().map(|it| it.partition()).collect();
        numbers
    }))
}

/// The closure form. `None` makes the closure fail.
fn transaction(subject: &Subject, sent: Option<ProducerRecord<'_>>) -> String {
    let ended = subject.producer().transaction(|transaction| match sent {
        Some(record) => transaction.send(record),
        None => Err(Error::from(ErrorKind::Serialization)),
    });
    outcome(ended)
}

const CALLS: &[Call] = &[
    call("send", |it| sends(it, record("value"))),
    call("send by key", |it| sends(it, to("t").key("a key"))),
    call("send by another key", |it| sends(it, to("t").key("b"))),
    call("send to a new topic", |it| sends(it, to("new"))),
    call("send to no topic", |it| sends(it, to(""))),
    call("send to an illegal topic", |it| sends(it, to("a b"))),
    call("send to a dot", |it| sends(it, to("."))),
    call("send to a long topic", |it| sends(it, to(&"t".repeat(250)))),
    call("send to a negative partition", |it| {
        sends(it, to("t").partition(-1))
    }),
    call("send with a negative timestamp", |it| {
        sends(it, record("value").timestamp(-1))
    }),
    call("send what is too large", |it| {
        sends(it, ProducerRecord::new("t", vec![0; 1 << 20]).partition(0))
    }),
    call("send the largest", |it| {
        sends(
            it,
            ProducerRecord::new("t", vec![0; (1 << 20) - 100]).partition(0),
        )
    }),
    waiting("send to no such partition", |it| {
        sends(it, to("t").partition(3))
    }),
    waiting("send to no such partition of a new topic", |it| {
        sends(it, to("new").partition(1))
    }),
    call("send with a callback", |it| {
        sends_with_callback(it, record("value"))
    }),
    call("send to no topic with a callback", |it| {
        sends_with_callback(it, to(""))
    }),
    call("send to a negative partition with a callback", |it| {
        sends_with_callback(it, to("t").partition(-1))
    }),
    call("send_refused", |it| {
        match it.producer().begin_transaction() {
            // Only in states where a record can be sent.
            Ok(()) => told(&it.send_refused()),
            Err(error) => told(&error),
        }
    }),
    call("flush", |it| outcome(it.producer().flush())),
    call("partitions_for", |it| partitions_for(it, "t")),
    call("partitions_for a new topic", |it| partitions_for(it, "new")),
    call("partitions_for no topic", |it| partitions_for(it, "")),
    call("partitions_for an illegal topic", |it| {
        partitions_for(it, "a b")
    }),
    call("init_transactions", |it| {
        outcome(it.producer().init_transactions())
    }),
    call("begin_transaction", |it| {
        outcome(it.producer().begin_transaction())
    }),
    call("send_offsets", |it| sends_offsets(it, 1, &group("g"))),
    call("send no offsets", |it| sends_offsets(it, 0, &group("g"))),
    call("send offsets of no group", |it| {
        sends_offsets(it, 1, &group(""))
    }),
    call("send no offsets of no group", |it| {
        sends_offsets(it, 0, &group(""))
    }),
    call("send offsets of no member", |it| {
        sends_offsets(it, 1, &group("g").generation(1, ""))
    }),
    call("commit_transaction", |it| {
        outcome(it.producer().commit_transaction())
    }),
    call("abort_transaction", |it| {
        outcome(it.producer().abort_transaction())
    }),
    call("transaction", |it| transaction(it, Some(record("value")))),
    call("transaction with nothing legal", |it| {
        transaction(it, Some(to("")))
    }),
    call("transaction that fails", |it| transaction(it, None)),
    call("close", |it| outcome(it.producer().close(LONG))),
];

/// Returns what the producer can do after a call.
fn aftermath(subject: &Subject) -> Vec<String> {
    let producer = subject.producer();
    let can = |call: fn(&dyn Producer) -> Result<()>| outcome(until_done(|| call(&*producer)));
    vec![
        subject.outcome_of(producer.send(record("after"))),
        can(|it| it.commit_transaction()),
        can(|it| it.begin_transaction()),
        can(|it| it.abort_transaction()),
        can(|it| it.begin_transaction()),
        subject.outcome_of(producer.send(record("in the next"))),
        can(|it| it.commit_transaction()),
        can(|it| it.flush()),
        can(|it| it.close(LONG)),
    ]
}

fn run(state: State, call: &Call, subject: &Subject) -> (String, Vec<String>) {
    state.enter(subject);
    ((call.make)(subject), aftermath(subject))
}

/// Returns the differences between the two in this state, for every call.
fn differences(state: State) -> Vec<String> {
    let mut differences = Vec::new();
    for call in CALLS {
        let max_block = match call.waits {
            true => millis(100),
            false => LONG,
        };
        let (real, after_real) = run(state, call, &Subject::real(max_block, state.id()));
        let (mock, after_mock) = run(state, call, &Subject::mock(state.id()));
        if real != mock {
            let name = call.name;
            differences.push(format!("{state:?}, {name}:\n  real {real}\n  mock {mock}"));
        }
        for (step, (real, mock)) in after_real.iter().zip(&after_mock).enumerate() {
            if real != mock {
                let name = call.name;
                differences.push(format!(
                    "{state:?}, {name}, step {step} after it:\n  real {real}\n  mock {mock}"
                ));
            }
        }
    }
    differences
}

#[test]
fn a_mock_and_a_real_producer_say_the_same_in_every_state() {
    // The real producers mostly wait, so the states run in parallel.
    let differences: Vec<String> = std::thread::scope(|scope| {
        let states = STATES.map(|state| scope.spawn(move || differences(state)));
        let all = states.into_iter().map(|state| state.join().unwrap());
        all.flatten().collect()
    });
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

type CallInside = fn(&dyn Producer) -> String;

const INSIDE: &[(&str, CallInside)] = &[
    ("get", |it| {
        outcome(it.send(record("inside")).unwrap().get())
    }),
    ("get_timeout", |it| {
        outcome(it.send(record("inside")).unwrap().get_timeout(LONG))
    }),
    ("send to a new topic", |it| {
        outcome(it.send(to("new")).map(drop))
    }),
    ("send to no topic", |it| {
        outcome(it.send(to("")).unwrap().get())
    }),
    ("flush", |it| outcome(it.flush())),
    ("partitions_for", |it| {
        outcome(it.partitions_for("t").map(|all| all.len()))
    }),
    ("partitions_for a new topic", |it| {
        outcome(it.partitions_for("new"))
    }),
    ("init_transactions", |it| outcome(it.init_transactions())),
    ("begin_transaction", |it| outcome(it.begin_transaction())),
    ("send_offsets", |it| {
        outcome(it.send_offsets_to_transaction(&offsets(), &group("g")))
    }),
    ("commit_transaction", |it| outcome(it.commit_transaction())),
    ("abort_transaction", |it| outcome(it.abort_transaction())),
    ("transaction", |it| {
        outcome(it.transaction(|_| Ok::<(), Error>(())))
    }),
    ("close", |it| outcome(it.close(LONG))),
];

fn run_inside(state: State, make: CallInside, subject: &Subject) -> String {
    state.enter(subject);
    let producer = subject.producer();
    let (told_to, outcomes) = mpsc::channel();
    let inside = Arc::clone(&producer);
    let callback = move |_| {
        let outcome = make(&*inside);
        // If this were the last handle, its thread would keep looking for a broker that is gone,
        // and might find that of another test.
        drop(inside);
        told_to.send(outcome).unwrap();
    };
    producer
        .send_with_callback(record("outside"), callback)
        .unwrap();
    subject.deliver();
    outcomes.recv_timeout(LONG).unwrap()
}

#[test]
fn a_mock_and_a_real_producer_say_the_same_inside_a_callback() {
    let mut differences = Vec::new();
    for state in [Plain, InTransaction] {
        for (name, make) in INSIDE {
            let real = run_inside(state, *make, &Subject::real(LONG, state.id()));
            let mock = run_inside(state, *make, &Subject::mock(state.id()));
            if real != mock {
                differences.push(format!("{state:?}, {name}:\n  real {real}\n  mock {mock}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Closes with two open sends, one of them with a callback. Returns the result of each.
fn close_with_open_sends(state: State, subject: &Subject) -> Vec<String> {
    state.enter(subject);
    if let Subject::Real { broker, .. } = subject {
        broker
            .on(Api::Produce)
            .always()
            .then(Action::skip().never_reply());
    }
    let producer = subject.producer();
    let future = producer.send(record("open")).unwrap();
    if let Subject::Real { broker, .. } = subject {
        assert!(broker.await_requests(Api::Produce, 1, LONG));
    }
    let closed = outcome(producer.close(Duration::ZERO));
    vec![
        closed,
        outcome(future.get()),
        outcome(producer.close(Duration::ZERO)),
        outcome(producer.send(record("late")).map(drop)),
    ]
}

#[test]
fn a_close_with_open_sends_fails_them_in_both() {
    for state in [Plain, InTransaction] {
        let real = close_with_open_sends(state, &Subject::real(LONG, state.id()));
        let mock = close_with_open_sends(state, &Subject::mock(state.id()));
        assert_eq!(real, mock, "{state:?}");
    }
}
