//! Tests of whole exchanges in memory: this client against a server of rustls, without threads or
//! sockets. Java: `SslTransportLayerTest`, `SslFactoryTest`.

mod factory;
mod identities;
#[cfg(feature = "keystores")]
mod keystores;
mod providers;
mod transport;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::Registry;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};

use super::*;
use crate::network::Disconnect;
use crate::network::transport_layer::TransportLayer;
use crate::sync::Arc;
use crate::utils::{Secret, SystemTime, Time, crypto_provider};

/// Reads a file of tests/data/tls.
pub(super) fn file(name: &str) -> String {
    let path = format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn trusting(ca: &str) -> SslConfig {
    SslConfig {
        truststore: Truststore::Pem(Secret::new(file(ca))),
        keystore: None,
        verifies_host: true,
        protocols: vec![TlsVersion::Tls12, TlsVersion::Tls13],
        cipher_suites: Vec::new(),
    }
}

fn with_identity(name: &str) -> SslConfig {
    SslConfig {
        keystore: Some(Keystore::Pem {
            key: Secret::new(file(&format!("{name}.key"))),
            certificate_chain: Secret::new(file(name)),
            key_password: None,
        }),
        ..trusting("ca")
    }
}

/// Whether the server requests a certificate from its clients.
#[derive(Clone, Copy, PartialEq)]
enum ClientAuth {
    None,
    Required,
}

fn server(
    identity: &str,
    version: &'static SupportedProtocolVersion,
    client_auth: ClientAuth,
) -> Arc<ServerConfig> {
    let provider = crypto_provider().unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap();
    let builder = match client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Required => {
            let mut roots = RootCertStore::empty();
            let ca = CertificateDer::from_pem_slice(file("ca").as_bytes()).unwrap();
            roots.add(ca).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = file(identity);
    let chain: Result<_, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let key = file(&format!("{identity}.key"));
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(chain.unwrap(), key).unwrap())
}

/// The bytes between the two sides, and the behaviour of the client's socket.
#[derive(Debug)]
struct Wire {
    to_server: Vec<u8>,
    to_client: VecDeque<u8>,
    /// The largest number of bytes that one read returns.
    per_read: usize,
    /// The number of bytes that the socket takes before it blocks.
    room: usize,
    /// Nothing follows `to_client`.
    is_ended: bool,
    is_connected: bool,
    is_closed: bool,
    write_failure: Option<io::ErrorKind>,
}

/// The client's socket.
#[derive(Debug)]
struct Pipe(Rc<RefCell<Wire>>);

impl TransportLayer for Pipe {
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        Ok(self.0.borrow().is_connected)
    }

    fn has_pending_writes(&self) -> bool {
        false
    }

    fn close(&mut self, _registry: &Registry) {
        self.0.borrow_mut().is_closed = true;
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        let count = buffer.len().min(wire.per_read).min(wire.to_client.len());
        if count == 0 {
            return match wire.is_ended {
                true => Ok(0),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        for (place, byte) in buffer.iter_mut().zip(wire.to_client.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if let Some(kind) = wire.write_failure {
            return Err(kind.into());
        }
        let count = bytes.len().min(wire.room);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        wire.room -= count;
        wire.to_server.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client and a server, and the wire between them.
struct Pair {
    client: SslTransportLayer<Pipe>,
    server: ServerConnection,
    wire: Rc<RefCell<Wire>>,
    /// The plain bytes that the server received.
    received: Vec<u8>,
    /// The error of the server's half.
    server_failure: Option<rustls::Error>,
}

impl Pair {
    fn new(factory: &mut SslFactory, server: Arc<ServerConfig>, host: &str) -> Self {
        Self::new_at(SystemTime.now(), factory, server, host)
    }

    fn new_at(
        now: Instant,
        factory: &mut SslFactory,
        server: Arc<ServerConfig>,
        host: &str,
    ) -> Self {
        let wire = Rc::new(RefCell::new(Wire {
            to_server: Vec::new(),
            to_client: VecDeque::new(),
            per_read: usize::MAX,
            room: usize::MAX,
            is_ended: false,
            is_connected: true,
            is_closed: false,
            write_failure: None,
        }));
        let session = factory.session(host, now).unwrap();
        Self {
            client: SslTransportLayer::new(Pipe(Rc::clone(&wire)), session, host),
            server: ServerConnection::new(server).unwrap(),
            wire,
            received: Vec::new(),
            server_failure: None,
        }
    }

    /// Creates a pair with a server of this identity, over TLS 1.3.
    fn of(config: SslConfig, identity: &str) -> Self {
        let server = server(identity, &version::TLS13, ClientAuth::None);
        Self::new(&mut SslFactory::new(config).unwrap(), server, "localhost")
    }

    /// Lets the server read everything there is and write everything it has.
    fn pump(&mut self) {
        let mut wire = self.wire.borrow_mut();
        let bytes = std::mem::take(&mut wire.to_server);
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.server_failure.is_none() {
            self.server.read_tls(&mut rest).unwrap();
            self.server_failure = self.server.process_new_packets().err();
            // At the end of the stream this returns an end, and otherwise `WouldBlock`.
            let _ = self.server.reader().read_to_end(&mut self.received);
        }
        while self.server.wants_write() {
            let mut bytes = Vec::new();
            self.server.write_tls(&mut bytes).unwrap();
            wire.to_client.extend(bytes);
        }
    }

    /// Lets both sides take turns until the client's half of the handshake ends.
    fn connect(&mut self) -> Result<(), Disconnect> {
        for _ in 0..10_000 {
            if self.client.finish_connect()? {
                self.pump();
                return Ok(());
            }
            {
                let mut wire = self.wire.borrow_mut();
                wire.room = wire.room.max(1);
            }
            self.pump();
        }
        panic!("the handshake does not end");
    }

    /// Returns the reason of a handshake that fails with an authentication error.
    fn refusal(&mut self) -> String {
        match self.connect() {
            Err(Disconnect::AuthenticationFailed { message }) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let count = self.client.read(&mut buffer)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn server_reads(&mut self) -> Vec<u8> {
        self.pump();
        std::mem::take(&mut self.received)
    }

    fn server_writes(&mut self, bytes: &[u8]) {
        self.server.writer().write_all(bytes).unwrap();
        self.pump();
    }
}
