//! librdkafka's mock cluster, and its consumer as the reader of what is in there.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::history::{History, ReadRecord, Verdict};

pub(crate) const BROKERS: i32 = 3;
pub(crate) const PARTITIONS: i32 = 6;
pub(crate) const TOPIC: &str = "judged";

const READ_LIMIT: Duration = Duration::from_secs(60);

/// Three mock brokers with one topic. They keep 5 MiB of each partition.
pub(crate) struct Brokers {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Brokers {
    pub(crate) fn start() -> Self {
        let cluster = MockCluster::new(BROKERS).expect("librdkafka has mock clusters");
        cluster
            .create_topic(TOPIC, PARTITIONS, BROKERS)
            .expect("the topic is new");
        // Not left to librdkafka: it assigns leaders at random.
        let brokers = Self { cluster };
        for partition in 0..PARTITIONS {
            brokers.move_leader(partition, partition % BROKERS + 1);
        }
        brokers
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    pub(crate) fn move_leader(&self, partition: i32, broker: i32) {
        let moved = self
            .cluster
            .partition_leader(TOPIC, partition, Some(broker));
        moved.expect("the partition and the broker exist");
    }

    /// Reads the topic to its end and holds the history against it.
    pub(crate) fn judge(&self, history: History) -> Verdict {
        let mut checker = history.check();
        self.read_each(|record| checker.read(record));
        checker.verdict()
    }

    pub(crate) fn read_each(&self, mut each: impl FnMut(ReadRecord<'_>)) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap_servers())
            .set("group.id", "judge")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            .create()
            .expect("the settings exist");
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let added = partitions.add_partition_offset(TOPIC, partition, Offset::Beginning);
            added.expect("the offset is valid");
        }
        consumer.assign(&partitions).expect("the partitions exist");

        let mut at_end = [false; PARTITIONS as usize];
        let deadline = Instant::now() + READ_LIMIT;
        while at_end.contains(&false) {
            assert!(
                Instant::now() < deadline,
                "the end was not read within {READ_LIMIT:?}"
            );
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => each(ReadRecord {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key(),
                    value: message.payload(),
                }),
                Some(Err(KafkaError::PartitionEOF(partition))) => at_end[partition as usize] = true,
                Some(Err(error)) => panic!("librdkafka cannot read what was written: {error}"),
            }
        }
    }
}
