//! The producer speaks to brokers from Kafka 2.1 on in their versions. Older ones are refused with
//! what they lack.

use std::ops::RangeInclusive;
use std::time::Duration;

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker, FakeBrokerBuilder};
use kafka_producer::{
    Delivery, Error, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord,
};

const TOPIC: &str = "orders";

/// The versions of a release of Kafka.
struct Release {
    name: &'static str,
    produce: RangeInclusive<i16>,
    metadata: RangeInclusive<i16>,
    api_versions: RangeInclusive<i16>,
    init_producer_id: RangeInclusive<i16>,
}

const RELEASES: [Release; 7] = [
    release("2.1", 0..=7, 0..=7, 0..=2, 0..=1),
    release("2.4", 0..=8, 0..=9, 0..=3, 0..=2),
    release("2.8", 0..=9, 0..=11, 0..=3, 0..=4),
    release("3.6", 0..=9, 0..=12, 0..=3, 0..=4),
    release("3.9", 0..=11, 0..=12, 0..=4, 0..=5),
    release("4.0", 3..=12, 0..=13, 0..=4, 0..=5),
    release("4.1", 3..=13, 0..=13, 0..=4, 0..=5),
];

const fn release(
    name: &'static str,
    produce: RangeInclusive<i16>,
    metadata: RangeInclusive<i16>,
    api_versions: RangeInclusive<i16>,
    init_producer_id: RangeInclusive<i16>,
) -> Release {
    Release {
        name,
        produce,
        metadata,
        api_versions,
        init_producer_id,
    }
}

impl Release {
    fn builder(&self) -> FakeBrokerBuilder {
        FakeBroker::builder()
            .topic(TOPIC, 2)
            .versions(Api::Produce, self.produce.clone())
            .versions(Api::Metadata, self.metadata.clone())
            .versions(Api::ApiVersions, self.api_versions.clone())
            .versions(Api::InitProducerId, self.init_producer_id.clone())
    }

    /// Returns the newest version of the API in this release.
    fn newest(&self, api: Api) -> i16 {
        let versions = match api {
            Api::Produce => &self.produce,
            Api::Metadata => &self.metadata,
            Api::ApiVersions => &self.api_versions,
            _ => &self.init_producer_id,
        };
        *versions.end()
    }
}

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .request_timeout(Duration::from_secs(2))
        .delivery_timeout(Duration::from_secs(2))
        .max_block(Duration::from_secs(2))
}

fn send(producer: &KafkaProducer) -> Result<i64, Error> {
    let record = ProducerRecord::new(TOPIC, "value")
        .partition(0)
        .header("h", "1");
    producer
        .send(record)?
        .get()
        .map(|metadata| metadata.offset())
}

#[test]
fn every_release_is_spoken_to_in_its_newest_versions() {
    for release in &RELEASES {
        let broker = release.builder().start().unwrap();
        let producer = producer(&broker).build().unwrap();
        assert_eq!(send(&producer).unwrap(), 0, "Kafka {}", release.name);
        for api in [Api::Produce, Api::Metadata, Api::InitProducerId] {
            let requests = broker.requests();
            let last = requests.iter().rfind(|request| request.api == api).unwrap();
            assert_eq!(
                last.version,
                release.newest(api),
                "{api:?} of Kafka {}",
                release.name
            );
        }
        assert_eq!(broker.protocol_violations(), Vec::<String>::new());
        let stored = &broker.records(TOPIC, 0)[0];
        assert_eq!(stored.headers.len(), 1);
        assert!(
            stored.producer_id >= 0,
            "idempotent with Kafka {}",
            release.name
        );
    }
}

/// Lost responses and leader changes, in every release.
#[test]
fn every_release_gets_each_record_once() {
    for release in &RELEASES {
        let broker = release.builder().nodes(2).start().unwrap();
        let producer = producer(&broker).build().unwrap();
        for round in 0..4_i64 {
            broker.on(Api::Produce).then(Action::apply().disconnect());
            assert_eq!(
                send(&producer).unwrap(),
                round * 2,
                "Kafka {}",
                release.name
            );
            let next = 2 - i32::try_from(round % 2).unwrap();
            broker.move_leader(TOPIC, 0, NodeId(next)).unwrap();
            assert_eq!(
                send(&producer).unwrap(),
                round * 2 + 1,
                "Kafka {}",
                release.name
            );
        }
        assert_eq!(broker.record_count(TOPIC), 8);
        assert_eq!(broker.protocol_violations(), Vec::<String>::new());
    }
}

