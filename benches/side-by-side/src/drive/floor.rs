//! The upper limit for any client on the same sink: one thread that encodes batches and writes
//! them, without locks, hand-offs or growing memory; and one that sends a record and waits for the
//! response. [`super::gathering`] has the limit for many threads.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::workload::{Options, Source};
use super::{Work, blocking};
use crate::Failure;

/// The maximum of requests without a response, as with idempotence.
const IN_FLIGHT: usize = 5;
/// The size of a batch before its records.
const BATCH_HEADER: usize = 61;
const API_PRODUCE: i16 = 0;
/// The last one without compact fields.
const VERSION: i16 = 8;

/// A connection, and the request that is written repeatedly.
pub(super) struct Floor {
    stream: TcpStream,
    request: Vec<u8>,
    /// Where the batch starts in the request.
    batch: usize,
    records: u32,
    answer: Vec<u8>,
    unanswered: usize,
}

impl Floor {
    pub(super) fn connect(options: &Options) -> Result<Self, Failure> {
        let server = options.servers.split(',').next().unwrap_or_default();
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let request = request_header(options.topics[0]);
        Ok(Self {
            stream,
            batch: request.len(),
            request,
            records: 0,
            answer: Vec::new(),
            unanswered: 0,
        })
    }

    /// Writes batches of `batch.size`.
    pub(super) fn throughput(
        &mut self,
        options: &Options,
        mut source: Source<'_>,
        deadline: Instant,
    ) -> Result<Work, Failure> {
        let size = usize::try_from(options.batch_size.unwrap_or(16_384))?;
        let mut work = Work::default();
        while Instant::now() < deadline {
            self.open();
            while self.request.len() - self.batch + options.value_size + 16 < size {
                self.append(source.next().value);
            }
            self.write()?;
            if self.unanswered == IN_FLIGHT {
                self.read()?;
            }
            work.sent += u64::from(self.records);
        }
        while self.unanswered > 0 {
            self.read()?;
        }
        Ok(work)
    }

    /// Writes a record and reads the response.
    pub(super) fn ping_pong(
        &mut self,
        source: Source<'_>,
        deadline: Instant,
    ) -> Result<Work, Failure> {
        let mut failure = None;
        let work = blocking(
            |record| {
                let answered = self.exchange(&[record.value]);
                answered.map_err(|error| failure = Some(error)).is_ok()
            },
            source,
            deadline,
        );
        failure.map_or(Ok(work), Err)
    }

    /// Writes the records in one batch, and reads the response.
    pub(super) fn exchange(&mut self, values: &[&[u8]]) -> Result<(), Failure> {
        self.open();
        for value in values {
            self.append(value);
        }
        self.write()?;
        self.read()
    }

    fn open(&mut self) {
        self.request.truncate(self.batch);
        self.request.resize(self.batch + BATCH_HEADER, 0);
        self.records = 0;
    }

    fn append(&mut self, value: &[u8]) {
        let offset_delta = i64::from(self.records);
        // Attributes, timestamp delta, key length and header count are a byte each.
        let body = 4 + varint_size(offset_delta) + varint_size(value.len() as i64) + value.len();
        let request = &mut self.request;
        put_varint(request, body as i64);
        request.extend_from_slice(&[0, 0]);
        put_varint(request, offset_delta);
        put_varint(request, -1);
        put_varint(request, value.len() as i64);
        request.extend_from_slice(value);
        request.push(0);
        self.records += 1;
    }

    /// Fills in the lengths and the header, and writes the request.
    fn write(&mut self) -> Result<(), Failure> {
        let end = self.request.len();
        let batch = &mut self.request[self.batch..];
        put_i32(batch, 8, (end - self.batch - 12) as i32);
        put_i32(batch, 12, -1);
        batch[16] = 2;
        put_i32(batch, 23, self.records as i32 - 1);
        // Producer id, epoch and sequence: none.
        batch[43..57].fill(0xff);
        put_i32(batch, 57, self.records as i32);
        let crc = crc32c::crc32c(&batch[21..]);
        put_i32(batch, 17, crc as i32);
        put_i32(&mut self.request, 0, (end - 4) as i32);
        put_i32(&mut self.request, self.batch - 4, (end - self.batch) as i32);
        self.stream.write_all(&self.request)?;
        self.unanswered += 1;
        Ok(())
    }

    fn read(&mut self) -> Result<(), Failure> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        self.answer.resize(u32::from_be_bytes(size) as usize, 0);
        self.stream.read_exact(&mut self.answer)?;
        self.unanswered -= 1;
        Ok(())
    }
}

/// Everything before the batch, for one partition.
fn request_header(topic: &str) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    let put_i16 = |bytes: &mut Vec<u8>, value: i16| bytes.extend_from_slice(&value.to_be_bytes());
    let put_i32 = |bytes: &mut Vec<u8>, value: i32| bytes.extend_from_slice(&value.to_be_bytes());
    put_i16(&mut bytes, API_PRODUCE);
    put_i16(&mut bytes, VERSION);
    put_i32(&mut bytes, 0);
    // No client id, no transactional id, acks=all, a timeout.
    put_i16(&mut bytes, -1);
    put_i16(&mut bytes, -1);
    put_i16(&mut bytes, -1);
    put_i32(&mut bytes, 30_000);
    put_i32(&mut bytes, 1);
    put_i16(&mut bytes, topic.len() as i16);
    bytes.extend_from_slice(topic.as_bytes());
    put_i32(&mut bytes, 1);
    put_i32(&mut bytes, 0);
    put_i32(&mut bytes, 0);
    bytes
}

fn put_i32(bytes: &mut [u8], index: usize, value: i32) {
    bytes[index..index + 4].copy_from_slice(&value.to_be_bytes());
}

fn put_varint(bytes: &mut Vec<u8>, value: i64) {
    let mut zigzag = zigzag(value);
    while zigzag >= 0x80 {
        bytes.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
}

fn varint_size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
