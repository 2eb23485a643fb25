//! What a connection reads: Kafka's primitives straight from the socket, and a way past record bytes that does not copy them.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv};

use super::stream::Stream;

/// What one read asks for: small enough to stay in a core's cache, large enough for several batches of 16 KB.
const CHUNK: usize = 128 * 1024;
/// From here on the kernel drops the bytes instead of copying them. Below, the next read is as cheap.
const DROP_FROM: usize = 64 * 1024;

/// A blocking reader that knows where it is in the stream.
pub(super) struct Input {
    stream: Stream,
    chunk: Box<[u8]>,
    start: usize,
    end: usize,
    /// Never written: `recv` with `MSG_TRUNC` only takes its length.
    dropped: Box<[u8]>,
    /// Bytes that were taken since the connection opened.
    position: u64,
}

impl Input {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            chunk: vec![0; CHUNK].into(),
            start: 0,
            end: 0,
            dropped: vec![0; 1 << 20].into(),
            position: 0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Waits until `length` bytes are there, without taking them; at most a chunk.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        if self.end - self.start >= length {
            return Ok(());
        }
        if self.start + length > self.chunk.len() || self.start == self.end {
            self.chunk.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < length {
            match self.stream.read(&mut self.chunk[self.end..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.end += read,
            }
        }
        Ok(())
    }

    /// Takes bytes that fit a chunk.
    pub(super) fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        if length > CHUNK {
            return Err(io::Error::other(format!("{length} bytes in one piece")));
        }
        self.fill(length)?;
        self.start += length;
        self.position += length as u64;
        Ok(&self.chunk[self.start - length..self.start])
    }

    /// Takes bytes of any number.
    pub(super) fn read_into(&mut self, bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
        bytes.clear();
        let mut left = length;
        while left > 0 {
            let piece = left.min(CHUNK);
            bytes.extend_from_slice(self.take(piece)?);
            left -= piece;
        }
        Ok(())
    }

    /// Goes past bytes.
    pub(super) fn skip(&mut self, length: u64) -> io::Result<()> {
        self.position += length;
        let mut left = usize::try_from(length).map_err(io::Error::other)?;
        loop {
            let here = left.min(self.end - self.start);
            self.start += here;
            left -= here;
            if left == 0 {
                return Ok(());
            }
            match &self.stream {
                Stream::Plain(tcp) if left >= DROP_FROM => {
                    left -= drop_some(tcp, &mut self.dropped, left)?;
                }
                Stream::Plain(_) => self.fill(1)?,
                Stream::Tls(tls) => left -= tls.borrow_mut().skip(left)?,
            }
        }
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub(super) fn i16(&mut self) -> io::Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> io::Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn unsigned_varint(&mut self) -> io::Result<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = usize::from(self.array::<1>()?[0]);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(io::Error::other("a varint without an end"))
    }

    /// A length or count; `None` is null.
    pub(super) fn length(&mut self, flexible: bool, short: bool) -> io::Result<Option<usize>> {
        if flexible {
            return Ok(self.unsigned_varint()?.checked_sub(1));
        }
        let length = if short {
            i32::from(self.i16()?)
        } else {
            self.i32()?
        };
        Ok(usize::try_from(length).ok())
    }

    /// A string; null is empty.
    pub(super) fn string(&mut self, flexible: bool) -> io::Result<Vec<u8>> {
        let length = self.length(flexible, true)?.unwrap_or(0);
        self.take(length).map(<[u8]>::to_vec)
    }

    pub(super) fn uuid(&mut self) -> io::Result<[u8; 16]> {
        self.array()
    }

    pub(super) fn skip_tagged_fields(&mut self, flexible: bool) -> io::Result<()> {
        if flexible {
            for _ in 0..self.unsigned_varint()? {
                self.unsigned_varint()?;
                let size = self.unsigned_varint()?;
                self.skip(size as u64)?;
            }
        }
        Ok(())
    }
}

fn drop_some(tcp: &TcpStream, dropped: &mut [u8], length: usize) -> io::Result<usize> {
    let length = length.min(dropped.len());
    let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_WAITALL;
    match recv(tcp.as_raw_fd(), &mut dropped[..length], flags)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        dropped => Ok(dropped),
    }
}
