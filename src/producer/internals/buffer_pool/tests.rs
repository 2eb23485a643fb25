//! Memory and its waiters. Java: `BufferPoolTest`.

use std::thread;

use super::*;
use crate::utils::SystemTime;

const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

fn pool(total: usize, poolable_size: usize) -> Arc<BufferPool> {
    BufferPool::new(total, poolable_size, Arc::new(SystemTime))
}

fn allocate(pool: &Arc<BufferPool>, size: usize) -> PooledBuffer {
    pool.allocate(Wanted::exactly(size), WaitLimit::max_block(SHORT), || ())
        .unwrap()
}

/// Returns once `count` threads wait in the pool.
fn await_queued(pool: &BufferPool, count: usize) {
    while pool.queued() != count {
        thread::yield_now();
    }
}

// Java: BufferPoolTest.testSimple
#[test]
fn a_freed_buffer_is_used_again() {
    let pool = pool(64 * 1024, 1024);
    let mut buffer = allocate(&pool, 1024);
    assert_eq!((buffer.bytes.len(), buffer.bytes.capacity()), (0, 1024));
    assert_eq!(pool.available_memory(), 63 * 1024);
    buffer.bytes.extend_from_slice(b"written");
    let address = buffer.bytes.as_ptr();
    drop(buffer);
    assert_eq!(pool.available_memory(), 64 * 1024);
    assert_eq!(pool.state.lock().free.bytes, 1024);

    let again = allocate(&pool, 1024);
    assert_eq!(
        again.bytes.as_ptr(),
        address,
        "a buffer of the pool's size is used again"
    );
    assert_eq!(again.bytes.capacity(), 1024);
    drop(again);

    let large = allocate(&pool, 3 * 1024);
    assert_eq!(pool.available_memory(), 61 * 1024);
    drop(large);
    assert_eq!(
        pool.state.lock().free.bytes,
        1024,
        "buffers of other sizes are not kept"
    );
    assert_eq!(pool.available_memory(), 64 * 1024);
}

#[test]
fn buffers_of_grown_batches_are_used_again() {
    let pool = pool(64 * 1024, 1024);
    let sizes = [1024, 2 * 1024, 8 * 1024];
    let addresses = sizes.map(|size| allocate(&pool, size)).map(|mut buffer| {
        buffer.bytes.push(7);
        buffer.bytes.as_ptr()
    });
    assert_eq!(pool.state.lock().free.bytes, 11 * 1024);
    assert_eq!(pool.available_memory(), 64 * 1024);
    let again = sizes.map(|size| allocate(&pool, size));
    let again = again.each_ref().map(|buffer| buffer.bytes.as_ptr());
    assert_eq!(again, addresses);
}

#[test]
fn kept_buffers_give_way_to_other_sizes() {
    let pool = pool(8 * 1024, 1024);
    drop([1024, 2 * 1024, 4 * 1024].map(|size| allocate(&pool, size)));
    let odd = allocate(&pool, 3 * 1024);
    assert_eq!(pool.available_memory(), 5 * 1024);
    assert_eq!(
        pool.state.lock().free.bytes,
        3 * 1024,
        "the largest goes first, and no more than needed"
    );
    let rest = allocate(&pool, 5 * 1024);
    assert_eq!(pool.available_memory(), 0);
    drop((odd, rest));
    assert_eq!(pool.available_memory(), 8 * 1024);
}

// Java: BufferPoolTest.testCantAllocateMoreMemoryThanWeHave
#[test]
fn cannot_allocate_more_memory_than_there_is() {
    let pool = pool(1024, 512);
    drop(allocate(&pool, 1024));
    let error = pool
        .allocate(Wanted::exactly(1025), WaitLimit::max_block(LONG), || ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalArgument);
    assert!(error.to_string().contains("1025") && error.to_string().contains("buffer.memory"));
}

// Java: BufferPoolTest.testDelayedAllocation
#[test]
fn an_allocation_waits_for_memory() {
    let pool = pool(5 * 1024, 1024);
    let held = allocate(&pool, 1024);
    let waiting = {
        let pool = Arc::clone(&pool);
        thread::spawn(move || {
            pool.allocate(Wanted::exactly(5 * 1024), WaitLimit::max_block(LONG), || ())
                .map(drop)
        })
    };
    await_queued(&pool, 1);
    drop(held);
    waiting.join().unwrap().unwrap();
    assert_eq!(pool.available_memory(), 5 * 1024);
}

