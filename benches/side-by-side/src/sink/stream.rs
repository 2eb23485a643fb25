//! The bytes of a connection, in the clear or through TLS.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Failure;

/// Where the certificates of this repository's tests are.
pub(crate) const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/tls");

/// The sink's certificate, for `localhost` and 127.0.0.1.
pub(super) fn tls_config() -> Result<Arc<ServerConfig>, Failure> {
    let directory = Path::new(CERTIFICATES);
    let chain = CertificateDer::pem_file_iter(directory.join("server.pem"))?;
    let chain = chain.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key.pem"))?;
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// The two directions of one connection, which one thread serves.
#[derive(Clone)]
pub(super) enum Stream {
    Plain(Arc<TcpStream>),
    Tls(Rc<RefCell<StreamOwned<ServerConnection, TcpStream>>>),
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let Some(config) = tls else {
            return Ok(Self::Plain(Arc::new(tcp)));
        };
        let mut connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        // A write may buffer any number of bytes.
        connection.set_buffer_limit(None);
        let stream = StreamOwned::new(connection, tcp);
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
            Self::Tls(stream) => {
                let mut stream = stream.borrow_mut();
                stream.write_all(bytes)?;
                stream.flush()
            }
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
            Self::Tls(stream) => stream.borrow().sock.shutdown(Shutdown::Both),
        };
    }
}
