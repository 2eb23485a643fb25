//! A finished message whose records are still in the accumulator's memory. Java: `SendBuilder`,
//! `MultiRecordsSend`.

use std::fmt;

use crate::sync::Arc;

/// Bytes of records in one or more slices, shared with the owner of their memory. This layer does
/// not interpret them.
pub(crate) trait RecordBytes: Send + Sync + fmt::Debug {
    /// Returns the number of bytes.
    fn len(&self) -> usize;

    /// Returns one of the slices, counted from 0, or `None` after the last.
    fn slice(&self, index: usize) -> Option<&[u8]>;

    /// Returns whether there is only one slice.
    fn is_contiguous(&self) -> bool {
        self.slice(1).is_none()
    }
}

impl RecordBytes for Vec<u8> {
    fn len(&self) -> usize {
        self.len()
    }

    fn slice(&self, index: usize) -> Option<&[u8]> {
        (index == 0).then_some(self)
    }
}

/// The records of one partition in a produce request. Clones share the bytes. Two sets are equal if
/// their bytes are.
#[derive(Clone)]
pub(crate) struct RecordSet(pub(crate) Arc<dyn RecordBytes>);

impl RecordSet {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the slices, whose concatenation is the set's bytes.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        (0..).map_while(|index| self.0.slice(index))
    }

    /// Returns the bytes of a decoded set, which is always in one slice.
    #[cfg_attr(
        not(feature = "testing"),
        allow(dead_code, reason = "only a broker decodes record sets")
    )]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        debug_assert!(self.0.slice(1).is_none(), "the bytes are in several slices");
        self.0.slice(0).unwrap_or_default()
    }

    /// Returns the bytes in one piece.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.slices().collect::<Vec<_>>().concat()
    }
}

impl From<Vec<u8>> for RecordSet {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl PartialEq for RecordSet {
    fn eq(&self, other: &Self) -> bool {
        self.slices().flatten().eq(other.slices().flatten())
    }
}

impl Eq for RecordSet {}

impl fmt::Debug for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordSet({} bytes)", self.len())
    }
}

/// A message that is ready to be sent: its own bytes, with [`RecordSet`]s between them that are not
/// copied.
///
/// Slices keep their index. So the writer of the message can store its position as an index and an
/// offset, and continue from there. A slice between two slices of the same record set is empty.
#[derive(Clone, Debug)]
pub(crate) struct MessageBytes {
    bytes: Vec<u8>,
    /// The position in `bytes` of each slice of a record set. Positions are above zero and ascend,
    /// because the length of a record set precedes it.
    splices: Vec<Splice>,
    len: usize,
}

/// A slice of a record set, and its position in the message's own bytes.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    pub(super) position: usize,
    pub(super) records: RecordSet,
    /// The number of the slice in its record set.
    pub(super) index: usize,
    /// The bytes of the slice.
    pub(super) len: usize,
}

impl Splice {
    fn slice(&self) -> &[u8] {
        self.records.0.slice(self.index).unwrap_or_default()
    }
}

impl MessageBytes {
    /// Creates a message. `len` counts its own bytes and those of the splices.
    pub(super) fn new(bytes: Vec<u8>, splices: Vec<Splice>, len: usize) -> Self {
        Self {
            bytes,
            splices,
            len,
        }
    }

    /// Returns the number of bytes on the wire.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the slices, whose concatenation is the message.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.slices_from(0)
    }

    /// Returns the slices from this index on. Skipping takes no time.
    pub(crate) fn slices_from(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        (index..self.slice_count()).filter_map(|index| self.slice(index))
    }

    /// Returns the length of one slice.
    pub(crate) fn slice_len(&self, index: usize) -> Option<usize> {
        match self.splices.get(index / 2) {
            Some(splice) if index % 2 == 1 => Some(splice.len),
            _ => self.slice(index).map(<[u8]>::len),
        }
    }

    /// Returns the number of slices.
    pub(crate) fn slice_count(&self) -> usize {
        let tail = self.splices.last().map_or(0, |splice| splice.position);
        self.splices.len() * 2 + usize::from(self.bytes.len() > tail)
    }

    /// Returns one slice: own bytes for even indexes, records for odd ones.
    pub(crate) fn slice(&self, index: usize) -> Option<&[u8]> {
        if index >= self.slice_count() {
            return None;
        }
        let splice = self.splices.get(index / 2);
        if index % 2 == 1 {
            return splice.map(Splice::slice);
        }
        let end = splice.map_or(self.bytes.len(), |splice| splice.position);
        let start = match (index / 2).checked_sub(1) {
            None => 0,
            Some(before) => self.splices.get(before)?.position,
        };
        self.bytes.get(start..end)
    }

    /// Returns the message in one piece.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.slices().collect::<Vec<_>>().concat()
    }
}

impl From<Vec<u8>> for MessageBytes {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self::new(bytes, Vec::new(), len)
    }
}
