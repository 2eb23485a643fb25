//! A sticky partition is abandoned when it disappears or has no leader.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use kafka_producer::common::{Cluster, NodeId, PartitionInfo};
use kafka_producer::testing::{FakeBroker, TopicConfig};
use kafka_producer::{
    ErrorKind, KafkaProducer, Partitioner, PartitionerClass, ProducerConfig, ProducerRecord,
    RecordFuture,
};

const SOON: Duration = Duration::from_secs(20);
/// Longer than a test takes to send its records into one batch.
const LINGER: Duration = Duration::from_secs(3);
const TOPIC: &str = "orders";
const SMALL_RECORDS: usize = 60;

/// The built-in partitioner, and those that keep a sticky partition.
const STICKY: [Option<PartitionerClass>; 3] = [
    None,
    Some(PartitionerClass::UniformSticky),
    Some(PartitionerClass::Default),
];

fn config(broker: &FakeBroker, linger: Duration) -> ProducerConfig {
    let mut config = ProducerConfig::new();
    config
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(linger)
        .metadata_max_age(Duration::from_millis(20))
        .retry_backoff(Duration::from_millis(5))
        .request_timeout(SOON / 10)
        .delivery_timeout(SOON / 4)
        .max_block(SOON);
    config
}

fn producer(
    broker: &FakeBroker,
    linger: Duration,
    class: Option<PartitionerClass>,
) -> KafkaProducer {
    let mut config = config(broker, linger);
    if let Some(class) = class {
        config.set("partitioner.class", class.as_str()).unwrap();
    }
    KafkaProducer::new(config).unwrap()
}

fn send(producer: &KafkaProducer) -> RecordFuture {
    producer.send(ProducerRecord::new(TOPIC, "value")).unwrap()
}

/// Waits until the producer's own metadata matches.
fn await_metadata(
    broker: &FakeBroker,
    producer: &KafkaProducer,
    agrees: impl Fn(&[PartitionInfo]) -> bool,
) {
    let agrees = |_: &_| agrees(&producer.partitions_for(TOPIC).unwrap());
    assert!(broker.wait_for(SOON, agrees), "the metadata do not change");
}

/// Deletes the topic, creates it with `partitions`, and waits until the producer knows.
fn recreate(broker: &FakeBroker, producer: &KafkaProducer, partitions: i32) {
    broker.delete_topic(TOPIC).unwrap();
    broker
        .create_topic(TOPIC, TopicConfig::new(partitions))
        .unwrap();
    let count = usize::try_from(partitions).unwrap();
    await_metadata(broker, producer, |infos| infos.len() == count);
}

/// Sends a few records. Returns their partitions.
fn partitions_of_small_records(producer: &KafkaProducer) -> BTreeSet<i32> {
    let sent: Vec<_> = (0..SMALL_RECORDS).map(|_| send(producer)).collect();
    producer.flush().unwrap();
    sent.iter()
        .map(|record| record.get().unwrap().partition())
        .collect()
}

/// Returns a producer whose sticky partition for the topic is not among the first `partitions`, and
/// that partition.
fn sticking_beyond(
    broker: &FakeBroker,
    partitions: i32,
    class: Option<PartitionerClass>,
) -> KafkaProducer {
    loop {
        let producer = producer(broker, Duration::ZERO, class);
        if send(&producer).get().unwrap().partition() >= partitions {
            return producer;
        }
    }
}

#[test]
fn a_choice_is_dropped_with_its_partition() {
    for class in STICKY {
        for partitions in [1, 2] {
            // The producer's metadata request must not create the topic before the test does.
            let broker = FakeBroker::builder()
                .topic(TOPIC, 16)
                .auto_create_topics(false)
                .start()
                .unwrap();
            let producer = sticking_beyond(&broker, partitions, class);
            recreate(&broker, &producer, partitions);
            let used = partitions_of_small_records(&producer);
            assert!(
                used.iter().all(|partition| *partition < partitions),
                "{class:?}: {used:?}"
            );
        }
    }
}

