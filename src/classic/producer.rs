//! The classic producer itself. Java: `kafka.producer.Producer`, `kafka.javaapi.producer.Producer`.
//!
//! Threads: any number of threads send; one closes.
//! Locks: the lock of the state is held during the whole `send`, as in Kafka 0.8. The locks of the
//! queue and the counts are taken under it. The send thread never takes it. In async mode, a sender
//! never takes the handler's lock.

use std::fmt;
use std::time::Duration;

use super::blocking_queue::{BlockingQueue, LinkedBlockingQueue};
use super::default_event_handler::DefaultEventHandler;
use super::encoder::{Encoder, EncoderClass};
use super::error::{Error, ErrorKind, Result, contain};
use super::event_handler::EventHandler;
use super::keyed_message::KeyedMessage;
use super::partitioner::{ByteArrayPartitioner, DefaultPartitioner, HashCode, Partitioner};
use super::producer_config::{EnqueueTimeout, ProducerConfig, ProducerType};
use super::producer_send_thread::{Event, ProducerSendThread, Queue, SendLoop, SharedHandler};
use super::reentrancy::ProducerId;
use super::stats::{Lease, ProducerStats};
use super::sync_producer::Context;
use crate::metrics::MetricsSnapshot;
use crate::sync::{Arc, Mutex};
use crate::utils::{LogContext, SystemTime, Time, log};

/// The time that dropping a producer waits for its send thread. Java has no drop.
const DROP_TIMEOUT: Duration = Duration::from_secs(30);

/// The producer of Kafka 0.8, sync or async according to `producer.type`.
///
/// Any number of threads can share one. They send one at a time. A `send` that waits, for a broker
/// in sync mode or for room in the queue in async mode, blocks all others and the close.
///
/// Dropping it closes it, and waits at most 30 seconds for the send thread.
pub struct Producer<K = Vec<u8>, V = Vec<u8>> {
    id: ProducerId,
    config: ProducerConfig,
    log_context: LogContext,
    stats: Lease,
    time: Arc<dyn Time>,
    state: Mutex<State<K, V>>,
}

enum State<K, V> {
    Sync(Box<dyn EventHandler<K, V>>),
    Async {
        queue: Queue<K, V>,
        thread: ProducerSendThread<K, V>,
        handler: SharedHandler<K, V>,
        /// The number of the queue in the gauge.
        queue_number: u64,
    },
    Closed,
}

impl<K, V> Producer<K, V>
where
    K: AsRef<[u8]> + HashCode + Send + 'static,
    V: AsRef<[u8]> + Send + 'static,
{
    /// Creates a producer of bytes or text, with the encoders and the partitioner that the configuration names.
    ///
    /// The names are those of Kafka 0.8: `kafka.serializer.DefaultEncoder`, `StringEncoder` and `NullEncoder`,
    /// `kafka.producer.DefaultPartitioner` and `ByteArrayPartitioner`.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for any other class, and for a codec that is not compiled in; `Kafka` if the operating system
    /// refuses a thread.
    pub fn new(config: ProducerConfig) -> Result<Self> {
        let class = |key, class: &str| EncoderClass::new(key, class, &config.serializer_encoding);
        let encoder = class(ProducerConfig::SERIALIZER_CLASS, &config.serializer_class)?;
        let key_encoder = class(
            ProducerConfig::KEY_SERIALIZER_CLASS,
            &config.key_serializer_class,
        )?;
        let partitioner: Box<dyn Partitioner<K>> = match config.partitioner_class.as_str() {
            "kafka.producer.DefaultPartitioner" => Box::new(DefaultPartitioner),
            "kafka.producer.ByteArrayPartitioner" => Box::new(ByteArrayPartitioner),
            other => {
                return Err(Error::config(format!(
                    "partitioner.class: unknown class '{other}'; a program's own partitioner is given to \
                     Producer::with_classes"
                )));
            }
        };
        let context = Context::of_system(&config);
        let handler = DefaultEventHandler::with_context(
            &config,
            partitioner,
            Box::new(encoder),
            Box::new(key_encoder),
            context,
        )?;
        Self::with_event_handler(config, handler)
    }
}

