//! The writing half of the framing: a 4-byte big-endian size, then the message. Java: `NetworkSend`, `ByteBufferSend`.
//!
//! Differs from Java: the size and the slices of the message leave in one vectored write.

use std::io::{self, IoSlice, Write};

use crate::common::NodeId;
use crate::protocol::MessageBytes;

/// The number of slices in a vectored write. An operating system takes 1,024 at most (`IOV_MAX`).
/// This many fill a socket buffer, and the array stays small on the stack.
const SLICES_PER_WRITE: usize = 128;

const SIZE_LENGTH: u64 = 4;

/// A message for a node, and how much of it is written.
#[derive(Debug)]
pub(crate) struct NetworkSend {
    destination: NodeId,
    message: MessageBytes,
    /// The size prefix; `None` if the message is longer than a frame can be.
    size: Option<[u8; 4]>,
    /// Bytes handed to the socket, prefix included.
    written: u64,
    /// The slice of the message to write next. Follows from `written`, but needs no search.
    next_slice: usize,
    /// The bytes of that slice that are already written.
    offset: usize,
}

impl NetworkSend {
    /// Adds the size prefix.
    pub(crate) fn new(destination: NodeId, message: MessageBytes) -> Self {
        let size = i32::try_from(message.len()).ok().map(i32::to_be_bytes);
        Self {
            destination,
            message,
            size,
            written: 0,
            next_slice: 0,
            offset: 0,
        }
    }

    /// Returns the node that the message is for.
    pub(crate) fn destination(&self) -> NodeId {
        self.destination
    }