/// Sends a few records and waits for each. Returns their partitions.
fn partitions_of_awaited_records(producer: &KafkaProducer) -> BTreeSet<i32> {
    (0..SMALL_RECORDS)
        .map(|_| send(producer).get().unwrap().partition())
        .collect()
}

#[test]
fn a_choice_without_a_leader_is_left() {
    for class in STICKY {
        let broker = FakeBroker::builder().topic(TOPIC, 4).start().unwrap();
        let producer = producer(&broker, LINGER, class);
        let choice = send(&producer).get().unwrap().partition();
        broker.remove_leader(TOPIC, choice).unwrap();
        await_metadata(&broker, &producer, |infos| {
            infos.iter().any(|info| info.leader().is_none())
        });
        let used = partitions_of_awaited_records(&producer);
        assert!(!used.contains(&choice), "{class:?}: {choice} of {used:?}");
    }
}

/// Sends a record that lingers, and then others while only partition 3 has a leader. Returns the
/// partition of the first one.
fn partition_that_was_left(class: Option<PartitionerClass>) -> i32 {
    let broker = FakeBroker::builder().topic(TOPIC, 4).start().unwrap();
    let producer = producer(&broker, LINGER, class);
    let waiting = send(&producer);
    for partition in 0..3 {
        broker.remove_leader(TOPIC, partition).unwrap();
    }
    await_metadata(&broker, &producer, |infos| {
        let leaderless = infos.iter().filter(|info| info.leader().is_none());
        leaderless.count() == 3
    });
    let used = partitions_of_awaited_records(&producer);
    assert_eq!(used, BTreeSet::from([3]), "{class:?}");
    for partition in 0..3 {
        broker.move_leader(TOPIC, partition, NodeId(1)).unwrap();
    }
    waiting.get().unwrap().partition()
}

/// The records do not join the open batch, which cannot be sent before the leader is back.
#[test]
fn a_choice_without_a_leader_is_left_in_the_middle_of_a_batch() {
    for class in STICKY {
        let mut attempts = 0..50;
        assert!(
            attempts.any(|_| partition_that_was_left(class) != 3),
            "{class:?} never chose another partition"
        );
    }
}

/// Keeps a partition until a batch begins, as many programs' partitioners do.
struct Remembering {
    partition: AtomicI32,
    asked: Arc<AtomicUsize>,
    /// Whether a new batch changes the partition.
    moves: bool,
}

impl Partitioner for Remembering {
    fn partition(
        &self,
        _: &str,
        _: Option<&[u8]>,
        _: Option<&[u8]>,
        _: &Cluster,
    ) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.partition.load(Ordering::SeqCst))
    }

    fn on_new_batch(&self, _: &str, cluster: &Cluster, previous: i32) -> bool {
        let is_gone = cluster.topic(TOPIC).unwrap().partition(previous).is_none();
        if self.moves && is_gone {
            self.partition.store(0, Ordering::SeqCst);
        }
        false
    }
}

#[test]
fn a_partitioner_that_names_a_partition_that_is_gone_is_asked_once_more() {
    for moves in [true, false] {
        let broker = FakeBroker::builder().topic(TOPIC, 16).start().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let partitioner = Remembering {
            partition: AtomicI32::new(15),
            asked: Arc::clone(&asked),
            moves,
        };
        let producer = KafkaProducer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .metadata_max_age(Duration::from_millis(20))
            .partitioner(partitioner)
            .build()
            .unwrap();
        assert_eq!(send(&producer).get().unwrap().partition(), 15);
        recreate(&broker, &producer, 1);
        let before = asked.load(Ordering::SeqCst);
        let sent = producer.send(ProducerRecord::new(TOPIC, "value"));
        if moves {
            assert_eq!(sent.unwrap().get().unwrap().partition(), 0);
        } else {
            let error = sent.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::IllegalArgument, "{error}");
            assert!(error.to_string().contains("15 of topic orders"), "{error}");
        }
        assert_eq!(asked.load(Ordering::SeqCst) - before, 2);
    }
}
