//! The loop with a clock that advances when the loop waits, and each way in which the thread can
//! end.
//!
//! Java: `AsyncProducerTest`.

use std::collections::VecDeque;
use std::sync::mpsc;

use super::super::blocking_queue::LinkedBlockingQueue;
use super::*;
use crate::utils::log::test_lines;
use crate::utils::{MockTime, SystemTime};

type Item = Event<String, u32>;
/// The time of each batch in milliseconds, and its numbers.
type Batches = Vec<(u128, Vec<u32>)>;

/// A queue whose items arrive at set times. Waiting advances the clock.
struct ScriptedQueue {
    time: MockTime,
    started: Instant,
    arrivals: Mutex<VecDeque<(u64, Item)>>,
    polls: Mutex<Vec<u128>>,
}

impl BlockingQueue<Item> for ScriptedQueue {
    fn put(&self, _: Item) {
        unreachable!("the loop puts nothing")
    }

    fn offer(&self, item: Item) -> Result<(), Item> {
        Err(item)
    }

    fn offer_within(&self, item: Item, _: Duration) -> Result<(), Item> {
        Err(item)
    }

    fn force(&self, _: Item) {
        unreachable!("the loop puts nothing")
    }

    fn poll(&self, timeout: Duration) -> Option<Item> {
        self.polls.lock().push(timeout.as_millis());
        let mut arrivals = self.arrivals.lock();
        let at =
            self.started + Duration::from_millis(arrivals.front().expect("the loop must end").0);
        let wait = at.saturating_duration_since(self.time.now());
        if wait > timeout {
            self.time.advance(timeout);
            return None;
        }
        self.time.advance(wait);
        arrivals.pop_front().map(|(_, item)| item)
    }

    fn len(&self) -> usize {
        self.arrivals.lock().len()
    }

    fn remaining_capacity(&self) -> usize {
        usize::MAX
    }
}

/// Records each batch and its time. Fails or panics for the batches that contain a given number.
struct Recorder {
    time: Arc<dyn Time>,
    started: Instant,
    batches: Arc<Mutex<Batches>>,
    fails_at: Option<u32>,
    panics_at: Option<u32>,
    takes: Duration,
}

impl EventHandler<String, u32> for Recorder {
    fn handle(&mut self, events: &[KeyedMessage<String, u32>]) -> Result<()> {
        let values: Vec<_> = events.iter().filter_map(|event| event.message).collect();
        let at = self.time.now() - self.started;
        self.batches.lock().push((at.as_millis(), values.clone()));
        self.time.sleep(self.takes);
        let holds = |number: Option<u32>| number.is_some_and(|number| values.contains(&number));
        assert!(!holds(self.panics_at), "no more");
        match holds(self.fails_at) {
            true => Err(Error::kafka("refused")),
            false => Ok(()),
        }
    }

    fn close(&mut self) {}
}

struct Run {
    batches: Batches,
    polls: Vec<u128>,
    lines: Vec<(log::Level, String)>,
}

fn message(number: u32) -> Item {
    Event::Message(KeyedMessage::new("t", number))
}

/// Runs the loop with these arrivals: milliseconds and numbers. The shutdown command arrives at
/// `end`.
fn run(
    batch_size: usize,
    queue_time: u64,
    arrivals: &[(u64, u32)],
    end: u64,
    change: impl FnOnce(&mut Recorder, &mut VecDeque<(u64, Item)>),
) -> Run {
    let clock = MockTime::new();
    let time: Arc<dyn Time> = Arc::new(clock.clone());
    let started = clock.now();
    let batches = Arc::default();
    let mut recorder = Recorder {
        time: Arc::clone(&time),
        started,
        batches: Arc::clone(&batches),
        fails_at: None,
        panics_at: None,
        takes: Duration::ZERO,
    };
    let mut script: VecDeque<_> = arrivals
        .iter()
        .map(|(at, number)| (*at, message(*number)))
        .collect();
    script.push_back((end, Event::Shutdown));
    change(&mut recorder, &mut script);
    let queue = Arc::new(ScriptedQueue {
        time: clock,
        started,
        arrivals: Mutex::new(script),
        polls: Mutex::default(),
    });
    let handler: Box<dyn EventHandler<String, u32>> = Box::new(recorder);
    let send_loop = SendLoop {
        producer: ProducerId::next(),
        queue: Arc::clone(&queue) as Queue<String, u32>,
        handler: Arc::new(Mutex::new(handler)),
        queue_time: Duration::from_millis(queue_time),
        batch_size,
        time,
    };
    let lines = test_lines();
    send_loop.run();
    let batches = batches.lock().clone();
    let polls = queue.polls.lock().clone();
    Run {
        batches,
        polls,
        lines: lines.take(),
    }
}

// Java: AsyncProducerTest.testBatchSize.
#[test]
fn a_full_batch_is_sent_at_once_and_the_rest_at_the_shutdown() {
    let arrivals: Vec<_> = (0..7).map(|number| (1, number)).collect();
    let run = run(3, 10_000, &arrivals, 2, |_, _| {});
    assert_eq!(
        run.batches,
        [(1, vec![0, 1, 2]), (1, vec![3, 4, 5]), (2, vec![6])]
    );
}

// Java: AsyncProducerTest.testQueueTimeExpired.
#[test]
fn an_expired_batch_is_sent() {
    let run = run(100, 200, &[(10, 1), (150, 2)], 300, |_, _| {});
    // Each wait takes what is left of the 200 ms since the last send.
    assert_eq!(run.polls, [200, 190, 50, 200]);
    assert_eq!(run.batches, [(200, vec![1, 2])]);
}

