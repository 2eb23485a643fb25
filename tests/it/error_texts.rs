//! The text of each public error that is cheap to provoke, with its causes, in a golden list: the
//! diff of `tests/data/error-texts.txt` shows a changed text. `KAFKA_PRODUCER_WRITE_DOCS=1` writes
//! the list.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kafka_producer::producer::serializer_fn;
use kafka_producer::testing::{Action, Api, FakeBroker};
use kafka_producer::{
    Acks, ConsumerGroupMetadata, Error, ErrorCode, KafkaProducer, KafkaProducerBuilder,
    ProducerConfig, ProducerRecord, Result,
};

use crate::support::chain::chain;
use crate::support::producing::*;

const ORDERS: (&str, i32) = ("orders", 0);
const LIST: &str = "tests/data/error-texts.txt";

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(50);

/// The texts so far.
#[derive(Default)]
struct Found(String);

impl Found {
    fn note(&mut self, what: &str, error: &Error) {
        let mut texts = chain(error).into_iter().map(without_measured_time);
        let first = texts.next().unwrap();
        self.0 += &format!(
            "# {what}\n{:?} {:?}: {first}\n",
            error.kind(),
            error.delivery()
        );
        for cause in texts {
            self.0 += &format!("  because: {cause}\n");
        }
    }

    /// Records an error whose delivery and causes vary.
    fn note_alone(&mut self, what: &str, error: &Error) {
        let text = without_measured_time(error.to_string());
        self.0 += &format!("# {what}\n{:?}: {text}\n", error.kind());
    }

    fn failed<T>(&mut self, what: &str, result: Result<T>) {
        match result {
            Ok(_) => panic!("{what} succeeded"),
            Err(error) => self.note(what, &error),
        }
    }
}

/// The text of an expired record contains the measured time, which varies.
fn without_measured_time(text: String) -> String {
    match text.split_once(" ms (delivery.timeout.ms)") {
        Some((before, after)) => {
            let before = before.trim_end_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}N ms (delivery.timeout.ms){after}")
        }
        None => text,
    }
}

fn broker() -> FakeBroker {
    FakeBroker::builder().topic("orders", 1).start().unwrap()
}

fn record<'a>() -> ProducerRecord<'a> {
    ProducerRecord::new("orders", "value").partition(0)
}

/// Waits for the topic first, so that a short deadline is not spent on that.
fn await_topic(producer: &KafkaProducer) {
    while producer.partitions_for("orders").is_err() {}
}

fn refused_configurations(found: &mut Found) {
    let settings: [(&str, &[(&str, &str)]); 14] = [
        ("no broker is named", &[]),
        (
            "a bootstrap server without a port",
            &[("bootstrap.servers", "localhost")],
        ),
        ("a number that is none", &[("linger.ms", "soon")]),
        ("a number below its range", &[("batch.size", "-1")]),
        (
            "a number outside of its range",
            &[("compression.lz4.level", "18")],
        ),
        ("a boolean that is none", &[("enable.idempotence", "maybe")]),
        (
            "a name that is not one of the allowed ones",
            &[("acks", "2")],
        ),
        (
            "a misspelt key of TLS",
            &[("ssl.truststore.path", "ca.pem")],
        ),
        (
            "a class of Java",
            &[("interceptor.classes", "com.example.Audit")],
        ),
        (
            "idempotence without acks",
            &[("enable.idempotence", "true"), ("acks", "1")],
        ),
        (
            "idempotence with more requests in flight",
            &[
                ("enable.idempotence", "true"),
                ("max.in.flight.requests.per.connection", "6"),
            ],
        ),
        (
            "a delivery timeout that is too short",
            &[("delivery.timeout.ms", "1000"), ("linger.ms", "5")],
        ),
        (
            "transactions without idempotence",
            &[("transactional.id", "id"), ("enable.idempotence", "false")],
        ),
        (
            "a rack that is not set",
            &[
                ("partitioner.rack.aware", "true"),
                ("delivery.timeout.ms", "1"),
            ],
        ),
    ];
    for (what, settings) in settings {
        let needs_servers = !settings.is_empty() && settings[0].0 != "bootstrap.servers";
        let servers = needs_servers.then_some(("bootstrap.servers", "127.0.0.1:9092"));
        let entries = servers.into_iter().chain(settings.iter().copied());
        let built = ProducerConfig::from_map(entries).and_then(KafkaProducer::new);
        found.failed(&format!("configuration: {what}"), built);
    }
}

