//! A producer that does not use the library: one transactional request at a time, in any version.

use std::net::SocketAddr;
use std::time::Duration;

use kafka_producer::ErrorCode;

use super::raw_batch::RawBatch;
use super::wait_until;
use super::wire::{Api, Body, Cursor, exchange};

const PRODUCE: i16 = 0;
const FIND_COORDINATOR: i16 = 10;
const INIT_PRODUCER_ID: i16 = 22;
const ADD_PARTITIONS_TO_TXN: i16 = 24;
const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const TXN_OFFSET_COMMIT: i16 = 28;
const DESCRIBE_TRANSACTIONS: i16 = 65;

const REQUEST_TIMEOUT_MS: i32 = 15_000;
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The producer id and epoch.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// The identity of a producer without one.
pub(crate) const NOBODY: Identity = Identity {
    producer_id: -1,
    epoch: -1,
};

/// The error code, and the identity if the response has one.
pub(crate) type Answer = (i16, Option<Identity>);

/// Repeats the request while the response is that something else is still in progress.
pub(crate) fn settled(mut ask: impl FnMut() -> Answer) -> (ErrorCode, Option<Identity>) {
    wait_until("settled response", ANSWER_LIMIT, || {
        let (code, identity) = ask();
        let code = ErrorCode::from_i16(code);
        let is_passing = [
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::NOT_COORDINATOR,
            ErrorCode::CONCURRENT_TRANSACTIONS,
            ErrorCode::NOT_ENOUGH_REPLICAS,
        ]
        .contains(&code);
        (!is_passing).then_some((code, identity))
    })
}

/// The response to one batch of a Produce request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Produced {
    pub(crate) code: i16,
    pub(crate) base_offset: i64,
    pub(crate) log_append_time_ms: i64,
    /// The indexes of the rejected records in the batch. Empty before version 8.
    pub(crate) record_errors: Vec<i32>,
}

/// An offset of a group, as in TxnOffsetCommit.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RawOffset<'a> {
    pub(crate) group: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) metadata: Option<&'a str>,
}

/// Sends requests to the only node of a cluster.
#[derive(Debug)]
pub(crate) struct RawProducer {
    address: SocketAddr,
    /// `None` for a producer without transactions.
    transactional_id: Option<String>,
}

impl RawProducer {
    /// Returns when the node coordinates this id, and groups too.
    pub(crate) fn new(address: SocketAddr, transactional_id: &str) -> Self {
        let producer = Self {
            address,
            transactional_id: Some(transactional_id.to_owned()),
        };
        const COORDINATOR_TYPES: [i8; 2] = [0, 1];
        for kind in COORDINATOR_TYPES {
            wait_until("coordinator", ANSWER_LIMIT, || {
                let code = producer.find_coordinator(kind, transactional_id);
                (code == 0).then_some(())
            });
        }
        producer
    }

    /// A producer without a transactional id.
    pub(crate) fn idempotent(address: SocketAddr) -> Self {
        Self {
            address,
            transactional_id: None,
        }
    }

    /// Sends FindCoordinator v1 for a group, which is kind 0, or a transactional id, which is 1.
    pub(crate) fn find_coordinator(&self, kind: i8, key: &str) -> i16 {
        let mut request = Request::new(FIND_COORDINATOR, 1);
        request.string(key);
        request.body.i8(kind);
        self.ask(&request, |answer| {
            answer.body.i32()?;
            answer.body.i16()
        })
    }

    /// Returns a producer with another id on the same node.
    pub(crate) fn named(&self, transactional_id: &str) -> Self {
        Self {
            address: self.address,
            transactional_id: Some(transactional_id.to_owned()),
        }
    }

