//! Records go where Kafka's other clients would send them: keys by murmur2, others spread over the
//! available partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_producer::common::{Cluster, NodeId};
use kafka_producer::testing::{Action, Api, FakeBroker, StoredRecord};
use kafka_producer::{
    ErrorKind, KafkaProducer, KafkaProducerBuilder, Partitioner, PartitionerClass, ProducerConfig,
    ProducerRecord, RecordFuture,
};

const TOPIC: &str = "orders";

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder().bootstrap_servers(broker.bootstrap_servers())
}

fn with_partitioner(broker: &FakeBroker, class: PartitionerClass) -> KafkaProducer {
    let mut config = ProducerConfig::new();
    config
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::from_secs(10));
    config.set("partitioner.class", class.as_str()).unwrap();
    KafkaProducer::new(config).unwrap()
}

/// Each record is in a batch of its own, so the sticky partition changes after each.
fn unbatched(broker: &FakeBroker) -> KafkaProducerBuilder {
    producer(broker).batch_size(0).linger(Duration::ZERO)
}

fn text(record: &StoredRecord) -> String {
    String::from_utf8(record.value.clone().unwrap()).unwrap()
}

/// Returns the number of records in each partition of the topic.
fn counts(broker: &FakeBroker, topic: &str, partitions: i32) -> Vec<i64> {
    (0..partitions)
        .map(|partition| broker.log_end_offset(topic, partition))
        .collect()
}

/// Returns the partitions of the topic that have records.
fn used(broker: &FakeBroker, topic: &str, partitions: i32) -> Vec<i32> {
    (0..partitions)
        .filter(|partition| broker.log_end_offset(topic, *partition) > 0)
        .collect()
}

fn send(producer: &KafkaProducer, value: &str) -> RecordFuture {
    producer.send(ProducerRecord::new(TOPIC, value)).unwrap()
}

#[test]
fn keys_go_where_java_sends_them() {
    let table = include_str!("../data/murmur2-partitions.tsv");
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 7)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    let mut expected = BTreeMap::new();
    for line in table.lines() {
        let [key, partitions, partition] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not a line of the table: {line}");
        };
        assert_eq!(partitions, "7");
        let record = ProducerRecord::new(TOPIC, "value").key(key);
        drop(producer.send(record).unwrap());
        expected.insert(key.to_owned(), partition.parse::<i32>().unwrap());
    }
    producer.flush().unwrap();
    assert!(
        expected.len() > 300,
        "the table is {} keys long",
        expected.len()
    );
    let stored: BTreeMap<_, _> = broker
        .all_records(TOPIC)
        .into_iter()
        .map(|record| {
            let key = String::from_utf8(record.key.unwrap()).unwrap();
            (key, record.partition)
        })
        .collect();
    assert_eq!(stored, expected);
}

/// The partition of a key depends on the number of partitions, not on how many are available.
#[test]
fn a_key_stays_with_its_partition_while_that_has_no_leader() {
    let broker = FakeBroker::builder().topic(TOPIC, 4).start().unwrap();
    let producer = producer(&broker).build().unwrap();
    let home = |key: &str| {
        let record = ProducerRecord::new(TOPIC, "before").key(key);
        producer.send(record).unwrap().get().unwrap().partition()
    };
    let homes: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .map(|key| (key, home(key)))
        .into();
    assert!(
        homes
            .iter()
            .map(|(_, home)| home)
            .collect::<BTreeSet<_>>()
            .len()
            > 1
    );

    let (orphan, gone) = homes[0];
    broker.remove_leader(TOPIC, gone).unwrap();
    let waiting = producer
        .send(ProducerRecord::new(TOPIC, "after").key(orphan))
        .unwrap();
    for (key, home) in homes.iter().filter(|(_, home)| *home != gone) {
        let record = ProducerRecord::new(TOPIC, "after").key(*key);
        assert_eq!(
            producer.send(record).unwrap().get().unwrap().partition(),
            *home
        );
    }
    assert!(!waiting.is_done());
    broker.move_leader(TOPIC, gone, NodeId(1)).unwrap();
    assert_eq!(waiting.get().unwrap().partition(), gone);
}

#[test]
fn records_without_a_key_avoid_partitions_without_a_leader() {
    let broker = FakeBroker::builder().topic(TOPIC, 3).start().unwrap();
    broker.remove_leader(TOPIC, 1).unwrap();
    let producer = unbatched(&broker).build().unwrap();
    for _ in 0..60 {
        drop(send(&producer, "value"));
    }
    producer.flush().unwrap();
    assert_eq!(used(&broker, TOPIC, 3), [0, 2]);
}

