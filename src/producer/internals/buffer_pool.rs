//! The memory of the batches, bounded by `buffer.memory`. Java: `BufferPool`.
//!
//! Every batch reserves its size here before it exists and gives the reservation back when the last
//! owner of its bytes drops them. That cannot be forgotten, done twice, or done while a socket
//! still reads the bytes. The count is of reserved bytes, so that buffers of any size share the
//! bound. Buffers of `batch.size` are kept and used again, and so are those of twice that, four
//! times and so on, which grown batches have: fresh memory of the system costs a page fault for
//! each 4 KiB.
//!
//! Threads: caller threads allocate, the I/O thread mostly gives back.
//! Locks: one mutex, held for arithmetic only. Memory is taken from the allocator outside it.
//! Fairness: waiters are served first come first served. Only the first is ever signalled, and it passes the signal on when
//! it leaves, so a large request at the head is not starved by small ones behind it.
//! Differs from Java: a request has two sizes. More than its least size is taken if it is free, and never waited for.

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

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct BufferPool {
    total: usize,
    /// The smallest size of a buffer that is kept.
    poolable_size: usize,
    time: Arc<dyn Time>,
    state: Mutex<State>,
    /// Counts the waits, if anything does.
    metrics: OnceLock<PoolMetrics>,
    /// The length of `State::waiters`, for the I/O thread to read without the lock.
    queued: AtomicUsize,
    /// The bytes of failed batches that errors keep, which are not of the pool.
    kept: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct State {
    free: FreeBuffers,
    /// Bytes that are neither reserved nor in `free`.
    non_pooled_available: usize,
    /// One for each blocked thread, oldest first.
    waiters: VecDeque<Arc<Condvar>>,
    closed: bool,
}

/// Unused buffers, by size. Their contents are unspecified.
#[derive(Debug)]
struct FreeBuffers {
    /// `poolable_size`.
    smallest: usize,
    /// Those of `smallest` bytes, of twice that, of four times that and so on; in each the warmest at the back.
    by_doublings: Vec<Vec<Vec<u8>>>,
    /// The capacity of all.
    bytes: usize,
}

/// The size of a buffer that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The size if that much is free. If not, half of it is tried, and so on down to `least`.
    pub(crate) most: usize,
    /// The size to wait for.
    pub(crate) least: usize,
}

impl Wanted {
    /// Exactly `size` bytes.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn exactly(size: usize) -> Self {
        Self {
            most: size,
            least: size,
        }
    }
}

/// A buffer and its size.
#[derive(Debug)]
struct Reserved {
    size: usize,
    /// A buffer to use again; `None` if one is to be made.
    recycled: Option<Vec<u8>>,
}

/// A buffer together with the reservation that it stands on. Dropping it gives both back.
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
    /// Memory that the pool does not count, for the parts of a split batch.
    pub(crate) fn unpooled(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            reservation: Reservation::default(),
        }
    }

    /// Memory that the pool does not count, of the same pool.
    pub(crate) fn unpooled_sibling(&self, capacity: usize) -> Self {
        let mut sibling = Self::unpooled(capacity);
        sibling.reservation.pool.clone_from(&self.reservation.pool);
        sibling
    }

    pub(crate) fn pool(&self) -> Option<&Arc<BufferPool>> {
        self.reservation.pool.as_ref()
    }

    /// Takes the bytes out and leaves the reservation, for a writer that gives them back with [`Self::give_back`].
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The bytes of the pool that this stands on; 0 for memory that the pool does not count.
    pub(crate) fn reserved(&self) -> usize {
        self.reservation.size
    }

    /// Gives the reservation back to the pool, and the buffers that [`Self::take_bytes`] and [`BufferPool::extend`] gave away,
    /// in any order. They may have been written and have grown.
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
    /// The memory that was reserved.
    fn into_memory(self) -> std::result::Result<Vec<u8>, TryReserveError> {
        let mut memory = self.recycled.unwrap_or_default();
        // What was used before keeps its length, which says what of it has a value.
        let missing = self.size.saturating_sub(memory.len());
        memory.try_reserve_exact(missing)?;
        Ok(memory)
    }
}

impl State {
    fn available(&self) -> usize {
        self.non_pooled_available + self.free.bytes
    }

    /// Reserves what is free of `wanted`, or `None` if its least size is not free.
    fn reserve(&mut self, wanted: Wanted) -> Option<Reserved> {
        let size = Self::size_within(wanted, self.available())?;
        let recycled = self.free.pop(size);
        if recycled.is_none() {
            self.free_up(size);
            self.non_pooled_available -= size;
        }
        Some(Reserved { size, recycled })
    }

