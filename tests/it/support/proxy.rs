//! A proxy between a producer and a broker that changes the broker's responses.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Takes a frame of the broker with its size, and returns what is written in its place, piece by
/// piece.
pub(crate) type Change = dyn Fn(Vec<u8>) -> Vec<Vec<u8>> + Send + Sync;

/// Accepts connections, and connects each to the broker. Dropping it closes all of them.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    is_stopping: AtomicBool,
    /// Both ends of every connection, to end the threads that read from them.
    streams: Mutex<Vec<TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    change: Box<Change>,
}

impl Proxy {
    pub(crate) fn listen(listener: TcpListener, broker: SocketAddr, change: Box<Change>) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            is_stopping: AtomicBool::new(false),
            streams: Mutex::default(),
            threads: Mutex::default(),
            change,
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.is_stopping.load(Ordering::SeqCst) {
                    return;
                }
                // Without a broker, the client's connection is closed.
                let _ = accepting.join(client, broker);
            }
        });
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }
}

impl Shared {
    fn join(self: &Arc<Self>, client: TcpStream, broker: SocketAddr) -> io::Result<()> {
        let broker = TcpStream::connect(broker)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let ends = [client.try_clone()?, broker.try_clone()?];
        self.streams.lock().unwrap().extend(ends);
        let (mut requests, mut to_broker) = (client.try_clone()?, broker.try_clone()?);
        let shared = Arc::clone(self);
        self.threads.lock().unwrap().extend([
            thread::spawn(move || {
                let _ = io::copy(&mut requests, &mut to_broker);
                let _ = to_broker.shutdown(Shutdown::Both);
            }),
            thread::spawn(move || {
                let _ = shared.pass_responses(&broker, &client);
                let _ = client.shutdown(Shutdown::Both);
                let _ = broker.shutdown(Shutdown::Both);
            }),
        ]);
        Ok(())
    }

    fn pass_responses(&self, mut broker: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        loop {
            let mut frame = vec![0; 4];
            broker.read_exact(&mut frame)?;
            let size = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
            frame.resize(4 + size, 0);
            broker.read_exact(&mut frame[4..])?;
            for piece in (self.change)(frame) {
                client.write_all(&piece)?;
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Ends the wait for the next connection. No stream is added after that.
        let _ = TcpStream::connect(self.address);
        let _ = self.acceptor.take().unwrap().join();
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap());
        for thread in threads {
            let _ = thread.join();
        }
    }
}
