//! One of the two brokers during a sequence. Producer ids differ between the brokers, so here they
//! are numbered in the order of their assignment.

use std::net::SocketAddr;
use std::time::Duration;

use kafka_producer::ErrorCode;
use kafka_producer::testing::FakeBroker;

use super::steps::{Call, PARTITIONS, PRODUCERS, Step};
use super::{TOPIC, Written};
use crate::harness::{
    Answer, Identity, KafkaCluster, LoggedContent, NOBODY, Produced, RawBatch, RawOffset,
    RawProducer, fetch_log, settled,
};

const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(600);
const START_MS: i64 = 1_700_000_000_000;
const MINUTE_MS: i64 = 60_000;

/// A producer id, independent of its number at a broker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Id {
    /// -1.
    None,
    /// The n-th id that the broker assigned in this sequence.
    Given(usize),
    /// An id that neither broker assigned, with the same number at both.
    Foreign(i64),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Name {
    pub(super) id: Id,
    pub(super) epoch: i16,
}

pub(super) const NO_NAME: Name = Name {
    id: Id::None,
    epoch: -1,
};

/// The response of a broker. Offsets count from the end of the log before the sequence.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Reply {
    pub(super) code: ErrorCode,
    /// The producer's identity, if the API returns one.
    pub(super) name: Option<Name>,
    /// For Produce: the offset, and the time of the append.
    pub(super) appended: Option<(i64, i64)>,
}

/// A batch in a log. Offsets count from the end of the log before the sequence.
#[derive(Clone, PartialEq, Debug)]
struct Logged {
    offset: i64,
    name: Name,
    base_sequence: i32,
    is_transactional: bool,
    content: LoggedContent,
}

/// The state after a sequence.
#[derive(PartialEq, Debug)]
pub(super) struct Outcome {
    /// The batches and the last stable offset of each partition.
    logs: Vec<(Vec<Logged>, i64)>,
    /// The committed offset of the group in each partition. -1 is none.
    group_offsets: Vec<(i64, String)>,
}

impl Outcome {
    pub(super) fn batch_count(&self) -> usize {
        self.logs.iter().map(|(batches, _)| batches.len()).sum()
    }

    /// Describes the first difference of two outcomes, which are too long to print.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let logs = self.logs.iter().zip(&other.logs);
        for (partition, ((here, here_stable), (there, there_stable))) in logs.enumerate() {
            let length = here.len().max(there.len());
            let mut batches = (0..length).map(|index| (here.get(index), there.get(index)));
            if let Some((here, there)) = batches.find(|(here, there)| here != there) {
                return Some(format!(
                    "in the log of partition {partition} Kafka has {here:?}, the test broker {there:?}"
                ));
            }
            if here_stable != there_stable {
                return Some(format!(
                    "the last stable offset of partition {partition} is {here_stable} at Kafka, {there_stable} at the test broker"
                ));
            }
        }
        let (here, there) = (&self.group_offsets, &other.group_offsets);
        (here != there).then(|| {
            format!("offsets of the group are {here:?} at Kafka, {there:?} at the test broker")
        })
    }
}

#[derive(Clone, Copy)]
pub(super) enum Broker<'a> {
    Kafka(&'a KafkaCluster),
    Fake(&'a FakeBroker),
}

impl Broker<'_> {
    fn address(self) -> SocketAddr {
        let servers = match self {
            Self::Kafka(cluster) => cluster.bootstrap_servers(),
            Self::Fake(fake) => fake.bootstrap_servers(),
        };
        servers.parse().unwrap()
    }

    fn end_offsets(self) -> Vec<i64> {
        match self {
            Self::Kafka(cluster) => cluster.admin().end_offsets(TOPIC),
            Self::Fake(fake) => (0..PARTITIONS)
                .map(|partition| fake.log_end_offset(TOPIC, partition))
                .collect(),
        }
    }
}

pub(super) struct Side<'a> {
    broker: Broker<'a>,
    producers: Vec<RawProducer>,
    group: String,
    /// The producer ids in the order of their assignment.
    ids: Vec<i64>,
    /// The ends of the logs before the sequence.
    starts: Vec<i64>,
    is_transactional: bool,
}

