//! A node's port: listens on it, and keeps it reserved while the node is down.
//!
//! Threads: one acceptor while the port is open.
//! Locks: `port`, held while the port opens or closes.
//!
//! A node that is down must refuse connections, and must get its port back later. So a socket that
//! does not listen stays bound to the port. No other process can take it. It also prevents a client
//! that connects to it from getting the same local port and reaching itself, which happens on
//! loopback with unused ports.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::core::Core;
use super::reader;
use crate::common::NodeId;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::testing::fake_broker::script::activity::Activity;
use crate::utils::{KafkaThread, SystemTime, Time};

/// The number of connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// The pause before a failed accept, or a failed attempt to wake the acceptor, is retried.
const RETRY: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum Port {
    Held(Socket),
    Open(Acceptor),
    /// Another process took the port while it was closing.
    Lost,
}

#[derive(Debug)]
struct Acceptor {
    is_stopping: Arc<AtomicBool>,
    listener: Arc<TcpListener>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
pub(crate) struct NodeServer {
    pub(crate) node: NodeId,
    address: SocketAddr,
    port: Mutex<Port>,
    /// Whether accepted connections are closed immediately.
    closes_at_once: Arc<AtomicBool>,
}

impl NodeServer {
    /// Reserves a free port of the loopback interface.
    pub(crate) fn bind(node: NodeId) -> io::Result<Self> {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?.as_socket();
        Ok(Self {
            node,
            address: address.ok_or(io::ErrorKind::AddrNotAvailable)?,
            port: Mutex::new(Port::Held(socket)),
            closes_at_once: Arc::default(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn close_at_once(&self, closes_at_once: bool) {
        self.closes_at_once.store(closes_at_once, Ordering::SeqCst);
    }

    /// Listens, unless it already does.
    pub(crate) fn open(&self, core: &Arc<Core>) -> io::Result<()> {
        let mut port = self.port.lock();
        let socket = match std::mem::replace(&mut *port, Port::Lost) {
            Port::Open(acceptor) => {
                *port = Port::Open(acceptor);
                return Ok(());
            }
            Port::Held(socket) => socket,
            Port::Lost => bind(self.address)?,
        };
        socket.listen(BACKLOG)?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let listener = Arc::new(TcpListener::from(socket));
        let acceptor = AcceptLoop {
            node: self.node,
            listener: Arc::clone(&listener),
            is_stopping: Arc::clone(&is_stopping),
            closes_at_once: Arc::clone(&self.closes_at_once),
            core: Arc::clone(core),
        };
        let name = format!("fake-broker-{}-acceptor", self.node);
        let thread = KafkaThread::spawn(name, move || acceptor.run())?;
        *port = Port::Open(Acceptor {
            is_stopping,
            listener,
            thread,
        });
        Ok(())
    }

    /// Stops listening but keeps the port. Accepted connections stay open.
    pub(crate) fn close(&self) {
        let mut port = self.port.lock();
        match std::mem::replace(&mut *port, Port::Lost) {
            Port::Open(acceptor) => {
                acceptor.stop(self.address);
                if let Ok(socket) = bind(self.address) {
                    *port = Port::Held(socket);
                }
            }
            other => *port = other,
        }
    }
}

impl Acceptor {
    /// Ends the thread, which is blocked in `accept`.
    ///
    /// On Linux and some other systems, shutting the listener down ends both the call and the
    /// listening. Closing the descriptor would not end the listening: a child process forked at
    /// this moment has a copy until it executes another program. On other systems only a connection
    /// ends the call.
    fn stop(self, address: SocketAddr) {
        self.is_stopping.store(true, Ordering::SeqCst);
        let is_shut_down = SockRef::from(&self.listener)
            .shutdown(Shutdown::Both)
            .is_ok();
        while !is_shut_down && !self.thread.is_finished() {
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                break;
            }
            wait(RETRY);
        }
        // A panic was already logged where it happened.
        let _ = self.thread.join();
    }
}

struct AcceptLoop {
    node: NodeId,
    listener: Arc<TcpListener>,
    is_stopping: Arc<AtomicBool>,
    closes_at_once: Arc<AtomicBool>,
    core: Arc<Core>,
}

impl AcceptLoop {
    fn run(&self) {
        loop {
            let accepted = self.listener.accept();
            if self.is_stopping.load(Ordering::SeqCst) {
                return;
            }
            match accepted {
                Ok(_) if self.closes_at_once.load(Ordering::SeqCst) => self.core.refused(),
                Ok((stream, _)) => reader::accept(&self.core, self.node, stream),
                Err(error) => {
                    log::warn!("node {} cannot accept: {error}", self.node);
                    wait(RETRY);
                }
            }
        }
    }
}

/// Waits for this time.
fn wait(duration: Duration) {
    let deadline = SystemTime.now().checked_add(duration);
    Activity::default().wait_until(deadline, || false);
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the node's earlier run may linger on the port. On Windows the option would
    // have another meaning: to share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
