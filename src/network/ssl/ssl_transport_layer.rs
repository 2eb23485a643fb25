//! A TLS connection. Java: `SslTransportLayer`.
//!
//! Generic over the transport below it, so that tests need no socket. It reads and writes no more
//! than that transport takes. The rest stays in the session, and
//! [`has_pending_writes`](TransportLayer) reports it.

use std::io::{self, IoSlice, Read, Write};

use mio::Registry;
use rustls::{ClientConnection, Error, ProtocolVersion};

use super::explain::{explain, explain_after_handshake};
use crate::network::Disconnect;
use crate::network::transport_layer::TransportLayer;

/// The number of plain bytes that are encrypted before the socket takes them. Enough to fill its
/// buffer, and few enough to stay in the cache.
const WRITE_AHEAD: usize = 256 * 1024;

/// The limit of TLS bytes without data: those of the handshake, and later of session tickets and
/// key updates. A handshake with a long chain of certificates takes some 10 KiB.
const MAX_BYTES_WITHOUT_DATA: usize = 256 * 1024;

/// The state of the connection. Java: `SslTransportLayer.State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The transport below is not connected yet.
    Connecting,
    Handshaking,
    /// The broker is verified. With TLS 1.3 it may refuse this client only now, so a failure before
    /// the first byte of data is an authentication failure.
    PostHandshake,
    Ready,
}

#[derive(Debug)]
pub(in crate::network) struct SslTransportLayer<T> {
    socket: T,
    session: ClientConnection,
    host: String,
    state: State,
    /// The TLS bytes since the last data.
    bytes_without_data: usize,
    /// The error of a write that failed after it had taken its bytes. The next write returns it.
    write_failure: Option<io::Error>,
    /// Why nothing more can be decrypted. The data before it is read first.
    read_failure: Option<Error>,
}

impl<T: TransportLayer> SslTransportLayer<T> {
    /// Creates a connection to `host` that is being made over `socket`.
    pub(in crate::network) fn new(socket: T, mut session: ClientConnection, host: &str) -> Self {
        session.set_buffer_limit(Some(WRITE_AHEAD));
        Self {
            socket,
            session,
            host: host.to_owned(),
            state: State::Connecting,
            bytes_without_data: 0,
            write_failure: None,
            read_failure: None,
        }
    }

    /// Continues the handshake as far as bytes can be read and written.
    fn handshake(&mut self) -> Result<bool, Disconnect> {
        loop {
            match self.write_ciphertext() {
                Ok(()) => {}
                // The peer may have to read before it writes, and vice versa.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.interrupted(&error.to_string())),
            }
            if !self.session.is_handshaking() {
                self.state = match self.session.protocol_version() {
                    Some(ProtocolVersion::TLSv1_3) => State::PostHandshake,
                    _ => State::Ready,
                };
                return Ok(true);
            }
            match self.session.read_tls(&mut self.socket) {
                Ok(0) => return Err(self.interrupted("the peer closed the connection")),
                Ok(count) => {
                    self.process_packets(count)
                        .map_err(|error| self.refused(&error))?;
                    self.check_progress()?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.interrupted(&error.to_string())),
            }
        }
    }

    /// Describes a connection that was lost during the handshake. The loss says nothing about the
    /// certificates, so another attempt may succeed.
    fn interrupted(&self, reason: &str) -> Disconnect {
        let message = format!(
            "the TLS handshake with {} did not complete: {reason}",
            self.host
        );
        if self.bytes_without_data == 0 {
            return Disconnect::HandshakeUnanswered {
                message: format!(
                    "{message}; its port may be a plaintext listener (security.protocol), or no Kafka broker"
                ),
            };
        }
        Disconnect::NotConnected {
            kind: io::ErrorKind::ConnectionAborted,
            message,
        }
    }

