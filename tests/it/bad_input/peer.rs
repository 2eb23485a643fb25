//! A server on loopback that is not a Kafka broker.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Accepts connections one after another and handles each with its closure. Ends when dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    current: Arc<Mutex<Option<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let current = Arc::new(Mutex::new(None));
        let (stopping, serving) = (Arc::clone(&is_stopping), Arc::clone(&current));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *serving.lock().unwrap() = stream.try_clone().ok();
                // `drop` sets the flag before it looks for the stream, so check the flag after
                // storing the stream.
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                serve(stream);
                // Closes the connection, as dropping the last handle would.
                if let Some(stream) = serving.lock().unwrap().take() {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        });
        Self {
            address,
            is_stopping,
            current,
            thread: Some(thread),
        }
    }

    /// A server that answers everything with `bytes` and then closes its side.
    pub(crate) fn that_answers(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(bytes);
            // The client closes the connection after it has read this. Closing first would reset
            // the connection while the client sends.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        })
    }

    /// A server that reads everything and never answers.
    pub(crate) fn that_is_silent() -> Self {
        Self::start(|mut stream| {
            let _ = stream.read_to_end(&mut Vec::new());
        })
    }

    pub(crate) fn servers(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        if let Some(stream) = self.current.lock().unwrap().take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Ends the wait for the next connection.
        let _ = TcpStream::connect(self.address);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}
