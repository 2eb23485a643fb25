//! The reading half of the framing: a 4-byte big-endian size, then as many bytes. Java: `NetworkReceive`.
//!
//! Differs from Java: memory grows as bytes arrive, instead of being allocated for the size that
//! the peer claims. Clients have an upper limit too. The error names the kind of server that
//! probably sent the bytes.

use std::fmt;
use std::mem;

use crate::common::NodeId;

/// A frame that arrived in full. The size is not part of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkReceive {
    pub(crate) source: NodeId,
    pub(crate) payload: Vec<u8>,
}

/// The bytes cannot be a frame. The start of the next frame is unknown, so the connection must be
/// closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidReceive(pub(super) String);

impl fmt::Display for InvalidReceive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidReceive {}

/// Splits a stream of bytes into frames. The bytes may arrive in pieces of any size.
#[derive(Debug)]
pub(super) struct FrameReader {
    limit: usize,
    /// No frame is complete yet. If the size is invalid then, it tells what kind of server the peer
    /// is.
    is_first: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// `count` bytes of the size have arrived; they make up `value`.
    Size { value: u32, count: u8 },
    /// The size is known, and this much of the payload has arrived.
    Payload { size: usize, payload: Vec<u8> },
}

impl State {
    const START: Self = Self::Size { value: 0, count: 0 };
}

/// The first allocation for a larger payload. It doubles as bytes arrive.
const FIRST_RESERVATION: usize = 64 * 1024;

