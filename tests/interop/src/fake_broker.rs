//! librdkafka's producer against `FakeBroker`: the broker accepts what another producer sends, by
//! Kafka's rules, and our codecs decompress what others compressed.

use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker, StoredRecord, TopicConfig};

use crate::brokers::{BROKERS, PARTITIONS, TOPIC};
use crate::history::{History, ReadRecord, Verdict};
use crate::librdkafka::Librdkafka;
use crate::load::{LAST_ROUND, Load};
use crate::shapes::{self, Shape};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Here sequences are checked, so five requests may be in flight in every test.
const IDEMPOTENT: [(&str, &str); 3] = [
    ("enable.idempotence", "true"),
    ("batch.size", "4096"),
    ("delivery.timeout.ms", "60000"),
];

fn start() -> FakeBroker {
    let builder = FakeBroker::builder().nodes(BROKERS);
    // The shapes have timestamps up to the year 9999, which a topic refuses by default.
    let any_time = TopicConfig::new(PARTITIONS).message_timestamp_after_max_ms(i64::MAX);
    let broker = builder.topic_with(TOPIC, any_time).start();
    let broker = broker.expect("loopback has free ports");
    broker.on_request(|_, request| {
        let is_theirs = request.api == Api::ApiVersions && request.version == 3;
        is_theirs.then(|| Action::skip().reply_with_body(versions_of_whole_broker()))
    });
    broker
}

/// ApiVersions v3 with two APIs that a `FakeBroker` does not have. librdkafka takes a broker
/// without Fetch for one that is too old for batches of version 2 and zstd, and one without
/// FindCoordinator for too old for lz4. Its producer sends neither.
fn versions_of_whole_broker() -> Vec<u8> {
    let apis: [(i16, i16, i16); 6] = [
        (0, 3, 13), // Produce
        (1, 4, 17), // Fetch
        (3, 4, 13), // Metadata
        (10, 1, 6), // FindCoordinator
        (18, 0, 4), // ApiVersions
        (22, 0, 5), // InitProducerId
    ];
    let mut body = vec![0, 0, apis.len() as u8 + 1];
    for (key, min, max) in apis {
        body.extend([key, min, max].map(i16::to_be_bytes).as_flattened());
        body.push(0);
    }
    // No throttle time, no tagged fields.
    body.extend([0; 5]);
    body
}

fn judge(broker: &FakeBroker, history: History) -> Verdict {
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
    let mut checker = history.check();
    for record in broker.all_records(TOPIC) {
        checker.read(ReadRecord {
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
        });
    }
    checker.verdict()
}

/// Sends 10,000 records, and checks that all are acknowledged and in the log once, in order.
fn deliver(broker: &FakeBroker, properties: &[(&str, &str)], fault: impl FnMut(i32)) {
    let load = Load::keyed(properties, 2_500);
    let history = load.send::<Librdkafka>(&broker.bootstrap_servers(), fault);
    let verdict = judge(broker, history);
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (10_000, 10_000), "{verdict}");
}

#[test]
fn every_codec_is_read() {
    for codec in CODECS {
        let broker = start();
        let properties = [("compression.type", codec), ("enable.idempotence", "true")];
        deliver(&broker, &properties, |_| ());
        let batches = (0..PARTITIONS).flat_map(|partition| broker.batches(TOPIC, partition));
        let mut used = batches.map(|batch| batch.header.compression);
        assert!(used.any(|used| used == codec), "{codec}");
    }
}

#[test]
fn every_shape_is_read_as_it_was_sent() {
    for codec in CODECS {
        let broker = start();
        let properties = [("compression.type", codec)];
        let sent = shapes::send_each::<Librdkafka>(&broker.bootstrap_servers(), &properties);
        let read = broker.all_records(TOPIC).into_iter().map(shape_of);
        shapes::assert_same(&sent, &read.collect::<Vec<_>>());
    }
}

fn shape_of(record: StoredRecord) -> Shape {
    let headers = record.headers.iter();
    Shape {
        partition: record.partition,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: headers
            .map(|header| (header.key().to_owned(), header.value().map(<[u8]>::to_vec)))
            .collect(),
    }
}

#[test]
fn acks_1_is_answered_and_acks_0_is_not() {
    for acks in ["1", "0"] {
        let broker = start();
        let properties = [("acks", acks)];
        let load = Load::keyed(&properties, 2_500);
        let history = load.send::<Librdkafka>(&broker.bootstrap_servers(), |_| ());
        // With acks=0 the producer does not learn when a record has arrived.
        assert!(broker.await_records(TOPIC, 10_000, Duration::from_secs(60)));
        let verdict = judge(&broker, history);
        verdict.assert_clean();
        assert_eq!((verdict.acked, verdict.read), (10_000, 10_000), "{verdict}");
    }
}

/// A batch whose response was lost is recognized when it is sent again.
#[test]
fn batches_that_come_twice_are_appended_once() {
    let broker = start();
    let lost = Action::apply().disconnect();
    broker.on(Api::Produce).times(5).then(lost);
    deliver(&broker, &IDEMPOTENT, |_| ());
    assert_eq!(broker.unspent_rules(), 0);
}

#[test]
fn leaders_move() {
    let broker = start();
    deliver(&broker, &IDEMPOTENT, |round| {
        for partition in 0..PARTITIONS {
            let leader = NodeId((partition + round) % BROKERS + 1);
            let moved = broker.move_leader(TOPIC, partition, leader);
            moved.expect("both exist");
        }
    });
}

#[test]
fn nodes_stop_and_start_again() {
    let broker = start();
    deliver(&broker, &IDEMPOTENT, |round| {
        let (down, up) = (round % BROKERS + 1, (round + 2) % BROKERS + 1);
        broker.start_node(NodeId(up)).expect("it has its port");
        if round < LAST_ROUND {
            broker.stop_node(NodeId(down)).expect("it exists");
        }
    });
}
