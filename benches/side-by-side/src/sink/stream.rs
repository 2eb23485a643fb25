//! The bytes of a connection, in the clear or through TLS.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;

use super::tls::TlsStream;

/// The two directions of one connection, which one thread serves.
#[derive(Clone)]
pub(super) enum Stream {
    Plain(Arc<TcpStream>),
    Tls(Rc<RefCell<TlsStream>>),
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let Some(config) = tls else {
            return Ok(Self::Plain(Arc::new(tcp)));
        };
        let stream = TlsStream::new(tcp, config)?;
        Ok(Self::Tls(Rc::new(RefCell::new(stream))))
    }

    pub(super) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => (&**tcp).read(bytes),
            Self::Tls(stream) => stream.borrow_mut().read(bytes),
        }
    }

    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => (&**tcp).write_all(bytes),
            Self::Tls(stream) => stream.borrow_mut().write_all(bytes),
        }
    }

    /// The socket, if its bytes are what was sent.
    pub(super) fn plain(&self) -> Option<&Arc<TcpStream>> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(_) => None,
        }
    }

    pub(super) fn shutdown(&self) {
        // A peer that has closed its side already is an error that changes nothing.
        _ = match self {
            Self::Plain(tcp) => tcp.shutdown(Shutdown::Both),
            Self::Tls(stream) => stream.borrow().tcp().shutdown(Shutdown::Both),
        };
    }
}