/// With healthy brokers no partition gets more than 5 % above or below its share, which is five
/// standard deviations here.
#[test]
fn records_without_a_key_are_spread_evenly() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let producer = unbatched(&broker)
        .partitioner_adaptive_partitioning_enable(false)
        .build()
        .unwrap();
    for _ in 0..24_000 {
        let record = ProducerRecord::new(TOPIC, "value");
        producer
            .send_with_callback(record, |result| drop(result.unwrap()))
            .unwrap();
    }
    producer.flush().unwrap();
    let counts = counts(&broker, TOPIC, 3);
    let is_even = counts.iter().all(|count| (7_600..=8_400).contains(count));
    assert!(is_even, "{counts:?}");
}

/// Adaptive partitioning prefers no partition while no queue builds up. 15 % are nearly six
/// standard deviations here.
#[test]
fn records_without_a_key_are_spread_evenly_by_adaptive_partitioning() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let producer = unbatched(&broker).build().unwrap();
    for _ in 0..3_000 {
        send(&producer, "value").get().unwrap();
    }
    let counts = counts(&broker, TOPIC, 3);
    let is_even = counts.iter().all(|count| (850..=1_150).contains(count));
    assert!(is_even, "{counts:?}");
}

/// The sticky partition changes when `batch.size` is reached, not with each record.
#[test]
fn records_without_a_key_fill_a_batch_before_they_go_elsewhere() {
    let broker = FakeBroker::builder().topic(TOPIC, 8).start().unwrap();
    let producer = producer(&broker)
        .batch_size(4000)
        .linger(Duration::from_secs(10))
        .build()
        .unwrap();
    // 50 records of about 110 bytes are less than twice 4,000 bytes, where a switch is forced.
    let value = "v".repeat(100);
    for _ in 0..30 {
        drop(send(&producer, &value));
    }
    producer.flush().unwrap();
    assert_eq!(
        used(&broker, TOPIC, 8).len(),
        1,
        "{:?}",
        counts(&broker, TOPIC, 8)
    );

    for _ in 0..1000 {
        drop(send(&producer, &value));
    }
    producer.flush().unwrap();
    assert!(
        used(&broker, TOPIC, 8).len() > 3,
        "{:?}",
        counts(&broker, TOPIC, 8)
    );
    let batches: usize = (0..8)
        .map(|partition| broker.batches(TOPIC, partition).len())
        .sum();
    assert!(batches <= 60, "{batches} batches of about 35 records");
}

/// Sends `free` and then a record to partition 0 and waits for the latter, `times` times. Each time
/// the I/O thread looks at the queues, so a free record that is not delivered by then did not go to
/// partition 0.
fn send_paced(producer: &KafkaProducer, times: usize) -> Vec<RecordFuture> {
    let send_one = |_| {
        let free = send(producer, "free");
        let pace = ProducerRecord::new(TOPIC, "pace").partition(0);
        producer.send(pace).unwrap().get().unwrap();
        free
    };
    (0..times).map(send_one).collect()
}

fn free_records(broker: &FakeBroker, partition: i32) -> usize {
    let records = broker.records(TOPIC, partition);
    records
        .iter()
        .filter(|record| text(record) == "free")
        .count()
}

/// Sends 300 records without a key, while the leader of partition 1 accepts requests and answers
/// none until the end.
fn spread_with_a_slow_broker(adaptive: bool) -> (usize, usize) {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    let producer = unbatched(&broker)
        .partitioner_adaptive_partitioning_enable(adaptive)
        .build()
        .unwrap();
    for partition in [0, 1] {
        let record = ProducerRecord::new(TOPIC, "warm").partition(partition);
        producer.send(record).unwrap().get().unwrap();
    }
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .node(NodeId(2))
        .always()
        .then(Action::apply().hold(&hold));
    let sent = send_paced(&producer, 300);
    broker.clear_script();
    hold.release();
    producer.flush().unwrap();
    assert!(sent.iter().all(|record| record.get().is_ok()));
    (free_records(&broker, 0), free_records(&broker, 1))
}

#[test]
fn a_slow_broker_gets_less() {
    let (fast, slow) = spread_with_a_slow_broker(true);
    assert_eq!(fast + slow, 300);
    assert!(
        slow * 4 < fast,
        "{fast} to the fast broker, {slow} to the slow one"
    );
}

