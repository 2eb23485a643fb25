use std::thread;

use super::*;
use crate::common::{NodeId, Uuid};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{MetadataBroker, MetadataPartition, MetadataTopic};
use crate::utils::{MockTime, SystemTime};

const BACKOFF_MS: u64 = 100;
const MAX_AGE_MS: u64 = 5000;
const IDLE_MS: u64 = 60_000;
const VERSION: i16 = 13;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(backoff_max_ms: u64) -> MetadataConfig {
    MetadataConfig {
        refresh_backoff: ms(BACKOFF_MS),
        refresh_backoff_max: ms(backoff_max_ms),
        max_age: ms(MAX_AGE_MS),
        topic_idle: ms(IDLE_MS),
    }
}

/// Metadata with a constant backoff, and its clock.
struct Fixture {
    metadata: Metadata,
    time: MockTime,
}

impl Fixture {
    fn new() -> Self {
        Self::with(config(BACKOFF_MS))
    }

    fn with(config: MetadataConfig) -> Self {
        let time = MockTime::new();
        let metadata = Metadata::new(config, time.now());
        Self { metadata, time }
    }

    fn add(&self, topics: &[&str]) {
        for topic in topics {
            self.metadata.add(topic, self.time.now());
        }
    }

    fn request(&self) -> (Vec<String>, MetadataRequestVersion) {
        let (request, version) = self.metadata.new_request(self.time.now());
        assert!(request.allow_auto_topic_creation);
        let topics = request.topics.expect("all topics are never asked for");
        let names = topics
            .into_iter()
            .map(|topic| topic.name.unwrap().to_string());
        (names.collect(), version)
    }

    /// Answers the request that would be sent now.
    fn update(&self, response: &MetadataResponse) {
        let (_, version) = self.request();
        self.answer(version, response);
    }

    /// As `update`, as if everything had been asked for.
    fn update_all(&self, response: &MetadataResponse) {
        let (_, version) = self.request();
        let is_partial = false;
        self.answer(
            MetadataRequestVersion {
                is_partial,
                ..version
            },
            response,
        );
    }

    fn answer(&self, version: MetadataRequestVersion, response: &MetadataResponse) {
        let taken = self
            .metadata
            .update(version, response, VERSION, self.time.now());
        assert!(taken);
    }

    fn due_ms(&self) -> u64 {
        let due = self.metadata.time_to_next_update(self.time.now());
        u64::try_from(due.as_millis()).unwrap()
    }

    fn epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        let cluster = self.metadata.load();
        cluster.topic(topic)?.partition(partition)?.leader_epoch()
    }

    fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let cluster = self.metadata.load();
        cluster.leader_for(topic, partition).map(|node| node.id().0)
    }
}

fn broker(id: i32) -> MetadataBroker {
    MetadataBroker {
        node_id: id,
        host: format!("host{id}"),
        port: 9092,
        rack: None,
    }
}

fn partition(index: i32, leader_id: i32, leader_epoch: i32) -> MetadataPartition {
    MetadataPartition {
        partition_index: index,
        leader_id,
        leader_epoch,
        replica_nodes: vec![leader_id],
        isr_nodes: vec![leader_id],
        ..MetadataPartition::default()
    }
}

fn topic(name: &str, partitions: Vec<MetadataPartition>) -> MetadataTopic {
    MetadataTopic {
        name: Some(Arc::from(name)),
        partitions,
        ..MetadataTopic::default()
    }
}

fn error_topic(name: &str, error_code: ErrorCode) -> MetadataTopic {
    MetadataTopic {
        error_code,
        ..topic(name, Vec::new())
    }
}

/// Brokers 0 to 2, and these topics.
fn response(topics: Vec<MetadataTopic>) -> MetadataResponse {
    MetadataResponse {
        brokers: (0..3).map(broker).collect(),
        cluster_id: Some("cluster".to_owned()),
        controller_id: 0,
        topics,
        ..MetadataResponse::default()
    }
}

/// Brokers 0 to 2, and topics with one partition each, led by broker 0 in epoch 1.
fn response_with(topics: &[&str]) -> MetadataResponse {
    let topics = topics
        .iter()
        .map(|name| topic(name, vec![partition(0, 0, 1)]));
    response(topics.collect())
}

mod refresh {
    use super::*;

    // Java: MetadataTest.testUpdateMetadataAllowedImmediatelyAfterBootstrap.
    #[test]
    fn an_update_is_due_at_once_after_the_bootstrap() {
        let f = Fixture::new();
        f.metadata
            .bootstrap(vec![Node::new(NodeId(-1), "localhost", 9002, None)]);
        assert_eq!(f.due_ms(), 0);
        assert!(f.metadata.snapshot().is_bootstrap());
        assert_eq!(f.metadata.update_version(), 1);
    }