// The signal comes while the thread is in the queue but not waiting yet.
#[test]
fn memory_that_comes_back_before_the_wait_is_not_missed() {
    let pool = pool(5 * 1024, 1024);
    let held = allocate(&pool, 1024);
    pool.allocate(
        Wanted::exactly(5 * 1024),
        WaitLimit::max_block(Duration::MAX),
        || drop(held),
    )
    .map(drop)
    .unwrap();

    let held = allocate(&pool, 1024);
    let closed = pool.allocate(
        Wanted::exactly(5 * 1024),
        WaitLimit::max_block(Duration::MAX),
        || pool.close(),
    );
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Closed);
    drop(held);
}

// Java: BufferPoolTest.testBufferExhaustedExceptionIsThrown, testBlockTimeout
#[test]
fn buffer_exhausted_after_max_block() {
    let pool = pool(10, 1);
    let _held = allocate(&pool, 10);
    let mut waited = false;
    let error = pool
        .allocate(Wanted::exactly(1), WaitLimit::max_block(SHORT), || {
            waited = true
        })
        .unwrap_err();
    assert!(waited);
    assert_eq!(error.kind(), ErrorKind::BufferExhausted);
    assert!(error.is_timeout() && error.is_retriable());
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    assert_eq!(pool.queued(), 0);
}

// Java: BufferPoolTest.testCleanupMemoryAvailabilityWaiterOnBlockTimeout
#[test]
fn a_waiter_that_times_out_gives_back_what_it_gathered() {
    let pool = pool(2, 1);
    let first = allocate(&pool, 1);
    let second = allocate(&pool, 1);
    let waiting = {
        let pool = Arc::clone(&pool);
        thread::spawn(move || {
            pool.allocate(
                Wanted::exactly(2),
                WaitLimit::max_block(Duration::from_secs(2)),
                || (),
            )
            .map(drop)
        })
    };
    await_queued(&pool, 1);
    drop(first);
    assert_eq!(
        waiting.join().unwrap().unwrap_err().kind(),
        ErrorKind::BufferExhausted
    );
    assert_eq!((pool.queued(), pool.available_memory()), (0, 1));
    drop(second);
    assert_eq!(pool.available_memory(), 2);
}

#[test]
fn the_first_waiter_is_served_first() {
    let pool = pool(4, 4);
    let held = allocate(&pool, 4);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut threads = Vec::new();
    for (name, size) in [("large", 4), ("small", 1)] {
        let (thread_pool, order) = (Arc::clone(&pool), Arc::clone(&order));
        threads.push(thread::spawn(move || {
            let buffer = thread_pool
                .allocate(Wanted::exactly(size), WaitLimit::max_block(LONG), || ())
                .unwrap();
            order.lock().push(name);
            drop(buffer);
        }));
        await_queued(&pool, threads.len());
    }
    drop(held);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*order.lock(), ["large", "small"]);
}

/// Returns the request of a batch of `batch.size` that may grow.
fn growing(most: usize, least: usize) -> Wanted {
    Wanted { most, least }
}

