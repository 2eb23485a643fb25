//! A TCP connection without protection. Java: `PlaintextTransportLayer`, and the socket set-up of `Selector`.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::Disconnect;
use super::transport_layer::TransportLayer;
use crate::utils::log;

/// The sizes of the kernel's buffers, in bytes. `None` leaves the choice to the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SocketOptions {
    /// `send.buffer.bytes`
    pub(crate) send_buffer: Option<usize>,
    /// `receive.buffer.bytes`
    pub(crate) receive_buffer: Option<usize>,
}

/// A non-blocking TCP socket.
#[derive(Debug)]
pub(super) struct PlaintextTransportLayer {
    stream: TcpStream,
}

impl PlaintextTransportLayer {
    /// Starts to connect, and registers the socket for reads and writes.
    ///
    /// # Errors
    ///
    /// A system call failed. The socket is closed again.
    pub(super) fn connect(
        address: SocketAddr,
        options: SocketOptions,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        configure(&stream, options)?;
        // Both interests, for good. An edge costs nothing while the I/O thread is awake, and each
        // change of the registration would cost a system call.
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream })
    }

    #[cfg(test)]
    pub(super) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.stream)
    }
}

fn configure(stream: &TcpStream, options: SocketOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_keepalive(true)?;
    if let Some(size) = options.send_buffer {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = options.receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    Ok(())
}

impl TransportLayer for PlaintextTransportLayer {
    /// Takes the steps that mio's `TcpStream::connect` documents: an event alone does not mean that
    /// the connection is made.
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        if let Some(error) = self.stream.take_error().unwrap_or_else(Some) {
            return Err(Disconnect::not_connected(&error));
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            // macOS returns this for a connection that was made and reset before this call.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(Disconnect::not_connected(&error))
            }
            // Not connected, or still in progress (which has no stable `ErrorKind`). The event was
            // spurious.
            Err(_) => Ok(false),
        }
    }

    fn has_pending_writes(&self) -> bool {
        false
    }

    fn close(&mut self, registry: &Registry) {
        if let Err(error) = registry.deregister(&mut self.stream) {
            log::debug!("a socket that is being closed could not be deregistered: {error}");
        }
    }
}

impl Read for PlaintextTransportLayer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for PlaintextTransportLayer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Writes as std's `write` does: a lost broker is an error. std's `write_vectored` raises
    /// SIGPIPE instead, which ends a program that restored the signal's default action, as
    /// command-line tools do.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = SockRef::from(&self.stream);
        self.stream
            .try_io(|| socket.send_vectored_with_flags(slices, libc::MSG_NOSIGNAL))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