    // Java: MetadataTest.testTimeToNextUpdate.
    #[test]
    fn time_to_next_update() {
        let f = Fixture::new();
        assert_eq!(f.due_ms(), 0);
        f.update_all(&response_with(&[]));
        assert_eq!(f.due_ms(), MAX_AGE_MS);

        // An update that is asked for waits for the backoff alone.
        f.metadata.request_update();
        assert_eq!(f.due_ms(), BACKOFF_MS);
        f.time.advance_ms(BACKOFF_MS - 1);
        assert_eq!(f.due_ms(), 1);
        f.time.advance_ms(1);
        assert_eq!(f.due_ms(), 0);
        f.update_all(&response_with(&[]));
        assert!(!f.metadata.is_update_requested());

        f.time.advance_ms(MAX_AGE_MS - 1);
        assert_eq!(f.due_ms(), 1);
        f.time.advance_ms(1);
        assert_eq!(f.due_ms(), 0);
    }

    // Java: MetadataTest.testTimeToNextUpdateRetryBackoff.
    #[test]
    fn time_to_next_update_retry_backoff() {
        let f = Fixture::new();
        f.metadata.failed_update(f.time.now());
        assert_eq!(f.due_ms(), BACKOFF_MS);
        f.time.advance_ms(BACKOFF_MS);
        assert_eq!(f.due_ms(), 0);
    }

    // Java: MetadataTest.testTimeToNextUpdateRetryBackoff, exponential.
    #[test]
    fn the_backoff_grows_with_failed_updates_and_a_success_resets_it() {
        let f = Fixture::with(config(1600));
        for expected in [100, 200, 400, 800, 1600, 1600] {
            f.metadata.failed_update(f.time.now());
            let due = f.due_ms();
            assert!(
                (expected * 8 / 10..=(expected * 12 / 10).min(1600)).contains(&due),
                "{due} after {expected}"
            );
            // The jitter is drawn once.
            assert_eq!(f.due_ms(), due);
            f.time.advance_ms(due);
            assert_eq!(f.due_ms(), 0);
        }
        f.update_all(&response_with(&[]));
        f.metadata.request_update();
        assert!(f.due_ms() <= 120);
    }

    // Java: MetadataTest.testTimeToNextUpdateOverwriteBackoff.
    #[test]
    fn new_topics_do_not_wait_for_the_backoff() {
        let f = Fixture::new();
        f.metadata.failed_update(f.time.now());
        f.add(&["new"]);
        assert_eq!(f.due_ms(), 0);
    }

    // Java: MetadataTest.testUpdateMetadata..., exponential backoff of equivalent responses (KIP-580).
    #[test]
    fn responses_that_change_nothing_are_asked_for_less_and_less_often() {
        let f = Fixture::with(MetadataConfig {
            max_age: ms(1_000_000),
            ..config(1600)
        });
        f.add(&["t"]);
        f.update_all(&response_with(&["t"]));
        let mut last = 0;
        for expected in [100, 200, 400, 800] {
            f.metadata.request_update();
            f.time.advance_ms(f.due_ms());
            f.update_all(&response_with(&["t"]));
            f.metadata.request_update();
            let due = f.due_ms();
            assert!(
                (expected * 8 / 10..=expected * 12 / 10).contains(&due),
                "{due}"
            );
            assert!(due > last);
            last = due;
        }
        // A new epoch is news.
        f.time.advance_ms(last);
        f.update_all(&response(vec![topic("t", vec![partition(0, 1, 2)])]));
        f.metadata.request_update();
        assert!(f.due_ms() <= 120);
    }

    #[test]
    fn an_update_that_is_due_by_age_does_not_wait_for_the_backoff_of_equivalent_responses() {
        let f = Fixture::with(MetadataConfig {
            max_age: ms(1000),
            ..config(1_000_000)
        });
        f.add(&["t"]);
        for _ in 0..8 {
            f.update_all(&response_with(&["t"]));
        }
        assert_eq!(f.due_ms(), 1000);
        f.metadata.request_update();
        assert_eq!(f.due_ms(), 1000, "12,800 ms, were it not for the age");
    }