impl FrameReader {
    /// Creates a reader that refuses payloads of more than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            is_first: true,
            state: State::START,
        }
    }

    /// Sets the limit for the frames whose size has not arrived yet.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Consumes `input` up to the end of one frame and returns its payload. Consumes all of `input`
    /// and returns `None` if the frame is incomplete.
    pub(super) fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, InvalidReceive> {
        loop {
            match &mut self.state {
                State::Size { value, count: 4 } => {
                    let size = checked_size(*value, self.limit, self.is_first)?;
                    let payload = Vec::new();
                    self.state = State::Payload { size, payload };
                }
                State::Size { value, count } => {
                    let Some((byte, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    *value = *value << 8 | u32::from(*byte);
                    *count += 1;
                    *input = rest;
                }
                State::Payload { size, payload } => {
                    let missing = size.saturating_sub(payload.len());
                    let (arrived, rest) = input.split_at(missing.min(input.len()));
                    reserve(payload, *size, arrived.len())?;
                    payload.extend_from_slice(arrived);
                    *input = rest;
                    if payload.len() < *size {
                        return Ok(None);
                    }
                    let payload = mem::take(payload);
                    self.state = State::START;
                    self.is_first = false;
                    return Ok(Some(payload));
                }
            }
        }
    }
}

/// Reserves room for `arriving` bytes. Never reserves more than `size` in all or, beyond the first
/// step, more than twice what has arrived. A peer that claims a large size thus gets no memory for
/// the claim.
fn reserve(payload: &mut Vec<u8>, size: usize, arriving: usize) -> Result<(), InvalidReceive> {
    let needed = payload.len() + arriving;
    if needed <= payload.capacity() {
        return Ok(());
    }
    let step = payload.capacity().saturating_mul(2).max(FIRST_RESERVATION);
    let capacity = needed.max(step).min(size);
    payload
        .try_reserve_exact(capacity - payload.len())
        .map_err(|error| InvalidReceive(format!("no memory for a frame of {size} bytes: {error}")))
}

fn checked_size(value: u32, limit: usize, is_first: bool) -> Result<usize, InvalidReceive> {
    // On the wire the size is a signed integer.
    if let Ok(size) = i32::try_from(value) {
        if let Some(size) = usize::try_from(size).ok().filter(|size| *size <= limit) {
            return Ok(size);
        }
    }
    let cause = likely_cause(value.to_be_bytes(), is_first);
    Err(InvalidReceive(format!(
        "the peer sent a frame size of {}, which is not between 0 and {limit}: {cause}",
        i32::from_be_bytes(value.to_be_bytes()),
    )))
}

/// Returns the usual cause of an invalid size: another kind of server listens on this port.
fn likely_cause(first_bytes: [u8; 4], is_first: bool) -> &'static str {
    match first_bytes {
        _ if !is_first => "the stream is damaged, or the response is larger than allowed",
        [b'H', b'T', b'T', b'P'] => "an HTTP server responded, not a Kafka broker",
        [b'S', b'S', b'H', b'-'] => "an SSH server responded, not a Kafka broker",
        // TLS records: content type alert (21) or handshake (22), then version 3.x.
        [0x15 | 0x16, 0x03, 0..=4, _] => {
            "the port is a TLS listener, and this connection is not encrypted (check security.protocol)"
        }
        _ => "this is probably not a Kafka broker",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1024;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap();
        [&size.to_be_bytes(), payload].concat()
    }

    fn error_of(bytes: &[u8]) -> String {
        let mut reader = FrameReader::new(LIMIT);
        reader.advance(&mut &bytes[..]).unwrap_err().to_string()
    }

    #[test]
    fn frames_that_arrive_byte_by_byte_are_read() {
        let stream = [frame(b"first"), frame(b""), frame(b"third")].concat();
        let mut reader = FrameReader::new(LIMIT);
        let mut frames = Vec::new();
        for byte in &stream {
            let mut input = std::slice::from_ref(byte);
            // An empty payload is complete with the last byte of its size.
            frames.extend(reader.advance(&mut input).unwrap());
            assert!(input.is_empty());
        }
        assert_eq!(frames, [b"first".to_vec(), vec![], b"third".to_vec()]);
    }

    #[test]
    fn every_cut_gives_the_same_frames() {
        let stream = [frame(b"abc"), frame(b""), frame(&[7; 20])].concat();
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            let mut reader = FrameReader::new(LIMIT);
            let mut frames = Vec::new();
            for mut input in [head, tail] {
                while let Some(frame) = reader.advance(&mut input).unwrap() {
                    frames.push(frame);
                }
                assert!(input.is_empty());
            }
            assert_eq!(
                frames,
                [b"abc".to_vec(), vec![], vec![7; 20]],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn stops_at_the_end_of_a_frame() {
        let stream = [frame(b"one"), frame(b"two")].concat();
        let mut input = &stream[..];
        let mut reader = FrameReader::new(LIMIT);
        assert_eq!(reader.advance(&mut input).unwrap().unwrap(), b"one");
        assert_eq!(input, &frame(b"two")[..]);
    }

    #[test]
    fn the_limit_itself_is_legal() {
        let mut reader = FrameReader::new(LIMIT);
        let full = frame(&[1; LIMIT]);
        assert_eq!(
            reader.advance(&mut &full[..]).unwrap().unwrap().len(),
            LIMIT
        );

        let above = u32::try_from(LIMIT + 1).unwrap().to_be_bytes();
        let error = reader.advance(&mut &above[..]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("1025, which is not between 0 and 1024"),
            "{error}"
        );
    }

    #[test]
    fn a_raised_limit_holds_for_the_next_frame() {
        let mut reader = FrameReader::new(1);
        reader.set_limit(2);
        assert_eq!(
            reader.advance(&mut &frame(b"ab")[..]).unwrap().unwrap(),
            b"ab"
        );
    }

    #[test]
    fn negative_and_huge_sizes_are_refused() {
        assert!(error_of(&(-1i32).to_be_bytes()).contains("size of -1,"));
        assert!(error_of(&i32::MIN.to_be_bytes()).contains("size of -2147483648,"));
        assert!(error_of(&i32::MAX.to_be_bytes()).contains("size of 2147483647,"));
    }

    #[test]
    fn the_error_names_who_probably_answered() {
        assert!(error_of(b"HTTP/1.1 400 Bad Request").contains("an HTTP server responded"));
        assert!(error_of(b"SSH-2.0-OpenSSH_9.6").contains("an SSH server responded"));
        let alert = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];
        assert!(error_of(&alert).contains("the port is a TLS listener"));
        assert!(error_of(b"\xff\xff\xff\xff").contains("probably not a Kafka broker"));
    }

    #[test]
    fn after_a_good_frame_the_peer_is_not_accused_of_being_something_else() {
        let stream = [frame(b"good"), b"HTTP".to_vec()].concat();
        let mut input = &stream[..];
        let mut reader = FrameReader::new(LIMIT);
        assert!(reader.advance(&mut input).unwrap().is_some());
        let error = reader.advance(&mut input).unwrap_err().to_string();
        assert!(error.contains("the stream is damaged"), "{error}");
    }

    #[test]
    fn a_claimed_size_costs_no_memory() {
        let claim = 100 * 1024 * 1024;
        let mut reader = FrameReader::new(claim);
        let mut reserved = |bytes: &[u8]| {
            assert!(reader.advance(&mut &*bytes).unwrap().is_none());
            match &reader.state {
                State::Payload { payload, .. } => payload.capacity(),
                State::Size { .. } => 0,
            }
        };
        assert_eq!(reserved(&u32::try_from(claim).unwrap().to_be_bytes()), 0);
        assert_eq!(reserved(&[0; 1]), FIRST_RESERVATION);
        assert_eq!(reserved(&vec![0; FIRST_RESERVATION - 1]), FIRST_RESERVATION);
        assert_eq!(reserved(&[0; 1]), 2 * FIRST_RESERVATION);
    }

    #[test]
    fn a_complete_payload_holds_no_spare_memory() {
        for size in [1, 1000, FIRST_RESERVATION + 1, 3 * FIRST_RESERVATION] {
            let mut reader = FrameReader::new(size);
            let bytes = frame(&vec![5; size]);
            let mut payload = None;
            for mut chunk in bytes.chunks(1000) {
                payload = reader.advance(&mut chunk).unwrap();
            }
            assert_eq!(payload.unwrap().capacity(), size);
        }
    }
}