    /// Returns the message without the size prefix.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &MessageBytes {
        &self.message
    }

    /// Returns the size on the wire, including the size prefix.
    pub(crate) fn total_bytes(&self) -> u64 {
        SIZE_LENGTH + self.message.len() as u64
    }

    /// Returns how many bytes were handed to the socket, including the size prefix.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Returns whether everything was handed to the socket.
    pub(crate) fn is_completed(&self) -> bool {
        self.written == self.total_bytes()
    }

    /// Does one vectored write of the rest. Returns how many bytes `sink` took.
    pub(crate) fn write_to(&mut self, sink: &mut impl Write) -> io::Result<usize> {
        let Some(size) = self.size else {
            let text = format!("a message of {} bytes fits no frame", self.message.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let prefix_written = usize::try_from(self.written.min(SIZE_LENGTH)).unwrap_or(size.len());
        let prefix = size.get(prefix_written..).unwrap_or_default();

        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let mut count = 0;
        let mut offset = self.offset;
        let message = self.message.slices_from(self.next_slice).map(|slice| {
            let rest = slice.get(offset..).unwrap_or_default();
            offset = 0;
            rest
        });
        let left = std::iter::once(prefix)
            .chain(message)
            .filter(|slice| !slice.is_empty());
        for (place, slice) in slices.iter_mut().zip(left) {
            *place = IoSlice::new(slice);
            count += 1;
        }
        let written = sink.write_vectored(slices.get(..count).unwrap_or_default())?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written, prefix.len());
        Ok(written)
    }

    /// Moves the cursor by `written` bytes. The first of them complete the prefix, if it is not
    /// written yet.
    fn advance(&mut self, written: usize, prefix_left: usize) {
        self.written += written as u64;
        let mut passed = self.offset + written.saturating_sub(prefix_left);
        while let Some(len) = self.message.slice_len(self.next_slice) {
            if passed < len {
                break;
            }
            passed -= len;
            self.next_slice += 1;
        }
        self.offset = passed;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::protocol::{RecordBytes, RecordSet, Writer};
    use crate::sync::Arc;

    /// Returns a message that contains a record set of each of these lengths. No two parts of it
    /// have the same bytes.
    pub(in crate::network) fn spliced(lengths: &[usize]) -> MessageBytes {
        let mut next = 0u32;
        let mut writer = Writer::new();
        for length in lengths {
            let records: Vec<u8> = (0..*length)
                .map(|_| {
                    next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    next.to_be_bytes()[0]
                })
                .collect();
            let records = RecordSet::from(records);
            writer.nullable_records(Some(&records), false).unwrap();
        }
        writer.finish().unwrap()
    }

    /// Records in slices of these lengths; a length may be 0.
    #[derive(Debug)]
    struct Sliced(Vec<Vec<u8>>);

    impl RecordBytes for Sliced {
        fn len(&self) -> usize {
            self.0.iter().map(Vec::len).sum()
        }

        fn slice(&self, index: usize) -> Option<&[u8]> {
            self.0.get(index).map(Vec::as_slice)
        }
    }

    /// Returns the bytes that must arrive.
    pub(in crate::network) fn framed(message: &MessageBytes) -> Vec<u8> {
        let size = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&size[..], &message.to_vec()].concat()
    }

    /// Takes at most `per_write` bytes at a time, and counts the writes.
    struct Dribble {
        taken: Vec<u8>,
        per_write: usize,
        writes: usize,
        most_slices: usize,
    }

    impl Dribble {
        fn new(per_write: usize) -> Self {
            Self {
                taken: Vec::new(),
                per_write,
                writes: 0,
                most_slices: 0,
            }
        }

        fn drain(&mut self, send: &mut NetworkSend) {
            while !send.is_completed() {
                let before = send.bytes_written();
                let written = send.write_to(self).unwrap();
                assert_eq!(send.bytes_written(), before + written as u64);
                assert_eq!(send.bytes_written(), self.taken.len() as u64);
            }
        }
    }

    impl Write for Dribble {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.writes += 1;
            self.most_slices = self.most_slices.max(slices.len());
            let before = self.taken.len();
            for slice in slices {
                assert!(!slice.is_empty(), "an empty slice is a waste");
                let room = self.per_write - (self.taken.len() - before);
                self.taken.extend(slice.iter().take(room));
            }
            Ok(self.taken.len() - before)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn send(message: &MessageBytes) -> NetworkSend {
        NetworkSend::new(NodeId(1), message.clone())
    }

    #[test]
    fn size_and_message_leave_in_one_write() {
        let message = MessageBytes::from(b"hello".to_vec());
        let mut send = send(&message);
        let mut sink = Dribble::new(100);
        sink.drain(&mut send);
        assert_eq!((sink.writes, sink.most_slices), (1, 2));
        assert_eq!(sink.taken, b"\0\0\0\x05hello");
    }

    /// A write may stop anywhere, even within the prefix or at the end of a slice. The next one
    /// continues there.
    #[test]
    fn every_way_of_chopping_gives_the_same_bytes() {
        assert_same_however_chopped(&spliced(&[3, 1, 0, 40, 7]));
    }

    fn assert_same_however_chopped(message: &MessageBytes) {
        let expected = framed(message);
        for per_write in 1..=expected.len() {
            let mut send = send(message);
            let mut sink = Dribble::new(per_write);
            sink.drain(&mut send);
            assert_eq!(sink.taken, expected, "{per_write} bytes per write");
            assert_eq!(sink.writes, expected.len().div_ceil(per_write));
        }
    }

    /// A batch of several chunks is written as one slice per chunk, wherever a write stops.
    #[test]
    fn records_in_several_slices_leave_as_they_are() {
        let sets = [vec![3, 4, 5], vec![2], vec![0, 6, 0]];
        let mut next = 0_u8;
        let mut writer = Writer::new();
        let mut expected = Vec::new();
        for lengths in sets {
            let slices: Vec<Vec<u8>> = lengths
                .into_iter()
                .map(|length| {
                    (0..length)
                        .map(|_| {
                            next += 1;
                            next
                        })
                        .collect()
                })
                .collect();
            let records = slices.concat();
            expected.extend(u32::try_from(records.len()).unwrap().to_be_bytes());
            expected.extend(records);
            let records = RecordSet(Arc::new(Sliced(slices)));
            writer.nullable_records(Some(&records), false).unwrap();
        }
        let message = writer.finish().unwrap();
        assert_eq!(message.to_vec(), expected);
        assert_same_however_chopped(&message);
    }

    #[test]
    fn many_slices_go_out_in_batches() {
        let message = spliced(&[5; 500]);
        assert!(message.slices().count() > 7 * SLICES_PER_WRITE);
        for per_write in [1, 10, 1000, usize::MAX] {
            let mut send = send(&message);
            let mut sink = Dribble::new(per_write);
            sink.drain(&mut send);
            assert_eq!(sink.taken, framed(&message));
            assert_eq!(sink.most_slices, SLICES_PER_WRITE);
        }
    }

    #[test]
    fn an_empty_message_is_its_size_alone() {
        let mut send = send(&MessageBytes::from(Vec::new()));
        assert!(!send.is_completed());
        let mut sink = Dribble::new(100);
        sink.drain(&mut send);
        assert_eq!((sink.writes, sink.most_slices), (1, 1));
        assert_eq!(sink.taken, [0; 4]);
    }

    #[test]
    fn nothing_taken_is_an_error_and_not_an_endless_loop() {
        let mut send = send(&MessageBytes::from(b"x".to_vec()));
        let error = send.write_to(&mut Dribble::new(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        assert_eq!(send.bytes_written(), 0);
    }

    #[test]
    fn an_error_moves_nothing() {
        struct Fails;
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::WouldBlock.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let message = MessageBytes::from(b"hello".to_vec());
        let mut send = send(&message);
        let mut sink = Dribble::new(6);
        send.write_to(&mut sink).unwrap();
        send.write_to(&mut Fails).unwrap_err();
        sink.drain(&mut send);
        assert_eq!(sink.taken, framed(&message));
    }
}
