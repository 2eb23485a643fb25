//! One client connection: reads frames, has them handled, and sends replies in order.
//!
//! Threads: a reader for each connection, which also writes the replies that may go at once. The first reply that must
//! wait starts a writer, through which all later ones go while anything is queued; the reader joins it at its end.
//! Locks: `outbox`, held for queue operations alone, never while writing, handling or waiting.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::core::Core;
use super::handler;
use super::script::HoldFlag;
use crate::common::NodeId;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::utils::KafkaThread;

/// What a broker takes at most in one request. Java (broker): `socket.request.max.bytes`.
const MAX_REQUEST_BYTES: usize = 100 << 20;

/// Bytes on their way to the client.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) not_before: Option<Instant>,
    pub(super) hold: Option<HoldFlag>,
    /// Whether the connection ends with them.
    pub(super) is_last: bool,
}

#[derive(Debug, Default)]
struct Outbox {
    /// The front stays here while it is written, so that an empty queue means that nobody writes.
    queue: VecDeque<Outgoing>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) node: NodeId,
    stream: TcpStream,
    is_closed: AtomicBool,
    /// Its node stopped: what was not handled yet must not be.
    is_abandoned: AtomicBool,
    outbox: Mutex<Outbox>,
}

impl Connection {
    pub(super) fn new(id: u64, node: NodeId, stream: TcpStream) -> Self {
        Self {
            id,
            node,
            stream,
            is_closed: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            outbox: Mutex::default(),
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// Ends the connection. Requests that were read already are handled all the same.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        // The peer may have ended it already, which is just as well. This ends a blocked read or write, too.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection as the end of its node does.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        // Otherwise each connection would keep its port for a minute more, and a day's tests could use up all ports.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        self.close();
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Sends now what may go now and has nothing before it, and queues the rest. Called by the reader alone, so that
    /// nobody else can queue between the look at the queue and the write.
    pub(super) fn send(self: &Arc<Self>, core: &Arc<Core>, outgoing: Outgoing) {
        let mut outbox = self.outbox.lock();
        let must_wait = outgoing.not_before.is_some() || outgoing.hold.is_some();
        if outbox.queue.is_empty() && !must_wait {
            drop(outbox);
            self.write(&outgoing);
            return;
        }
        outbox.queue.push_back(outgoing);
        if outbox.writer.is_none() {
            let (connection, core) = (Arc::clone(self), Arc::clone(core));
            let name = format!("fake-broker-{}-writer-{}", self.node, self.id);
            match KafkaThread::spawn(name, move || connection.write_queued(&core)) {
                Ok(writer) => outbox.writer = Some(writer),
                Err(error) => {
                    log::error!("no thread for delayed replies: {error}");
                    self.close();
                }
            }
        }
        drop(outbox);
        core.activity.announce();
    }

    fn write(&self, outgoing: &Outgoing) {
        let written = (&self.stream).write_all(&outgoing.bytes);
        if outgoing.is_last || written.is_err() {
            self.close();
        }
    }

    /// The writer's loop: the front of the queue, when its time has come.
    fn write_queued(&self, core: &Core) {
        loop {
            core.activity.wait_until(None, || {
                self.is_closed() || !self.outbox.lock().queue.is_empty()
            });
            let (hold, not_before) = match self.outbox.lock().queue.front() {
                Some(next) => (next.hold.clone(), next.not_before),
                None => (None, None),
            };
            if let Some(hold) = hold {
                core.activity
                    .wait_until(None, || self.is_closed() || hold.is_released());
            }
            if not_before.is_some() {
                core.activity.wait_until(not_before, || self.is_closed());
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

/// The reader's loop, until the client or the broker ends the connection.
pub(super) fn serve(core: &Arc<Core>, connection: &Arc<Connection>) {
    let ending = Ending { core, connection };
    let mut input = BufReader::with_capacity(64 << 10, &connection.stream);
    while !connection.is_closed() {
        match read_frame(&mut input) {
            Ok(Some(payload)) => handler::handle(core, connection, &payload),
            Ok(None) => break,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    core.record_violation(connection.node, &error.to_string());
                }
                break;
            }
        }
    }
    drop(ending);
}

/// Ends a connection when its reader ends, however it ends.
struct Ending<'a> {
    core: &'a Core,
    connection: &'a Connection,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.connection.close();
        self.core.connection_ended(self.connection.id);
        let writer = self.connection.outbox.lock().writer.take();
        if let Some(writer) = writer {
            // It only logs when it panics, and then it has ended as well.
            let _ = writer.join();
        }
    }
}

/// The next request without its size, or `None` at the end of the stream. Memory grows with the bytes that come, not
/// with the size that is claimed.
fn read_frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut size = [0; 4];
    if let Err(error) = input.read_exact(&mut size) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let claimed = i32::from_be_bytes(size);
    let length = usize::try_from(claimed)
        .ok()
        .filter(|length| *length <= MAX_REQUEST_BYTES);
    let Some(length) = length else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a request of {claimed} bytes"),
        ));
    };
    let mut payload = Vec::with_capacity(length.min(64 << 10));
    let read = input.take(length as u64).read_to_end(&mut payload)?;
    Ok((read == length).then_some(payload))
}
