//! One connection: whether it is made, its one send in progress, the frame that is arriving, and how it ends.
//! Java: `KafkaChannel`, and the parts of `Selector` that remember what a channel has left to do.
//!
//! Differs from Java: readiness is remembered until a read or a write fails with `WouldBlock`, because the selector is
//! edge triggered and does not say it twice; and a failed write does not discard what the peer answered before.

use std::io;

use super::network_receive::FrameReader;
use super::transport_layer::TransportLayer;
use super::{Disconnect, NetworkReceive, NetworkSend};
use crate::common::NodeId;

/// About how much one channel may read, and as much again write, before the other channels have their turn.
const BYTES_PER_TURN: usize = 1024 * 1024;

/// A connection to a node.
#[derive(Debug)]
pub(super) struct KafkaChannel<T> {
    id: NodeId,
    transport: T,
    is_connected: bool,
    /// The last read did not fail with `WouldBlock`, or an event came since.
    readable: bool,
    /// The same of writes.
    writable: bool,
    /// Stays here until its completion was taken.
    send: Option<NetworkSend>,
    frames: FrameReader,
    /// Why the connection ends, once it has to. What can still be read is read before it does.
    failure: Option<Disconnect>,
}

impl<T: TransportLayer> KafkaChannel<T> {
    /// A connection that is being made over `transport`.
    pub(super) fn new(id: NodeId, transport: T, receive_limit: usize) -> Self {
        Self {
            id,
            transport,
            is_connected: false,
            readable: false,
            writable: false,
            send: None,
            frames: FrameReader::new(receive_limit),
            failure: None,
        }
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

    /// Connected, and not about to end.
    pub(super) fn is_ready(&self) -> bool {
        self.is_connected && self.failure.is_none()
    }

    /// Bytes of the send in progress that were handed to the socket.
    pub(super) fn bytes_written(&self) -> u64 {
        self.send.as_ref().map_or(0, NetworkSend::bytes_written)
    }

    /// An event said that reads or writes may succeed. It may be wrong: both are only tried.
    pub(super) fn note_readiness(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Goes on with the connecting, if it is not done. True if this call brought it to its end.
    pub(super) fn finish_connect(&mut self) -> bool {
        if self.is_connected || self.failure.is_some() {
            return false;
        }
        match self.transport.finish_connect() {
            Ok(connected) => self.is_connected = connected,
            Err(why) => self.failure = Some(why),
        }
        self.is_connected
    }

    /// Takes a send, if there is none and the channel is ready for one.
    pub(super) fn set_send(&mut self, send: NetworkSend) -> Result<(), NetworkSend> {
        if self.send.is_some() || !self.is_ready() {
            return Err(send);
        }
        self.send = Some(send);
        Ok(())
    }

    /// Writes what the socket takes of the send in progress and of the bytes that the transport holds, up to the channel's
    /// share.
    pub(super) fn write(&mut self) {
        let mut budget = BYTES_PER_TURN;
        while budget > 0 && self.writable && self.is_ready() {
            let written = match self.send.as_mut().filter(|send| !send.is_completed()) {
                Some(send) => send.write_to(&mut self.transport),
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

    /// Appends the frames that can be read to `receives`, up to the channel's share. `buffer` is where bytes pass
    /// through, so that many small frames cost one read.
    pub(super) fn read(&mut self, buffer: &mut [u8], receives: &mut Vec<NetworkReceive>) {
        let mut budget = BYTES_PER_TURN;
        while budget > 0 && self.can_read() {
            match self.transport.read(buffer) {
                Ok(0) => self.end_of_stream(Disconnect::PeerClosed),
                Ok(count) => {
                    budget = budget.saturating_sub(count);
                    self.receive(buffer.get(..count).unwrap_or_default(), receives);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.end_of_stream(Disconnect::failed(&error)),
            }
        }
    }

    fn receive(&mut self, mut bytes: &[u8], receives: &mut Vec<NetworkReceive>) {
        loop {
            match self.frames.advance(&mut bytes) {
                Ok(None) => return,
                Ok(Some(payload)) => receives.push(NetworkReceive {
                    source: self.id,
                    payload,
                }),
                Err(invalid) => {
                    // It says more than a write that failed because the peer had hung up by then.
                    self.failure = Some(Disconnect::InvalidReceive(invalid.0));
                    self.readable = false;
                    return;
                }
            }
        }
    }

    fn can_read(&self) -> bool {
        self.is_connected && self.readable
    }

    fn end_of_stream(&mut self, why: Disconnect) {
        if matches!(why, Disconnect::AuthenticationFailed { .. }) {
            // As above: the peer said why before it hung up.
            self.failure = Some(why);
        } else {
            self.failure.get_or_insert(why);
        }
        self.readable = false;
    }

    /// The connection has to end. What the peer sent before is still there to be read, and nobody may announce it
    /// again, so reading is tried once more.
    pub(super) fn fail(&mut self, why: Disconnect) {
        self.failure.get_or_insert(why);
        self.readable = true;
    }

    /// Whether the send in progress was written in full, down to the socket. True once for each send, which makes room for
    /// the next.
    pub(super) fn take_completed_send(&mut self) -> bool {
        let is_flushed = !self.transport.has_pending_writes();
        self.send
            .take_if(|send| is_flushed && send.is_completed())
            .is_some()
    }

    /// Why the connection has ended, once there is nothing left to read.
    pub(super) fn disconnect(&self) -> Option<&Disconnect> {
        self.failure.as_ref().filter(|_| !self.can_read())
    }

    /// Whether there is something to do or to report without another event.
    pub(super) fn has_work(&self) -> bool {
        let is_flushed = !self.transport.has_pending_writes();
        let is_completed = is_flushed && self.send.as_ref().is_some_and(NetworkSend::is_completed);
        let has_bytes = !is_flushed || self.send.is_some();
        let can_write = has_bytes && self.writable && self.is_ready();
        is_completed || can_write || self.can_read() || self.failure.is_some()
    }
}

#[cfg(test)]
mod tests;
