//! The memory of the batches, bounded by `buffer.memory`. Java: `BufferPool`.
//!
//! Every batch reserves its memory here first, and returns the reservation when the last owner of
//! its bytes drops them. The type system thus prevents a missing or double return, and a return
//! while a socket still reads the bytes. The pool counts reserved bytes, so buffers of all sizes
//! share one limit. It keeps buffers of `batch.size` for reuse, and those of twice, four times and
//! so on that size, which grown batches have: new memory from the system costs a page fault for
//! each 4 KiB.
//!
//! Threads: caller threads allocate; mostly the I/O thread returns.
//! Locks: one mutex, held for arithmetic only. Allocation happens outside of it.
//! Fairness: waiting threads are served in order of arrival. Only the first one is ever signalled,
//! and it passes the signal on when it leaves. Small requests behind a large one therefore cannot
//! starve it.
//! Differs from Java: a request has two sizes. A thread waits for the larger one only for
//! [`WAIT_FOR_MOST`]. Then it takes what is free, and waits for the least size.

mod kept;
mod metrics;

use std::collections::{TryReserveError, VecDeque};
use std::time::Duration;

pub(crate) use self::kept::KeptMemory;
pub(crate) use self::metrics::PoolMetrics;
use super::patience::WaitLimit;
use crate::error::{Error, ErrorKind, Result, TimeoutReason};
use crate::record::MissingMemory;
use crate::sync::{Arc, AtomicUsize, Condvar, Mutex, MutexGuard, OnceLock, Ordering};
use crate::utils::Time;

/// How long a thread waits for its preferred size. Without this wait, the batches of a backlogged
/// partition would get smaller and smaller while all memory is in use: each takes the place of one
/// that was returned, and nothing puts two places together. The benchmark `delay-10ms` then has 0.79
/// times the rate.
///
/// It is short because the missing memory may belong to a partition that sends nothing.
const WAIT_FOR_MOST: Duration = Duration::from_millis(5);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct BufferPool {
    total: usize,
    /// The smallest size of a buffer that is kept.
    poolable_size: usize,
    time: Arc<dyn Time>,
    state: Mutex<State>,
    /// Counts the waits, if set.
    metrics: OnceLock<PoolMetrics>,
    /// The length of `State::waiters`, which the I/O thread reads without the lock.
    queued: AtomicUsize,
    /// The bytes of failed batches that errors keep. They are not part of the pool.
    kept: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct State {
    free: FreeBuffers,
    /// The bytes that are neither reserved nor in `free`.
    non_pooled_available: usize,
    /// One entry per blocked thread, oldest first.
    waiters: VecDeque<Arc<Condvar>>,
    closed: bool,
}

/// Unused buffers, by size. Their contents are unspecified.
#[derive(Debug)]
struct FreeBuffers {
    /// `poolable_size`.
    smallest: usize,
    /// Buffers of `smallest` bytes, of twice that, of four times that and so on. The most recently
    /// used ones are at the back.
    by_doublings: Vec<Vec<Vec<u8>>>,
    /// The capacity of all buffers.
    bytes: usize,
}

/// The requested size of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The preferred size, at least `least`. If less is free, half of it is tried, and so on down to
    /// `least`.
    pub(crate) most: usize,
    /// The size to wait for.
    pub(crate) least: usize,
}

impl Wanted {
    /// Nothing less than the preferred size.
    fn in_full(self) -> Self {
        Self {
            least: self.most,
            ..self
        }
    }

    /// Exactly `size` bytes.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn exactly(size: usize) -> Self {
        Self {
            most: size,
            least: size,
        }
    }
}

/// A reserved size, and perhaps a buffer.
#[derive(Debug)]
struct Reserved {
    size: usize,
    /// A buffer to reuse, or `None` if a new one must be allocated.
    recycled: Option<Vec<u8>>,
}

/// A buffer and its reservation. Dropping it returns both.
#[derive(Debug, Default)]
pub(crate) struct PooledBuffer {
    /// Has the requested capacity. Its initial contents are unspecified.
    pub(crate) bytes: Vec<u8>,
    reservation: Reservation,
}

/// Reserved bytes of the pool. The default holds none.
#[derive(Debug, Default)]
struct Reservation {
    size: usize,
    pool: Option<Arc<BufferPool>>,
}

