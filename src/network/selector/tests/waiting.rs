//! The length of a poll's wait, what ends it, and the closing of idle connections.

use std::collections::HashSet;

use super::*;

// Java: SelectorTest.testCloseOldestConnection
#[test]
fn the_connection_that_was_idle_for_longest_closes_first() {
    let mut harness = Harness::new();
    let mut peers: Vec<_> = (0..3)
        .map(|id| {
            harness.time.advance_ms(10);
            harness.pair(NodeId(id))
        })
        .collect();
    // Now the first connection was used last.
    harness.time.advance_ms(10);
    harness.send(NodeId(0), b"alive");
    read_frame(&mut peers[0]).unwrap();
    harness.poll_until_quiet();

    harness.time.advance(MAX_IDLE - Duration::from_millis(21));
    harness.poll_until_quiet();
    assert_eq!(harness.disconnected, [], "not before it is due");

    harness.time.advance(Duration::from_secs(1));
    harness.poll(Duration::ZERO);
    assert_eq!(
        harness.disconnected,
        [(NodeId(1), Disconnect::Expired)],
        "one per poll"
    );
    let now = harness.time.now();
    assert_eq!(
        harness.selector.wait_time(Duration::MAX, now),
        Some(Duration::ZERO)
    );
    harness.poll(PATIENCE);
    harness.poll(PATIENCE);
    let order: Vec<_> = harness.disconnected.iter().map(|(id, _)| id.0).collect();
    assert_eq!(order, [1, 2, 0]);
    assert_eq!(peers[1].read(&mut [0]).unwrap(), 0);

    // Without connections there is nothing to close.
    harness.poll(Duration::ZERO);
    let now = harness.time.now();
    assert_eq!(harness.selector.wait_time(Duration::MAX, now), None);
}

// Java: SelectorTest.testCloseOldestConnectionWithMultiplePendingReceives
#[test]
fn what_arrives_keeps_a_connection_alive() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.poll_until_quiet();
    for _ in 0..3 {
        harness.time.advance(MAX_IDLE - Duration::from_millis(1));
        peer.write_all(&frame(b"alive")).unwrap();
        harness.poll_until(|harness| !harness.received.is_empty());
        harness.received.clear();
    }
    assert_eq!(harness.disconnected, []);
}

// Java: SelectorTest.testExpireConnectionWithPendingReceives
#[test]
fn an_expired_connection_delivers_what_has_arrived() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.poll_until_quiet();
    harness.time.advance(MAX_IDLE);
    // The selector does not see the event of this frame, because the frame comes after the wait and
    // before the expiry.
    peer.write_all(&frame(b"late")).unwrap();
    let now = harness.time.now();
    harness.selector.close_oldest_idle(now);
    assert_eq!(harness.selector.completed_receives()[0].payload, b"late");
    assert_eq!(
        harness.selector.disconnected(),
        [(NODE, Disconnect::Expired)]
    );
}

// Java: SelectorTest.testIdleExpiryWithoutReadyKeys
#[test]
fn a_connection_in_the_making_expires_too() {
    let mut harness = Harness::new();
    let listener = listener();
    harness.connect(NODE, address_of(&listener));
    harness.time.advance(MAX_IDLE);
    let now = harness.time.now();
    harness.selector.close_oldest_idle(now);
    assert_eq!(
        harness.selector.disconnected(),
        [(NODE, Disconnect::Expired)]
    );
}

#[test]
fn without_an_idle_limit_connections_stay() {
    let mut harness = Harness::with(|config| config.connections_max_idle = Duration::MAX);
    let _peer = harness.pair(NODE);
    harness.poll_until_quiet();
    harness.time.advance(Duration::from_secs(1_000_000));
    harness.poll_until_quiet();
    assert_eq!(harness.disconnected, []);
    let now = harness.time.now();
    assert_eq!(harness.selector.wait_time(Duration::MAX, now), None);
}

#[test]
fn the_wait_ends_when_a_connection_is_due() {
    let mut harness = Harness::new();
    let _peer = harness.pair(NODE);
    harness.poll_until_quiet();
    let ready_at = harness.time.now();
    harness.time.advance_ms(2000);
    let now = harness.time.now();
    let wait = |timeout| harness.selector.wait_time(timeout, now);
    assert_eq!(wait(Duration::MAX), Some(MAX_IDLE - (now - ready_at)));
    assert_eq!(
        wait(Duration::from_micros(300)),
        Some(Duration::from_micros(300))
    );
    assert_eq!(wait(Duration::ZERO), Some(Duration::ZERO));
}