fn wrong_records(found: &mut Found, broker: &FakeBroker) {
    let producer = quick(broker).max_request_size(1000).build().unwrap();
    let mut send = |what: &str, record: ProducerRecord<'_>| {
        let sent = producer.send(record);
        let outcome = sent.and_then(|future| future.get_timeout(LONG));
        found.failed(&format!("record: {what}"), outcome);
    };
    send("a negative partition", record().partition(-1));
    send("a negative timestamp", record().timestamp(-1));
    send("an empty topic", ProducerRecord::new("", "value"));
    send(
        "a long topic",
        ProducerRecord::new("t".repeat(40_000), "value"),
    );
    let large = "v".repeat(1000);
    send(
        "above max.request.size",
        ProducerRecord::new("orders", &large),
    );
    producer.close(LONG).unwrap();

    let small = quick(broker)
        .batch_size(100)
        .buffer_memory(200)
        .build()
        .unwrap();
    let outcome = small.send(ProducerRecord::new("orders", &large));
    let outcome = outcome.and_then(|future| future.get_timeout(LONG));
    found.failed("record: above buffer.memory", outcome);

    let fails = serializer_fn(|_: &str| Err::<Vec<u8>, _>("no such order"));
    let fails = quick(broker).value_serializer(fails).build().unwrap();
    let record = ProducerRecord::new("orders", "value");
    found.failed("record: a serializer that fails", fails.send(record));
}

fn waits_that_end(found: &mut Found) {
    let broker = broker();
    let hold = broker.new_hold();
    let held = Action::apply().hold(&hold);
    broker.on(Api::Metadata).always().then(held);
    let producer = quick(&broker).max_block(millis(20)).build().unwrap();
    let refused = producer.try_send(record()).unwrap_err();
    found.note("try_send: a topic that is not known yet", &refused.error);
    let sent = producer.send(record()).unwrap();
    found.failed(
        "send: no metadata within max.block.ms",
        sent.get_timeout(LONG),
    );
    let sent = producer
        .send_timeout(record(), millis(10))
        .map_err(Error::from);
    found.failed("send_timeout: no metadata", sent);
    hold.release();

    let broker = self::broker();
    let producer = quick(&broker).max_block(millis(20)).linger(FOR_EVER);
    let producer = producer
        .batch_size(1024)
        .buffer_memory(1024)
        .build()
        .unwrap();
    await_topic(&producer);
    let sent = producer.send(record().partition(7)).unwrap();
    found.failed("send: no such partition", sent.get_timeout(LONG));
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let first = send(&producer, ORDERS, "first");
    found.failed(
        "get_timeout: no response",
        first.get_timeout(Duration::ZERO),
    );
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    found.failed(
        "flush_timeout: no response",
        producer.flush_timeout(millis(10)),
    );
    let sent = producer.send(record()).unwrap();
    found.failed(
        "send: no memory within max.block.ms",
        sent.get_timeout(LONG),
    );
    let refused = producer.try_send(record()).unwrap_err();
    found.note("try_send: no memory", &refused.error);
    hold.release();
    first.get_timeout(LONG).unwrap();

    // How far the request has got by then, and so the cause, depends on the machine.
    let hold = broker.new_hold();
    broker.on(Api::Produce).then(Action::apply().hold(&hold));
    let producer = quick(&broker)
        .request_timeout(millis(500))
        .delivery_timeout(millis(500));
    let producer = producer.build().unwrap();
    await_topic(&producer);
    let sent = producer.send(record()).unwrap();
    let expired = sent.get_timeout(LONG).unwrap_err();
    found.note_alone("delivery: no acknowledgement in time", &expired);
    hold.release();
}

/// Each code as a final error: nothing is retried.
fn refusals_of_brokers(found: &mut Found) {
    const CODES: [ErrorCode; 14] = [
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::RECORD_LIST_TOO_LARGE,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_TIMESTAMP,
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::INVALID_RECORD,
    ];
    let broker = broker();
    let producer = quick(&broker)
        .acks(Acks::Leader)
        .retries(0)
        .build()
        .unwrap();
    await_topic(&producer);
    for code in CODES {
        broker.on(Api::Produce).then(Action::fail(code));
        let sent = producer.send(record()).unwrap();
        found.failed(&format!("response: {code}"), sent.get_timeout(LONG));
    }
}