impl PooledBuffer {
    /// Creates a buffer outside of the pool's accounting, for the parts of a split batch.
    pub(crate) fn unpooled(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            reservation: Reservation::default(),
        }
    }

    /// Creates a buffer outside of the accounting, which belongs to the same pool.
    pub(crate) fn unpooled_sibling(&self, capacity: usize) -> Self {
        let mut sibling = Self::unpooled(capacity);
        sibling.reservation.pool.clone_from(&self.reservation.pool);
        sibling
    }

    pub(crate) fn pool(&self) -> Option<&Arc<BufferPool>> {
        self.reservation.pool.as_ref()
    }

    /// Takes the bytes and leaves the reservation, for a writer that returns them with
    /// [`Self::give_back`].
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Returns the number of reserved bytes, or 0 outside of the pool's accounting.
    pub(crate) fn reserved(&self) -> usize {
        self.reservation.size
    }

    /// Returns the reservation to the pool, with the buffers from [`Self::take_bytes`] and
    /// [`BufferPool::extend`] in any order. They may contain data and may have grown.
    pub(crate) fn give_back(&mut self, first: &mut Vec<u8>, others: &mut [Vec<u8>]) {
        if let Some(pool) = self.reservation.pool.take() {
            pool.deallocate(first, others, self.reservation.size);
        }
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some(pool) = self.reservation.pool.take() {
            pool.deallocate(&mut self.bytes, &mut [], self.reservation.size);
        }
    }
}

impl Reserved {
    /// Returns the reserved memory.
    fn into_memory(self) -> std::result::Result<Vec<u8>, TryReserveError> {
        let mut memory = self.recycled.unwrap_or_default();
        // A reused buffer keeps its length: that part is initialized.
        let missing = self.size.saturating_sub(memory.len());
        memory.try_reserve_exact(missing)?;
        Ok(memory)
    }
}

impl State {
    fn available(&self) -> usize {
        self.non_pooled_available + self.free.bytes
    }

    /// Reserves what is free of `wanted`. Returns `None` if its least size is not free.
    fn reserve(&mut self, wanted: Wanted) -> Option<Reserved> {
        let size = Self::size_within(wanted, self.available())?;
        let recycled = self.free.pop(size);
        if recycled.is_none() {
            self.free_up(size);
            self.non_pooled_available -= size;
        }
        Some(Reserved { size, recycled })
    }

    /// Keeps a buffer that was made for at most `reserved` bytes. Returns its size, or 0 if it is
    /// not kept.
    fn keep(&mut self, buffer: &mut Vec<u8>, reserved: usize) -> usize {
        let capacity = buffer.capacity();
        // A buffer that has grown may belong to another size class.
        if capacity > reserved || self.closed {
            return 0;
        }
        let Some(doublings) = self.free.doublings(capacity) else {
            return 0;
        };
        self.free.push(doublings, std::mem::take(buffer));
        capacity
    }

    /// Returns the size that `wanted` gets if `have` bytes are free.
    fn size_within(wanted: Wanted, have: usize) -> Option<usize> {
        let mut size = wanted.most;
        while size > have {
            if size <= wanted.least {
                return None;
            }
            size = (size / 2).max(wanted.least);
        }
        Some(size)
    }

    /// Frees kept buffers until `size` plain bytes are available or no kept buffer is left.
    fn free_up(&mut self, size: usize) {
        while self.non_pooled_available < size {
            let Some(buffer) = self.free.pop_largest() else {
                return;
            };
            self.non_pooled_available += buffer.capacity();
        }
    }
}

impl FreeBuffers {
    fn new(smallest: usize) -> Self {
        Self {
            smallest,
            by_doublings: Vec::new(),
            bytes: 0,
        }
    }

    /// Returns the index for buffers of `size`, if this size is kept at all.
    fn doublings(&self, size: usize) -> Option<usize> {
        let multiple = size.checked_div(self.smallest)?;
        let is_kept = multiple.is_power_of_two() && multiple * self.smallest == size;
        is_kept.then(|| multiple.trailing_zeros() as usize)
    }

    fn push(&mut self, doublings: usize, buffer: Vec<u8>) {
        self.bytes += buffer.capacity();
        if self.by_doublings.len() <= doublings {
            self.by_doublings.resize_with(doublings + 1, Vec::new);
        }
        if let Some(buffers) = self.by_doublings.get_mut(doublings) {
            buffers.push(buffer);
        }
    }

    fn pop(&mut self, size: usize) -> Option<Vec<u8>> {
        let doublings = self.doublings(size)?;
        let buffer = self.by_doublings.get_mut(doublings)?.pop()?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn pop_largest(&mut self) -> Option<Vec<u8>> {
        let buffer = self.by_doublings.iter_mut().rev().find_map(Vec::pop)?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }
}

impl BufferPool {
    /// Creates a pool of `total` bytes. It keeps buffers of `poolable_size`, and of that size
    /// doubled any number of times, for reuse.
    pub(crate) fn new(total: usize, poolable_size: usize, time: Arc<dyn Time>) -> Arc<Self> {
        let state = State {
            free: FreeBuffers::new(poolable_size),
            non_pooled_available: total,
            waiters: VecDeque::new(),
            closed: false,
        };
        Arc::new(Self {
            total,
            poolable_size,
            time,
            state: Mutex::new(state),
            metrics: OnceLock::new(),
            queued: AtomicUsize::new(0),
            kept: Arc::default(),
        })
    }

