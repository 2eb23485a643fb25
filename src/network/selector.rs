//! The I/O thread's wait for all sockets, and the I/O that follows. Java: `Selector`.
//!
//! Threads: everything except the [`Waker`] belongs to the polling thread.
//! Differs from Java: the operating system's selector is edge triggered. A channel that stopped
//! before its socket returned `WouldBlock` is queued for the next poll, which then does not wait. A
//! send is tried immediately, which saves a round through the selector. The wait also ends when an
//! idle connection is due, so that a client without other timers closes it in time.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use mio::{Events, Poll, Token};

use super::channel_builder::{Authentication, ChannelBuilder, Transport};
use super::kafka_channel::KafkaChannel;
use super::selector_metrics::SelectorMetrics;
use super::transport_layer::TransportLayer;
use super::{Disconnect, EarlyEnd, NetworkReceive, NetworkSend, Selectable, SocketOptions, Waker};
use crate::common::NodeId;
use crate::metrics::Registered;
use crate::sync::Arc;
use crate::utils::{Time, spin_limit, spin_until};

const WAKER: Token = Token(usize::MAX);

/// The number of events per wait. Further ones come with the next wait.
const EVENTS_PER_POLL: usize = 256;

/// The bytes of all connections pass through one buffer of this size.
const READ_BUFFER_SIZE: usize = 64 * 1024;

/// The settings of a [`Selector`].
#[derive(Clone, Debug)]
pub(crate) struct SelectorConfig {
    /// How connections are protected.
    pub(crate) channel_builder: ChannelBuilder,
    /// How connections are authenticated, once they are open.
    pub(crate) authentication: Authentication,
    pub(crate) socket_options: SocketOptions,
    /// `connections.max.idle.ms`; `Duration::MAX` keeps idle connections.
    pub(crate) connections_max_idle: Duration,
    /// The largest frame that a connection accepts at first: small, because the peer is not known
    /// to be a broker yet.
    pub(crate) initial_receive_limit: usize,
    /// The clock for idle expiry, session lifetimes and the metrics.
    pub(crate) time: Arc<dyn Time>,
    pub(crate) metrics: Arc<SelectorMetrics>,
}

impl SelectorConfig {
    /// Enough for every response to an ApiVersions request.
    pub(crate) const DEFAULT_INITIAL_RECEIVE_LIMIT: usize = 64 * 1024;
}

/// The connections of one client, over the operating system's selector.
pub(crate) struct Selector {
    config: SelectorConfig,
    poll: Poll,
    events: Events,
    waker: Waker,
    connections: HashMap<Token, Connection>,
    /// Tokens are never reused, so that an event or a queue entry of a closed connection cannot
    /// reach its successor.
    tokens: HashMap<NodeId, Token>,
    next_token: usize,
    /// The connections that have something to do or to report without another event. Each occurs
    /// once.
    ready: Vec<Token>,
    /// The connections whose authentication another thread works on, which wakes the poll, or that must wait before they
    /// authenticate again. A connection may be in here that is closed by now.
    awaiting_authenticator: Vec<Token>,
    /// Not before this moment can a connection be due for closing. In the past: to be looked for in the next poll.
    next_idle_check: Option<Instant>,
    read_buffer: Box<[u8]>,

    completed_sends: Vec<NodeId>,
    completed_receives: Vec<NetworkReceive>,
    connected: Vec<NodeId>,
    disconnected: Vec<(NodeId, Disconnect)>,
    /// The bytes that the connections in `disconnected` had written of their last send.
    written_by_disconnected: Vec<(NodeId, u64)>,

    #[cfg(test)]
    waits: u64,
}

struct Connection {
    channel: KafkaChannel<Transport>,
    /// The metrics of its node.
    metrics: Registered,
    last_active: Instant,
    is_queued: bool,
}

impl Connection {
    /// Adds the connection to `ready`, unless it is there already.
    fn enqueue(&mut self, token: Token, ready: &mut Vec<Token>) {
        if !mem::replace(&mut self.is_queued, true) {
            ready.push(token);
        }
    }
}

