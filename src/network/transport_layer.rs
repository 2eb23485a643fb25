//! The bytes of one connection, with whatever protects them. Java: `TransportLayer`.

use std::io::{Read, Write};

use mio::Registry;

use super::Disconnect;

/// A stream of plain bytes to one peer. Reads and writes never block: they fail with `WouldBlock`.
///
/// The registration is edge triggered, so an event is only a hint, and the next one comes only after a read or a write
/// has failed with `WouldBlock`.
pub(super) trait TransportLayer: Read + Write {
    /// Continues to set the connection up. Returns whether application bytes may pass: the peer is there and, where the
    /// transport verifies it, verified. To be called again after the next event if not.
    ///
    /// # Errors
    ///
    /// The connection cannot be made.
    fn finish_connect(&mut self) -> Result<bool, Disconnect>;

    /// Returns whether the transport accepted bytes that the socket has not taken yet. A `flush`
    /// writes them, or fails with `WouldBlock`. Java: `hasPendingWrites`.
    fn has_pending_writes(&self) -> bool;

    /// Tells the peer that the connection ends, if the protocol has a message for it, and ends the registration. Must be
    /// called before the transport is dropped.
    fn close(&mut self, registry: &Registry);
}
