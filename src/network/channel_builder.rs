//! Makes the transport of each new connection, as `security.protocol` asks. Java: `ChannelBuilder`, `ChannelBuilders`.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;

use mio::{Registry, Token};

use super::plaintext_transport_layer::PlaintextTransportLayer;
use super::transport_layer::TransportLayer;
use super::{Disconnect, SocketOptions};

/// What protects the connections of one client.
#[derive(Clone, Debug)]
pub(crate) enum ChannelBuilder {
    /// Nothing. Java: `PlaintextChannelBuilder`.
    Plaintext,
}

impl ChannelBuilder {
    /// Starts to connect, and registers the socket.
    ///
    /// # Errors
    ///
    /// The operating system refuses the socket, which is closed again.
    pub(super) fn connect(
        &self,
        address: SocketAddr,
        options: SocketOptions,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Transport> {
        let socket = PlaintextTransportLayer::connect(address, options, registry, token)?;
        match self {
            Self::Plaintext => Ok(Transport::Plaintext(socket)),
        }
    }
}

/// The transports that a [`ChannelBuilder`] makes. An enum, so that the bytes of a plaintext connection pass no virtual call.
#[derive(Debug)]
pub(super) enum Transport {
    Plaintext(PlaintextTransportLayer),
}

impl TransportLayer for Transport {
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        match self {
            Self::Plaintext(transport) => transport.finish_connect(),
        }
    }

    fn has_pending_writes(&self) -> bool {
        match self {
            Self::Plaintext(transport) => transport.has_pending_writes(),
        }
    }

    fn close(&mut self, registry: &Registry) {
        match self {
            Self::Plaintext(transport) => transport.close(registry),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plaintext(transport) => transport.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plaintext(transport) => transport.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plaintext(transport) => transport.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plaintext(transport) => transport.flush(),
        }
    }
}