impl Selector {
    /// # Errors
    ///
    /// The operating system cannot provide a selector or a waker, usually because the process has
    /// too many open files.
    pub(crate) fn new(config: SelectorConfig) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            config,
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            waker: Waker::new(move || waker.wake()),
            connections: HashMap::new(),
            tokens: HashMap::new(),
            next_token: 0,
            ready: Vec::new(),
            awaiting_authenticator: Vec::new(),
            next_idle_check: None,
            read_buffer: vec![0; READ_BUFFER_SIZE].into_boxed_slice(),
            completed_sends: Vec::new(),
            completed_receives: Vec::new(),
            connected: Vec::new(),
            disconnected: Vec::new(),
            written_by_disconnected: Vec::new(),
            #[cfg(test)]
            waits: 0,
        })
    }

    fn channel(&self, id: NodeId) -> Option<&KafkaChannel<Transport>> {
        let connection = self.connections.get(self.tokens.get(&id)?)?;
        Some(&connection.channel)
    }

    fn clear(&mut self) {
        self.completed_sends.clear();
        self.completed_receives.clear();
        self.connected.clear();
        self.disconnected.clear();
        self.written_by_disconnected.clear();
    }

    /// Returns how long to wait for events; `None` means no limit.
    fn wait_time(&self, timeout: Duration, now: Instant) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let connections = self.awaiting_authenticator.iter();
        let connections = connections.filter_map(|token| self.connections.get(token));
        let rests = connections.filter_map(|connection| connection.channel.rests_until());
        let next = rests.chain(self.next_idle_check).min();
        // mio rounds fractions of a millisecond up, so they do not cause a busy loop.
        let wait = match next {
            Some(at) => timeout.min(at.saturating_duration_since(now)),
            None => timeout,
        };
        (wait < Duration::MAX).then_some(wait)
    }

    /// Waits for events or for the waker. Does not wait if the waker was used since the last wait.
    fn wait(&mut self, wait: Option<Duration>) -> io::Result<()> {
        let may_sleep = wait != Some(Duration::ZERO);
        if may_sleep && self.waker.stays_awake() && self.look_for_events(wait)? {
            return Ok(());
        }
        let sleeps = may_sleep && self.waker.begin_sleep();
        let wait = if sleeps { wait } else { Some(Duration::ZERO) };
        self.poll.poll(&mut self.events, wait)
    }

    /// Polls for events that are expected soon, without sleeping. Returns whether there are any.
    fn look_for_events(&mut self, wait: Option<Duration>) -> io::Result<bool> {
        let mut looked = Ok(());
        let found = spin_until(spin_limit(wait), || {
            looked = self.poll.poll(&mut self.events, Some(Duration::ZERO));
            looked.is_err() || !self.events.is_empty() || self.waker.is_woken()
        });
        if !found {
            self.waker.may_sleep_again();
        }
        looked.map(|()| found)
    }

    /// Queues the channels that have events. An event is only a hint, and one of a closed
    /// connection is ignored.
    fn note_events(&mut self) {
        for event in &self.events {
            if let Some(connection) = self.connections.get_mut(&event.token()) {
                // A hang-up or an error marks both sides as ready. The first operation that fails
                // gives the reason.
                let readable = event.is_readable() || event.is_read_closed() || event.is_error();
                let writable = event.is_writable() || event.is_write_closed() || event.is_error();
                connection.channel.note_readiness(readable, writable);
                connection.enqueue(event.token(), &mut self.ready);
            }
        }
    }

    /// Queues the channels whose authentication may go on.
    fn note_authenticators(&mut self) {
        for token in self.awaiting_authenticator.drain(..) {
            if let Some(connection) = self.connections.get_mut(&token) {
                connection.enqueue(token, &mut self.ready);
            }
        }
    }

    /// Does for one connection all that can be done now.
    fn process(&mut self, token: Token, now: Instant) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return; // Closed since it was queued.
        };
        connection.is_queued = false;
        connection.last_active = now;
        let channel = &mut connection.channel;
        if channel.finish_connect() {
            self.config.metrics.connected(now);
        }
        channel.resume_authentication(now);
        // Writes first: if one fails, the read that follows still delivers what the peer had answered.
        channel.write();
        channel.read(&mut self.read_buffer, &mut self.completed_receives, now);
        if channel.take_newly_ready() {
            self.connected.push(channel.id());
        }
        if channel.take_completed_send() {
            self.completed_sends.push(channel.id());
        }
        let activity = channel.take_activity();
        let metrics = &self.config.metrics;
        metrics.active(&connection.metrics, &activity, now);
        if let Some(why) = channel.disconnect().cloned() {
            self.disconnect(token, why);
            return;
        }
        if channel.awaits_authenticator() {
            self.awaiting_authenticator.push(token);
        }
        if channel.has_work() {
            connection.enqueue(token, &mut self.ready);
        }
    }

    fn disconnect(&mut self, token: Token, why: Disconnect) {
        if let Some(connection) = self.remove(token) {
            let channel = connection.channel;
            if matches!(why, Disconnect::AuthenticationFailed { .. }) {
                let (is_first, now) = (!channel.was_ready(), self.config.time.now());
                self.config.metrics.authentication_failed(is_first, now);
            }
            self.connected.retain(|id| *id != channel.id());
            self.written_by_disconnected
                .push((channel.id(), channel.bytes_written()));
            self.disconnected.push((channel.id(), why));
        }
    }

    fn remove(&mut self, token: Token) -> Option<Connection> {
        let mut connection = self.connections.remove(&token)?;
        self.tokens.remove(&connection.channel.id());
        let (metrics, now) = (&self.config.metrics, self.config.time.now());
        metrics.closed(now);
        metrics.set_connections(self.connections.len());
        connection
            .channel
            .transport_mut()
            .close(self.poll.registry());
        Some(connection)
    }

    /// Closes the connection that was idle for the longest time if that exceeds the limit. One per
    /// poll, so that a process that was suspended does not lose all of its connections at once.
    fn close_oldest_idle(&mut self, now: Instant) {
        if self.next_idle_check.is_none_or(|at| now < at) {
            return;
        }
        let oldest = self
            .connections
            .iter_mut()
            .min_by_key(|(_, connection)| connection.last_active);
        let Some((token, connection)) = oldest else {
            self.next_idle_check = None;
            return;
        };
        let due = connection
            .last_active
            .checked_add(self.config.connections_max_idle);
        if due.is_none_or(|due| now < due) {
            self.next_idle_check = due;
            return;
        }
        // Leaves the time of the next check in the past, so that the next poll does not wait and
        // looks for another one.
        connection.channel.fail(Disconnect::Expired);
        let token = *token;
        self.process(token, now);
    }
}