impl<'a> Side<'a> {
    pub(super) fn new(broker: Broker<'a>, sequence_name: &str, is_transactional: bool) -> Self {
        let address = broker.address();
        let producer = |number| match is_transactional {
            true => RawProducer::new(address, &format!("{sequence_name}-{number}")),
            false => RawProducer::idempotent(address),
        };
        Self {
            broker,
            producers: (0..PRODUCERS).map(producer).collect(),
            group: sequence_name.to_owned(),
            ids: Vec::new(),
            starts: broker.end_offsets(),
            is_transactional,
        }
    }

    /// Sends the request of a step with the identity `name`.
    pub(super) fn take(&mut self, step: &Step, name: Name, batch: Option<Written>) -> Reply {
        let mut appended = None;
        let (code, identity) = settled(|| {
            let produced = self.send(step, name, batch);
            appended = produced.1;
            produced.0
        });
        // Kafka writes the markers after its response.
        if self.is_transactional && matches!(self.broker, Broker::Kafka(_)) {
            self.producers[step.producer].await_markers();
        }
        Reply {
            code,
            name: identity.map(|identity| self.name(identity)),
            appended,
        }
    }

    fn send(
        &self,
        step: &Step,
        name: Name,
        batch: Option<Written>,
    ) -> (Answer, Option<(i64, i64)>) {
        let own = &self.producers[step.producer];
        let stranger = own.named(&format!("{}-stranger", self.group));
        let producer = if step.is_stranger { &stranger } else { own };
        let (version, identity) = (step.version, self.identity(name));
        let answer = match step.call {
            Call::Init => producer.init(version, NOBODY, TRANSACTION_TIMEOUT),
            Call::Bump => producer.init(version, identity, TRANSACTION_TIMEOUT),
            Call::AddPartition(partition) => {
                producer.add_partitions(version, identity, (TOPIC, &[partition]))
            }
            Call::AddOffsets => producer.add_offsets(version, identity, &self.group),
            Call::CommitOffset {
                partition,
                metadata_size,
            } => {
                let metadata = "m".repeat(metadata_size);
                let offset = RawOffset {
                    group: &self.group,
                    topic: TOPIC,
                    partition,
                    offset: metadata_size as i64,
                    metadata: Some(&metadata),
                };
                producer.commit_offset(version, identity, offset)
            }
            Call::End { is_commit } => producer.end(version, identity, is_commit),
            Call::Produce {
                partition,
                is_transactional,
                ..
            } => {
                let batch = raw_batch(identity, batch.unwrap(), is_transactional);
                let batches = [(TOPIC, partition, &batch)];
                let produced = producer.send(version, -1, &batches).remove(0);
                let appended = self.appended(partition, &produced);
                return ((produced.code, None), Some(appended));
            }
        };
        (answer, None)
    }

    fn appended(&self, partition: i32, produced: &Produced) -> (i64, i64) {
        assert!(produced.record_errors.is_empty(), "{produced:?}");
        let offset = match produced.base_offset {
            -1 => -1,
            offset => offset - self.starts[partition as usize],
        };
        (offset, produced.log_append_time_ms)
    }

    /// Ends all transactions, and reads what the sequence has written.
    pub(super) fn finish(&mut self, is_read: bool) -> Outcome {
        if self.is_transactional {
            for producer in &self.producers {
                settled(|| producer.init(5, NOBODY, TRANSACTION_TIMEOUT));
            }
        }
        Outcome {
            logs: (0..PARTITIONS)
                .map(|partition| self.log(partition))
                .collect(),
            group_offsets: match is_read && self.is_transactional {
                true => (0..PARTITIONS)
                    .map(|partition| self.group_offset(partition))
                    .collect(),
                false => Vec::new(),
            },
        }
    }

    fn group_offset(&self, partition: i32) -> (i64, String) {
        match self.broker {
            Broker::Kafka(cluster) => {
                let found = cluster.admin().group_offset(&self.group, TOPIC, partition);
                (found.offset, found.metadata)
            }
            Broker::Fake(fake) => {
                let offsets = fake.committed_offsets(&self.group).into_iter();
                let mut offsets =
                    offsets.filter(|found| found.topic_partition.partition() == partition);
                offsets.next().map_or((-1, String::new()), |found| {
                    (found.offset, found.metadata.unwrap_or_default())
                })
            }
        }
    }

