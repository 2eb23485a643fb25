//! One connection: its state, the send in progress, the frame that is arriving, and the reason why
//! it ended. Java: `KafkaChannel`, and the parts of `Selector` that track a channel's pending work.
//!
//! Differs from Java: the channel stays readable or writable until a read or a write fails with
//! `WouldBlock`, because the selector is edge triggered and reports each change once. A failed
//! write does not discard responses that arrived before. Responses that arrive during a
//! re-authentication are delivered at once instead of after it. A re-authentication that the broker
//! would refuse as too early waits.

use std::io;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::authenticator::{Authenticator, Received};
use super::network_receive::FrameReader;
use super::selector_metrics::{Activity, Authenticated};
use super::transport_layer::TransportLayer;
use super::{Disconnect, NetworkReceive, NetworkSend};
use crate::common::NodeId;

/// The approximate number of bytes that a channel reads, and also writes, before the other channels
/// get their turn.
const BYTES_PER_TURN: usize = 1024 * 1024;

/// The least that a read counts towards that limit. Many tiny TLS records take time too.
const LEAST_COST: usize = 4096;

/// A broker refuses a re-authentication that follows the one before sooner than this. Java:
/// `MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`.
const REAUTHENTICATION_INTERVAL: Duration = Duration::from_secs(1);

/// The state of a connection. Java: `KafkaChannel.state`, `Authenticator.complete`, `ChannelState`.
///
/// ```text
/// Connecting -> Authenticating -> Ready <-> Reauthenticating
///      `----------------------------^ `-> Resting -^   (only when a request is about to be written)
/// any -> Failed
/// ```
#[derive(Debug)]
enum ChannelState {
    /// The socket connects. With TLS, this includes the handshake and the verification of the peer.
    Connecting,
    /// The [`Authenticator`] exchanges its frames. No request leaves, and no frame is delivered.
    Authenticating,
    /// Requests leave and responses are delivered.
    Ready {
        /// When the next request must wait for a re-authentication (KIP-368).
        reauthenticate_at: Option<Instant>,
    },
    /// The session has ended, and the broker would refuse a re-authentication before `until`. The
    /// send in progress waits; responses to earlier requests are delivered.
    Resting { until: Instant },
    /// The [`Authenticator`] runs again. The send in progress waits until it is done; responses to
    /// earlier requests are delivered.
    Reauthenticating,
    /// The connection must end. The channel first reads what the peer sent before that.
    Failed { why: Disconnect, phase: Phase },
}

/// The meaning of frames from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There are no frames.
    Closed,
    /// Frames belong to the authenticator, or answer earlier requests.
    Authentication,
    /// Frames are responses.
    Open,
}

impl ChannelState {
    fn phase(&self) -> Phase {
        match self {
            Self::Connecting => Phase::Closed,
            Self::Authenticating | Self::Reauthenticating => Phase::Authentication,
            Self::Ready { .. } | Self::Resting { .. } => Phase::Open,
            Self::Failed { phase, .. } => *phase,
        }
    }
}

/// A frame of the authenticator, with its size, on its way to the socket.
#[derive(Debug)]
struct AuthenticationSend {
    frame: Zeroizing<Vec<u8>>,
    written: usize,
}

/// A connection to a node.
#[derive(Debug)]
pub(super) struct KafkaChannel<T> {
    id: NodeId,
    transport: T,
    state: ChannelState,
    /// `None` if the connection needs no authentication, or TLS does it.
    authenticator: Option<Box<dyn Authenticator>>,
    authentication_send: Option<AuthenticationSend>,
    /// The connection became ready, and this is not reported yet.
    is_newly_ready: bool,
    /// The last read did not fail with `WouldBlock`, or an event has come since.
    readable: bool,
    /// The last write did not fail with `WouldBlock`, or an event has come since.
    writable: bool,
    /// Stays here until the caller takes its completion.
    send: Option<NetworkSend>,
    frames: FrameReader,
    /// For the metrics.
    activity: Activity,
    history: History,
}

/// How and when the connection authenticated.
#[derive(Debug, Default)]
struct History {
    /// The transport verified the peer.
    by_transport: bool,
    was_ready: bool,
    /// When the current re-authentication began.
    reauthentication_began: Option<Instant>,
    /// The broker refuses the next re-authentication before this time.
    may_reauthenticate_at: Option<Instant>,
}

