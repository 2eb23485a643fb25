//! The scenarios on the mock cluster, for any producer.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::brokers::{BROKERS, Brokers, PARTITIONS};
use crate::history::Verdict;
use crate::load::{LAST_ROUND, Load, Subject};
use crate::shapes;

/// With each codec, librdkafka reads each of 40,000 records once.
pub(crate) fn every_record_arrives_once<S: Subject>(codec: &str) {
    let brokers = Brokers::start();
    let properties = [
        ("compression.type", codec),
        ("enable.idempotence", "true"),
        ("acks", "all"),
    ];
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&properties, 10_000), |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (40_000, 40_000), "{verdict}");
}

/// Without idempotence and with `acks=1`. `acks=0` is not tested: the mock cluster answers those
/// requests too.
pub(crate) fn plain_settings_deliver_too<S: Subject>() {
    let brokers = Brokers::start();
    let properties = [("enable.idempotence", "false"), ("acks", "1")];
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&properties, 5_000), |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Records without keys are delivered once.
pub(crate) fn records_without_keys_arrive_once<S: Subject>() {
    let brokers = Brokers::start();
    let properties = [("batch.size", "2048")];
    let load = Load::without_keys(&properties, 5_000);
    let verdict = send_and_judge::<S>(&brokers, &load, |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Null, empty and large keys, values and headers, and timestamps, in compressed batches.
pub(crate) fn every_shape_is_read_as_it_was_sent<S: Subject>(properties: &[(&str, &str)]) {
    let brokers = Brokers::start();
    let sent = shapes::send_each::<S>(&brokers.bootstrap_servers(), properties);
    shapes::assert_same(&sent, &brokers.read_shapes());
}

/// Nothing is sent without a producer id, so it is requested again.
pub(crate) fn refused_producer_ids_are_asked_for_again<S: Subject>() {
    let brokers = Brokers::start();
    let errors = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    ];
    brokers
        .cluster
        .request_errors(RDKafkaApiKey::InitProducerId, &errors);
    let properties = [("enable.idempotence", "true")];
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&properties, 250), |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (1_000, 1_000), "{verdict}");
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
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&one_in_flight(), 2_500), |_| ());
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
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&[("linger.ms", "1")], 5_000), |_| ());
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Leaders move while records are in flight. What the old leader refuses goes to the new one.
pub(crate) fn leaders_move<S: Subject>() {
    let brokers = Brokers::start();
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&one_in_flight(), 5_000), |round| {
        for partition in 0..PARTITIONS {
            brokers.move_leader(partition, (partition + round) % BROKERS + 1);
        }
    });
    verdict.assert_clean();
    assert_eq!((verdict.acked, verdict.read), (20_000, 20_000), "{verdict}");
}

/// Brokers stop and restart in turn. A response that was lost with its broker leads to a duplicate
/// here, because the mock cluster does not recognize the batch.
pub(crate) fn brokers_go_down_and_come_back<S: Subject>() {
    let brokers = Brokers::start();
    let verdict = send_and_judge::<S>(&brokers, &Load::keyed(&one_in_flight(), 5_000), |round| {
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

/// The mock cluster accepts a batch although it refused the previous one, so only one may be in
/// flight. Batches are small, so that faults affect many requests.
fn one_in_flight() -> [(&'static str, &'static str); 4] {
    [
        ("enable.idempotence", "true"),
        ("max.in.flight.requests.per.connection", "1"),
        ("batch.size", "4096"),
        ("delivery.timeout.ms", "60000"),
    ]
}

fn send_and_judge<S: Subject>(
    brokers: &Brokers,
    load: &Load<'_>,
    fault: impl FnMut(i32),
) -> Verdict {
    brokers.judge(load.send::<S>(&brokers.bootstrap_servers(), fault))
}

/// Makes the scenarios tests of one producer.
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
        fn records_without_keys_arrive_once() {
            $crate::scenarios::records_without_keys_arrive_once::<$subject>();
        }

        #[test]
        fn every_shape_is_read_as_it_was_sent() {
            for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
                let properties = [("compression.type", codec)];
                $crate::scenarios::every_shape_is_read_as_it_was_sent::<$subject>(&properties);
            }
        }

        #[test]
        fn refused_producer_ids_are_asked_for_again() {
            $crate::scenarios::refused_producer_ids_are_asked_for_again::<$subject>();
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
