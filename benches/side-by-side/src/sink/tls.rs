//! The sink's side of TLS.
//!
//! What the sink costs takes cores from the clients, and the more of it the less they differ. So it
//! reads many TLS records at once, and does not copy what it skips. rustls's own streams read 4 KiB
//! at a time and copy each byte three times.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{ServerConfig, version};
use rustls_graviola::suites::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};

use super::CERTIFICATES;
use crate::Failure;

/// What one read asks for: some sixteen records.
const INCOMING: usize = 256 * 1024;
/// More than a handshake's flight or an answer takes, so that it seldom has to grow.
const OUTGOING: usize = 16 * 1024;

/// The sink's certificate, for `localhost` and 127.0.0.1, and the cipher suite that a broker chooses.
///
/// A broker on a JDK chooses by its own order, which begins with AES-256: `SSLParameters.getUseCipherSuitesOrder` is
/// true, and Kafka leaves it so. By the clients' orders some would encrypt with AES-128 here, which costs less, and none
/// on a real cluster.
pub(super) fn config() -> Result<Arc<ServerConfig>, Failure> {
    let directory = Path::new(CERTIFICATES);
    let chain = CertificateDer::pem_file_iter(directory.join("server.pem"))?;
    let chain = chain.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key.pem"))?;
    let provider = CryptoProvider {
        // The order of JDK 17.
        cipher_suites: vec![
            TLS13_AES_256_GCM_SHA384,
            TLS13_AES_128_GCM_SHA256,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..rustls_graviola::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.ignore_client_order = true;
    Ok(Arc::new(config))
}

/// A blocking connection, which does its handshake with the first read.
pub(super) struct TlsStream {
    tcp: TcpStream,
    connection: UnbufferedServerConnection,
    /// TLS bytes that came in; from `start` to `end` they are not processed.
    incoming: Box<[u8]>,
    start: usize,
    end: usize,
    /// The rest of the last record, from `taken` on.
    plain: Vec<u8>,
    taken: usize,
    outgoing: Outgoing,
}

impl TlsStream {
    pub(super) fn new(tcp: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Self> {
        let connection =
            UnbufferedServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Self {
            tcp,
            connection,
            incoming: vec![0; INCOMING].into(),
            start: 0,
            end: 0,
            plain: Vec::new(),
            taken: 0,
            outgoing: Outgoing {
                bytes: vec![0; OUTGOING],
                length: 0,
            },
        })
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.take(|plain| {
            let count = plain.len().min(bytes.len());
            bytes[..count].copy_from_slice(&plain[..count]);
            count
        })
    }

    /// Goes past at most this many bytes, and at least one. Returns how many.
    pub(super) fn skip(&mut self, most: usize) -> io::Result<usize> {
        match self.take(|plain| plain.len().min(most))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            skipped => Ok(skipped),
        }
    }

    /// Shows the bytes of one record to `taker`, and keeps what that does not take. Returns how much it took; 0 is the
    /// end.
    fn take(&mut self, taker: impl FnOnce(&[u8]) -> usize) -> io::Result<usize> {
        if self.taken < self.plain.len() {
            let count = taker(&self.plain[self.taken..]);
            self.taken += count;
            return Ok(count);
        }
        loop {
            let incoming = &mut self.incoming[self.start..self.end];
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(incoming);
            let mut starved = false;
            match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    if let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        let count = taker(record.payload);
                        self.plain.clear();
                        self.plain.extend_from_slice(&record.payload[count..]);
                        self.taken = 0;
                        self.start += discard + record.discard;
                        return Ok(count);
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    self.outgoing.append(|free| data.encode(free))?;
                }
                ConnectionState::TransmitTlsData(data) => {
                    self.outgoing.write_to(&mut self.tcp)?;
                    data.done();
                }
                ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => {
                    starved = true;
                }
                ConnectionState::PeerClosed | ConnectionState::Closed => return Ok(0),
                other => return Err(io::Error::other(format!("TLS in the state {other:?}"))),
            }
            self.start += discard;
            if starved {
                self.receive()?;
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        // At most a part of a record.
        self.incoming.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        match self.tcp.read(&mut self.incoming[self.end..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }

    /// Writes what belongs to a connection that has sent something, so its handshake is done.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            match state.map_err(io::Error::other)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    self.outgoing.append(|free| traffic.encrypt(bytes, free))?;
                    return self.outgoing.write_to(&mut self.tcp);
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    self.outgoing.append(|free| data.encode(free))?;
                }
                ConnectionState::TransmitTlsData(data) => {
                    self.outgoing.write_to(&mut self.tcp)?;
                    data.done();
                }
                other => return Err(io::Error::other(format!("TLS in the state {other:?}"))),
            }
        }
    }
}