#[test]
fn a_slow_broker_gets_its_share_without_adaptive_partitioning() {
    let (fast, slow) = spread_with_a_slow_broker(false);
    assert_eq!(fast + slow, 300);
    assert!(
        slow > 75,
        "{fast} to the fast broker, {slow} to the slow one"
    );
}

/// `partitioner.availability.timeout.ms`: a broker that accepts nothing for this long gets no new
/// records until it recovers.
#[test]
fn an_unavailable_broker_gets_nothing_new_until_it_is_back() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    let producer = unbatched(&broker)
        .partitioner_availability_timeout(Duration::from_millis(100))
        .reconnect_backoff(Duration::from_millis(20))
        .build()
        .unwrap();
    for partition in [0, 1] {
        let record = ProducerRecord::new(TOPIC, "warm").partition(partition);
        producer.send(record).unwrap().get().unwrap();
    }
    broker.accept_then_close(NodeId(2), true).unwrap();
    broker.disconnect(NodeId(2)).unwrap();
    let stuck = producer
        .send(ProducerRecord::new(TOPIC, "stuck").partition(1))
        .unwrap();
    // By chance alone, a partition that is chosen at all is not missed 1,000 times in a row.
    let mut in_a_row = 0;
    for _ in 0..500 {
        if in_a_row >= 1_000 {
            break;
        }
        assert!(!stuck.is_done());
        for record in send_paced(&producer, 10) {
            in_a_row = if record.is_done() { in_a_row + 1 } else { 0 };
        }
    }
    assert!(in_a_row >= 1_000, "it still gets records");
    broker.accept_then_close(NodeId(2), false).unwrap();
    stuck.get().unwrap();
    producer.flush().unwrap();
    let before = free_records(&broker, 1);
    let _ = send_paced(&producer, 200);
    producer.flush().unwrap();
    assert!(
        free_records(&broker, 1) > before + 20,
        "it takes its share again"
    );
}

// Java: RoundRobinPartitionerTest.testRoundRobinWithKeyBytes; KAFKA-9965: every second partition was skipped.
#[test]
fn round_robin_goes_through_all_partitions_in_turn() {
    let broker = FakeBroker::builder().topic(TOPIC, 3).start().unwrap();
    let producer = with_partitioner(&broker, PartitionerClass::RoundRobin);
    let sent: Vec<_> = (0..30)
        .map(|n| {
            let key = (n % 2 == 0).then_some("key");
            producer
                .send(ProducerRecord::new(TOPIC, "value").key(key))
                .unwrap()
        })
        .collect();
    producer.flush().unwrap();
    let partitions: Vec<_> = sent
        .iter()
        .map(|record| record.get().unwrap().partition())
        .collect();
    for pair in partitions.windows(2) {
        assert_eq!(pair[1], (pair[0] + 1) % 3, "{partitions:?}");
    }
    assert_eq!(counts(&broker, TOPIC, 3), [10, 10, 10]);
}

/// Sends ten records with one key and flushes. Returns their partitions.
fn partitions_of_a_burst(producer: &KafkaProducer, key: Option<&str>) -> BTreeSet<i32> {
    let sent: Vec<_> = (0..10)
        .map(|_| {
            producer
                .send(ProducerRecord::new(TOPIC, "value").key(key))
                .unwrap()
        })
        .collect();
    producer.flush().unwrap();
    sent.iter()
        .map(|record| record.get().unwrap().partition())
        .collect()
}

// Java: UniformStickyPartitionerTest. The next batch goes elsewhere.
#[test]
fn uniform_sticky_moves_on_with_each_batch_whatever_the_key() {
    let broker = FakeBroker::builder().topic(TOPIC, 3).start().unwrap();
    let producer = with_partitioner(&broker, PartitionerClass::UniformSticky);
    let bursts: Vec<_> = (0..12)
        .map(|n| partitions_of_a_burst(&producer, (n % 2 == 0).then_some("key")))
        .collect();
    for pair in bursts.windows(2) {
        assert_eq!(pair[0].len(), 1, "{bursts:?}");
        assert_ne!(pair[0], pair[1], "{bursts:?}");
    }
}

// Java: DefaultPartitionerTest.testKeyPartitionIsStable, and sticky without a key.
#[test]
fn the_legacy_default_hashes_keys_and_is_sticky_without_one() {
    let broker = FakeBroker::builder().topic(TOPIC, 7).start().unwrap();
    let producer = with_partitioner(&broker, PartitionerClass::Default);
    // From the table of Java's choices.
    assert_eq!(
        partitions_of_a_burst(&producer, Some("l^O")),
        BTreeSet::from([5])
    );
    assert_eq!(
        partitions_of_a_burst(&producer, Some("$=")),
        BTreeSet::from([0])
    );
    let bursts: Vec<_> = (0..8)
        .map(|_| partitions_of_a_burst(&producer, None))
        .collect();
    for pair in bursts.windows(2) {
        assert_eq!(pair[0].len(), 1, "{bursts:?}");
        assert_ne!(pair[0], pair[1], "{bursts:?}");
    }
}

