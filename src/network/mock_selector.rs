//! Scripted connections for tests of the client: no sockets, no waiting. Java: `MockSelector`.
//!
//! A connect and a send succeed in the next poll, unless the script holds them. A poll that has
//! nothing to report advances the clock by its timeout.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Disconnect, EarlyEnd, NetworkReceive, NetworkSend, Selectable, Waker};
use crate::common::NodeId;
use crate::sync::{Arc, Mutex};
use crate::utils::MockTime;

/// A handle. Clones share the script: a test keeps one and gives the client another.
#[derive(Clone, Debug)]
pub(crate) struct MockSelector {
    time: MockTime,
    waker: Waker,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    connections: HashMap<NodeId, Connection>,
    /// The error with which connects to a node fail immediately.
    refusals: HashMap<NodeId, io::ErrorKind>,
    hold_connects: bool,
    /// Nodes whose sends stay in progress, with the number of bytes that count as written.
    held_sends: HashMap<NodeId, u64>,
    arriving: VecDeque<NetworkReceive>,
    /// Responses that arrive once the next send to their source is complete.
    answers: VecDeque<NetworkReceive>,
    lost: Vec<(NodeId, Disconnect)>,
    sent: Vec<NetworkSend>,
    connects: Vec<(NodeId, SocketAddr)>,
    closed: Vec<NodeId>,
    last_timeout: Option<Duration>,
    /// The next poll ends this much later, without any I/O.
    suspension: Option<Duration>,

    completed_sends: Vec<NodeId>,
    completed_receives: Vec<NetworkReceive>,
    connected: Vec<NodeId>,
    disconnected: Vec<(NodeId, Disconnect)>,
    written_by_disconnected: HashMap<NodeId, u64>,
}

#[derive(Debug, Default)]
struct Connection {
    is_connected: bool,
    send: Option<NetworkSend>,
    receive_limit: Option<usize>,
}

impl MockSelector {
    pub(crate) fn new(time: MockTime) -> Self {
        Self {
            time,
            waker: Waker::new(|| Ok(())),
            state: Arc::default(),
        }
    }

    /// Makes connects to this node fail immediately, until `None` is given.
    pub(crate) fn refuse_connects(&self, id: NodeId, kind: Option<io::ErrorKind>) {
        let refusals = &mut self.state.lock().refusals;
        match kind {
            Some(kind) => refusals.insert(id, kind),
            None => refusals.remove(&id),
        };
    }

    /// Keeps connections from being made while `hold` is true.
    pub(crate) fn hold_connects(&self, hold: bool) {
        self.state.lock().hold_connects = hold;
    }

    /// Keeps sends to this node in progress with this many bytes written, until `None` is given.
    pub(crate) fn hold_sends(&self, id: NodeId, bytes_written: Option<u64>) {
        let held = &mut self.state.lock().held_sends;
        match bytes_written {
            Some(written) => held.insert(id, written),
            None => held.remove(&id),
        };
    }

    /// Disconnects the node in the next poll. Java: `serverDisconnect`.
    pub(crate) fn server_disconnect(&self, id: NodeId) {
        self.lose(id, Disconnect::PeerClosed);
    }

    /// Ends the connection, open or not, for this reason in the next poll.
    pub(crate) fn lose(&self, id: NodeId, why: Disconnect) {
        self.state.lock().lost.push((id, why));
    }

    /// Adds a frame for the next poll to report. Java: `completeReceive`.
    pub(crate) fn receive(&self, source: NodeId, payload: Vec<u8>) {
        let receive = NetworkReceive { source, payload };
        self.state.lock().arriving.push_back(receive);
    }

    /// Simulates a process that stops during the next poll and continues after `duration`, when a
    /// signal ends the poll.
    pub(crate) fn suspend(&self, duration: Duration) {
        self.state.lock().suspension = Some(duration);
    }

    /// Takes the sends that were completed since the last call.
    pub(crate) fn take_sent(&self) -> Vec<NetworkSend> {
        std::mem::take(&mut self.state.lock().sent)
    }

    /// Takes the connects since the last call, including refused ones.
    pub(crate) fn take_connects(&self) -> Vec<(NodeId, SocketAddr)> {
        std::mem::take(&mut self.state.lock().connects)
    }

    /// Takes the nodes that the client closed since the last call.
    pub(crate) fn take_closed(&self) -> Vec<NodeId> {
        std::mem::take(&mut self.state.lock().closed)
    }

    /// Returns the timeout of the last poll that could wait.
    pub(crate) fn last_poll_timeout(&self) -> Option<Duration> {
        self.state.lock().last_timeout
    }

    pub(crate) fn receive_limit(&self, id: NodeId) -> Option<usize> {
        self.state.lock().connections.get(&id)?.receive_limit
    }
}

impl State {
    fn clear(&mut self) {
        self.completed_sends.clear();
        self.completed_receives.clear();
        self.connected.clear();
        self.disconnected.clear();
        self.written_by_disconnected.clear();
    }

