//! A TCP connection without protection. Java: `PlaintextTransportLayer`, and the socket set-up of `Selector`.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::Disconnect;
use super::transport_layer::TransportLayer;
use crate::utils::log;

/// Sizes of the kernel's buffers, in bytes. `None` leaves them to the operating system.
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
    /// Starts to connect, and registers the socket for all that may happen to it.
    ///
    /// # Errors
    ///
    /// Whatever of it failed, the socket is closed again.
    pub(super) fn connect(
        address: SocketAddr,
        options: SocketOptions,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        configure(&stream, options)?;
        // Both interests for good: an edge costs nothing while nobody waits for it, and changing the registration
        // would cost a system call each time.
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
    /// The steps that mio asks for in `TcpStream::connect`: an event does not say that the connection is made.
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        if let Some(error) = self.stream.take_error().unwrap_or_else(Some) {
            return Err(Disconnect::not_connected(&error));
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            // What macOS says of a connection that was made and reset before it was looked at.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(Disconnect::not_connected(&error))
            }
            // Not connected, or in progress (which has no stable `ErrorKind`): the event came for nothing.
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

    /// As std's `write` does and its `write_vectored` does not: a broker that is gone is an error, and no SIGPIPE, which would
    /// end a program that has given the signal its default effect back, as command-line tools do.
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