#[test]
fn a_growing_request_takes_what_is_free_by_halves() {
    let pool = pool(7 * 1024, 1024);
    let sizes = [4, 2, 1].map(|kilobytes| {
        let buffer = pool.try_allocate(growing(4 * 1024, 1024)).unwrap();
        assert_eq!(buffer.reserved(), kilobytes * 1024);
        buffer
    });
    let error = pool.try_allocate(growing(4 * 1024, 1024)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(sizes);
    let record = pool.try_allocate(growing(8 * 1024, 7 * 1024)).unwrap();
    assert_eq!(record.reserved(), 7 * 1024, "what its record needs");
}

#[test]
fn a_waiter_that_wants_to_grow_is_served_with_its_least_size() {
    let pool = pool(4 * 1024, 1024);
    let mut held = [(); 4].map(|()| Some(allocate(&pool, 1024)));
    let first = held[0].take();
    let buffer = pool
        .allocate(growing(4 * 1024, 1024), WaitLimit::max_block(LONG), || {
            drop(first)
        })
        .unwrap();
    assert_eq!((buffer.reserved(), pool.available_memory()), (1024, 0));
    let buffer = pool
        .allocate(growing(4 * 1024, 1024), WaitLimit::max_block(LONG), || {
            drop(held)
        })
        .unwrap();
    assert_eq!((buffer.reserved(), pool.available_memory()), (2048, 1024));
}

#[test]
fn a_request_waits_a_moment_for_its_full_size() {
    let pool = pool(4 * 1024, 1024);
    let mut held = [(); 4].map(|()| Some(allocate(&pool, 1024)));
    held[0] = None;
    let buffer = pool
        .allocate(growing(4 * 1024, 1024), WaitLimit::max_block(LONG), || {
            drop(held)
        })
        .unwrap();
    assert_eq!(buffer.reserved(), 4 * 1024);
}

#[test]
fn a_waiter_that_gathers_takes_more_if_the_last_piece_brings_it() {
    let pool = pool(8 * 1024, 1024);
    let (piece, rest) = (allocate(&pool, 1024), allocate(&pool, 7 * 1024));
    let waiting = {
        let pool = Arc::clone(&pool);
        thread::spawn(move || {
            pool.allocate(
                growing(6 * 1024, 3 * 1024),
                WaitLimit::max_block(LONG),
                || (),
            )
        })
    };
    await_queued(&pool, 1);
    drop(piece);
    while pool.available_memory() > 0 {
        thread::yield_now();
    }
    drop(rest);
    let buffer = waiting.join().unwrap().unwrap();
    assert_eq!(buffer.reserved(), 6 * 1024);
    assert_eq!(pool.available_memory(), 2 * 1024);
}

#[test]
fn the_error_counts_what_was_gathered() {
    let pool = pool(1024, 512);
    let free = 1024 - allocate(&pool, 600).reserved();
    let _held = allocate(&pool, 600);
    let error = pool
        .allocate(Wanted::exactly(512), WaitLimit::max_block(SHORT), || ())
        .unwrap_err();
    let counted = format!("{free} of 1024 bytes (buffer.memory) are free");
    assert!(error.to_string().contains(&counted), "{error}");
    assert!(error.to_string().contains("512 bytes"), "{error}");
    assert_eq!(pool.available_memory(), free);
}

#[test]
fn try_allocate_never_waits() {
    let pool = pool(8, 4);
    let held = pool.try_allocate(Wanted::exactly(8)).unwrap();
    assert_eq!(
        pool.try_allocate(Wanted::exactly(1)).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(held);
    assert_eq!(
        pool.try_allocate(Wanted::exactly(4))
            .unwrap()
            .bytes
            .capacity(),
        4
    );
}

// Java: BufferPoolTest.testStressfulSituation
#[test]
fn all_memory_is_back_after_many_threads_allocated() {
    const THREADS: usize = 10;
    const ALLOCATIONS: usize = 2_000;
    let total = 1024 * THREADS / 2;
    let pool = pool(total, 1024);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ALLOCATIONS {
                    let size = if fastrand::bool() {
                        1024
                    } else {
                        fastrand::usize(1..=1024)
                    };
                    drop(
                        pool.allocate(Wanted::exactly(size), WaitLimit::max_block(LONG), || ())
                            .unwrap(),
                    );
                }
            });
        }
    });
    assert_eq!((pool.available_memory(), pool.queued()), (total, 0));
}

// Java: BufferPoolTest.testLargeAvailableMemory, outOfMemoryOnAllocation
#[test]
fn memory_that_the_allocator_refuses_is_given_back() {
    let total = usize::MAX / 2 + 2;
    let pool = pool(total, 1024);
    assert_eq!(pool.available_memory(), total);
    let error = pool.try_allocate(Wanted::exactly(total)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferExhausted);
    assert_eq!(pool.available_memory(), total);
}

// Java: BufferPoolTest.testCloseAllocations, testCloseNotifyWaiters
#[test]
fn close_fails_allocations_and_wakes_every_waiter() {
    let pool = pool(1, 1);
    let held = allocate(&pool, 1);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                pool.allocate(Wanted::exactly(1), WaitLimit::max_block(LONG), || ())
                    .map(drop)
            })
        })
        .collect();
    await_queued(&pool, 3);
    pool.close();
    for thread in waiting {
        assert_eq!(
            thread.join().unwrap().unwrap_err().kind(),
            ErrorKind::Closed
        );
    }
    assert_eq!(
        pool.allocate(Wanted::exactly(1), WaitLimit::max_block(SHORT), || ())
            .unwrap_err()
            .kind(),
        ErrorKind::Closed
    );
    drop(held);
    assert_eq!(pool.available_memory(), 1);
}