    fn complete_connects(&mut self) {
        for (id, connection) in &mut self.connections {
            if !connection.is_connected && !self.hold_connects {
                connection.is_connected = true;
                self.connected.push(*id);
            }
        }
        self.connected.sort();
    }

    fn complete_sends(&mut self) {
        for (id, connection) in &mut self.connections {
            if self.held_sends.contains_key(id) {
                continue;
            }
            if let Some(send) = connection.send.take() {
                self.sent.push(send);
                self.completed_sends.push(*id);
                if let Some(at) = self.answers.iter().position(|answer| answer.source == *id) {
                    self.arriving.extend(self.answers.remove(at));
                }
            }
        }
        self.completed_sends.sort();
    }

    fn complete_receives(&mut self) {
        for receive in self.arriving.drain(..) {
            if self.connections.contains_key(&receive.source) {
                self.completed_receives.push(receive);
            }
        }
    }

    fn complete_disconnects(&mut self) {
        for (id, why) in std::mem::take(&mut self.lost) {
            let written = self.bytes_written(id);
            if self.connections.remove(&id).is_some() {
                self.connected.retain(|node| *node != id);
                self.written_by_disconnected.insert(id, written);
                self.disconnected.push((id, why));
            }
        }
    }

    fn bytes_written(&self, id: NodeId) -> u64 {
        match self.connections.get(&id) {
            Some(Connection { send: Some(_), .. }) => {
                self.held_sends.get(&id).copied().unwrap_or_default()
            }
            Some(_) => 0,
            None => self
                .written_by_disconnected
                .get(&id)
                .copied()
                .unwrap_or_default(),
        }
    }

    fn is_quiet(&self) -> bool {
        self.completed_sends.is_empty()
            && self.completed_receives.is_empty()
            && self.connected.is_empty()
            && self.disconnected.is_empty()
    }
}

impl Selectable for MockSelector {
    fn connect(
        &mut self,
        id: NodeId,
        _host: &str,
        address: SocketAddr,
        _now: Instant,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        state.connects.push((id, address));
        if let Some(kind) = state.refusals.get(&id) {
            return Err((*kind).into());
        }
        if state.connections.contains_key(&id) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.written_by_disconnected.remove(&id);
        state.connections.insert(id, Connection::default());
        Ok(())
    }

    fn send(&mut self, send: NetworkSend) -> Result<(), NetworkSend> {
        let mut state = self.state.lock();
        match state.connections.get_mut(&send.destination()) {
            Some(connection) if connection.is_connected && connection.send.is_none() => {
                connection.send = Some(send);
                Ok(())
            }
            _ => Err(send),
        }
    }

    fn poll(&mut self, timeout: Duration) -> io::Result<()> {
        let mut state = self.state.lock();
        self.waker.acknowledge();
        if !timeout.is_zero() {
            state.last_timeout = Some(timeout);
        }
        state.clear();
        if let Some(late) = state.suspension.take() {
            self.time.advance(late);
            return Ok(());
        }
        state.complete_connects();
        state.complete_sends();
        state.complete_receives();
        state.complete_disconnects();
        if state.is_quiet() && timeout < Duration::MAX {
            self.time.advance(timeout);
        }
        Ok(())
    }

    fn completed_sends(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.state.lock().completed_sends)
    }

    fn completed_receives(&mut self) -> Vec<NetworkReceive> {
        std::mem::take(&mut self.state.lock().completed_receives)
    }

    fn disconnected(&mut self) -> Vec<(NodeId, Disconnect)> {
        std::mem::take(&mut self.state.lock().disconnected)
    }

    fn connected(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.state.lock().connected)
    }

    fn is_channel_ready(&self, id: NodeId) -> bool {
        let state = self.state.lock();
        state
            .connections
            .get(&id)
            .is_some_and(|connection| connection.is_connected)
    }

    fn bytes_written(&self, id: NodeId) -> u64 {
        self.state.lock().bytes_written(id)
    }

    fn close(&mut self, id: NodeId) {
        let mut state = self.state.lock();
        state.closed.push(id);
        state.connections.remove(&id);
        state.completed_sends.retain(|node| *node != id);
        state
            .completed_receives
            .retain(|receive| receive.source != id);
        state.arriving.retain(|receive| receive.source != id);
        state.connected.retain(|node| *node != id);
        state.disconnected.retain(|(node, _)| *node != id);
        state.written_by_disconnected.remove(&id);
    }

    fn close_all(&mut self) {
        let ids: Vec<NodeId> = self.state.lock().connections.keys().copied().collect();
        for id in ids {
            self.close(id);
        }
        self.state.lock().clear();
    }

    fn likely_mistake(&self, end: EarlyEnd) -> Option<&'static str> {
        Some(match end {
            EarlyEnd::BeforeVersions => "it may expect BeforeVersions",
            EarlyEnd::AfterVersions => "it may expect AfterVersions",
        })
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn set_receive_limit(&mut self, id: NodeId, limit: usize) {
        if let Some(connection) = self.state.lock().connections.get_mut(&id) {
            connection.receive_limit = Some(limit);
        }
    }
}