#[test]
fn the_queue_time_counts_from_the_last_send_and_not_from_the_arrival() {
    // Expiries without messages at 100 and 200 count as sends, so a message at 201 waits until 300.
    let run = run(100, 100, &[(201, 1)], 450, |_, _| {});
    assert_eq!(run.batches, [(300, vec![1])]);
    assert_eq!(run.polls, [100, 100, 100, 99, 100, 100]);
}

#[test]
fn a_slow_handler_delays_the_next_batch_by_its_time_alone() {
    let run = run(2, 100, &[(1, 1), (1, 2), (2, 3)], 1000, |recorder, _| {
        recorder.takes = Duration::from_millis(500);
    });
    // The queue time of the third message starts when the first batch is handled.
    assert_eq!(run.batches, [(1, vec![1, 2]), (601, vec![3])]);
}

#[test]
fn an_idle_thread_without_a_queue_time_waits() {
    let run = run(10, 0, &[(2500, 1)], 2600, |_, _| {});
    assert_eq!(run.batches, [(2500, vec![1])]);
    assert_eq!(run.polls[..4], [1000, 1000, 1000, 0]);
}

#[test]
fn a_handler_that_fails_or_panics_loses_its_batch_and_the_thread_goes_on() {
    let arrivals: Vec<_> = (0..6).map(|number| (1, number)).collect();
    let run = run(2, 100, &arrivals, 2, |recorder, _| {
        recorder.fails_at = Some(0);
        recorder.panics_at = Some(2);
    });
    let values: Vec<_> = run.batches.into_iter().map(|(_, values)| values).collect();
    assert_eq!(values, [[0, 1], [2, 3], [4, 5]]);
    let errors: Vec<_> = run
        .lines
        .iter()
        .filter(|(level, _)| *level == log::Level::Error)
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0]
            .1
            .ends_with("Error in handling batch of 2 events: refused"),
        "{errors:?}"
    );
    assert!(
        errors[1]
            .1
            .contains("Error in handling batch of 2 events: the event handler panicked")
    );
}

#[test]
fn messages_behind_the_shutdown_command_are_an_error() {
    let run = run(10, 100, &[(1, 1)], 2, |_, script| {
        script.push_back((2, message(9)));
        script.push_back((2, message(8)));
    });
    assert_eq!(run.batches, [(2, vec![1])]);
    let wanted = "Error in sending events: Invalid queue state! After queue shutdown, 2 remaining items in the queue";
    assert!(
        run.lines.iter().any(|(_, line)| line.contains(wanted)),
        "{:?}",
        run.lines
    );
}

#[test]
fn a_shutdown_without_messages_calls_no_handler() {
    let run = run(10, 100, &[], 250, |_, _| {});
    assert!(run.batches.is_empty());
}

/// Waits for a permit before each batch.
struct Gate(mpsc::Receiver<()>, Arc<Mutex<Vec<u32>>>);

impl EventHandler<String, u32> for Gate {
    fn handle(&mut self, events: &[KeyedMessage<String, u32>]) -> Result<()> {
        self.0
            .recv()
            .map_err(|_| Error::kafka("the gate is gone"))?;
        self.1
            .lock()
            .extend(events.iter().filter_map(|event| event.message));
        Ok(())
    }

    fn close(&mut self) {}
}

struct Gated {
    thread: ProducerSendThread<String, u32>,
    queue: Queue<String, u32>,
    permit: mpsc::Sender<()>,
    handled: Arc<Mutex<Vec<u32>>>,
}

fn gated(capacity: usize) -> Gated {
    let (permit, permits) = mpsc::channel();
    let handled = Arc::<Mutex<Vec<u32>>>::default();
    let handler: Box<dyn EventHandler<String, u32>> = Box::new(Gate(permits, Arc::clone(&handled)));
    let queue: Queue<String, u32> = Arc::new(LinkedBlockingQueue::new(capacity));
    let send_loop = SendLoop {
        producer: ProducerId::next(),
        queue: Arc::clone(&queue),
        handler: Arc::new(Mutex::new(handler)),
        queue_time: Duration::from_secs(3600),
        batch_size: 1,
        time: Arc::new(SystemTime),
    };
    let thread =
        ProducerSendThread::start("ProducerSendThread-test".to_owned(), send_loop).unwrap();
    Gated {
        thread,
        queue,
        permit,
        handled,
    }
}

#[test]
fn a_shutdown_waits_for_room_in_a_full_queue_and_then_for_the_messages() {
    let Gated {
        thread,
        queue,
        permit,
        handled,
    } = gated(2);
    for number in 0..4 {
        if number == 3 {
            // The thread holds the first one; the queue holds two more and is full.
            assert!(queue.offer(message(99)).is_err());
            permit.send(()).unwrap();
        }
        queue.put(message(number));
    }
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| thread.shutdown());
        for _ in 0..3 {
            permit.send(()).unwrap();
        }
        shutdown.join().unwrap();
    });
    assert_eq!(*handled.lock(), [0, 1, 2, 3]);
}

#[test]
fn a_bounded_shutdown_returns_in_time_and_the_thread_ends_later() {
    let Gated {
        thread,
        queue,
        permit,
        handled,
    } = gated(1);
    queue.put(message(0));
    queue.put(message(1));
    assert!(!thread.shutdown_within(Duration::from_millis(1), &SystemTime));
    // The command may exceed the queue's capacity.
    permit.send(()).unwrap();
    permit.send(()).unwrap();
    assert!(
        thread
            .shutdown_latch
            .wait(Some(Duration::from_secs(30)))
            .is_some()
    );
    assert_eq!(*handled.lock(), [0, 1]);
}
