//! The thread of an async producer, which gathers messages and passes them to the handler. Java:
//! `kafka.producer.async.ProducerSendThread`.
//!
//! Differs from Java: with `queue.buffering.max.ms=0` an idle thread sleeps. Java's spins.
//!
//! Threads: one thread runs [`SendLoop`]. The thread that closes the producer waits for it.
//! Locks: that of the queue, and that of the handler. While the send thread runs, only it takes the
//! handler's lock.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::blocking_queue::BlockingQueue;
use super::error::{Error, ErrorKind, Result, contain};
use super::event_handler::EventHandler;
use super::keyed_message::KeyedMessage;
use super::reentrancy::ProducerId;
use crate::sync::{Arc, Latch, Mutex};
use crate::utils::{KafkaThread, Time, later, log};

/// The wait of an idle thread if `queue.buffering.max.ms` is 0.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// An item of the queue.
pub(crate) enum Event<K, V> {
    Message(KeyedMessage<K, V>),
    /// The last item that the thread takes. Java: `shutdownCommand`.
    Shutdown,
}

pub(crate) type Queue<K, V> = Arc<dyn BlockingQueue<Event<K, V>>>;
pub(crate) type SharedHandler<K, V> = Arc<Mutex<Box<dyn EventHandler<K, V>>>>;

/// The running thread, from the producer's side.
pub(crate) struct ProducerSendThread<K, V> {
    queue: Queue<K, V>,
    shutdown_latch: Arc<Latch<()>>,
}

impl<K: Send + 'static, V: Send + 'static> ProducerSendThread<K, V> {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The operating system refuses another thread.
    pub(crate) fn start(name: String, send_loop: SendLoop<K, V>) -> io::Result<Self> {
        let shutdown_latch = Arc::new(Latch::default());
        let thread = Self {
            queue: Arc::clone(&send_loop.queue),
            shutdown_latch: Arc::clone(&shutdown_latch),
        };
        let opens = OpensAtEnd(shutdown_latch);
        KafkaThread::spawn(name, move || {
            let _opens = opens;
            send_loop.run();
        })?;
        Ok(thread)
    }
}

impl<K, V> ProducerSendThread<K, V> {
    /// Sends what is in the queue, and waits until the thread ends.
    pub(crate) fn shutdown(&self) {
        log::info!("Begin shutting down ProducerSendThread");
        self.queue.put(Event::Shutdown);
        self.shutdown_latch.wait(None);
        log::info!("Shutdown ProducerSendThread complete");
    }

    /// Does the same as [`shutdown`](Self::shutdown), with a limit. Returns whether the thread has
    /// ended. If not, it ends later.
    pub(crate) fn shutdown_within(&self, timeout: Duration, time: &dyn Time) -> bool {
        let deadline = later(time.now(), timeout);
        if let Err(command) = self.queue.offer_within(Event::Shutdown, timeout) {
            self.queue.force(command);
        }
        let left = deadline.saturating_duration_since(time.now());
        self.shutdown_latch.wait(Some(left)).is_some()
    }
}

/// Opens the latch when the thread ends, even by a panic. Java: `finally`.
struct OpensAtEnd(Arc<Latch<()>>);

impl Drop for OpensAtEnd {
    fn drop(&mut self) {
        // Only threads wait for it, and no tasks.
        drop(self.0.open(()));
    }
}

/// The body of the thread.
pub(crate) struct SendLoop<K, V> {
    pub(crate) producer: ProducerId,
    pub(crate) queue: Queue<K, V>,
    pub(crate) handler: SharedHandler<K, V>,
    pub(crate) queue_time: Duration,
    pub(crate) batch_size: usize,
    pub(crate) time: Arc<dyn Time>,
}

impl<K, V> SendLoop<K, V> {
    pub(crate) fn run(&self) {
        if let Err(error) = self.process_events() {
            log::error!("Error in sending events: {error}");
        }
    }

    /// Gathers messages until the shutdown command arrives. Sends a batch when it is full, or when
    /// `queue_time` has passed since the last one was sent.
    fn process_events(&self) -> Result<()> {
        let mut last_send = self.time.now();
        let mut events = Vec::new();
        loop {
            let item = self
                .queue
                .poll(self.poll_timeout(last_send, events.is_empty()));
            let elapsed = self.time.now().saturating_duration_since(last_send);
            let expired = item.is_none();
            match item {
                None => log::debug!(
                    "{} ms elapsed. Queue time reached. Sending..",
                    elapsed.as_millis()
                ),
                Some(Event::Message(message)) => {
                    log::trace!("Dequeued item for topic {}", message.topic);
                    events.push(message);
                }
                Some(Event::Shutdown) => break,
            }
            let full = events.len() >= self.batch_size;
            if full {
                log::debug!("Batch full. Sending..");
            }
            if full || expired {
                self.try_to_handle(&events);
                last_send = self.time.now();
                events.clear();
            }
        }
        // The messages that came before the command.
        self.try_to_handle(&events);
        match self.queue.len() {
            0 => Ok(()),
            remaining => {
                let text = format!(
                    "Invalid queue state! After queue shutdown, {remaining} remaining items in the queue"
                );
                Err(Error::new(ErrorKind::IllegalQueueState, text))
            }
        }
    }

    fn poll_timeout(&self, last_send: Instant, is_idle: bool) -> Duration {
        if is_idle && self.queue_time.is_zero() {
            return IDLE_WAIT;
        }
        later(last_send, self.queue_time).saturating_duration_since(self.time.now())
    }

    /// Passes a batch to the handler. If that fails, the batch is lost and the thread continues.
    fn try_to_handle(&self, events: &[KeyedMessage<K, V>]) {
        let count = events.len();
        log::debug!("Handling {count} events");
        if count == 0 {
            return;
        }
        let _handling = self.producer.enter();
        let mut handler = self.handler.lock();
        let outcome = contain(ErrorKind::Panic, "the event handler", || {
            handler.handle(events)
        });
        if let Err(error) = outcome.and_then(|outcome| outcome) {
            log::error!(
                "Error in handling batch of {count} events: {}",
                error.chain()
            );
        }
    }
}

impl<K, V> fmt::Debug for ProducerSendThread<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerSendThread")
            .field("queue", &self.queue.len())
            .field("has_ended", &self.shutdown_latch.get().is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests;