    fn log(&mut self, partition: i32) -> (Vec<Logged>, i64) {
        let start = self.starts[partition as usize];
        let (mut batches, stable_offset) = match self.broker {
            Broker::Kafka(_) => self.kafka_log(partition, start),
            Broker::Fake(fake) => self.fake_log(fake, partition),
        };
        batches.retain(|batch| batch.offset >= start);
        for batch in &mut batches {
            batch.offset -= start;
        }
        (batches, stable_offset - start)
    }

    fn kafka_log(&mut self, partition: i32, start: i64) -> (Vec<Logged>, i64) {
        let address = self.broker.address();
        let (batches, stable_offset) = fetch_log(address, (TOPIC, partition), start);
        let batches = batches.into_iter().map(|batch| Logged {
            offset: batch.base_offset,
            name: self.name(batch.identity),
            base_sequence: batch.base_sequence,
            is_transactional: batch.is_transactional,
            content: batch.content,
        });
        (batches.collect(), stable_offset)
    }

    /// The test broker has no Fetch, and stores markers separately from batches.
    fn fake_log(&mut self, fake: &FakeBroker, partition: i32) -> (Vec<Logged>, i64) {
        let records = fake.records(TOPIC, partition);
        let mut log = Vec::new();
        for batch in fake.batches(TOPIC, partition) {
            let (header, offsets) = (&batch.header, batch.base_offset..=batch.last_offset());
            let of_batch = records
                .iter()
                .filter(|record| offsets.contains(&record.offset));
            let content = of_batch.map(|record| {
                let value = record.value.clone().unwrap_or_default();
                (record.timestamp, value)
            });
            log.push(Logged {
                offset: batch.base_offset,
                name: self.name(Identity {
                    producer_id: header.producer_id,
                    epoch: header.producer_epoch,
                }),
                base_sequence: header.base_sequence,
                is_transactional: header.is_transactional,
                content: LoggedContent::Records(content.collect()),
            });
        }
        const NO_SEQUENCE: i32 = -1;
        for marker in fake.markers(TOPIC, partition) {
            let is_commit = marker.is_commit;
            log.push(Logged {
                offset: marker.offset,
                name: self.name(Identity {
                    producer_id: marker.producer_id,
                    epoch: marker.producer_epoch,
                }),
                base_sequence: NO_SEQUENCE,
                is_transactional: true,
                content: LoggedContent::Marker { is_commit },
            });
        }
        log.sort_by_key(|batch| batch.offset);
        (log, fake.last_stable_offset(TOPIC, partition))
    }

    fn identity(&self, name: Name) -> Identity {
        let producer_id = match name.id {
            Id::None => -1,
            Id::Given(number) => self.ids[number],
            Id::Foreign(id) => id,
        };
        Identity {
            producer_id,
            epoch: name.epoch,
        }
    }

    /// Returns the number of a producer id. A new one gets the next number.
    fn name(&mut self, identity: Identity) -> Name {
        let (id, epoch) = (identity.producer_id, identity.epoch);
        let id = match id {
            -1 => Id::None,
            id if id >= super::FOREIGN_ID => Id::Foreign(id),
            id => Id::Given(
                self.ids
                    .iter()
                    .position(|known| *known == id)
                    .unwrap_or_else(|| {
                        self.ids.push(id);
                        self.ids.len() - 1
                    }),
            ),
        };
        Name { id, epoch }
    }
}

/// Batches differ in their timestamps and the lengths of their values.
fn raw_batch(identity: Identity, written: Written, is_transactional: bool) -> RawBatch {
    let start = START_MS + written.step as i64 * MINUTE_MS;
    RawBatch {
        identity,
        sequence: written.sequence,
        attributes: if is_transactional {
            RawBatch::IS_TRANSACTIONAL
        } else {
            0
        },
        timestamps: (start..).take(written.count).collect(),
        has_keys: written.count == 1,
        value_size: written.step + 1,
    }
}