    /// Sets the metrics that count the waits from now on.
    fn set_metrics(&self, metrics: PoolMetrics) {
        // Only one is ever set.
        let _ = self.metrics.set(metrics);
    }

    /// Reserves a buffer if its least size is free.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not free, and the immediate errors of [`Self::allocate`].
    pub(crate) fn try_allocate(self: &Arc<Self>, wanted: Wanted) -> Result<PooledBuffer> {
        let mut state = self.check(wanted)?;
        match state.reserve(wanted) {
            Some(reserved) => {
                drop(state);
                self.buffer(reserved)
            }
            None => Err(Error::new(
                ErrorKind::WouldBlock,
                format!("{} bytes of buffer memory are not available", wanted.least),
            )),
        }
    }

    /// Reserves a buffer, and waits up to `limit` for its least size. Before a wait, `on_wait` runs
    /// once, after this thread has joined the queue and is visible in [`Self::queued`].
    ///
    /// # Errors
    ///
    /// `IllegalArgument` for more than the whole pool, `Closed`, and `BufferExhausted` after `limit`.
    ///
    /// # Blocking
    ///
    /// Until other threads return enough; at most `limit`.
    pub(crate) fn allocate(
        self: &Arc<Self>,
        wanted: Wanted,
        limit: WaitLimit,
        on_wait: impl FnOnce(),
    ) -> Result<PooledBuffer> {
        let mut state = self.check(wanted)?;
        if let Some(reserved) = state.reserve(wanted.in_full()) {
            drop(state);
            return self.buffer(reserved);
        }
        let waiter = Arc::new(Condvar::new());
        state.waiters.push_back(Arc::clone(&waiter));
        self.queued.store(state.waiters.len(), Ordering::SeqCst);
        MutexGuard::unlocked(&mut state, on_wait);

        let began = self.time.now();
        let reserved = self.wait_for_memory(&mut state, &waiter, wanted, limit);

        state.waiters.retain(|other| !Arc::ptr_eq(other, &waiter));
        self.queued.store(state.waiters.len(), Ordering::SeqCst);
        self.signal_first_waiter(&state);
        drop(state);
        if let Some(metrics) = self.metrics.get() {
            let now = self.time.now();
            let is_exhausted = reserved.as_ref().is_err_and(Error::is_timeout);
            metrics.waited(now.saturating_duration_since(began), is_exhausted, now);
        }
        self.buffer(reserved?)
    }

    /// Gathers the wanted size piece by piece. On failure, returns the pieces and the reason.
    ///
    /// The thread takes pieces as they arrive, so it makes progress even if no single return is
    /// large enough. The threads behind it are not signalled meanwhile.
    ///
    /// The thread checks before it waits. It ran `on_wait` without the lock after it had joined the
    /// queue, and a signal that came then found no waiting thread.
    fn wait_for_memory(
        &self,
        state: &mut MutexGuard<'_, State>,
        waiter: &Arc<Condvar>,
        wanted: Wanted,
        limit: WaitLimit,
    ) -> Result<Reserved> {
        let start = self.time.now();
        let mut gathered = 0;
        let (mut accepted, mut until) = (wanted.in_full(), limit.time.min(WAIT_FOR_MOST));
        let mut afterwards = Some((wanted, limit.time));
        let error = loop {
            if state.closed {
                break closed();
            }
            let first = state.waiters.front();
            if first.is_some_and(|first| Arc::ptr_eq(first, waiter)) {
                state.non_pooled_available += std::mem::take(&mut gathered);
                if let Some(reserved) = state.reserve(accepted) {
                    return Ok(reserved);
                }
                state.free_up(accepted.least);
                gathered = accepted.least.min(state.non_pooled_available);
                state.non_pooled_available -= gathered;
            }
            let waited = self.time.now().saturating_duration_since(start);
            if wait_for(waiter, state, until.saturating_sub(waited)) && !state.closed {
                let Some(next) = afterwards.take() else {
                    break self.exhausted(wanted.least, limit, gathered + state.available());
                };
                (accepted, until) = next;
            }
        };
        state.non_pooled_available += gathered;
        Err(error)
    }