impl<K: Send + 'static, V: Send + 'static> Producer<K, V> {
    /// Creates a producer with the program's own encoders and partitioner. They replace those that
    /// the configuration names.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for a codec that is not compiled in; `Kafka` if the operating system refuses a thread.
    pub fn with_classes(
        config: ProducerConfig,
        partitioner: impl Partitioner<K> + 'static,
        encoder: impl Encoder<V> + 'static,
        key_encoder: impl Encoder<K> + 'static,
    ) -> Result<Self> {
        let handler = DefaultEventHandler::new(&config, partitioner, encoder, key_encoder)?;
        Self::with_event_handler(config, handler)
    }

    /// Creates a producer that delivers with the program's own handler.
    ///
    /// # Errors
    ///
    /// `Kafka` if the operating system refuses a thread.
    pub fn with_event_handler(
        config: ProducerConfig,
        handler: impl EventHandler<K, V> + 'static,
    ) -> Result<Self> {
        let queue = Arc::new(LinkedBlockingQueue::new(
            config.queue_buffering_max_messages,
        ));
        Self::with_parts(config, Box::new(handler), queue, Arc::new(SystemTime))
    }

    fn with_parts(
        config: ProducerConfig,
        handler: Box<dyn EventHandler<K, V>>,
        queue: Queue<K, V>,
        time: Arc<dyn Time>,
    ) -> Result<Self> {
        let id = ProducerId::next();
        let log_context = LogContext::of_producer(&config.client_id, None);
        let _context = log_context.enter();
        let stats = Lease::of(&config.client_id, &time);
        let state = match config.producer_type {
            ProducerType::Sync => State::Sync(handler),
            ProducerType::Async => {
                let handler = Arc::new(Mutex::new(handler));
                let send_loop = SendLoop {
                    producer: id,
                    queue: Arc::clone(&queue),
                    handler: Arc::clone(&handler),
                    queue_time: config.queue_buffering_max,
                    batch_size: config.batch_num_messages,
                    time: Arc::clone(&time),
                };
                let name = format!("ProducerSendThread-{}", config.client_id);
                let thread = ProducerSendThread::start(name, send_loop).map_err(|error| {
                    Error::caused_by(ErrorKind::Kafka, "the send thread cannot be started", error)
                })?;
                let of_gauge = Arc::clone(&queue);
                State::Async {
                    queue_number: stats.add_queue(move || of_gauge.len()),
                    queue,
                    thread,
                    handler,
                }
            }
        };
        Ok(Self {
            id,
            stats,
            log_context: log_context.clone(),
            config,
            time,
            state: Mutex::new(state),
        })
    }
}