impl<T: TransportLayer> KafkaChannel<T> {
    /// Creates a channel that connects over `transport`. If there is an authenticator, the channel
    /// is ready only after it succeeds.
    pub(super) fn new(
        id: NodeId,
        transport: T,
        authenticator: Option<Box<dyn Authenticator>>,
        receive_limit: usize,
    ) -> Self {
        Self {
            id,
            transport,
            state: ChannelState::Connecting,
            authenticator,
            authentication_send: None,
            is_newly_ready: false,
            readable: false,
            writable: false,
            send: None,
            frames: FrameReader::new(receive_limit),
            activity: Activity::default(),
            history: History::default(),
        }
    }

    /// Marks the connection as authenticated by its transport.
    pub(super) fn with_transport_authentication(mut self) -> Self {
        self.history.by_transport = true;
        self
    }

    /// Returns whether the connection was ever ready.
    pub(super) fn was_ready(&self) -> bool {
        self.history.was_ready
    }

    /// Takes what happened since the last call. The metrics record it.
    pub(super) fn take_activity(&mut self) -> Activity {
        std::mem::take(&mut self.activity)
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    pub(super) fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    pub(super) fn set_receive_limit(&mut self, limit: usize) {
        self.frames.set_limit(limit);
    }

    /// Returns whether the connection is open, authenticated at least once, and not about to end.
    pub(super) fn is_ready(&self) -> bool {
        matches!(
            self.state,
            ChannelState::Ready { .. }
                | ChannelState::Resting { .. }
                | ChannelState::Reauthenticating
        )
    }

    /// Returns whether the connection became ready since the last call.
    pub(super) fn take_newly_ready(&mut self) -> bool {
        std::mem::take(&mut self.is_newly_ready)
    }

    /// Returns how many bytes of the send in progress were handed to the socket.
    pub(super) fn bytes_written(&self) -> u64 {
        self.send.as_ref().map_or(0, NetworkSend::bytes_written)
    }

    /// Notes an event: reads or writes may succeed. A wrong event does no harm, because the channel
    /// only tries them.
    pub(super) fn note_readiness(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Continues to connect, unless that is done. Returns whether this call completed it. The
    /// authentication follows, if there is one.
    pub(super) fn finish_connect(&mut self) -> bool {
        if !matches!(self.state, ChannelState::Connecting) {
            return false;
        }
        match self.transport.finish_connect() {
            Ok(false) => return false,
            Ok(true) => {}
            Err(why) => {
                self.set_failed(why);
                return false;
            }
        }
        match &mut self.authenticator {
            None => {
                if self.history.by_transport {
                    self.activity.authentication = Some(Authenticated::First);
                }
                self.set_ready();
            }
            Some(authenticator) => match authenticator.begin() {
                Ok(()) => self.state = ChannelState::Authenticating,
                Err(why) => self.set_failed(why),
            },
        }
        true
    }

    /// Returns whether the authentication goes on without an event: another thread makes the next
    /// frame and wakes the selector then, or it is too [early](Self::rests_until).
    pub(super) fn awaits_authenticator(&self) -> bool {
        let authenticator = self.authenticator.as_ref();
        match self.state {
            ChannelState::Resting { .. } => true,
            ChannelState::Authenticating | ChannelState::Reauthenticating => {
                authenticator.is_some_and(|running| running.is_waiting())
            }
            _ => false,
        }
    }

    /// Returns when the re-authentication for the send in progress may begin, if it is too early.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        match self.state {
            ChannelState::Resting { until } => Some(until),
            _ => None,
        }
    }

    /// Goes on with an authentication whose next frame another thread has made. Starts one if the session has ended while
    /// the send waited for the socket, or if it was too early before.
    pub(super) fn resume_authentication(&mut self, now: Instant) {
        self.maybe_reauthenticate(now);
        if !self.awaits_authenticator() {
            return;
        }
        let Some(authenticator) = &mut self.authenticator else {
            return;
        };
        if let Err(why) = authenticator.resume() {
            self.end_with(why);
        }
    }

    fn set_ready(&mut self) {
        self.is_newly_ready |= !self.is_ready();
        self.history.was_ready = true;
        let authenticator = self.authenticator.as_ref();
        self.state = ChannelState::Ready {
            reauthenticate_at: authenticator.and_then(|done| done.reauthenticate_at()),
        };
    }

    /// Takes a send if none is in progress and the channel is ready. Otherwise gives it back.
    pub(super) fn set_send(&mut self, send: NetworkSend) -> Result<(), NetworkSend> {
        if self.send.is_some() || !self.is_ready() {
            return Err(send);
        }
        self.send = Some(send);
        Ok(())
    }