    // Java: MetadataTest.testFailedUpdate.
    #[test]
    fn failed_update() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        f.time.advance_ms(BACKOFF_MS);
        f.metadata.request_update();
        assert_eq!(f.due_ms(), 0);
        f.metadata.failed_update(f.time.now());
        assert_eq!(f.due_ms(), BACKOFF_MS);
        assert!(f.metadata.is_update_requested(), "it is still wanted");
    }

    // Java: MetadataTest.testRequestUpdate.
    #[test]
    fn a_response_satisfies_only_what_was_wanted_when_it_was_asked_for() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        f.add(&["one"]);
        let (names, version) = f.request();
        assert_eq!(names, ["one"]);
        assert!(version.is_partial);

        f.add(&["two"]);
        f.answer(version, &response_with(&["one"]));
        assert!(f.metadata.is_update_requested());
        let (names, version) = f.request();
        assert_eq!((names, version.is_partial), (vec!["two".to_owned()], true));
        f.answer(version, &response_with(&["two"]));
        assert!(!f.metadata.is_update_requested());
    }

    // Java: MetadataTest.testPartialMetadataUpdate.
    #[test]
    fn a_partial_response_does_not_satisfy_a_request_for_everything() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        f.add(&["one"]);
        let (_, partial) = f.request();
        f.metadata.request_update();
        f.answer(partial, &response_with(&["one"]));
        assert!(f.metadata.is_update_requested());
        let (names, version) = f.request();
        assert_eq!((names, version.is_partial), (vec!["one".to_owned()], false));
    }

    #[test]
    fn extreme_configurations_do_not_overflow() {
        let f = Fixture::with(MetadataConfig {
            refresh_backoff: ms(0),
            refresh_backoff_max: ms(0),
            max_age: Duration::MAX,
            topic_idle: Duration::MAX,
        });
        f.add(&["t"]);
        f.update_all(&response_with(&["t"]));
        assert!(f.due_ms() > 1_000_000_000);
        f.metadata.request_update();
        assert_eq!(f.due_ms(), 0);
    }
}

mod topics {
    use super::*;

    // Java: ProducerMetadataTest.testTopicExpiry.
    #[test]
    fn topic_expiry() {
        let f = Fixture::new();
        f.add(&["one"]);
        f.update(&response_with(&["one"]));
        f.time.advance_ms(IDLE_MS - 1);
        f.update(&response_with(&["one"]));
        assert!(f.metadata.contains_topic("one"));
        f.time.advance_ms(1);
        f.update(&response_with(&["one"]));
        assert!(!f.metadata.contains_topic("one"));
        assert!(f.metadata.load().topic("one").is_none());

        f.add(&["two"]);
        f.update(&response_with(&["two"]));
        for _ in 0..3 {
            f.time.advance_ms(IDLE_MS / 2);
            f.update(&response_with(&["two"]));
            assert!(f.metadata.contains_topic("two"));
            f.add(&["two"]);
        }

        // A topic of which nothing is known yet is somebody's hope.
        f.add(&["three"]);
        f.time.advance_ms(IDLE_MS);
        f.update(&response_with(&["three"]));
        assert!(f.metadata.contains_topic("three"));
    }

    // Java: ProducerMetadataTest.testMetadataPartialUpdate.
    #[test]
    fn metadata_partial_update() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        f.add(&["one"]);
        assert_eq!(f.due_ms(), 0);
        f.update(&response_with(&["one"]));
        assert!(!f.metadata.is_update_requested());
        f.add(&["one"]);
        assert!(!f.metadata.is_update_requested(), "it is not new");

        f.add(&["two", "three"]);
        let (names, version) = f.request();
        assert_eq!(names, ["three", "two"]);
        f.answer(version, &response_with(&["two"]));
        // Java keeps "three" as new and asks at the pace of the answers. See `MetadataState::apply`.
        f.metadata.request_update_for_topic("three");
        assert_eq!(f.due_ms(), BACKOFF_MS);
        assert_eq!(f.request().0, ["one", "three", "two"]);
        let cluster = f.metadata.load();
        assert!(
            cluster.topic("one").is_some(),
            "not in the response, and kept"
        );
        assert!(cluster.topic("two").is_some() && cluster.topic("three").is_none());
    }

    // Java: ProducerMetadataTest.testRequestUpdateForTopic.
    #[test]
    fn request_update_for_topic() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        f.add(&["one", "two"]);
        f.update(&response_with(&["one", "two"]));
        f.add(&["new"]);

        f.metadata.request_update_for_topic("new");
        assert!(f.request().1.is_partial);
        f.update(&response_with(&["new"]));
        f.metadata.request_update_for_topic("one");
        assert!(!f.request().1.is_partial);
    }

    #[test]
    fn a_new_topic_that_is_answered_with_an_error_is_asked_for_with_backoff() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        f.add(&["t"]);
        f.update(&response(vec![error_topic(
            "t",
            ErrorCode::LEADER_NOT_AVAILABLE,
        )]));
        assert!(f.metadata.is_update_requested());
        assert_eq!(f.due_ms(), BACKOFF_MS);
        assert!(!f.request().1.is_partial);
    }

    #[test]
    fn topics_that_were_not_asked_for_are_not_kept() {
        let f = Fixture::new();
        f.add(&["mine"]);
        f.update_all(&response_with(&["mine", "other"]));
        let cluster = f.metadata.load();
        assert_eq!(cluster.topics().count(), 1);
        assert!(cluster.topic("mine").is_some());
    }
}