    /// Returns the state, after the checks that begin every allocation.
    fn check(&self, wanted: Wanted) -> Result<MutexGuard<'_, State>> {
        let size = wanted.least;
        if size > self.total {
            let text = format!(
                "{size} bytes are more than the {} bytes of buffer.memory that all batches share",
                self.total
            );
            return Err(Error::new(ErrorKind::IllegalArgument, text));
        }
        let state = self.state.lock();
        if state.closed {
            Err(closed())
        } else {
            Ok(state)
        }
    }

    /// Extends a buffer by a chunk as large as the buffer, if that is free and not more than it
    /// lacks. Returns the chunk. Returns `None` without waiting if the least size is not free, or
    /// if other threads wait for memory.
    pub(crate) fn extend(
        &self,
        buffer: &mut PooledBuffer,
        missing: MissingMemory,
    ) -> Option<Vec<u8>> {
        let wanted = Wanted {
            most: self
                .size_class(missing.held.max(missing.least))
                .min(missing.most),
            least: missing.least,
        };
        let mut state = self.state.lock();
        if state.closed || !state.waiters.is_empty() {
            return None;
        }
        let reserved = state.reserve(wanted)?;
        drop(state);
        let size = reserved.size;
        match reserved.into_memory() {
            Ok(chunk) => {
                buffer.reservation.size += size;
                Some(chunk)
            }
            Err(_) => {
                self.deallocate(&mut Vec::new(), &mut [], size);
                None
            }
        }
    }

    /// Returns the smallest kept size that is at least `size`.
    pub(crate) fn size_class(&self, size: usize) -> usize {
        let smallest = self.poolable_size;
        if smallest == 0 {
            return size;
        }
        let multiple = size.div_ceil(smallest).checked_next_power_of_two();
        let class = multiple.and_then(|multiple| multiple.checked_mul(smallest));
        class.unwrap_or(size)
    }

    /// Allocates memory for a reservation. Returns the reservation to the pool if the allocator
    /// fails.
    fn buffer(self: &Arc<Self>, reserved: Reserved) -> Result<PooledBuffer> {
        let size = reserved.size;
        let mut buffer = PooledBuffer {
            bytes: Vec::new(),
            reservation: Reservation {
                size,
                pool: Some(Arc::clone(self)),
            },
        };
        buffer.bytes = reserved.into_memory().map_err(|error| {
            Error::new(
                ErrorKind::BufferExhausted,
                format!("no memory for a batch of {size} bytes"),
            )
            .caused_by(error)
        })?;
        Ok(buffer)
    }

    /// Takes `size` reserved bytes back, and keeps the buffers that were made for them.
    fn deallocate(&self, first: &mut Vec<u8>, more: &mut [Vec<u8>], size: usize) {
        let mut state = self.state.lock();
        let mut left = size - state.keep(first, size);
        for buffer in more {
            left -= state.keep(buffer, left);
        }
        state.non_pooled_available += left;
        debug_assert!(
            state.available() <= self.total,
            "more memory came back than was given"
        );
        self.signal_first_waiter(&state);
    }

    fn signal_first_waiter(&self, state: &State) {
        if state.available() > 0 || state.closed {
            if let Some(first) = state.waiters.front() {
                first.notify_one();
            }
        }
    }

    fn exhausted(&self, size: usize, limit: WaitLimit, free: usize) -> Error {
        let text = format!(
            "timed out after {limit} waiting for {size} bytes of buffer memory: {free} of {} bytes (buffer.memory) are free",
            self.total,
        );
        Error::timed_out(
            text,
            TimeoutReason {
                waiting_for: "buffer memory",
                waited: limit.time,
                config: limit.config(),
            },
        )
        .with_kind(ErrorKind::BufferExhausted)
    }

    /// Fails every later allocation, and wakes every waiting thread.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for waiter in &state.waiters {
            waiter.notify_one();
        }
    }

    /// Returns the unreserved bytes.
    pub(crate) fn available_memory(&self) -> usize {
        self.state.lock().available()
    }

    /// Returns the size of the pool: `buffer.memory`.
    pub(crate) fn total_memory(&self) -> usize {
        self.total
    }

    /// Returns the number of threads that wait for memory.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }
}

/// Waits once. Returns whether the time ran out, which a wait of zero always does.
fn wait_for(condvar: &Condvar, state: &mut MutexGuard<'_, State>, remaining: Duration) -> bool {
    condvar.wait_for(state, remaining).timed_out()
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the producer was closed while a send waited for buffer memory",
    )
}

#[cfg(test)]
#[path = "buffer_pool/tests.rs"]
mod tests;