fn ends_of_producers(found: &mut Found) {
    let broker = broker();
    broker.on(Api::Produce).always().then(Action::skip());
    let producer = quick(&broker).build().unwrap();
    await_topic(&producer);
    let sent = producer.send(record()).unwrap();
    assert!(broker.await_requests(Api::Produce, 1, LONG));
    found.failed(
        "close: a record has no response",
        producer.close(Duration::ZERO),
    );
    found.failed("the future of that record", sent.get_timeout(LONG));
    found.failed("send: after the close", producer.send(record()));
    found.failed(
        "partitions_for: after the close",
        producer.partitions_for("orders"),
    );

    let broker = self::broker();
    let code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
    broker.on(Api::Produce).then(Action::fail(code));
    let producer = quick(&broker).build().unwrap();
    let sent = producer.send(record()).unwrap();
    found.failed("an idempotent producer: no right", sent.get_timeout(LONG));
    let sent = producer.send(record()).unwrap();
    found.failed("the next record of that producer", sent.get_timeout(LONG));
}

fn calls_inside_of_callbacks(found: &mut Found, broker: &FakeBroker) {
    let producer = Arc::new(quick(broker).build().unwrap());
    await_topic(&producer);
    let (sender, errors) = mpsc::channel();
    let inside = Arc::clone(&producer);
    let callback = move |_| {
        let flushed = inside.flush().unwrap_err();
        let sent = inside.send(ProducerRecord::new("unknown", "value"));
        sender.send([flushed, sent.map(drop).unwrap_err()]).unwrap();
    };
    producer.send_with_callback(record(), callback).unwrap();
    let [flushed, sent] = errors.recv_timeout(LONG).unwrap();
    found.note("callback: flush", &flushed);
    found.note("callback: send to an unknown topic", &sent);
    producer.close(LONG).unwrap();
}

fn transactional(broker: &FakeBroker) -> KafkaProducerBuilder {
    quick(broker).transactional_id("id").max_block(LONG)
}

fn transactions(found: &mut Found) {
    let broker = broker();
    let plain = quick(&broker).build().unwrap();
    found.failed(
        "init_transactions: no transactional.id",
        plain.init_transactions(),
    );

    let producer = transactional(&broker).build().unwrap();
    found.failed(
        "begin_transaction: before init",
        producer.begin_transaction(),
    );
    producer.init_transactions().unwrap();
    found.failed("init_transactions: twice", producer.init_transactions());
    found.failed("send: no transaction", producer.send(record()));
    found.failed(
        "commit_transaction: no transaction",
        producer.commit_transaction(),
    );
    producer.begin_transaction().unwrap();
    found.failed("begin_transaction: twice", producer.begin_transaction());
    let nameless = producer.send_offsets_to_transaction(
        &std::collections::HashMap::from([(("input", 0).into(), 1.into())]),
        &ConsumerGroupMetadata::new(""),
    );
    found.failed(
        "send_offsets_to_transaction: a group without a name",
        nameless,
    );

    broker
        .on(Api::Produce)
        .then(Action::fail(ErrorCode::INVALID_RECORD));
    let sent = producer.send(record()).unwrap();
    found.failed("transaction: a record is refused", sent.get_timeout(LONG));
    found.failed("send: the transaction failed", producer.send(record()));
    found.failed(
        "commit_transaction: a record failed",
        producer.commit_transaction(),
    );
    producer.abort_transaction().unwrap();

    producer.begin_transaction().unwrap();
    let fencing = transactional(&broker).build().unwrap();
    fencing.init_transactions().unwrap();
    let sent = producer.send(record()).unwrap();
    found.failed("a fenced producer: the record", sent.get_timeout(LONG));
    found.failed(
        "a fenced producer: the commit",
        producer.commit_transaction(),
    );

    let code = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    broker.on(Api::InitProducerId).then(Action::fail(code));
    let refused = transactional(&broker).build().unwrap();
    found.failed("init_transactions: no right", refused.init_transactions());
}

#[test]
fn each_public_error_has_the_text_of_the_golden_list() {
    let mut found = Found::default();
    let broker = broker();
    refused_configurations(&mut found);
    wrong_records(&mut found, &broker);
    waits_that_end(&mut found);
    refusals_of_brokers(&mut found);
    ends_of_producers(&mut found);
    calls_inside_of_callbacks(&mut found, &broker);
    transactions(&mut found);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST);
    if std::env::var_os("KAFKA_PRODUCER_WRITE_DOCS").is_some() {
        fs::write(path, found.0).unwrap();
        return;
    }
    let golden = fs::read_to_string(path).unwrap();
    let missing: Vec<_> = golden
        .lines()
        .filter(|line| !found.0.contains(*line))
        .collect();
    assert!(
        golden == found.0,
        "{LIST} is behind: run this test with KAFKA_PRODUCER_WRITE_DOCS=1 and read the diff. Gone:\n{missing:#?}\nNow:\n{}",
        found.0
    );
}
