//! The broker's side of a client's connection, with or without TLS.
//!
//! Threads: the connection's reader reads; the reader and the writer write.
//! Locks: `session`, held while encrypted bytes are written, because they must leave in the order
//! of their encryption. Never held while reading.

use std::io::{self, Read, Write};
use std::net::TcpStream;

#[cfg(feature = "tls")]
use rustls::{ServerConfig, ServerConnection};

#[cfg(feature = "tls")]
use crate::sync::{Arc, Mutex};

/// The protection of a test broker's connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Security {
    /// Accepts a connection. The first read makes the handshake.
    pub(crate) fn protect(&self, socket: TcpStream) -> io::Result<Stream> {
        Ok(Stream {
            socket,
            #[cfg(feature = "tls")]
            session: match &self.tls {
                None => None,
                Some(config) => {
                    let session = ServerConnection::new(Arc::clone(config));
                    let mut session = session.map_err(io::Error::other)?;
                    session.set_buffer_limit(None);
                    Some(Mutex::new(session))
                }
            },
        })
    }
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    #[cfg(feature = "tls")]
    session: Option<Mutex<ServerConnection>>,
}

impl Stream {
    /// Writes all bytes to the client.
    pub(crate) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(session) = &self.session {
            let mut session = session.lock();
            session.writer().write_all(bytes)?;
            return self.write_encrypted(&mut session);
        }
        (&self.socket).write_all(bytes)
    }

    #[cfg(feature = "tls")]
    fn write_encrypted(&self, session: &mut ServerConnection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }

    /// Decrypts what the socket has. Returns `WouldBlock` if that contains no plain byte yet.
    #[cfg(feature = "tls")]
    fn read_encrypted(
        &self,
        session: &Mutex<ServerConnection>,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        match session.lock().reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The client may end without `close_notify`, as a killed process does.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            read => return read,
        }
        // Reads without the lock, so that replies can be written meanwhile. Reads no more than the
        // session takes at once: it takes nothing while it holds plain bytes.
        let mut encrypted = [0; 4096];
        let count = (&self.socket).read(&mut encrypted)?;
        let mut session = session.lock();
        let mut rest = encrypted.get(..count).unwrap_or_default();
        loop {
            // An empty read is the end of the stream, which the session must also learn.
            session.read_tls(&mut rest)?;
            let processed = session.process_new_packets();
            // Sends the alert, if there is one.
            let written = self.write_encrypted(&mut session);
            processed.map_err(io::Error::other)?;
            written?;
            if rest.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(session) = &self.session {
            loop {
                match self.read_encrypted(session, buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
            }
        }
        (&self.socket).read(buffer)
    }
}
