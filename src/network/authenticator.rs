//! Proves this client's identity to a broker, before the first request and again when the session
//! ends. Java: `Authenticator`.
//!
//! An authenticator does no I/O: it makes frames and takes frames, so that every exchange is a test on bytes.

use std::fmt;
use std::time::Instant;

use zeroize::Zeroizing;

use super::Disconnect;

/// The exchange of one connection. [`begin`](Self::begin) starts it, and starts it again for a re-authentication.
pub(super) trait Authenticator: fmt::Debug + Send {
    /// Starts an exchange.
    ///
    /// # Errors
    ///
    /// There are no credentials.
    fn begin(&mut self) -> Result<(), Disconnect>;

    /// Whether [`next_frame`](Self::next_frame) returns a frame.
    fn has_frame(&self) -> bool;

    /// Takes the next frame to send, its size included.
    fn next_frame(&mut self) -> Option<Zeroizing<Vec<u8>>>;

    /// Takes a frame of the broker, without its size.
    ///
    /// # Errors
    ///
    /// `AuthenticationFailed` if the broker refuses the client or is not what it should be; `InvalidReceive` if the frame
    /// does not belong here.
    fn receive(&mut self, frame: &[u8], now: Instant) -> Result<Received, Disconnect>;

    /// Returns whether another thread makes the next frame. It wakes the selector, which then calls
    /// [`resume`](Self::resume).
    fn is_waiting(&self) -> bool {
        false
    }

    /// Takes the frame that another thread made, if it is there.
    ///
    /// # Errors
    ///
    /// The other thread could not make it: `AuthenticationFailed`, or `NotAuthenticated` if it may be able to later.
    fn resume(&mut self) -> Result<(), Disconnect> {
        Ok(())
    }

    /// When the connection must authenticate again, after a complete exchange.
    fn reauthenticate_at(&self) -> Option<Instant>;
}

/// What a frame was.
#[cfg_attr(
    not(feature = "sasl"),
    allow(dead_code, reason = "without SASL there is no authenticator")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A part of the exchange, which goes on.
    Token,
    /// The last part of the exchange.
    Complete,
    /// The response to a request that was sent before a re-authentication began.
    Response,
}
