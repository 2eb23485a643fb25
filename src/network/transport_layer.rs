//! The byte stream of a connection, with its protection. Java: `TransportLayer`.

use std::io::{Read, Write};

use mio::Registry;

use super::Disconnect;

/// A stream of plain bytes to one peer. Reads and writes never block: they fail with `WouldBlock`.
///
/// The registration is edge triggered. An event is only a hint, and the next one comes only after a
/// read or a write has failed with `WouldBlock`.
pub(super) trait TransportLayer: Read + Write {
    /// Continues to set up the connection. Returns whether application data may pass, which means
    /// that the peer is connected and, if the transport verifies it, verified. If not, call again
    /// after the next event.
    ///
    /// # Errors
    ///
    /// The connection cannot be made.
    fn finish_connect(&mut self) -> Result<bool, Disconnect>;

    /// Returns whether the transport holds bytes that the socket has not taken yet. `flush` writes
    /// them, or fails with `WouldBlock`. Java: `hasPendingWrites`.
    fn has_pending_writes(&self) -> bool;

    /// Tells the peer that the connection ends, if the protocol has a message for that, and removes
    /// the registration. Must be called before the transport is dropped.
    fn close(&mut self, registry: &Registry);
}