    /// Decrypts `count` bytes that were read. Sends an alert to the peer if that fails.
    fn process_packets(&mut self, count: usize) -> Result<(), Error> {
        self.bytes_without_data = self.bytes_without_data.saturating_add(count);
        let Err(error) = self.session.process_new_packets() else {
            return Ok(());
        };
        // The connection ends anyway, so the rest does not matter.
        let _ = self.write_ciphertext();
        Err(error)
    }

    /// Describes a connection that ends because the peer, or what it sent, is not accepted.
    fn refused(&self, error: &Error) -> Disconnect {
        match self.state {
            State::Connecting | State::Handshaking => Disconnect::AuthenticationFailed {
                message: explain(error, &self.host),
            },
            State::PostHandshake => Disconnect::AuthenticationFailed {
                message: explain_after_handshake(error, &self.host),
            },
            State::Ready => Disconnect::Failed {
                kind: io::ErrorKind::InvalidData,
                message: explain(error, &self.host),
            },
        }
    }

    /// Fails if the peer sends too many bytes without data. A peer that sends empty records forever
    /// could otherwise keep the thread busy.
    fn check_progress(&self) -> Result<(), Disconnect> {
        match self.bytes_without_data {
            0..=MAX_BYTES_WITHOUT_DATA => Ok(()),
            bytes => Err(Disconnect::InvalidReceive(format!(
                "{} sent {bytes} bytes of TLS without any data",
                self.host
            ))),
        }
    }

    /// Writes the encrypted bytes until none are left.
    ///
    /// # Errors
    ///
    /// Errors of the transport below, usually `WouldBlock`.
    fn write_ciphertext(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes at once what a read requires, such as the response to a key update.
    fn write_response(&mut self) {
        if let Err(error) = self.write_ciphertext() {
            self.keep(error);
        }
    }

    fn keep(&mut self, error: io::Error) {
        if error.kind() != io::ErrorKind::WouldBlock {
            self.write_failure = Some(error);
        }
    }
}

impl<T: TransportLayer> TransportLayer for SslTransportLayer<T> {
    /// Returns `true` only once the peer is verified. No byte of a request or of SASL leaves
    /// before.
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        if self.state == State::Connecting {
            if !self.socket.finish_connect()? {
                return Ok(false);
            }
            self.state = State::Handshaking;
        }
        match self.state {
            State::Connecting | State::Handshaking => self.handshake(),
            State::PostHandshake | State::Ready => Ok(true),
        }
    }

    fn has_pending_writes(&self) -> bool {
        self.session.wants_write() || self.write_failure.is_some()
    }

    /// Sends `close_notify` once, and does not wait for the peer's.
    fn close(&mut self, registry: &Registry) {
        if self.state != State::Connecting {
            self.session.send_close_notify();
            let _ = self.write_ciphertext();
        }
        self.socket.close(registry);
    }
}

impl<T: TransportLayer> Read for SslTransportLayer<T> {
    /// Fails with `WouldBlock` only if neither the session nor the socket has bytes, as the
    /// edge-triggered selector requires.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) => {
                    self.state = State::Ready;
                    self.bytes_without_data = 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the peer closed the connection without the end of TLS (close_notify)",
                    ));
                }
                Err(error) => return Err(error),
            }
            if let Some(error) = self.read_failure.take() {
                return Err(io::Error::other(self.refused(&error)));
            }
            let count = self.session.read_tls(&mut self.socket)?;
            if let Err(error) = self.process_packets(count) {
                self.read_failure = Some(error);
                continue;
            }
            self.check_progress().map_err(io::Error::other)?;
            if self.session.wants_write() {
                self.write_response();
            }
        }
    }
}

impl<T: TransportLayer> Write for SslTransportLayer<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    /// Takes bytes only if none are left from an earlier call, which bounds the memory. Encrypted
    /// bytes count as written even if the socket then fails, because the peer may have received
    /// them.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush()?;
        let taken = self.session.writer().write_vectored(slices)?;
        if let Err(error) = self.write_ciphertext() {
            self.keep(error);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.write_failure.take() {
            Some(error) => Err(error),
            None => self.write_ciphertext(),
        }
    }
}