    /// Returns whether the session has a limited lifetime, which requires the current time for each
    /// send.
    pub(super) fn has_session_lifetime(&self) -> bool {
        matches!(
            self.state,
            ChannelState::Ready {
                reauthenticate_at: Some(_)
            }
        )
    }

    /// Starts a re-authentication before the send in progress if it is due, unless a byte of the
    /// send is already written. If it is too early for one, the send waits.
    pub(super) fn maybe_reauthenticate(&mut self, now: Instant) {
        let is_due = match self.state {
            ChannelState::Ready { reauthenticate_at } => {
                reauthenticate_at.is_some_and(|at| at <= now)
            }
            ChannelState::Resting { .. } => true,
            _ => false,
        };
        if !is_due || self.send.is_none() || self.bytes_written() > 0 {
            return;
        }
        let earliest = self.history.may_reauthenticate_at;
        if let Some(until) = earliest.filter(|until| now < *until) {
            self.state = ChannelState::Resting { until };
            return;
        }
        let Some(authenticator) = &mut self.authenticator else {
            return;
        };
        match authenticator.begin() {
            Ok(()) => {
                self.state = ChannelState::Reauthenticating;
                self.history.reauthentication_began = Some(now);
            }
            Err(why) => self.fail(why),
        }
    }

    /// Writes what the socket takes of the send in progress and of the bytes that the transport
    /// holds, up to the channel's share. Frames of the authenticator come first.
    pub(super) fn write(&mut self) {
        let mut budget = BYTES_PER_TURN;
        while budget > 0 && self.writable {
            let written = match self.state {
                ChannelState::Authenticating | ChannelState::Reauthenticating => {
                    self.write_authentication()
                }
                ChannelState::Ready { .. } => self.write_send(),
                ChannelState::Resting { .. } => None,
                ChannelState::Connecting | ChannelState::Failed { .. } => return,
            };
            let written = match written {
                Some(written) => written,
                None if self.transport.has_pending_writes() => self.transport.flush().map(|()| 0),
                None => return,
            };
            match written {
                Ok(written) => budget = budget.saturating_sub(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.fail(Disconnect::failed(&error)),
            }
        }
    }

    /// Tries one write of the send in progress. Returns `None` if there is nothing to write.
    fn write_send(&mut self) -> Option<io::Result<usize>> {
        let send = self.send.as_mut().filter(|send| !send.is_completed())?;
        let written = send.write_to(&mut self.transport);
        if let Ok(count @ 1..) = written {
            self.activity.writes += 1;
            self.activity.bytes_written += count as u64;
        }
        Some(written)
    }

    /// Tries one write of the authenticator's frame. Returns `None` if there is none.
    fn write_authentication(&mut self) -> Option<io::Result<usize>> {
        if self.authentication_send.is_none() {
            let frame = self.authenticator.as_mut()?.next_frame()?;
            self.authentication_send = Some(AuthenticationSend { frame, written: 0 });
        }
        let send = self.authentication_send.as_mut()?;
        let left = send.frame.get(send.written..).unwrap_or_default();
        let written = self.transport.write(left);
        match written {
            Ok(0) => return Some(Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => send.written += count,
            Err(_) => {}
        }
        if send.written == send.frame.len() {
            self.authentication_send = None;
        }
        Some(written)
    }

    /// Appends the frames that can be read to `receives`, up to the channel's share. The bytes pass
    /// through `buffer`, so that many small frames cost one read.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        receives: &mut Vec<NetworkReceive>,
        now: Instant,
    ) {
        let mut budget = BYTES_PER_TURN;
        while budget > 0 && self.can_read() {
            match self.transport.read(buffer) {
                Ok(0) => self.end_of_stream(Disconnect::PeerClosed),
                Ok(count) => {
                    budget = budget.saturating_sub(count.max(LEAST_COST));
                    if self.history.was_ready {
                        self.activity.reads += 1;
                        self.activity.bytes_read += count as u64;
                    }
                    self.receive(buffer.get(..count).unwrap_or_default(), receives, now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.end_of_stream(Disconnect::failed(&error)),
            }
        }
    }

    fn receive(&mut self, mut bytes: &[u8], receives: &mut Vec<NetworkReceive>, now: Instant) {
        loop {
            match self.frames.advance(&mut bytes) {
                Ok(None) => return,
                Ok(Some(payload)) => {
                    if let Err(why) = self.deliver(payload, receives, now) {
                        return self.end_with(why);
                    }
                }
                // This error says more than that of a write that failed because the peer had closed
                // the connection.
                Err(invalid) => return self.end_with(Disconnect::InvalidReceive(invalid.0)),
            }
        }
    }

    /// Passes a frame to the authenticator while that is running, unless the frame answers an
    /// earlier request.
    fn deliver(
        &mut self,
        payload: Vec<u8>,
        receives: &mut Vec<NetworkReceive>,
        now: Instant,
    ) -> Result<(), Disconnect> {
        let is_authenticating = self.state.phase() == Phase::Authentication;
        let authenticator = self.authenticator.as_mut().filter(|_| is_authenticating);
        let received = match authenticator {
            Some(authenticator) => authenticator.receive(&payload, now)?,
            None => Received::Response,
        };
        match received {
            // A write has failed meanwhile, so the connection ends anyway.
            Received::Complete if self.is_failed() => {}
            Received::Complete => self.authenticated(now),
            Received::Token => {}
            Received::Response => {
                self.activity.receives += 1;
                receives.push(NetworkReceive {
                    source: self.id,
                    payload,
                });
            }
        }
        Ok(())
    }

    /// Notes that the authenticator is done, at first or again. Writes the send that waited for
    /// it: by the next poll, a short session may have ended.
    fn authenticated(&mut self, now: Instant) {
        self.set_ready();
        let how = match self.history.reauthentication_began.take() {
            Some(began) => {
                // The broker counts from the beginning, which was earlier.
                self.history.may_reauthenticate_at = now.checked_add(REAUTHENTICATION_INTERVAL);
                Authenticated::Again {
                    took: now.saturating_duration_since(began),
                }
            }
            None => Authenticated::First,
        };
        self.activity.authentication = Some(how);
        self.write();
    }

    fn is_failed(&self) -> bool {
        matches!(self.state, ChannelState::Failed { .. })
    }

    fn can_read(&self) -> bool {
        self.readable && self.state.phase() != Phase::Closed
    }

    fn end_of_stream(&mut self, why: Disconnect) {
        if matches!(why, Disconnect::AuthenticationFailed { .. }) {
            // The peer gave its reason before it closed the connection.
            return self.end_with(why);
        }
        self.set_failed(why);
        self.readable = false;
    }

    /// Ends the connection for this reason, which replaces any earlier one. Nothing more is read.
    fn end_with(&mut self, why: Disconnect) {
        let phase = Phase::Closed;
        self.state = ChannelState::Failed { why, phase };
    }

    /// Ends the connection for this reason, unless it already has one.
    fn set_failed(&mut self, why: Disconnect) {
        if !self.is_failed() {
            let phase = self.state.phase();
            self.state = ChannelState::Failed { why, phase };
        }
    }

    /// Ends the connection. Data that the peer sent before may still be unread, and no further
    /// event may announce it, so the channel tries one more read.
    pub(super) fn fail(&mut self, why: Disconnect) {
        self.set_failed(why);
        self.readable = true;
    }

    /// Returns whether the send in progress has reached the socket in full. Returns `true` once for
    /// each send, and then there is room for the next.
    pub(super) fn take_completed_send(&mut self) -> bool {
        let is_flushed = !self.transport.has_pending_writes();
        let completed = self.send.take_if(|send| is_flushed && send.is_completed());
        if let Some(send) = &completed {
            self.activity.completed_send = Some(send.total_bytes());
        }
        completed.is_some()
    }

    /// Returns the reason why the connection ended, once there is nothing left to read.
    pub(super) fn disconnect(&self) -> Option<&Disconnect> {
        match &self.state {
            ChannelState::Failed { why, .. } if !self.can_read() => Some(why),
            _ => None,
        }
    }

    /// Returns whether there is something to do or to report even without another event.
    pub(super) fn has_work(&self) -> bool {
        let is_flushed = !self.transport.has_pending_writes();
        let has_output = match self.state {
            ChannelState::Connecting => return false,
            ChannelState::Failed { .. } => return true,
            ChannelState::Resting { .. } => false,
            ChannelState::Authenticating | ChannelState::Reauthenticating => {
                let authenticator = self.authenticator.as_ref();
                self.authentication_send.is_some()
                    || authenticator.is_some_and(|running| running.has_frame())
            }
            ChannelState::Ready { .. } => self.send.is_some(),
        };
        let can_write = self.writable && (has_output || !is_flushed);
        let is_completed = is_flushed && self.send.as_ref().is_some_and(NetworkSend::is_completed);
        is_completed || can_write || self.can_read()
    }
}

#[cfg(test)]
mod tests;