mod waiting {
    use super::*;

    // Java: ProducerMetadataTest.testMetadata, testTimeToNextUpdate...
    #[test]
    fn a_waiter_is_woken_by_an_update() {
        let metadata = Arc::new(Metadata::new(config(BACKOFF_MS), SystemTime.now()));
        metadata.add("t", SystemTime.now());
        let version = metadata.request_update();
        let waiter = thread::spawn({
            let metadata = Arc::clone(&metadata);
            move || metadata.await_update(version, Duration::MAX, &SystemTime)
        });
        let (_, request) = metadata.new_request(SystemTime.now());
        metadata.update(request, &response_with(&["t"]), VERSION, SystemTime.now());
        waiter.join().unwrap().unwrap();
        assert_eq!(metadata.update_version(), version + 1);
    }

    // Java: ProducerMetadataTest.testMetadataAwaitAfterClose, testMetadataUpdateAfterClose.
    #[test]
    fn close_ends_waits_and_updates() {
        let f = Fixture::new();
        let waiter_error = thread::scope(|scope| {
            let waiter = scope.spawn(|| f.metadata.await_update(0, Duration::MAX, &SystemTime));
            f.metadata.close();
            waiter.join().unwrap().unwrap_err()
        });
        assert_eq!(waiter_error.kind(), ErrorKind::Closed);
        assert!(f.metadata.is_closed());
        let error = f.metadata.await_update(0, ms(0), &f.time).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);

        let (_, version) = f.request();
        let now = f.time.now();
        assert!(
            !f.metadata
                .update(version, &response_with(&[]), VERSION, now)
        );
    }

    // Java: ProducerMetadataTest.testMetadataUpdateWaitTime.
    #[test]
    fn a_wait_has_an_end() {
        let f = Fixture::new();
        f.update_all(&response_with(&[]));
        let version = f.metadata.update_version();
        let error = f
            .metadata
            .await_update(version, ms(0), &f.time)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.is_retriable());
        let reason = error.timeout().unwrap();
        assert_eq!(reason.config, Some("max.block.ms"));

        // An update that has come already needs no wait.
        f.metadata
            .await_update(version - 1, ms(0), &f.time)
            .unwrap();
        // A real wait on a real clock.
        let error = f
            .metadata
            .await_update(version, ms(5), &SystemTime)
            .unwrap_err();
        assert_eq!(error.timeout().unwrap().waited, ms(5));
    }

    // Java: ProducerMetadataTest.testMetadataWaitAbortedOnFatalException.
    #[test]
    fn a_wait_is_aborted_by_a_fatal_error_which_is_thrown_once() {
        let f = Fixture::new();
        f.metadata
            .fatal_error(Error::new(ErrorKind::Authentication, "no"));
        let error = f.metadata.await_update(0, ms(0), &f.time).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        let error = f.metadata.await_update(0, ms(0), &f.time).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[test]
    fn an_update_makes_an_old_fatal_error_void() {
        let f = Fixture::new();
        f.metadata
            .fatal_error(Error::new(ErrorKind::UnsupportedVersion, "too old"));
        f.update_all(&response_with(&[]));
        let version = f.metadata.update_version();
        let error = f
            .metadata
            .await_update(version, ms(0), &f.time)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    // Java: MetadataTest.testConcurrentUpdateAndFetchForSnapshotAndCluster.
    #[test]
    fn snapshots_are_whole() {
        let f = Fixture::new();
        f.add(&["t"]);
        let shape = |count: i32| {
            let partitions = (0..count).map(|index| partition(index, 0, count)).collect();
            MetadataResponse {
                brokers: (0..count).map(broker).collect(),
                ..response(vec![topic("t", partitions)])
            }
        };
        f.update_all(&shape(1));
        thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut last = 0;
                        while last < 60 {
                            let cluster = f.metadata.snapshot();
                            let partitions = cluster.partition_count("t").unwrap();
                            assert_eq!(cluster.nodes().len(), partitions);
                            assert!(partitions >= last, "it went back");
                            last = partitions;
                            f.metadata.add("t", f.time.now());
                        }
                    })
                })
                .collect();
            for count in 2..=60 {
                f.update_all(&shape(count));
            }
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}

mod epochs {
    use super::*;

