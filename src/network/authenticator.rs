//! Proves this client's identity to a broker, before the first request and again when the session
//! ends. Java: `Authenticator`.
//!
//! An authenticator does no I/O: it produces frames and consumes frames. Tests therefore need no
//! socket.

use std::fmt;
use std::time::Instant;

use zeroize::Zeroizing;

use super::Disconnect;

/// The exchange of one connection. [`begin`](Self::begin) starts it, both at first and for a
/// re-authentication.
pub(super) trait Authenticator: fmt::Debug + Send {
    /// Starts an exchange.
    ///
    /// # Errors
    ///
    /// There are no credentials.
    fn begin(&mut self) -> Result<(), Disconnect>;

    /// Returns whether [`next_frame`](Self::next_frame) returns a frame.
    fn has_frame(&self) -> bool;

    /// Takes the next frame to send, including its size.
    fn next_frame(&mut self) -> Option<Zeroizing<Vec<u8>>>;

    /// Consumes a frame from the broker, without its size.
    ///
    /// # Errors
    ///
    /// `AuthenticationFailed` if the broker refuses the client or sends something that the
    /// mechanism does not allow; `InvalidReceive` if the frame does not belong to the exchange.
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

/// The meaning of a frame.
#[cfg_attr(
    not(feature = "sasl"),
    allow(dead_code, reason = "without SASL there is no authenticator")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A part of an exchange that continues.
    Token,
    /// The last part of an exchange.
    Complete,
    /// The response to a request that was sent before a re-authentication began.
    Response,
}
