//! The callback of a send. Java: `Callback`.

use std::fmt;

use super::RecordMetadata;
use super::user_code::contain;
use crate::error::Result;
use crate::utils::log;

/// Called exactly once with the result of a record: on the calling thread if the send fails
/// immediately, and otherwise on the I/O thread. Boxing a closure that captures nothing does not
/// allocate.
pub(crate) struct Callback(Box<dyn FnOnce(Result<RecordMetadata>) + Send>);

/// The most that an allocator adds to a small allocation: its header, and the padding to its
/// smallest size class.
const ALLOCATION_OVERHEAD: usize = 24;

impl Callback {
    pub(crate) fn new(callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static) -> Self {
        Self(Box::new(callback))
    }

    /// Returns the heap memory of the closure itself. The memory that its captures own is unknown.
    #[inline(always)]
    pub(crate) fn heap_size(&self) -> usize {
        match size_of_val(&*self.0) {
            0 => 0,
            captures => captures + ALLOCATION_OVERHEAD,
        }
    }

    /// Runs the closure. A panic in it, or in dropping its captures, is logged and contained.
    pub(crate) fn call(self, result: Result<RecordMetadata>) {
        if let Err(panic) = contain("a callback", || self.call_uncontained(result)) {
            log::error!("{panic}");
        }
    }

    /// Runs the closure. The caller must contain a panic in it.
    pub(crate) fn call_uncontained(self, result: Result<RecordMetadata>) {
        (self.0)(result);
    }
}

impl From<Box<dyn FnOnce(Result<RecordMetadata>) + Send>> for Callback {
    fn from(callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>) -> Self {
        Self(callback)
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stays_inside_and_so_does_one_in_dropping_captures() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let result = || Ok(RecordMetadata::undelivered("t", None));
        Callback::new(|_| panic!("called")).call(result());
        let bomb = Bomb;
        Callback::new(move |_| drop(bomb)).call(result());
    }

    #[test]
    fn a_closure_without_captures_is_boxed_without_an_allocation() {
        let callback = Callback::new(drop);
        assert_eq!(callback.heap_size(), 0);
        callback.call(Ok(RecordMetadata::undelivered("t", None)));
    }
}