    // Java: MetadataTest.testEpochUpdateAfterTopicDeletion, testStaleMetadata, testRejectOldMetadata.
    #[test]
    fn reject_old_metadata() {
        let f = Fixture::new();
        f.add(&["t"]);
        f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(0), Some(10)));

        f.update_all(&response(vec![topic("t", vec![partition(0, 1, 9)])]));
        assert_eq!(
            (f.leader("t", 0), f.epoch("t", 0)),
            (Some(0), Some(10)),
            "stale"
        );

        f.update_all(&response(vec![topic("t", vec![partition(0, 1, 10)])]));
        assert_eq!(f.leader("t", 0), Some(1), "the same epoch counts");

        f.update_all(&response(vec![topic("t", vec![partition(0, 2, 12)])]));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(12)));
    }

    // Java: MetadataTest.testIgnoreLeaderEpochInOlderMetadataResponse.
    #[test]
    fn epochs_of_old_responses_are_not_trusted() {
        let f = Fixture::new();
        f.add(&["t"]);
        f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
        let (_, version) = f.request();
        let old = response(vec![topic("t", vec![partition(0, 1, 3)])]);
        f.metadata.update(version, &old, 8, f.time.now());
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), None));
        // The epoch was forgotten, so any is news.
        f.update_all(&response(vec![topic("t", vec![partition(0, 2, 4)])]));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(4)));
    }

    // Java: MetadataTest.testEpochUpdateOnChangedTopicIds; KIP-516. B16.
    #[test]
    fn a_new_topic_id_resets_the_epoch() {
        let id = |byte| Uuid::from_bytes([byte; 16]);
        let with_id = |topic_id, leader, epoch| {
            let topic = topic(
                "t",
                vec![partition(0, leader, epoch), partition(1, leader, epoch)],
            );
            response(vec![MetadataTopic { topic_id, ..topic }])
        };
        let f = Fixture::new();
        f.add(&["t"]);
        f.update_all(&with_id(Uuid::ZERO, 0, 100));
        f.update_all(&with_id(Uuid::ZERO, 1, 10));
        assert_eq!(f.epoch("t", 0), Some(100), "no ids, so it is stale");
        f.update_all(&with_id(id(1), 1, 10));
        assert_eq!(
            (f.leader("t", 0), f.epoch("t", 0)),
            (Some(1), Some(10)),
            "the first id"
        );
        f.update_all(&with_id(id(1), 0, 5));
        assert_eq!(f.epoch("t", 0), Some(10), "the same id, so it is stale");
        f.update_all(&with_id(id(2), 2, 0));
        assert_eq!(
            (f.leader("t", 0), f.epoch("t", 0)),
            (Some(2), Some(0)),
            "created anew"
        );
        assert_eq!(f.metadata.load().topic_name(id(1)), None);

        // Java: testEpochUpdateAfterTopicDeletion: the id was lost in between.
        f.update_all(&with_id(id(2), 2, 7));
        f.update_all(&response(vec![error_topic(
            "t",
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        )]));
        assert!(f.metadata.load().topic("t").is_none());
        f.update_all(&with_id(id(3), 0, 0));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(0), Some(0)));

        // Java: testTopicIdDowngrade...: a broker without ids is judged by the epoch.
        f.update_all(&with_id(Uuid::ZERO, 1, 3));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(3)));
        assert!(f.metadata.load().topic("t").unwrap().id().is_zero());
    }

    // B16: the topic has fewer partitions after it was created anew.
    #[test]
    fn the_number_of_partitions_may_shrink() {
        let f = Fixture::new();
        f.add(&["t"]);
        let with_count = |count| {
            let partitions = (0..count).map(|index| partition(index, 0, 1)).collect();
            response(vec![topic("t", partitions)])
        };
        f.update_all(&with_count(9));
        f.update_all(&with_count(2));
        assert_eq!(f.metadata.load().partition_count("t"), Some(2));
    }

    #[test]
    fn a_stale_partition_keeps_its_leader_at_the_latest_address() {
        let f = Fixture::new();
        f.add(&["t"]);
        f.update_all(&response(vec![topic("t", vec![partition(0, 0, 10)])]));
        let mut moved = response(vec![topic("t", vec![partition(0, 1, 9)])]);
        moved.brokers[0].port = 1234;
        f.update_all(&moved);
        let cluster = f.metadata.load();
        assert_eq!(cluster.leader_for("t", 0).map(Node::port), Some(1234));
    }

    #[test]
    fn partition_numbers_that_change_each_time_are_not_remembered_for_ever() {
        let f = Fixture::new();
        f.add(&["t"]);
        for round in 0..1000 {
            f.update_all(&response(vec![topic("t", vec![partition(round, 0, 1)])]));
        }
        let state = f.metadata.state.lock();
        let known = (0..1000).filter(|index| state.epochs.epoch("t", *index).is_some());
        assert!(known.count() <= 33);
    }
}