/// TLS bytes that are to be sent.
struct Outgoing {
    bytes: Vec<u8>,
    length: usize,
}

impl Outgoing {
    /// Lets `encode` write behind what is there, with more room if that is too little.
    fn append<E>(&mut self, mut encode: impl FnMut(&mut [u8]) -> Result<usize, E>) -> io::Result<()>
    where
        E: MissingRoom + std::error::Error + Send + Sync + 'static,
    {
        loop {
            match encode(&mut self.bytes[self.length..]) {
                Ok(count) => {
                    self.length += count;
                    return Ok(());
                }
                Err(error) => match error.required() {
                    Some(required) => self.bytes.resize(self.length + required, 0),
                    None => return Err(io::Error::other(error)),
                },
            }
        }
    }

    fn write_to(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        let length = std::mem::take(&mut self.length);
        tcp.write_all(&self.bytes[..length])
    }
}

/// An error that may say how much room there should have been.
trait MissingRoom {
    fn required(&self) -> Option<usize>;
}

impl MissingRoom for EncodeError {
    fn required(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl MissingRoom for EncryptError {
    fn required(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::EncryptExhausted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use rustls::pki_types::ServerName;
    use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    use super::*;

    type Client = StreamOwned<ClientConnection, TcpStream>;

    /// A client of the same rustls, which would like AES-128 more, and the sink's end.
    fn connected() -> (Client, TlsStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        let authority = Path::new(CERTIFICATES).join("ca.pem");
        roots
            .add(CertificateDer::from_pem_file(authority).unwrap())
            .unwrap();
        let provider = rustls_graviola::default_provider();
        assert_eq!(provider.cipher_suites[0], TLS13_AES_128_GCM_SHA256);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let sink = TlsStream::new(accepted, &config_of_sink()).unwrap();
        (StreamOwned::new(client, tcp), sink)
    }

    fn config_of_sink() -> Arc<ServerConfig> {
        config().unwrap()
    }

    #[test]
    fn the_suite_is_that_of_a_broker_on_a_jdk() {
        let (mut client, mut sink) = connected();
        let client = thread::spawn(move || {
            client.write_all(b"x").unwrap();
            client.conn.negotiated_cipher_suite().unwrap().suite()
        });
        assert_eq!(sink.read(&mut [0]).unwrap(), 1);
        assert_eq!(
            client.join().unwrap(),
            CipherSuite::TLS13_AES_256_GCM_SHA384
        );
    }

    /// Reads and skips end within records, and answers are larger than the buffer was.
    #[test]
    fn what_is_read_skipped_and_answered_arrives_in_order() {
        const SIZE: usize = 3_000_000;
        let sent: Vec<u8> = (0..SIZE).map(|index| (index / 7) as u8).collect();
        let (mut client, mut sink) = connected();
        let bytes = sent.clone();
        let client = thread::spawn(move || {
            client.write_all(&bytes).unwrap();
            let mut answer = vec![0; 100_000];
            client.read_exact(&mut answer).unwrap();
            client.conn.send_close_notify();
            client.flush().unwrap();
            answer
        });
        let mut position = 0;
        let mut piece = [0; 5_001];
        while position < SIZE {
            let read = sink.read(&mut piece).unwrap();
            assert!(read > 0 && piece[..read] == sent[position..position + read]);
            position += read;
            if position < SIZE {
                position += sink.skip(40_000.min(SIZE - position)).unwrap();
            }
        }
        sink.write_all(&sent[..100_000]).unwrap();
        assert!(client.join().unwrap() == sent[..100_000]);
        assert_eq!(sink.read(&mut piece).unwrap(), 0);
    }
}