/// Chooses the partition in the record's value.
struct AsTheValueSays;

impl Partitioner for AsTheValueSays {
    fn partition(
        &self,
        _: &str,
        _: Option<&[u8]>,
        value: Option<&[u8]>,
        cluster: &Cluster,
    ) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
        assert_eq!(cluster.partition_count(TOPIC), Some(3));
        let text = std::str::from_utf8(value.unwrap_or_default())?;
        assert_ne!(text, "panic", "as the value says");
        Ok(text.parse()?)
    }
}

// Java: KafkaProducerTest.testNegativePartitionShouldThrow, and a partition that does not exist.
#[test]
fn a_partitioner_of_ones_own_decides_and_may_fail() {
    let broker = FakeBroker::builder().topic(TOPIC, 3).start().unwrap();
    let producer = producer(&broker)
        .partitioner(AsTheValueSays)
        .build()
        .unwrap();
    for partition in [2, 0, 1] {
        let record = ProducerRecord::new(TOPIC, partition.to_string()).key("key");
        assert_eq!(
            producer.send(record).unwrap().get().unwrap().partition(),
            partition
        );
    }
    let named = ProducerRecord::new(TOPIC, "2").partition(1);
    assert_eq!(producer.send(named).unwrap().get().unwrap().partition(), 1);

    for (value, kind) in [
        ("-1", ErrorKind::IllegalArgument),
        ("3", ErrorKind::IllegalArgument),
        ("none", ErrorKind::IllegalArgument),
        ("panic", ErrorKind::Panic),
    ] {
        let error = producer
            .send(ProducerRecord::new(TOPIC, value))
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{value}: {error}");
    }
    send(&producer, "0").get().unwrap();
    assert_eq!(counts(&broker, TOPIC, 3), [2, 2, 1]);
}

/// `partitioner.ignore.keys`: records with a key are spread as those without one. An explicit
/// partition still counts.
#[test]
fn keys_can_be_ignored() {
    let broker = FakeBroker::builder().topic(TOPIC, 4).start().unwrap();
    let producer = unbatched(&broker)
        .partitioner_ignore_keys(true)
        .build()
        .unwrap();
    for _ in 0..100 {
        drop(
            producer
                .send(ProducerRecord::new(TOPIC, "value").key("key"))
                .unwrap(),
        );
    }
    producer.flush().unwrap();
    assert_eq!(used(&broker, TOPIC, 4), [0, 1, 2, 3]);
    let named = ProducerRecord::new(TOPIC, "value").key("key").partition(2);
    assert_eq!(producer.send(named).unwrap().get().unwrap().partition(), 2);
}

/// Returns the partitions of 100 records without a key from this rack, and that of one with a key.
fn spread_from_rack(broker: &FakeBroker, rack: &str) -> (Vec<i32>, i32) {
    let producer = unbatched(broker)
        .client_rack(rack)
        .partitioner_rack_aware(true)
        .build()
        .unwrap();
    let sent: Vec<_> = (0..100).map(|_| send(&producer, "value")).collect();
    let keyed = producer
        .send(ProducerRecord::new(TOPIC, "value").key("l^O"))
        .unwrap();
    let used: BTreeSet<_> = sent
        .iter()
        .map(|record| record.get().unwrap().partition())
        .collect();
    (used.into_iter().collect(), keyed.get().unwrap().partition())
}

// KIP-1123.
#[test]
fn records_without_a_key_stay_in_the_rack_while_it_leads_anything() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .racks(["a", "b", "c"])
        .topic(TOPIC, 7)
        .start()
        .unwrap();
    // Node 2 in rack b leads partitions 1 and 4. The key goes to partition 5 in any rack.
    assert_eq!(spread_from_rack(&broker, "b"), (vec![1, 4], 5));
    assert_eq!(spread_from_rack(&broker, "nowhere"), ((0..7).collect(), 5));
    for partition in [1, 4] {
        broker.move_leader(TOPIC, partition, NodeId(1)).unwrap();
    }
    assert_eq!(spread_from_rack(&broker, "b"), ((0..7).collect(), 5));
}