    /// Sends InitProducerId. From version 3 on, `current` asks for the epoch after its own.
    pub(crate) fn init(
        &self,
        version: i16,
        current: Identity,
        transaction_timeout: Duration,
    ) -> Answer {
        let mut request = Request::new(INIT_PRODUCER_ID, version);
        request.nullable_string(self.transactional_id.as_deref());
        request.body.i32(transaction_timeout.as_millis() as i32);
        if version >= 3 {
            request.body.i64(current.producer_id).i16(current.epoch);
        }
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            Some((answer.body.i16()?, Some(answer.identity()?)))
        })
    }

    /// Sends AddPartitionsToTxn. Returns the code of the first partition.
    pub(crate) fn add_partitions(
        &self,
        version: i16,
        identity: Identity,
        (topic, partitions): (&str, &[i32]),
    ) -> Answer {
        let mut request = self.request(ADD_PARTITIONS_TO_TXN, version, identity);
        request.array(&[topic], |request, topic| {
            request.string(topic);
            request.array(partitions, |request, partition| {
                request.body.i32(*partition);
            });
            request.tags();
        });
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            Some((answer.first_partition_code()?, None))
        })
    }

    /// Sends AddOffsetsToTxn.
    pub(crate) fn add_offsets(&self, version: i16, identity: Identity, group: &str) -> Answer {
        let mut request = self.request(ADD_OFFSETS_TO_TXN, version, identity);
        request.string(group);
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            Some((answer.body.i16()?, None))
        })
    }

    /// Sends TxnOffsetCommit for one offset, without membership of the group.
    pub(crate) fn commit_offset(
        &self,
        version: i16,
        identity: Identity,
        offset: RawOffset<'_>,
    ) -> Answer {
        let mut request = Request::new(TXN_OFFSET_COMMIT, version);
        request.nullable_string(self.transactional_id.as_deref());
        request.string(offset.group);
        request.body.i64(identity.producer_id).i16(identity.epoch);
        if version >= 3 {
            request.body.i32(-1);
            request.string("");
            request.nullable_string(None);
        }
        request.array(&[offset.topic], |request, topic| {
            request.string(topic);
            request.array(&[offset.partition], |request, partition| {
                request.body.i32(*partition).i64(offset.offset);
                if version >= 2 {
                    request.body.i32(-1);
                }
                request.nullable_string(offset.metadata);
                request.tags();
            });
            request.tags();
        });
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            Some((answer.first_partition_code()?, None))
        })
    }

    /// Sends EndTxn. From version 5 on, the response has the next identity.
    pub(crate) fn end(&self, version: i16, identity: Identity, is_commit: bool) -> Answer {
        let mut request = self.request(END_TXN, version, identity);
        request.body.bool(is_commit);
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            let code = answer.body.i16()?;
            let next = if version >= 5 {
                Some(answer.identity()?)
            } else {
                None
            };
            Some((code, next))
        })
    }

    /// Sends a transactional batch of one record to partition 0.
    pub(crate) fn produce(
        &self,
        version: i16,
        identity: Identity,
        (topic, sequence): (&str, i32),
    ) -> Answer {
        let batch = RawBatch::transactional(identity, sequence);
        let produced = self.send(version, -1, &[(topic, 0, &batch)]);
        (produced[0].code, None)
    }

    /// Sends batches, each with its topic and partition. Each topic may occur once.
    pub(crate) fn send(
        &self,
        version: i16,
        acks: i16,
        batches: &[(&str, i32, &RawBatch)],
    ) -> Vec<Produced> {
        let mut request = Request::new(PRODUCE, version);
        request.nullable_string(self.transactional_id.as_deref());
        request.body.i16(acks).i32(REQUEST_TIMEOUT_MS);
        request.array(batches, |request, (topic, partition, batch)| {
            request.string(topic);
            request.array(&[partition], |request, partition| {
                request.body.i32(**partition);
                request.bytes(&batch.to_bytes());
                request.tags();
            });
            request.tags();
        });
        request.tags();
        self.ask(&request, |answer| answer.produced(version))
    }

    /// Waits until this id has no transaction that is open or being ended: `CompleteAbort`. The
    /// test broker needs no wait and does not support it.
    pub(crate) fn await_complete(&self) {
        wait_until("end of the transaction", ANSWER_LIMIT, || {
            let (_, state) = self.describe();
            state.starts_with("Complete").then_some(())
        });
    }

    /// Waits until every ended transaction of this id has its markers. One may still be open.
    pub(crate) fn await_markers(&self) {
        wait_until("markers of the transaction", ANSWER_LIMIT, || {
            let (_, state) = self.describe();
            (!state.starts_with("Prepare")).then_some(())
        });
    }

    /// Waits until the coordinator has forgotten this id.
    pub(crate) fn await_forgotten(&self) {
        const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
        wait_until("end of the transactional id", ANSWER_LIMIT, || {
            let (code, _) = self.describe();
            (code == TRANSACTIONAL_ID_NOT_FOUND).then_some(())
        });
    }

    /// Returns the error code and the state.
    fn describe(&self) -> (i16, String) {
        let mut request = Request::new(DESCRIBE_TRANSACTIONS, 0);
        request.array(self.transactional_id.as_slice(), |request, id| {
            request.string(id);
        });
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            answer.body.unsigned_varint()?;
            let code = answer.body.i16()?;
            answer.body.compact_string()?;
            Some((code, answer.body.compact_string()?))
        })
    }

    /// The fields with which three of the APIs begin.
    fn request(&self, key: i16, version: i16, identity: Identity) -> Request {
        let mut request = Request::new(key, version);
        request.nullable_string(self.transactional_id.as_deref());
        request.body.i64(identity.producer_id).i16(identity.epoch);
        request
    }

    fn ask<T>(&self, request: &Request, read: impl FnOnce(&mut Response<'_>) -> Option<T>) -> T {
        let answer = exchange(self.address, request.api, &request.body);
        let answer = answer.unwrap_or_else(|error| panic!("{:?}: {error}", request.api));
        let mut response = Response {
            body: Cursor(&answer),
            flexible: request.api.flexible,
        };
        let read = response.header().and_then(|()| read(&mut response));
        read.unwrap_or_else(|| panic!("{:?}: an answer that cannot be read", request.api))
    }
}

