//! Asks for memory before it is needed.
//!
//! A sender of a thousand topics in turn comes to a batch again after a thousand others. What it writes then has left the
//! processor's caches, and the write holds up the next atomic instruction until the memory has come: 150 ns and more, where the
//! whole send takes 60. Asked for one visit ahead it costs one or two. So it is for the I/O thread, which goes over many small
//! batches: while it is at one, the next one is on its way.

use prefetch_index::prefetch_index;

/// What the memory comes in. Some processors have longer lines; they are asked twice.
const LINE: usize = 64;

/// The most that is asked for. What is longer than that the processor sees coming by itself.
const MOST: usize = 1024;

/// Asks for the `len` bytes from `start` on, some of which may be behind the end.
#[inline]
pub(crate) fn prefetch_bytes(memory: &[u8], start: usize, len: usize) {
    for ahead in (0..=len.min(MOST)).step_by(LINE) {
        prefetch_index(memory, start + ahead);
    }
}

/// Asks for an element, which may be behind the end.
#[inline]
pub(crate) fn prefetch<T>(list: &[T], index: usize) {
    prefetch_index(list, index);
}