/// During a rolling upgrade each node has its own versions.
#[test]
fn releases_may_be_mixed() {
    let [old, .., new] = &RELEASES;
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .node_versions(NodeId(1), Api::Produce, old.produce.clone())
        .node_versions(NodeId(1), Api::Metadata, old.metadata.clone())
        .node_versions(NodeId(1), Api::ApiVersions, old.api_versions.clone())
        .node_versions(NodeId(1), Api::InitProducerId, old.init_producer_id.clone())
        .start()
        .unwrap();
    let producer = producer(&broker)
        .metadata_max_age(Duration::from_millis(10))
        .build()
        .unwrap();
    for number in 0..200 {
        let record = ProducerRecord::new(TOPIC, "value").partition(number % 2);
        producer.send(record).unwrap().get().unwrap();
    }
    let version_at = |node| {
        let requests = broker.requests();
        let is_there = |request: &&kafka_producer::testing::Request| {
            request.api == Api::Produce && request.node == NodeId(node)
        };
        requests
            .iter()
            .rfind(is_there)
            .map(|request| request.version)
    };
    assert_eq!(version_at(1), Some(7));
    // The newest version names topics by id, if the metadata had ids. The metadata of the old node
    // has none.
    assert!(version_at(2).is_some_and(|version| version >= *new.produce.end() - 1));
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
}

/// A node that was upgraded or downgraded is asked for its versions again.
#[test]
fn a_node_may_change_its_release() {
    let broker = RELEASES[0].builder().start().unwrap();
    let producer = producer(&broker).build().unwrap();
    send(&producer).unwrap();
    for release in [&RELEASES[6], &RELEASES[2], &RELEASES[5], &RELEASES[0]] {
        broker.stop_node(NodeId(1)).unwrap();
        for api in [
            Api::Produce,
            Api::Metadata,
            Api::ApiVersions,
            Api::InitProducerId,
        ] {
            let first = if api == Api::Produce {
                *release.produce.start()
            } else {
                0
            };
            broker
                .set_versions(NodeId(1), api, first..=release.newest(api))
                .unwrap();
        }
        broker.start_node(NodeId(1)).unwrap();
        send(&producer).unwrap();
        let requests = broker.requests();
        let last = requests
            .iter()
            .rfind(|request| request.api == Api::Produce)
            .unwrap();
        assert!(
            last.version <= release.newest(Api::Produce)
                && last.version + 1 >= release.newest(Api::Produce)
        );
    }
    assert_eq!(broker.record_count(TOPIC), 5);
}

#[track_caller]
fn assert_names(error: &Error, what: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion, "{error:?}");
    assert_eq!(error.delivery(), Delivery::NotWritten);
    for what in what {
        assert!(
            error.to_string().contains(what),
            "{what} is not in: {error}"
        );
    }
}

/// Kafka before 0.11 has no record batches of the current format, and before 1.0 no metadata that
/// can be read.
#[test]
fn a_broker_that_is_too_old_is_told_by_what_it_lacks() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .versions(Api::Produce, 0..=2)
        .start()
        .unwrap();
    assert_names(
        &send(&producer(&broker).build().unwrap()).unwrap_err(),
        &["Produce"],
    );

    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .versions(Api::Metadata, 0..=3)
        .start()
        .unwrap();
    assert_names(
        &send(&producer(&broker).build().unwrap()).unwrap_err(),
        &["Metadata"],
    );
}

/// Idempotence needs producer ids. The error says how to turn it off.
#[test]
fn a_broker_without_producer_ids_serves_those_who_need_none() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .without_api(Api::InitProducerId)
        .start()
        .unwrap();
    let idempotent = producer(&broker).build().unwrap();
    assert_names(&send(&idempotent).unwrap_err(), &["InitProducerId"]);
    let plain = producer(&broker).enable_idempotence(false).build().unwrap();
    assert_eq!(send(&plain).unwrap(), 0);
}

/// zstd came with Kafka 2.1, Produce v7. An older broker would refuse every batch.
#[cfg(feature = "zstd")]
#[test]
fn a_broker_without_zstd_is_told_so() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .versions(Api::Produce, 0..=6)
        .start()
        .unwrap();
    let zstd = producer(&broker)
        .set("compression.type", "zstd")
        .unwrap()
        .build()
        .unwrap();
    assert_names(&send(&zstd).unwrap_err(), &["zstd", "2.1"]);
}