// The waits are not a busy loop.
#[test]
fn idle_connections_cost_no_wait_that_ends_for_nothing() {
    let mut harness = Harness::with(|config| config.connections_max_idle = Duration::MAX);
    let (address, server) = echo_server(3);
    for id in 0..3 {
        harness.establish(NodeId(id), address);
        harness.send(NodeId(id), &[1; 100_000]);
    }
    harness.poll_until(|harness| harness.received.len() == 3 && harness.sent.len() == 3);
    harness.poll_until_quiet();
    // The kernel has no further event, because the last poll saw none. No channel has work, and the
    // wait is unbounded.
    let now = harness.time.now();
    assert_eq!(harness.selector.wait_time(Duration::MAX, now), None);
    let waits = harness.selector.waits;
    harness.poll(Duration::from_millis(1));
    assert_eq!(harness.selector.waits, waits + 1);
    assert!(harness.selector.events.is_empty());
    drop(harness);
    server.join().unwrap();
}

/// A round trip takes one wait for the end of the request and one or two for the response.
#[test]
fn the_waits_are_as_many_as_the_events() {
    const ROUND_TRIPS: u64 = 200;
    let (address, server) = echo_server(1);
    let mut harness = Harness::new();
    harness.establish(NODE, address);
    let before = harness.selector.waits;
    for _ in 0..ROUND_TRIPS {
        harness.send(NODE, b"ping");
        harness.poll_until(|harness| !harness.received.is_empty() && !harness.sent.is_empty());
        harness.received.clear();
        harness.sent.clear();
    }
    let waits = harness.selector.waits - before;
    assert!(
        waits <= 3 * ROUND_TRIPS,
        "{waits} waits for {ROUND_TRIPS} round trips"
    );
    drop(harness);
    server.join().unwrap();
}

#[test]
fn a_wake_up_ends_the_wait() {
    let mut harness = Harness::new();
    let waker = harness.selector.waker();
    // Before the wait, which then ends at once. A second call has no further effect.
    waker.wake();
    waker.wake();
    harness.poll_until_woken();
    assert!(harness.selector.events.is_empty(), "no notification");

    // From another thread, and during the wait if the threads happen to run in that order.
    let woken = thread::spawn(move || {
        for _ in 0..100 {
            harness.poll_until_woken();
        }
    });
    while !woken.is_finished() {
        waker.wake();
        thread::yield_now();
    }
    woken.join().unwrap();
}

#[test]
fn who_stays_awake_finds_what_comes_and_sleeps_when_nothing_does() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.poll_until_quiet();
    let waker = harness.selector.waker();
    waker.stay_awake();
    peer.write_all(&frame(b"soon")).unwrap();
    harness.poll_until(|harness| !harness.received.is_empty());
    assert_eq!(harness.payloads(), [b"soon"]);

    waker.stay_awake();
    waker.wake();
    harness.poll_until_woken();
    assert!(waker.stays_awake(), "it was not in vain");

    harness.poll(Duration::from_millis(1));
    assert!(!waker.stays_awake());
}

#[test]
fn a_wake_up_after_the_end_of_the_selector_is_harmless() {
    let harness = Harness::new();
    let waker = harness.selector.waker();
    waker.wake();
    drop(harness);
    waker.wake();
    waker.clone().wake();
}

/// The look after a wait finds every item that was published before a wake-up, in every order of
/// the threads' steps.
#[test]
fn no_wake_up_is_lost() {
    const ITEMS: usize = 20_000;
    const THREADS: usize = 4;
    let mut harness = Harness::new();
    let queue = Arc::new(crate::sync::Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let waker = harness.selector.waker();
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                for item in 0..ITEMS {
                    queue.lock().push(thread * ITEMS + item);
                    if item % 64 == 0 {
                        waker.stay_awake();
                    }
                    waker.wake();
                }
            })
        })
        .collect();
    let mut found = HashSet::new();
    while found.len() < THREADS * ITEMS {
        harness.poll_until_woken();
        let items = mem::take(&mut *queue.lock());
        found.extend(items);
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}