mod merging {
    use super::*;

    // Java: MetadataTest.testMetadataMerge, testMetadataMergeOnIdDowngrade, the part of a producer.
    #[test]
    fn a_partial_response_replaces_nodes_and_its_own_topics() {
        let f = Fixture::new();
        f.add(&["kept", "broken"]);
        f.update_all(&response_with(&["kept", "broken"]));
        f.add(&["new"]);
        let (names, version) = f.request();
        assert!(version.is_partial && names == ["new"]);
        let mut partial = response(vec![
            topic("new", vec![partition(0, 2, 1)]),
            error_topic("broken", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        ]);
        partial.brokers = vec![broker(0), broker(2)];
        partial.brokers[0].port = 1111;
        f.answer(version, &partial);

        let cluster = f.metadata.load();
        assert_eq!(cluster.nodes().len(), 2);
        let leader = cluster.leader_for("kept", 0).unwrap();
        assert_eq!((leader.id(), leader.port()), (NodeId(0), 1111));
        assert_eq!(f.leader("new", 0), Some(2));
        assert!(cluster.topic("broken").is_none());
        assert_eq!(cluster.cluster_id(), Some("cluster"));
        assert_eq!(cluster.controller().map(Node::id), Some(NodeId(0)));
    }

    // Java: MetadataTest.testNodeIfOffline, testNodeIfOnlineWhenNotInReplicaSet: a leader that is not there is none.
    #[test]
    fn a_leader_that_is_unknown_or_gone_is_none() {
        let f = Fixture::new();
        f.add(&["t"]);
        f.update_all(&response(vec![topic(
            "t",
            vec![partition(0, 7, 1), partition(1, -1, 1), partition(2, 2, 1)],
        )]));
        let cluster = f.metadata.load();
        let info = cluster.topic("t").unwrap();
        assert_eq!(info.partition_count(), 3);
        assert_eq!(info.available_partitions(), [2]);
        assert_eq!((f.leader("t", 0), f.leader("t", 1)), (None, None));
    }

    #[test]
    fn a_partition_with_an_error_asks_for_an_update() {
        let f = Fixture::new();
        f.add(&["t"]);
        let mut bad = partition(0, -1, 1);
        bad.error_code = ErrorCode::LEADER_NOT_AVAILABLE;
        f.update_all(&response(vec![topic("t", vec![bad])]));
        assert!(f.metadata.is_update_requested());
        assert_eq!(f.metadata.load().partition_count("t"), Some(1));
    }
}

mod errors {
    use super::*;

