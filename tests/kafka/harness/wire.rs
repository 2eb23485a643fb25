//! The part of Kafka's protocol that the harness needs. It shares no code with the library, which
//! is under test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// An API key and a version. Flexible versions use compact types and tagged fields.
#[derive(Copy, Clone, Debug)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) version: i16,
    pub(super) flexible: bool,
}

/// Sends one request. Returns its response without size and correlation id.
pub(super) fn exchange(address: SocketAddr, api: Api, body: &Body) -> io::Result<Vec<u8>> {
    const CORRELATION_ID: i32 = 7;
    let mut request = Body::new();
    request
        .i32(0)
        .i16(api.key)
        .i16(api.version)
        .i32(CORRELATION_ID)
        .string("harness");
    if api.flexible {
        request.no_tags();
    }
    let mut request = request.0;
    request.extend_from_slice(&body.0);
    let size = request.len() as u32 - 4;
    request[..4].copy_from_slice(&size.to_be_bytes());

    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(&request)?;
    let mut prefix = [0; 8];
    stream.read_exact(&mut prefix)?;
    let mut prefix = Cursor(&prefix);
    let (size, correlation_id) = (prefix.i32(), prefix.i32());
    if correlation_id != Some(CORRELATION_ID) {
        return Err(io::Error::other("the answer is to another request"));
    }
    let length = size.and_then(|size| u64::try_from(size).ok()?.checked_sub(4));
    let mut answer = Vec::new();
    stream.take(length.unwrap_or(0)).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The body of a request under construction.
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn i8(&mut self, value: i8) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn bool(&mut self, value: bool) -> &mut Self {
        self.i8(value.into())
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        self.i16(text.len() as i16)
            .0
            .extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.i32(items.len() as i32);
        items.iter().for_each(|item| write(self, item));
    }

    /// Writes the length of a compact type, plus one.
    pub(super) fn compact_length(&mut self, length: usize) {
        self.unsigned_varint(length as u64 + 1);
    }

    /// Writes seven bits per byte, the lowest first.
    pub(super) fn unsigned_varint(&mut self, value: u64) {
        let mut rest = value;
        while rest > 0x7f {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    /// Writes a signed number in zigzag encoding.
    pub(super) fn varint(&mut self, value: i64) {
        self.unsigned_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn compact_string(&mut self, text: &str) {
        self.compact_length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn compact_array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.compact_length(items.len());
        items.iter().for_each(|item| write(self, item));
    }

    pub(super) fn no_tags(&mut self) {
        self.0.push(0);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A response that is being parsed. Its methods return `None` at the end.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn i8(&mut self) -> Option<i8> {
        self.take().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = self.bytes(length)?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Empty for null.
    pub(super) fn string(&mut self) -> Option<String> {
        let length = self.i16()?;
        self.text(usize::try_from(length).unwrap_or(0))
    }

    pub(super) fn array<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.i32()?;
        (0..count).map(|_| item(self)).collect()
    }

    pub(super) fn unsigned_varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.i8()? as u8;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a signed number in zigzag encoding.
    pub(super) fn varint(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    /// Empty for null.
    pub(super) fn compact_string(&mut self) -> Option<String> {
        let length = self.unsigned_varint()?;
        self.text(length.saturating_sub(1))
    }

    pub(super) fn compact_array<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.unsigned_varint()?;
        (1..count).map(|_| item(self)).collect()
    }
}
