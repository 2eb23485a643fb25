//! The bytes of one connection, with whatever protects them. Java: `TransportLayer`.

use std::io::{Read, Write};

use mio::Registry;

use super::Disconnect;

/// A stream of plain bytes to one peer. Reads and writes never block: they fail with `WouldBlock`.
///
/// The registration is edge triggered, so an event is only a hint, and the next one comes only after a read or a write
/// has failed with `WouldBlock`.
pub(super) trait TransportLayer: Read + Write {
    /// Whether the connection can carry bytes; to be asked again after the next event if not.
    ///
    /// # Errors
    ///
    /// The connection cannot be made.
    fn finish_connect(&mut self) -> Result<bool, Disconnect>;

    /// Ends the registration, which has to happen before the transport is dropped.
    fn deregister(&mut self, registry: &Registry);
}