fn missing(least: usize, held: usize, most: usize) -> MissingMemory {
    MissingMemory { least, most, held }
}

// Java: BufferPoolChunkAllocationTest, where all chunks are of one size.
#[test]
fn an_extension_doubles_a_buffer_up_to_its_most() {
    let pool = pool(64 * 1024, 1024);
    let mut buffer = allocate(&pool, 1024);
    let mut chunks = Vec::new();
    for (least, most, expected) in [
        (10, 15_000, 1024),
        (10, 14_000, 2048),
        (5_000, 12_000, 8192),
        (10, 3_000, 3_000),
    ] {
        let held = buffer.reserved();
        let chunk = pool
            .extend(&mut buffer, missing(least, held, most))
            .unwrap();
        assert_eq!(chunk.capacity(), expected);
        assert_eq!(buffer.reserved(), held + expected);
        chunks.push(chunk);
    }
    assert_eq!(pool.available_memory(), 64 * 1024 - buffer.reserved());
    chunks.push(buffer.take_bytes());
    let addresses: Vec<_> = chunks.iter().map(|chunk| chunk.as_ptr()).collect();
    buffer.give_back(&mut Vec::new(), &mut chunks);
    drop(buffer);
    assert_eq!(pool.available_memory(), 64 * 1024);
    // All except the odd one.
    assert_eq!(pool.state.lock().free.bytes, 12 * 1024);
    let again = allocate(&pool, 8192);
    assert!(addresses.contains(&again.bytes.as_ptr()));
}

#[test]
fn an_extension_takes_less_where_there_is_less() {
    let pool = pool(10 * 1024, 1024);
    let mut buffer = allocate(&pool, 8 * 1024);
    let held = buffer.reserved();
    let wanted = missing(700, held, 20_000);
    assert_eq!(pool.extend(&mut buffer, wanted).unwrap().capacity(), 2048);
    assert!(pool.extend(&mut buffer, wanted).is_none());
    assert_eq!(buffer.reserved(), 10 * 1024);
    drop(buffer);
    assert_eq!(pool.available_memory(), 10 * 1024);
}

/// Growing batches could otherwise keep memory from a waiting thread forever.
#[test]
fn no_extension_overtakes_a_thread_that_waits() {
    let pool = pool(10 * 1024, 1024);
    let mut buffer = allocate(&pool, 1024);
    let rest = allocate(&pool, 8 * 1024);
    thread::scope(|scope| {
        let waiter = scope
            .spawn(|| pool.allocate(Wanted::exactly(9 * 1024), WaitLimit::max_block(LONG), || ()));
        await_queued(&pool, 1);
        assert!(pool.extend(&mut buffer, missing(1, 1024, 1024)).is_none());
        drop(rest);
        waiter.join().unwrap().unwrap();
    });
    assert!(pool.extend(&mut buffer, missing(1, 1024, 1024)).is_some());
}

#[test]
fn a_closed_pool_extends_no_buffer() {
    let pool = pool(10 * 1024, 1024);
    let mut buffer = allocate(&pool, 1024);
    pool.close();
    assert!(pool.extend(&mut buffer, missing(1, 1024, 1024)).is_none());
    drop(buffer);
    assert_eq!(pool.available_memory(), 10 * 1024);
}

/// A chunk that a codec has enlarged may have the size of another class, which is not the reserved
/// one.
#[test]
fn a_chunk_that_has_grown_is_not_kept() {
    let pool = pool(64 * 1024, 1024);
    let mut buffer = allocate(&pool, 1024);
    buffer.bytes.reserve_exact(4 * 1024 - buffer.bytes.len());
    drop(buffer);
    assert_eq!(pool.state.lock().free.bytes, 0);
    assert_eq!(pool.available_memory(), 64 * 1024);
}

#[test]
fn kept_memory_is_counted_and_does_not_hold_the_pool() {
    let pool = pool(100, 10);
    let kept = pool.keep(60);
    assert!(kept.is_some() && pool.keep(60).is_none());
    let weak = Arc::downgrade(&pool);
    drop(pool);
    assert!(weak.upgrade().is_none());
    drop(kept);
}
