//! A producer without a library: one transactional request at a time, in any version.

use std::net::SocketAddr;
use std::time::Duration;

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

/// What a broker calls a producer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
}

/// Instead of an identity where there is none.
pub(crate) const NOBODY: Identity = Identity {
    producer_id: -1,
    epoch: -1,
};

/// The error code, and the identity that some answers have.
pub(crate) type Answer = (i16, Option<Identity>);

/// Asks the only node of a cluster.
#[derive(Debug)]
pub(crate) struct RawProducer {
    address: SocketAddr,
    transactional_id: String,
}

impl RawProducer {
    /// Returns when the node coordinates this id, and groups too.
    pub(crate) fn new(address: SocketAddr, transactional_id: &str) -> Self {
        let producer = Self {
            address,
            transactional_id: transactional_id.to_owned(),
        };
        const COORDINATOR_TYPES: [i8; 2] = [0, 1];
        for kind in COORDINATOR_TYPES {
            wait_until("coordinator", ANSWER_LIMIT, || {
                let mut request = Request::new(FIND_COORDINATOR, 1);
                request.string(transactional_id);
                request.body.i8(kind);
                let code = producer.ask(&request, |answer| {
                    answer.body.i32()?;
                    answer.body.i16()
                });
                (code == 0).then_some(())
            });
        }
        producer
    }

    /// The same node, asked in the name of another id.
    pub(crate) fn named(&self, transactional_id: &str) -> Self {
        Self {
            address: self.address,
            transactional_id: transactional_id.to_owned(),
        }
    }

    /// InitProducerId; `current` asks for the epoch after its own, from version 3.
    pub(crate) fn init(
        &self,
        version: i16,
        current: Identity,
        transaction_timeout: Duration,
    ) -> Answer {
        let mut request = Request::new(INIT_PRODUCER_ID, version);
        request.string(&self.transactional_id);
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

    /// AddPartitionsToTxn. Gives the code of the first partition.
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

    /// AddOffsetsToTxn.
    pub(crate) fn add_offsets(&self, version: i16, identity: Identity, group: &str) -> Answer {
        let mut request = self.request(ADD_OFFSETS_TO_TXN, version, identity);
        request.string(group);
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            Some((answer.body.i16()?, None))
        })
    }

    /// TxnOffsetCommit of one offset, by nobody who is a member of the group.
    pub(crate) fn commit_offset(
        &self,
        version: i16,
        identity: Identity,
        (group, topic): (&str, &str),
    ) -> Answer {
        let mut request = Request::new(TXN_OFFSET_COMMIT, version);
        request.string(&self.transactional_id);
        request.string(group);
        request.body.i64(identity.producer_id).i16(identity.epoch);
        if version >= 3 {
            request.body.i32(-1);
            request.string("");
            request.null();
        }
        request.array(&[topic], |request, topic| {
            request.string(topic);
            request.array(&[0], |request, partition| {
                const OFFSET: i64 = 7;
                request.body.i32(*partition).i64(OFFSET);
                if version >= 2 {
                    request.body.i32(-1);
                }
                request.null();
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

    /// EndTxn. From version 5 the answer has the next identity.
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

    /// Produce of a transactional batch of one record to partition 0.
    pub(crate) fn produce(
        &self,
        version: i16,
        identity: Identity,
        (topic, sequence): (&str, i32),
    ) -> Answer {
        let mut request = Request::new(PRODUCE, version);
        request.string(&self.transactional_id);
        request.body.i16(-1).i32(REQUEST_TIMEOUT_MS);
        request.array(&[topic], |request, topic| {
            request.string(topic);
            request.array(&[0], |request, partition| {
                request.body.i32(*partition);
                request.bytes(&batch(identity, sequence));
                request.tags();
            });
            request.tags();
        });
        request.tags();
        self.ask(&request, |answer| {
            Some((answer.first_partition_code()?, None))
        })
    }

    /// Waits until no transaction of this id is under way, decided or not: `CompleteAbort`. The test
    /// broker need not be asked, and cannot be.
    pub(crate) fn await_complete(&self) {
        wait_until("end of the transaction", ANSWER_LIMIT, || {
            let (_, state) = self.describe();
            state.starts_with("Complete").then_some(())
        });
    }

    /// Waits until the coordinator does not know this id any more.
    pub(crate) fn await_forgotten(&self) {
        const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;
        wait_until("end of the transactional id", ANSWER_LIMIT, || {
            let (code, _) = self.describe();
            (code == TRANSACTIONAL_ID_NOT_FOUND).then_some(())
        });
    }

    /// The error code and the state.
    fn describe(&self) -> (i16, String) {
        let mut request = Request::new(DESCRIBE_TRANSACTIONS, 0);
        request.array(&[&*self.transactional_id], |request, id| request.string(id));
        request.tags();
        self.ask(&request, |answer| {
            answer.body.i32()?;
            answer.body.unsigned_varint()?;
            let code = answer.body.i16()?;
            answer.body.compact_string()?;
            Some((code, answer.body.compact_string()?))
        })
    }

    /// What three of the APIs begin with.
    fn request(&self, key: i16, version: i16, identity: Identity) -> Request {
        let mut request = Request::new(key, version);
        request.string(&self.transactional_id);
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

/// A request in writing, in the form of its version.
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

    /// A string that is null.
    fn null(&mut self) {
        if self.api.flexible {
            self.body.i8(0);
        } else {
            self.body.i16(-1);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let write = |body: &mut Body, byte: &u8| {
            body.i8(*byte as i8);
        };
        if self.api.flexible {
            self.body.compact_array(bytes, write);
        } else {
            self.body.array(bytes, write);
        }
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

/// An answer in reading.
struct Response<'a> {
    body: Cursor<'a>,
    flexible: bool,
}

impl Response<'_> {
    /// What is left of it: the tags.
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

    /// Of an array of topics with arrays of partitions.
    fn first_partition_code(&mut self) -> Option<i16> {
        if self.flexible {
            self.body.unsigned_varint()?;
            self.body.compact_string()?;
            self.body.unsigned_varint()?;
        } else {
            self.body.i32()?;
            self.body.string()?;
            self.body.i32()?;
        }
        self.body.i32()?;
        self.body.i16()
    }
}

/// A transactional record batch of format 2 with one record.
fn batch(identity: Identity, sequence: i32) -> Vec<u8> {
    const IS_TRANSACTIONAL: i16 = 1 << 4;
    /// Its length, attributes, timestamp and offset deltas, no key, a value of one byte, no headers:
    /// each a varint of one byte.
    const RECORD: [i8; 8] = [14, 0, 0, 0, 1, 2, b'v' as i8, 0];
    let timestamp_ms = 1_700_000_000_000;
    let mut checked = Body::new();
    checked.i16(IS_TRANSACTIONAL).i32(0);
    checked.i64(timestamp_ms).i64(timestamp_ms);
    checked.i64(identity.producer_id).i16(identity.epoch);
    checked.i32(sequence).i32(1);
    for byte in RECORD {
        checked.i8(byte);
    }
    let checked = checked.into_bytes();
    let mut batch = Body::new();
    let (base_offset, leader_epoch, magic) = (0, -1, 2);
    // What follows the length: leader epoch, magic, checksum.
    batch.i64(base_offset).i32(checked.len() as i32 + 9);
    batch.i32(leader_epoch).i8(magic);
    batch.i32(crc32c::crc32c(&checked) as i32);
    let mut batch = batch.into_bytes();
    batch.extend(checked);
    batch
}