    // Java: MetadataTest.testMetadataTopicErrors, testInvalidTopicError, testTopicAuthorizationError. B17.
    #[test]
    fn errors_of_a_topic_are_its_own() {
        let f = Fixture::new();
        f.add(&["bad name", "secret", "missing", "good"]);
        f.update_all(&response(vec![
            error_topic("bad name", ErrorCode::INVALID_TOPIC_EXCEPTION),
            error_topic("secret", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            error_topic("missing", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            topic("good", vec![partition(0, 0, 1)]),
        ]));
        let kind = |topic| f.metadata.topic_error(topic).map(|error| error.kind());
        assert_eq!(kind("bad name"), Some(ErrorKind::InvalidTopic));
        assert_eq!(kind("secret"), Some(ErrorKind::Authorization));
        assert_eq!(kind("missing"), Some(ErrorKind::Broker));
        assert_eq!(kind("good"), None);
        assert_eq!(f.leader("good", 0), Some(0));
        let retriable = |topic| f.metadata.topic_error(topic).unwrap().is_retriable();
        assert!(retriable("missing") && !retriable("secret"));

        f.update_all(&response_with(&["bad name", "good"]));
        assert_eq!((kind("bad name"), kind("secret")), (None, None));
    }

    // Java: MetadataTest.testMetadataTopicErrors.
    #[test]
    fn maybe_throw_exception_for_topic_throws_once() {
        let f = Fixture::new();
        f.add(&["invalid", "secret", "missing"]);
        let bad = response(vec![
            error_topic("invalid", ErrorCode::INVALID_TOPIC_EXCEPTION),
            error_topic("secret", ErrorCode::TOPIC_AUTHORIZATION_FAILED),
            error_topic("missing", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ]);
        let thrown = |topic: &str| {
            let result = f.metadata.maybe_throw_exception_for_topic(topic);
            result.err().map(|error| error.kind())
        };
        f.update_all(&bad);
        assert_eq!(thrown("invalid"), Some(ErrorKind::InvalidTopic));
        assert_eq!(thrown("invalid"), None, "thrown");
        assert_eq!(thrown("secret"), None, "cleared with the other");
        f.update_all(&bad);
        assert_eq!(thrown("secret"), Some(ErrorKind::Authorization));
        f.update_all(&bad);
        assert_eq!(thrown("missing"), None, "it may come into being");

        // The fatal error comes first, and clears the others.
        f.update_all(&bad);
        f.metadata
            .fatal_error(Error::new(ErrorKind::Authentication, "no"));
        assert_eq!(thrown("invalid"), Some(ErrorKind::Authentication));
        assert_eq!(thrown("invalid"), None);
        assert!(f.metadata.topic_error("invalid").is_some(), "still known");
    }

    #[test]
    fn names_from_the_wire_are_printed_without_control_characters() {
        let f = Fixture::new();
        let name = "a\u{1b}[31m\nb";
        f.add(&[name]);
        f.update_all(&response(vec![error_topic(
            name,
            ErrorCode::INVALID_TOPIC_EXCEPTION,
        )]));
        let text = f.metadata.topic_error(name).unwrap().to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.contains("\\n"), "{text:?}");
        assert_eq!(printable(&"x".repeat(10_000)).to_string().len(), 258);

        let described = describe_errors(&response(vec![error_topic(
            name,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        )]));
        assert!(!described.unwrap().contains(char::is_control));
    }

    #[test]
    fn descriptions_are_short() {
        let topics = (0..1000)
            .map(|index| error_topic(&format!("t{index}"), ErrorCode::INVALID_TOPIC_EXCEPTION));
        let text = describe_errors(&response(topics.collect())).unwrap();
        assert!(
            text.ends_with(", and 995 more") && text.len() < 250,
            "{text}"
        );
        assert_eq!(describe_errors(&response_with(&["t"])), None);
    }
}

// H8.
mod hostile {
    use super::*;

    #[test]
    fn odd_partition_numbers_are_harmless() {
        let f = Fixture::new();
        f.add(&["t"]);
        f.update_all(&response(vec![topic(
            "t",
            vec![
                partition(i32::MAX, 0, 1),
                partition(-1, 0, 1),
                partition(i32::MIN, 0, 1),
                partition(7, 1, 1),
                partition(7, 2, 1),
                partition(0, 1, 1),
            ],
        )]));
        let cluster = f.metadata.load();
        let info = cluster.topic("t").unwrap();
        let numbers: Vec<_> = info.partitions().iter().map(|p| p.partition()).collect();
        assert_eq!(numbers, [0, 7, i32::MAX]);
        assert_eq!(f.leader("t", -1), None);
    }

    #[test]
    fn brokers_that_cannot_be_connected_to_are_ignored() {
        let with = |node_id, host: &str, port| MetadataBroker {
            node_id,
            host: host.to_owned(),
            port,
            rack: None,
        };
        let long = "h".repeat(65_536);
        let bad = [
            with(5, "", 9092),
            with(6, "h", 0),
            with(7, "h", -1),
            with(8, "h", 70_000),
            with(-5, "h", 9092),
            with(9, &long, 9092),
            with(10, "a\nb", 9092),
            with(11, "a b", 9092),
        ];
        let f = Fixture::new();
        f.add(&["t"]);
        let mut answer = response(vec![topic("t", vec![partition(0, 7, 1)])]);
        answer.brokers.extend(bad.clone());
        answer.brokers.push(with(0, "second", 1));
        f.update_all(&answer);
        let cluster = f.metadata.load();
        let hosts: Vec<_> = cluster.nodes().iter().map(Node::host).collect();
        assert_eq!(hosts, ["host0", "host1", "host2"]);
        assert_eq!(f.leader("t", 0), None);

        // Not one good broker is no metadata at all.
        let (_, version) = f.request();
        answer.brokers = bad.to_vec();
        let now = f.time.now();
        assert!(!f.metadata.update(version, &answer, VERSION, now));
        assert_eq!(f.metadata.load().nodes().len(), 3);
        assert!(node_from_wire(9, &long, 1, None).unwrap_err().len() < 400);
    }

    #[test]
    fn many_partitions_and_brokers() {
        let f = Fixture::new();
        f.add(&["t"]);
        let partitions = (0..100_000).map(|index| partition(index, index % 1000, 1));
        let mut answer = response(vec![topic("t", partitions.collect())]);
        answer.brokers = (0..1000).map(broker).collect();
        f.update_all(&answer);
        assert_eq!(f.metadata.load().partition_count("t"), Some(100_000));
        assert_eq!(f.leader("t", 99_999), Some(999));
    }

    #[test]
    fn topics_without_a_name_and_twice_the_same() {
        let f = Fixture::new();
        f.add(&["t"]);
        let nameless = MetadataTopic {
            name: None,
            ..topic("", vec![partition(0, 0, 1)])
        };
        f.update_all(&response(vec![
            nameless,
            topic("t", vec![partition(0, 0, 1)]),
            topic("t", vec![partition(0, 1, 2), partition(1, 1, 2)]),
        ]));
        assert_eq!(f.metadata.load().topics().count(), 1);
        assert_eq!(f.metadata.load().partition_count("t"), Some(2));
    }
}

// Java: MetadataTest.testUpdatePartitionLeadership, testUpdatePartially, testLeaderMetadataInconsistentWithBrokerMetadata;
// KIP-951.
mod leadership {
    use super::*;

    fn tp(index: i32) -> TopicPartition {
        TopicPartition::new("t", index)
    }

    fn fixture() -> Fixture {
        let f = Fixture::new();
        f.add(&["t"]);
        let partitions = (0..4).map(|index| partition(index, 0, 10)).collect();
        f.update_all(&response(vec![topic("t", partitions)]));
        f
    }

    fn node(id: i32, port: u16) -> Node {
        Node::new(NodeId(id), "new", port, None)
    }

    #[test]
    fn newer_leaders_are_taken_over() {
        let f = fixture();
        let version = f.metadata.update_version();
        let changed = f
            .metadata
            .update_partition_leadership(&[(tp(0), 1, 11), (tp(1), 9, 12)], &[node(9, 1)]);
        assert_eq!(changed, [tp(0), tp(1)]);
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(11)));
        assert_eq!((f.leader("t", 1), f.epoch("t", 1)), (Some(9), Some(12)));
        assert_eq!(f.leader("t", 2), Some(0));
        assert_eq!(f.metadata.load().nodes().len(), 4);
        assert_eq!(f.metadata.update_version(), version, "it is no update");
        assert_eq!(f.metadata.load().cluster_id(), Some("cluster"));

        // What an update says is held against the new epoch.
        f.update_all(&response(vec![topic("t", vec![partition(0, 2, 10)])]));
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(1), Some(11)));
    }

    #[test]
    fn incomplete_stale_or_unknown_leaders_are_ignored() {
        let f = fixture();
        let before = f.metadata.load();
        let changed = f.metadata.update_partition_leadership(
            &[
                (tp(0), -1, 11),
                (tp(0), 1, -1),
                (tp(0), 1, 10),
                (tp(0), 1, 9),
                (tp(0), 7, 11),
                (tp(0), -5, 11),
                (tp(4), 1, 11),
                (tp(-1), 1, 11),
                (TopicPartition::new("other", 0), 1, 11),
            ],
            &[node(-5, 1)],
        );
        assert!(changed.is_empty());
        assert!(
            Arc::ptr_eq(&before, &f.metadata.load()),
            "nothing was swapped"
        );
    }

    #[test]
    fn the_address_that_the_response_tells_wins() {
        let f = fixture();
        f.metadata
            .update_partition_leadership(&[(tp(3), 1, 11)], &[node(1, 77)]);
        let cluster = f.metadata.load();
        assert_eq!(cluster.leader_for("t", 3).map(Node::port), Some(77));
        assert_eq!(cluster.node(NodeId(1)).map(Node::port), Some(77));
    }

    #[test]
    fn of_two_answers_about_one_partition_the_newer_counts() {
        let f = fixture();
        let leaders = [(tp(0), 1, 12), (tp(0), 2, 11), (tp(0), 2, 13)];
        let changed = f.metadata.update_partition_leadership(&leaders, &[]);
        assert_eq!(changed, [tp(0), tp(0)]);
        assert_eq!((f.leader("t", 0), f.epoch("t", 0)), (Some(2), Some(13)));
    }
}

mod rebootstrap {
    use super::*;

    // KIP-899.
    #[test]
    fn starts_again_from_the_nodes_that_the_user_named() {
        let f = Fixture::new();
        f.metadata
            .bootstrap(vec![Node::new(NodeId(-1), "boot", 1, None)]);
        f.add(&["t"]);
        f.update_all(&response_with(&["t"]));
        f.time.advance_ms(BACKOFF_MS);
        let version = f.metadata.update_version();

        f.metadata.rebootstrap();
        let cluster = f.metadata.load();
        assert_eq!(cluster.nodes()[0].host(), "boot");
        assert_eq!(cluster.topics().count(), 0);
        assert_eq!((f.metadata.update_version(), f.due_ms()), (version + 1, 0));
        assert_eq!(f.request().0, ["t"], "what is sent to is not forgotten");

        f.metadata.rebootstrap();
        assert_eq!(
            f.metadata.update_version(),
            version + 1,
            "there is nothing to forget"
        );
    }
}
