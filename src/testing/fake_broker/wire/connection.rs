//! One client connection: sends replies in order, and ends.
//!
//! Threads: the connection's reader (`reader.rs`) writes replies without a delay itself. The first
//! reply that must wait starts a writer. All later replies go through it while any are queued. The
//! reader joins it at its end.
//! Locks: `outbox`, held only for operations on the queue, and never while writing, handling or
//! waiting.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::stream::Stream;
use crate::common::NodeId;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::testing::fake_broker::model::sasl::SaslSession;
use crate::testing::fake_broker::script::activity::Activity;
use crate::testing::fake_broker::script::hold::HoldFlag;
use crate::utils::KafkaThread;

/// Bytes for the client.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) not_before: Option<Instant>,
    pub(crate) hold: Option<HoldFlag>,
    /// Whether the connection ends after them.
    pub(crate) is_last: bool,
}

#[derive(Debug, Default)]
struct Outbox {
    /// The front stays here while it is written, so an empty queue means that no thread is writing.
    queue: VecDeque<Outgoing>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) node: NodeId,
    stream: Stream,
    is_closed: AtomicBool,
    /// Its node has stopped: requests that are not handled yet must not be handled.
    is_abandoned: AtomicBool,
    outbox: Mutex<Outbox>,
    activity: Arc<Activity>,
    /// Only the reader uses it.
    pub(crate) sasl: Mutex<SaslSession>,
}

impl Connection {
    pub(crate) fn new(id: u64, node: NodeId, stream: Stream, activity: Arc<Activity>) -> Self {
        Self {
            id,
            node,
            stream,
            is_closed: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            outbox: Mutex::default(),
            activity,
            sasl: Mutex::default(),
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// Ends the connection. Requests that were already read are still handled.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        // The peer may have ended it already, which is fine. This also ends a blocked read or
        // write.
        let _ = self.stream.socket.shutdown(Shutdown::Both);
    }

    /// Ends the connection because its node stops.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        // Otherwise each connection would keep its port for another minute, and a day's tests could
        // use up all ports.
        let _ = SockRef::from(&self.stream.socket).set_linger(Some(Duration::ZERO));
        self.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Sends the reply immediately if it has no delay and no reply is queued; otherwise queues it.
    /// Only the reader calls this, so no other thread can queue a reply between the check and the
    /// write.
    pub(crate) fn send(self: &Arc<Self>, outgoing: Outgoing) {
        let mut outbox = self.outbox.lock();
        let must_wait = outgoing.not_before.is_some() || outgoing.hold.is_some();
        if outbox.queue.is_empty() && !must_wait {
            drop(outbox);
            self.write(&outgoing);
            return;
        }
        outbox.queue.push_back(outgoing);
        if outbox.writer.is_none() {
            let connection = Arc::clone(self);
            let name = format!("fake-broker-{}-writer-{}", self.node, self.id);
            match KafkaThread::spawn(name, move || connection.write_queued()) {
                Ok(writer) => outbox.writer = Some(writer),
                Err(error) => {
                    log::error!("no thread for delayed replies: {error}");
                    self.close();
                }
            }
        }
        drop(outbox);
        self.activity.announce();
    }

    /// Returns the client's side of the connection, to read from.
    pub(crate) fn input(&self) -> &Stream {
        &self.stream
    }

    /// Waits for the writer, which ends because the connection is closed.
    pub(crate) fn join_writer(&self) {
        let writer = self.outbox.lock().writer.take();
        if let Some(writer) = writer {
            // A panic is only logged, and the writer has ended then too.
            let _ = writer.join();
        }
    }

    fn write(&self, outgoing: &Outgoing) {
        let written = self.stream.write_all(&outgoing.bytes);
        if outgoing.is_last || written.is_err() {
            self.close();
        }
    }

    /// Runs the writer's loop: writes the front of the queue when it is due.
    fn write_queued(&self) {
        loop {
            self.activity.wait_until(None, || {
                self.is_closed() || !self.outbox.lock().queue.is_empty()
            });
            let (hold, not_before) = match self.outbox.lock().queue.front() {
                Some(next) => (next.hold.clone(), next.not_before),
                None => (None, None),
            };
            if let Some(hold) = hold {
                self.activity
                    .wait_until(None, || self.is_closed() || hold.is_released());
            }
            if not_before.is_some() {
                self.activity.wait_until(not_before, || self.is_closed());
            }
            if self.is_closed() {
                return;
            }
            let Some(next) = self.outbox.lock().queue.front_mut().map(std::mem::take) else {
                continue;
            };
            self.write(&next);
            self.outbox.lock().queue.pop_front();
        }
    }
}
