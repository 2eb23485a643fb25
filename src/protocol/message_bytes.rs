//! A finished message whose records are still where the accumulator put them. Java: `SendBuilder`, `MultiRecordsSend`.

use std::fmt;

use crate::sync::Arc;

/// Bytes of records, shared with whoever owns the memory. This layer does not look inside.
pub(crate) trait RecordBytes: Send + Sync + fmt::Debug {
    fn as_bytes(&self) -> &[u8];
}

impl RecordBytes for Vec<u8> {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

/// The records of one partition in a produce request. Cloning shares the bytes; they are equal if their bytes are.
#[derive(Clone)]
pub(crate) struct RecordSet(pub(crate) Arc<dyn RecordBytes>);

impl RecordSet {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }
}

impl From<Vec<u8>> for RecordSet {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl PartialEq for RecordSet {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for RecordSet {}

impl fmt::Debug for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordSet({} bytes)", self.len())
    }
}

/// A message ready to be sent: own bytes, with [`RecordSet`]s spliced in without copying them.
///
/// Every slice of it is non-empty, and slices keep their index, so that whoever writes the message can remember where
/// it stands as an index and an offset and go on from there.
#[derive(Clone, Debug)]
pub(crate) struct MessageBytes {
    bytes: Vec<u8>,
    /// Where in `bytes` each record set belongs. Positions ascend strictly from above zero, because the length of a
    /// record set precedes it.
    splices: Vec<(usize, RecordSet)>,
    len: usize,
}

impl MessageBytes {
    pub(super) fn new(bytes: Vec<u8>, splices: Vec<(usize, RecordSet)>) -> Self {
        let records: usize = splices.iter().map(|(_, records)| records.len()).sum();
        Self {
            len: bytes.len() + records,
            bytes,
            splices,
        }
    }

    /// The number of bytes on the wire.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The slices whose concatenation is the message.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.slices_from(0)
    }

    /// The slices from this index on; skipping takes no time.
    pub(crate) fn slices_from(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        (index..self.slice_count()).filter_map(|index| self.slice(index))
    }

    /// The number of slices.
    pub(crate) fn slice_count(&self) -> usize {
        let tail = self.splices.last().map_or(0, |(position, _)| *position);
        self.splices.len() * 2 + usize::from(self.bytes.len() > tail)
    }

    /// One slice: own bytes at even indices, records at odd ones.
    pub(crate) fn slice(&self, index: usize) -> Option<&[u8]> {
        let splice = self.splices.get(index / 2);
        if index % 2 == 1 {
            return splice.map(|(_, records)| records.as_bytes());
        }
        let end = splice.map_or(self.bytes.len(), |(position, _)| *position);
        let start = match (index / 2).checked_sub(1) {
            None => 0,
            Some(before) => self.splices.get(before)?.0,
        };
        self.bytes.get(start..end).filter(|slice| !slice.is_empty())
    }

    /// The message in one piece.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.slices().collect::<Vec<_>>().concat()
    }
}

impl From<Vec<u8>> for MessageBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes, Vec::new())
    }
}