/// A request under construction, in the encoding of its version.
struct Request {
    api: Api,
    body: Body,
}

impl Request {
    fn new(key: i16, version: i16) -> Self {
        let first_flexible = match key {
            PRODUCE => 9,
            INIT_PRODUCER_ID => 2,
            DESCRIBE_TRANSACTIONS => 0,
            _ => 3,
        };
        let api = Api {
            key,
            version,
            flexible: version >= first_flexible,
        };
        let body = Body::new();
        Self { api, body }
    }

    fn string(&mut self, text: &str) {
        if self.api.flexible {
            self.body.compact_string(text);
        } else {
            self.body.string(text);
        }
    }

    fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.api.flexible => {
                self.body.i8(0);
            }
            None => {
                self.body.i16(-1);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.api.flexible {
            self.body.compact_length(bytes.len());
        } else {
            self.body.i32(bytes.len() as i32);
        }
        self.body.bytes(bytes);
    }

    fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if self.api.flexible {
            self.body.compact_length(items.len());
        } else {
            self.body.i32(items.len() as i32);
        }
        items.iter().for_each(|item| write(self, item));
    }

    fn tags(&mut self) {
        if self.api.flexible {
            self.body.no_tags();
        }
    }
}

/// A response that is being parsed.
struct Response<'a> {
    body: Cursor<'a>,
    flexible: bool,
}

impl Response<'_> {
    /// The rest of the header: the tags.
    fn header(&mut self) -> Option<()> {
        match self.flexible {
            true => self.body.i8().map(drop),
            false => Some(()),
        }
    }

    fn identity(&mut self) -> Option<Identity> {
        Some(Identity {
            producer_id: self.body.i64()?,
            epoch: self.body.i16()?,
        })
    }

    /// Returns the code of the first partition in an array of topics with arrays of partitions.
    fn first_partition_code(&mut self) -> Option<i16> {
        self.count()?;
        self.text()?;
        self.count()?;
        self.body.i32()?;
        self.body.i16()
    }

    /// Returns one item for each batch of the request, in the order of the response.
    fn produced(&mut self, version: i16) -> Option<Vec<Produced>> {
        let topics = self.array(|answer| {
            answer.text()?;
            let partitions = answer.array(|answer| answer.produced_partition(version))?;
            answer.tags()?;
            Some(partitions)
        })?;
        Some(topics.into_iter().flatten().collect())
    }

    fn produced_partition(&mut self, version: i16) -> Option<Produced> {
        self.body.i32()?;
        let mut produced = Produced {
            code: self.body.i16()?,
            base_offset: self.body.i64()?,
            log_append_time_ms: self.body.i64()?,
            record_errors: Vec::new(),
        };
        if version >= 5 {
            let _log_start_offset = self.body.i64()?;
        }
        if version >= 8 {
            produced.record_errors = self.array(|answer| {
                let index = answer.body.i32()?;
                answer.text()?;
                answer.tags()?;
                Some(index)
            })?;
            let _error_message = self.text()?;
        }
        self.tags()?;
        Some(produced)
    }

    fn array<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn count(&mut self) -> Option<usize> {
        if self.flexible {
            return Some(self.body.unsigned_varint()?.saturating_sub(1));
        }
        self.body
            .i32()
            .map(|count| usize::try_from(count).unwrap_or(0))
    }

    fn text(&mut self) -> Option<String> {
        if self.flexible {
            self.body.compact_string()
        } else {
            self.body.string()
        }
    }

    /// Skips tagged fields.
    fn tags(&mut self) -> Option<()> {
        if self.flexible {
            for _ in 0..self.body.unsigned_varint()? {
                self.body.unsigned_varint()?;
                let size = self.body.unsigned_varint()?;
                self.body.bytes(size)?;
            }
        }
        Some(())
    }
}