    /// Keeps a buffer that was made for `reserved` bytes or less. Returns how many of them it has; 0 if it is not kept.
    fn keep(&mut self, buffer: &mut Vec<u8>, reserved: usize) -> usize {
        let capacity = buffer.capacity();
        // One that has grown may have the size of another class.
        if capacity > reserved || self.closed {
            return 0;
        }
        let Some(doublings) = self.free.doublings(capacity) else {
            return 0;
        };
        self.free.push(doublings, std::mem::take(buffer));
        capacity
    }

    /// The size that `wanted` gets if `have` bytes are free for it.
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

    /// Turns kept buffers into plain available bytes until there are `size` of them or no kept buffer is left.
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

    /// Where buffers of `size` are, if they are kept at all.
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
    /// A pool of `total` bytes that keeps buffers of `poolable_size`, and of that doubled any number of times, for further
    /// use.
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

    /// Has the waits counted from now on.
    fn set_metrics(&self, metrics: PoolMetrics) {
        // Only the first counts, and there is no other.
        let _ = self.metrics.set(metrics);
    }

    /// Reserves a buffer if its least size is free.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is not, and the immediate errors of [`Self::allocate`].
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

    /// Reserves a buffer, and waits up to `limit` for its least size. `on_wait` runs once if there is a wait, after this
    /// thread has joined the queue and so shows in [`Self::queued`].
    ///
    /// # Errors
    ///
    /// `IllegalArgument` for more than the whole pool, `Closed`, and `BufferExhausted` after `limit`.
    ///
    /// # Blocking
    ///
    /// Until others give enough back; at most `limit`.
    pub(crate) fn allocate(
        self: &Arc<Self>,
        wanted: Wanted,
        limit: WaitLimit,
        on_wait: impl FnOnce(),
    ) -> Result<PooledBuffer> {
        let mut state = self.check(wanted)?;
        if let Some(reserved) = state.reserve(wanted) {
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

    /// Gathers the least size piece by piece, or gives the pieces back and says why it could not.
    ///
    /// The pieces are taken as they come, so that this thread makes progress even if no single return is large enough;
    /// the ones behind it are not signalled meanwhile. If the last piece brings more, so much the better.
    ///
    /// The thread looks before it waits: it joined the queue before it ran `on_wait` without the
    /// lock, and a signal that came then found no waiter.
    fn wait_for_memory(
        &self,
        state: &mut MutexGuard<'_, State>,
        waiter: &Arc<Condvar>,
        wanted: Wanted,
        limit: WaitLimit,
    ) -> Result<Reserved> {
        let start = self.time.now();
        let mut gathered = 0;
        let error = loop {
            if state.closed {
                break closed();
            }
            let first = state.waiters.front();
            if first.is_some_and(|first| Arc::ptr_eq(first, waiter)) {
                if gathered == 0 {
                    if let Some(reserved) = state.reserve(wanted) {
                        return Ok(reserved);
                    }
                }
                let size = State::size_within(wanted, gathered + state.available());
                let missing = size.unwrap_or(wanted.least) - gathered;
                state.free_up(missing);
                let piece = missing.min(state.non_pooled_available);
                state.non_pooled_available -= piece;
                gathered += piece;
                if let Some(size) = size {
                    return Ok(Reserved {
                        size,
                        recycled: None,
                    });
                }
            }
            let waited = self.time.now().saturating_duration_since(start);
            if wait_for(waiter, state, limit.time.saturating_sub(waited)) && !state.closed {
                break self.exhausted(wanted.least, limit, gathered + state.available());
            }
        };
        state.non_pooled_available += gathered;
        Err(error)
    }

    /// The state, after the checks that every allocation starts with.
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

    /// Makes a buffer larger by a chunk, which is returned: by as much as it has, if that is free and not more than it lacks.
    /// Returns `None` without a wait if not even the least that it lacks is free, or if threads wait for memory.
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

    /// The smallest size of at least `size` that is kept for further use.
    pub(crate) fn size_class(&self, size: usize) -> usize {
        let smallest = self.poolable_size;
        if smallest == 0 {
            return size;
        }
        let multiple = size.div_ceil(smallest).checked_next_power_of_two();
        let class = multiple.and_then(|multiple| multiple.checked_mul(smallest));
        class.unwrap_or(size)
    }

    /// Puts memory behind a reservation. If the allocator has none the reservation is given back.
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

    /// Fails every later allocation and wakes every thread that waits in one.
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

    /// The size of the pool: `buffer.memory`.
    pub(crate) fn total_memory(&self) -> usize {
        self.total
    }

    /// The number of threads that wait for memory.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::SeqCst)
    }
}

/// Waits once, and says whether the time ran out. A wait of no time is a time-out.
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