impl Selectable for Selector {
    fn connect(
        &mut self,
        id: NodeId,
        host: &str,
        address: SocketAddr,
        now: Instant,
    ) -> io::Result<()> {
        if self.tokens.contains_key(&id) {
            let text = format!("there is already a connection to node {id}");
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let token = Token(self.next_token);
        let registry = self.poll.registry();
        let options = self.config.socket_options;
        let builder = &mut self.config.channel_builder;
        let transport = builder.connect(host, address, options, registry, token, now)?;

        self.next_token = self.next_token.wrapping_add(1);
        self.tokens.insert(id, token);
        let channel = KafkaChannel::new(
            id,
            transport,
            self.config.authentication.authenticator(host, &self.waker),
            self.config.initial_receive_limit,
        );
        let channel = match self.config.channel_builder.verifies_peers() {
            true => channel.with_transport_authentication(),
            false => channel,
        };
        let connection = Connection {
            channel,
            metrics: self.config.metrics.node(id),
            last_active: now,
            is_queued: false,
        };
        self.connections.insert(token, connection);
        self.config.metrics.set_connections(self.connections.len());
        self.written_by_disconnected.retain(|(lost, _)| *lost != id);
        if self.next_idle_check.is_none() {
            self.next_idle_check = now.checked_add(self.config.connections_max_idle);
        }
        Ok(())
    }

    fn send(&mut self, send: NetworkSend) -> Result<(), NetworkSend> {
        let Some(token) = self.tokens.get(&send.destination()).copied() else {
            return Err(send);
        };
        let Some(connection) = self.connections.get_mut(&token) else {
            return Err(send);
        };
        let channel = &mut connection.channel;
        channel.set_send(send)?;
        if channel.has_session_lifetime() {
            channel.maybe_reauthenticate(self.config.time.now());
        }
        channel.write();
        if channel.awaits_authenticator() {
            self.awaiting_authenticator.push(token);
        }
        // The next poll reports the outcome, whether a completed send or a failure.
        if channel.has_work() {
            connection.enqueue(token, &mut self.ready);
        }
        Ok(())
    }

    fn poll(&mut self, timeout: Duration) -> io::Result<()> {
        self.clear();
        let began = self.config.time.now();
        let wait = self.wait_time(timeout, began);
        let waited = self.wait(wait);
        #[cfg(test)]
        {
            self.waits += 1;
        }
        self.waker.acknowledge();
        match waited {
            // A signal ended the wait without events, which is the same as a wake-up.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }

        let now = self.config.time.now();
        self.note_events();
        self.note_authenticators();
        for token in mem::take(&mut self.ready) {
            self.process(token, now);
        }
        self.close_oldest_idle(now);
        let worked = self.config.time.now().saturating_duration_since(now);
        let waited = now.saturating_duration_since(began);
        self.config.metrics.polled(waited, worked, now);
        Ok(())
    }

    fn completed_sends(&mut self) -> Vec<NodeId> {
        mem::take(&mut self.completed_sends)
    }

    fn completed_receives(&mut self) -> Vec<NetworkReceive> {
        mem::take(&mut self.completed_receives)
    }

    fn disconnected(&mut self) -> Vec<(NodeId, Disconnect)> {
        mem::take(&mut self.disconnected)
    }

    fn connected(&mut self) -> Vec<NodeId> {
        mem::take(&mut self.connected)
    }

    fn is_channel_ready(&self, id: NodeId) -> bool {
        self.channel(id).is_some_and(KafkaChannel::is_ready)
    }

    fn bytes_written(&self, id: NodeId) -> u64 {
        if let Some(channel) = self.channel(id) {
            return channel.bytes_written();
        }
        let lost = self
            .written_by_disconnected
            .iter()
            .find(|(lost, _)| *lost == id);
        lost.map_or(0, |(_, written)| *written)
    }

    fn close(&mut self, id: NodeId) {
        if let Some(token) = self.tokens.get(&id).copied() {
            self.remove(token);
        }
        self.completed_sends.retain(|node| *node != id);
        self.completed_receives
            .retain(|receive| receive.source != id);
        self.connected.retain(|node| *node != id);
        self.disconnected.retain(|(node, _)| *node != id);
        self.written_by_disconnected.retain(|(node, _)| *node != id);
    }

    fn close_all(&mut self) {
        let tokens: Vec<Token> = self.connections.keys().copied().collect();
        for token in tokens {
            self.remove(token);
        }
        self.ready.clear();
        self.clear();
    }

    fn likely_mistake(&self, end: EarlyEnd) -> Option<&'static str> {
        let config = &self.config;
        config
            .channel_builder
            .likely_mistake(&config.authentication, end)
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn set_receive_limit(&mut self, id: NodeId, limit: usize) {
        if let Some(token) = self.tokens.get(&id) {
            if let Some(connection) = self.connections.get_mut(token) {
                connection.channel.set_receive_limit(limit);
            }
        }
    }
}

impl Drop for Selector {
    fn drop(&mut self) {
        self.close_all();
    }
}

#[cfg(test)]
mod tests;
