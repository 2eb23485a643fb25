//! A node's port: listens on it, and keeps it while the node is down.
//!
//! Threads: one acceptor while the port is open. Locks: `port`, held while the port opens or closes.
//!
//! A node that is down must refuse connections, and must have its port when it comes back. So the port stays bound to a
//! socket that does not listen: nobody else can get it, and a client that connects to it cannot by chance be given the
//! same port and reach itself, which happens on loopback to ports that nobody has.

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

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long to wait before a failed accept, or a failed attempt to wake the acceptor, is tried again.
const RETRY: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum Port {
    Held(Socket),
    Open(Acceptor),
    /// Another process took the port while it was being closed.
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
    /// Whether connections are accepted only to be closed.
    closes_at_once: Arc<AtomicBool>,
}

impl NodeServer {
    /// Takes a free port of the loopback interface.
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

    /// Listens, if it does not yet.
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

    /// Stops listening and keeps the port. Connections that were accepted stay.
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
    /// Where a listener can be shut down, on Linux above all, that ends the call, and the listening too. To close the
    /// descriptor would not be enough for the latter: a child process that is forked at this moment has it as well, until
    /// another program takes its place. Elsewhere only a connection ends the call.
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
        // A panic was logged where it happened.
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

/// Waits for nothing but the time.
fn wait(duration: Duration) {
    let deadline = SystemTime.now().checked_add(duration);
    Activity::default().wait_until(deadline, || false);
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the node's former life may linger on the port. On Windows the option would mean something else:
    // to share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
