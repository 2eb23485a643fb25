//! Asks for memory before it is needed.
//!
//! A sender of a thousand topics in turn comes to a batch again after a thousand others. What it writes then has left the
//! processor's caches, and the write holds up the next atomic instruction until the memory has come: 150 ns and more, where the
//! whole send takes 60. Asked for one visit ahead it costs one or two. So it is for the I/O thread, which goes over many small
//! batches: while it is at one, the next one is on its way. Without it, `1000-topics` has 0.71 to 0.76 times the rate.

use prefetch_index::prefetch_index;

/// The bytes that the memory comes in. Some processors have longer lines; they are asked twice.
const LINE: usize = 64;

/// The most bytes that are asked for. What is longer than that the processor sees coming by itself.
const MOST: usize = 1024;

/// Asks for `count` elements from the one at `first` on, some of which may be behind the end.
#[inline]
pub(crate) fn prefetch<T>(list: &[T], first: usize, count: usize) {
    let size = size_of::<T>().max(1);
    let end = first + count.min(MOST / size);
    for index in (first..end).step_by((LINE / size).max(1)) {
        prefetch_index(list, index);
    }
    // Where the first is not at the start of its line, the last may be on one more.
    if end > first {
        prefetch_index(list, end - 1);
    }
}
