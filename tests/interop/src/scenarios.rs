//! What a producer goes through on the mock cluster, whoever's producer it is.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::brokers::{BROKERS, Brokers, PARTITIONS};
use crate::history::{History, Outcome, Payload, Verdict};

const THREADS: u32 = 4;
const KEYS: u64 = 1_000;
const VALUE_SIZE: usize = 100;

/// Called once with what became of a record.
pub(crate) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A producer in the test.
pub(crate) trait Subject: Sync + Sized {
    /// Connects to `bootstrap_servers`; `properties` have names that Java and librdkafka share.
    fn start(bootstrap_servers: &str, properties: &[(&str, &str)]) -> Self;
    /// Sends to the topic; may block while the producer's buffer is full.
    fn send(&self, payload: &Payload, done: Done);
    /// Returns when every record is done.
    fn flush(&self);
}

/// Each codec carries 100,000 records to where librdkafka reads each of them once.
pub(crate) fn every_record_arrives_once<S: Subject>(codec: &str) {
    let brokers = Brokers::start();
    let properties = [
        ("compression.type", codec),
        ("enable.idempotence", "true"),
        ("acks", "all"),
    ];
    let verdict = send_and_judge::<S>(&brokers, &properties, 25_000, |_| ());
    verdict.assert_clean();
    assert_eq!(
        (verdict.acked, verdict.read),
        (100_000, 100_000),
        "{verdict}"
    );
}

/// Without idempotence and with `acks=1`.
pub(crate) fn plain_settings_deliver_too<S: Subject>() {
    let brokers = Brokers::start();
    let properties = [("enable.idempotence", "false"), ("acks", "1")];
    let verdict = send_and_judge::<S>(&brokers, &properties, 5_000, |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Refusals and disconnects before the append are retried, in order with one request in flight.
pub(crate) fn refused_requests_are_sent_again<S: Subject>() {
    let brokers = Brokers::start();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    ];
    brokers
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &errors);
    let verdict = send_and_judge::<S>(&brokers, &one_in_flight(), 2_500, |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (10_000, 10_000), "{verdict}");
}

/// Requests that overlap on a slow network complete in order.
pub(crate) fn slow_brokers_keep_order<S: Subject>() {
    let brokers = Brokers::start();
    for broker in 1..=BROKERS {
        let slowed = brokers
            .cluster
            .broker_round_trip_time(broker, Duration::from_millis(30));
        slowed.expect("the broker exists");
    }
    let verdict = send_and_judge::<S>(&brokers, &[("linger.ms", "1")], 5_000, |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Leaders move while records are under way; what the old leader refuses goes to the new one.
pub(crate) fn leaders_move<S: Subject>() {
    let brokers = Brokers::start();
    let verdict = send_and_judge::<S>(&brokers, &one_in_flight(), 5_000, |round| {
        for partition in 0..PARTITIONS {
            brokers.move_leader(partition, (partition + round) % BROKERS + 1);
        }
    });
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Brokers go down and come back in turn. An answer that went down with its broker makes a
/// duplicate here, because the mock cluster does not know that it has that batch already.
pub(crate) fn brokers_go_down_and_come_back<S: Subject>() {
    let brokers = Brokers::start();
    let verdict = send_and_judge::<S>(&brokers, &one_in_flight(), 5_000, |round| {
        let (down, up) = (round % BROKERS + 1, (round + 2) % BROKERS + 1);
        brokers.cluster.broker_up(up).expect("the broker exists");
        if round < LAST_ROUND {
            brokers
                .cluster
                .broker_down(down)
                .expect("the broker exists");
        }
    });
    assert_eq!(
        (verdict.acked, verdict.lost.count),
        (20_000, 0),
        "{verdict}"
    );
    let unharmed = [
        &verdict.fabricated,
        &verdict.corrupted,
        &verdict.keys_scattered,
    ];
    assert!(
        unharmed.iter().all(|findings| findings.count == 0),
        "{verdict}"
    );
    assert_eq!(
        verdict.read,
        verdict.sent + verdict.duplicates.count,
        "{verdict}"
    );
}

/// The mock cluster takes a batch whose predecessor it has refused, so only one may be under way.
/// Small batches: faults are to meet many requests.
fn one_in_flight() -> [(&'static str, &'static str); 4] {
    [
        ("enable.idempotence", "true"),
        ("max.in.flight.requests.per.connection", "1"),
        ("batch.size", "4096"),
        ("delivery.timeout.ms", "60000"),
    ]
}

/// Faults happen between this many parts of what is sent.
const ROUNDS: i32 = 7;
const LAST_ROUND: i32 = ROUNDS - 1;

/// Sends `count` records from each thread and calls `fault` before each of [`ROUNDS`] parts of them.
fn send_and_judge<S: Subject>(
    brokers: &Brokers,
    properties: &[(&str, &str)],
    count: u64,
    mut fault: impl FnMut(i32),
) -> Verdict {
    let history = Arc::new(History::new(std::process::id(), THREADS));
    let producer = S::start(&brokers.bootstrap_servers(), properties);
    for round in 0..ROUNDS {
        fault(round);
        let (rounds, round) = (ROUNDS as u64, round as u64);
        let part = (count * round / rounds)..(count * (round + 1) / rounds);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (producer, history, part) = (&producer, &history, part.clone());
                scope.spawn(move || send_part(producer, history, thread, part));
            }
        });
    }
    producer.flush();
    drop(producer);
    let history = Arc::into_inner(history).expect("every callback has been called and dropped");
    assert_eq!(history.sent(), count * u64::from(THREADS));
    brokers.judge(history)
}

fn send_part<S: Subject>(
    producer: &S,
    history: &Arc<History>,
    thread: u32,
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        // A key is one thread's, so that its order is one thread's doing.
        let key = format!("{thread}-{}", number % (KEYS / u64::from(THREADS)));
        let payload = history.invoke(thread, Some(&key), VALUE_SIZE);
        let (id, history) = (payload.id, Arc::clone(history));
        producer.send(
            &payload,
            Box::new(move |outcome| history.complete(id, outcome)),
        );
    }
}

/// The scenarios as tests of one producer.
macro_rules! scenarios {
    ($subject:ty) => {
        #[test]
        fn every_record_arrives_once_uncompressed() {
            $crate::scenarios::every_record_arrives_once::<$subject>("none");
        }

        #[test]
        fn every_record_arrives_once_with_gzip() {
            $crate::scenarios::every_record_arrives_once::<$subject>("gzip");
        }

        #[test]
        fn every_record_arrives_once_with_snappy() {
            $crate::scenarios::every_record_arrives_once::<$subject>("snappy");
        }

        #[test]
        fn every_record_arrives_once_with_lz4() {
            $crate::scenarios::every_record_arrives_once::<$subject>("lz4");
        }

        #[test]
        fn every_record_arrives_once_with_zstd() {
            $crate::scenarios::every_record_arrives_once::<$subject>("zstd");
        }

        #[test]
        fn plain_settings_deliver_too() {
            $crate::scenarios::plain_settings_deliver_too::<$subject>();
        }

        #[test]
        fn refused_requests_are_sent_again() {
            $crate::scenarios::refused_requests_are_sent_again::<$subject>();
        }

        #[test]
        fn slow_brokers_keep_order() {
            $crate::scenarios::slow_brokers_keep_order::<$subject>();
        }

        #[test]
        fn leaders_move() {
            $crate::scenarios::leaders_move::<$subject>();
        }

        #[test]
        fn brokers_go_down_and_come_back() {
            $crate::scenarios::brokers_go_down_and_come_back::<$subject>();
        }
    };
}
pub(crate) use scenarios;
