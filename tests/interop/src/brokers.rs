//! librdkafka's mock cluster, and its consumer, which reads what is in the cluster.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::history::{History, ReadRecord, Verdict};
use crate::shapes::Shape;

pub(crate) const BROKERS: i32 = 3;
pub(crate) const PARTITIONS: i32 = 12;
pub(crate) const TOPIC: &str = "judged";

const READ_LIMIT: Duration = Duration::from_secs(60);

/// Three mock brokers with one topic, whose leaders they choose at random. They keep 5 MiB of each
/// partition. An idle mock cluster may take a second to apply a change, so make few.
pub(crate) struct Brokers {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Brokers {
    pub(crate) fn start() -> Self {
        let cluster = MockCluster::new(BROKERS).expect("librdkafka has mock clusters");
        cluster
            .create_topic(TOPIC, PARTITIONS, BROKERS)
            .expect("the topic is new");
        Self { cluster }
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

    /// Reads the topic to its end and checks the history against it.
    pub(crate) fn judge(&self, history: History) -> Verdict {
        let mut checker = history.check();
        self.read_each(|message| {
            checker.read(ReadRecord {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key(),
                value: message.payload(),
            });
        });
        checker.verdict()
    }

    /// Reads the topic to its end, with every field of the records.
    pub(crate) fn read_shapes(&self) -> Vec<Shape> {
        let mut shapes = Vec::new();
        self.read_each(|message| {
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            let headers =
                headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
            shapes.push(Shape {
                partition: message.partition(),
                timestamp: message.timestamp().to_millis().expect("it has one"),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: headers.collect(),
            });
        });
        shapes
    }

    pub(crate) fn read_each(&self, mut each: impl FnMut(&BorrowedMessage<'_>)) {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap_servers())
            .set("group.id", "judge")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            // At the end of a partition a broker waits this long for more.
            .set("fetch.wait.max.ms", "10")
            .create()
            .expect("the settings exist");
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let added = partitions.add_partition_offset(TOPIC, partition, Offset::Offset(0));
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
                Some(Ok(message)) => each(&message),
                Some(Err(KafkaError::PartitionEOF(partition))) => at_end[partition as usize] = true,
                Some(Err(error)) => panic!("librdkafka cannot read what was written: {error}"),
            }
        }
    }
}