impl<K, V> Producer<K, V> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The errors of [`send_all`](Self::send_all).
    ///
    /// # Blocking
    ///
    /// As long as [`send_all`](Self::send_all).
    pub fn send(&self, message: KeyedMessage<K, V>) -> Result<()> {
        self.send_all([message])
    }

    /// Sends messages, of one topic or of several. Java: `send(List)`.
    ///
    /// Sync mode delivers them. With `request.required.acks=0`, the default, this means that they
    /// were written to sockets. Async mode appends them to the queue, one after the other.
    ///
    /// # Errors
    ///
    /// - `ProducerClosed`: nothing was sent.
    /// - `QueueFull`: the queue had no room for a message within `queue.enqueue.timeout.ms`. Those before it are in the
    ///   queue, those after it are not tried.
    /// - `Serialization`, in sync mode: nothing was sent.
    /// - `FailedToSendMessage`, in sync mode: after all retries some messages were not acknowledged. Others were.
    /// - `WouldDeadlock`: the call comes from the producer's own event handler.
    /// - Any error of the program's own handler.
    ///
    /// # Blocking
    ///
    /// In sync mode until the delivery with its retries ends. In async mode for
    /// `queue.enqueue.timeout.ms` per message, which has no limit by default.
    pub fn send_all(&self, messages: impl IntoIterator<Item = KeyedMessage<K, V>>) -> Result<()> {
        self.refuse_own_handler()?;
        // The user's iterator may use the producer, so it runs before the lock is taken.
        let messages: Vec<_> = messages.into_iter().collect();
        let _context = self.log_context.enter();
        let mut state = self.state.lock();
        if matches!(*state, State::Closed) {
            return Err(Error::new(
                ErrorKind::ProducerClosed,
                "producer already closed",
            ));
        }
        for message in &messages {
            self.stats
                .mark(&message.topic, |topic| &topic.message_rate, 1);
        }
        match &mut *state {
            State::Closed => Ok(()),
            State::Sync(_) if messages.is_empty() => Ok(()),
            State::Sync(handler) => {
                let _handling = self.id.enter();
                let handle = || handler.handle(&messages);
                contain(ErrorKind::Panic, "the event handler", handle).and_then(|outcome| outcome)
            }
            State::Async { queue, .. } => self.async_send(&**queue, messages),
        }
    }

    fn async_send(
        &self,
        queue: &dyn BlockingQueue<Event<K, V>>,
        messages: Vec<KeyedMessage<K, V>>,
    ) -> Result<()> {
        for message in messages {
            let event = Event::Message(message);
            let added = match self.config.queue_enqueue_timeout {
                EnqueueTimeout::Offer => queue.offer(event),
                EnqueueTimeout::OfferWithin(timeout) => queue.offer_within(event, timeout),
                EnqueueTimeout::Put => {
                    queue.put(event);
                    Ok(())
                }
            };
            if let Err(Event::Message(message)) = added {
                self.stats
                    .mark(&message.topic, |topic| &topic.dropped_message_rate, 1);
                let text = format!(
                    "Event queue is full of unsent messages, could not send event: {}",
                    message.label()
                );
                return Err(Error::new(ErrorKind::QueueFull, text));
            }
            log::trace!(
                "Added an event to the send queue. Remaining queue size: {}",
                queue.remaining_capacity()
            );
        }
        Ok(())
    }

    /// Returns the counts, which stay readable after the close.
    pub fn stats(&self) -> ProducerStats {
        self.stats.producer_stats()
    }

    /// Returns the metrics, with the names of Kafka 0.8, or none after the close. The
    /// [module](super#metrics) lists them.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.stats.snapshot()
    }

    /// Sends what is in the queue, and closes the connections. A second close does nothing.
    ///
    /// # Errors
    ///
    /// `WouldDeadlock`: the call comes from the producer's own event handler.
    ///
    /// Until the current `send` returns and the queue is empty. Each batch can take all its
    /// retries.
    ///
    /// For the `send` that runs, and then until the queue is empty: each batch can take all its retries.
    pub fn close(&self) -> Result<()> {
        self.refuse_own_handler()?;
        let _context = self.log_context.enter();
        let mut state = self.state.lock();
        match self.remove_metrics(&mut state) {
            State::Closed => {}
            State::Sync(mut handler) => close_handler(&mut *handler),
            State::Async {
                thread, handler, ..
            } => {
                thread.shutdown();
                close_handler(&mut **handler.lock());
            }
        }
        Ok(())
    }

    /// Begins the close. The counts stay for those that hold them.
    fn remove_metrics(&self, state: &mut State<K, V>) -> State<K, V> {
        if let State::Async { queue_number, .. } = state {
            self.stats.remove_queue(*queue_number);
        }
        self.stats.close();
        std::mem::replace(state, State::Closed)
    }

    fn refuse_own_handler(&self) -> Result<()> {
        if !self.id.is_handling() {
            return Ok(());
        }
        let text = "the producer was called by its own event handler, encoder or partitioner";
        Err(Error::new(ErrorKind::WouldDeadlock, text))
    }
}

/// Closes a handler. A panic is only logged, because a close has nothing to undo and a drop must
/// not panic.
fn close_handler<K, V>(handler: &mut dyn EventHandler<K, V>) {
    let what = "the close of the event handler";
    if let Err(panic) = contain(ErrorKind::Panic, what, || handler.close()) {
        log::error!("{panic}");
    }
}

impl<K, V> Drop for Producer<K, V> {
    fn drop(&mut self) {
        let _context = self.log_context.enter();
        let state = self.remove_metrics(&mut self.state.lock());
        match state {
            State::Closed => {}
            State::Sync(mut handler) => close_handler(&mut *handler),
            State::Async {
                thread,
                handler,
                queue,
                ..
            } => {
                // The handler can hold its own producer, so the send thread can be the one that
                // drops it. It must not wait for itself.
                let timeout = if self.id.is_handling() {
                    Duration::ZERO
                } else {
                    DROP_TIMEOUT
                };
                match thread.shutdown_within(timeout, &*self.time) {
                    true => close_handler(&mut **handler.lock()),
                    false => log::warn!(
                        "dropped a producer whose send thread still sends {} messages in the background",
                        queue.len()
                    ),
                }
            }
        }
    }
}

impl<K, V> fmt::Debug for Producer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
