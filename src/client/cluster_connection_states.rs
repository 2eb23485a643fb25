//! The state of the connection to each node, and when to try again. Java: `ClusterConnectionStates`, `ConnectionState`.
//!
//! Differs from Java: names are resolved on other threads, so that a slow name server does not
//! block the I/O thread. A node whose addresses are not known yet is also `Connecting`, with the
//! same timeout. Addresses of the less preferred family are tried last instead of never.

mod node_states;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hashbrown::HashSet;

use self::node_states::NodeStates;
use crate::common::{Node, NodeId};
use crate::utils::{ExponentialBackoff, NextDue, log};

/// The state of the connection to a broker. Java: `ConnectionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// There is no connection: it was lost, could not be made, or was idle.
    Disconnected,
    /// Disconnected, because the node or the client did not accept the other's credentials.
    AuthenticationFailed,
    /// Its name is being resolved, or the connection is being made.
    Connecting,
    /// A request for the node's API versions is in flight.
    CheckingApiVersions,
    /// Requests can be sent.
    Ready,
    /// Ready, but the node now has another address. No more requests are sent, and the connection
    /// ends with the last response.
    Draining,
}

impl ConnectionState {
    /// Returns the value of the metric `connection-state`, such as `ready`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::AuthenticationFailed => "authentication-failed",
            Self::Connecting => "connecting",
            Self::CheckingApiVersions => "checking-api-versions",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    fn is_disconnected(self) -> bool {
        matches!(self, Self::Disconnected | Self::AuthenticationFailed)
    }

    fn is_connected(self) -> bool {
        matches!(
            self,
            Self::CheckingApiVersions | Self::Ready | Self::Draining
        )
    }
}

/// A node to which the client has or had a connection.
#[derive(Clone, Debug)]
pub(crate) struct NodeStatus {
    /// The node when the connection was begun.
    pub(crate) node: Node,
    pub(crate) state: ConnectionState,
}

/// The connections of one client.
#[derive(Debug)]
pub(crate) struct ClusterConnectionStates {
    reconnect_backoff: ExponentialBackoff,
    connection_setup_timeout: ExponentialBackoff,
    nodes: NodeStates,
    connecting: HashSet<NodeId>,
    next_setup_timeout: NextDue,
}

impl ClusterConnectionStates {
    /// Creates the states. The backoff grows with each attempt that does not end in `Ready`, and
    /// the timeout with each connection that could not be made.
    pub(crate) fn new(
        reconnect_backoff: ExponentialBackoff,
        connection_setup_timeout: ExponentialBackoff,
    ) -> Self {
        Self {
            reconnect_backoff,
            connection_setup_timeout,
            nodes: NodeStates::default(),
            connecting: HashSet::new(),
            next_setup_timeout: NextDue::default(),
        }
    }

    /// Returns the state of every connection, if one changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Option<impl Iterator<Item = NodeStatus>> {
        self.nodes.take_changed()
    }

    pub(crate) fn can_connect(&self, id: NodeId, now: Instant) -> bool {
        self.nodes
            .get(id)
            .is_none_or(|node| node.state().is_disconnected() && node.backoff_left(now).is_zero())
    }

    /// Returns how long until the connection can change, or `Duration::MAX` while it is connected.
    pub(crate) fn connection_delay(&self, id: NodeId, now: Instant) -> Duration {
        let Some(node) = self.nodes.get(id) else {
            return Duration::ZERO;
        };
        match node.state() {
            ConnectionState::Connecting => node.connection_setup_timeout,
            ConnectionState::Disconnected | ConnectionState::AuthenticationFailed => {
                node.backoff_left(now)
            }
            ConnectionState::CheckingApiVersions
            | ConnectionState::Ready
            | ConnectionState::Draining => Duration::MAX,
        }
    }

    /// Returns the same as [`connection_delay`](Self::connection_delay), or the rest of the
    /// throttle time of a connected node.
    pub(crate) fn poll_delay(&self, id: NodeId, now: Instant) -> Duration {
        let throttled = self.throttle_delay(id, now);
        if self.is_connected(id) && !throttled.is_zero() {
            throttled
        } else {
            self.connection_delay(id, now)
        }
    }

    /// Notes an attempt to connect. If the host is the same as before, it uses the next of its
    /// addresses.
    pub(crate) fn connecting(&mut self, node: &Node, now: Instant) {
        self.begin_attempt(node, now);
        let expires = self.setup_expires(node.id());
        self.next_setup_timeout.note(expires);
    }

    fn begin_attempt(&mut self, node: &Node, now: Instant) {
        let id = node.id();
        self.connecting.insert(id);
        match self.nodes.get(id) {
            Some(known) if known.node().host() == node.host() => {
                if let Some(known) = self.nodes.begin_again(node) {
                    known.last_attempt = now;
                    known.move_to_next_address();
                }
                return;
            }
            Some(known) => log::info!("node {} is now node {node}", known.node()),
            None => {}
        }
        let backoff = self.reconnect_backoff.backoff(0);
        let setup_timeout = self.connection_setup_timeout.backoff(0);
        self.nodes.begin(node, backoff, setup_timeout, now);
    }

    /// Returns whether there is no address left to connect to.
    pub(crate) fn needs_resolution(&self, id: NodeId) -> bool {
        self.nodes
            .get(id)
            .is_none_or(|node| node.addresses.is_empty())
    }

    /// Returns the address to connect to, or `None` while the name must be resolved.
    pub(crate) fn current_address(&mut self, id: NodeId) -> Option<SocketAddr> {
        let node = self.nodes.get_mut(id)?;
        let mut address = node.addresses.get(node.address_index).copied()?;
        node.last_attempted_address = Some(address);
        address.set_port(node.node().port());
        Some(address)
    }

    /// Notes that the name of a node was resolved.
    ///
    /// After a disconnect the name is resolved again, and the lost address may come first again. It
    /// may be the cause, for example a dead instance behind a load balancer. So another address of
    /// its family goes before it, if there is one.
    pub(crate) fn resolved(&mut self, id: NodeId, addresses: &[SocketAddr]) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        node.addresses = by_preference(addresses);
        let is_first_used_up = match *node.addresses {
            [first, second, ..] => {
                first.is_ipv4() == second.is_ipv4() && Some(first) == node.last_attempted_address
            }
            _ => false,
        };
        node.address_index = usize::from(is_first_used_up);
    }

    /// Notes that the connection was lost or could not be made.
    pub(crate) fn disconnected(&mut self, id: NodeId, now: Instant) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        node.last_attempt = now;
        node.reconnect_backoff = self.reconnect_backoff.backoff(node.failed_attempts);
        node.failed_attempts = node.failed_attempts.saturating_add(1);
        if node.state() == ConnectionState::Connecting {
            node.failed_connect_attempts = node.failed_connect_attempts.saturating_add(1);
            node.connection_setup_timeout = self
                .connection_setup_timeout
                .backoff(node.failed_connect_attempts);
            self.connecting.remove(&id);
        } else {
            node.failed_connect_attempts = 0;
            node.connection_setup_timeout = self.connection_setup_timeout.backoff(0);
            if node.state().is_connected() {
                // It worked with this address, so what changed may be the address.
                node.clear_addresses();
            }
        }
        self.nodes.set_state(id, ConnectionState::Disconnected);
    }

    /// Notes that the [lost](Self::disconnected) connection could not be authenticated. This
    /// increases the backoff once more.
    pub(crate) fn authentication_failed(&mut self, id: NodeId, now: Instant) {
        self.nodes
            .set_state(id, ConnectionState::AuthenticationFailed);
        if let Some(node) = self.nodes.get_mut(id) {
            node.last_attempt = now;
            node.reconnect_backoff = self.reconnect_backoff.backoff(node.failed_attempts);
            node.failed_attempts = node.failed_attempts.saturating_add(1);
        }
    }

    /// Notes that the connection is made and the node was asked for its API versions.
    pub(crate) fn checking_api_versions(&mut self, id: NodeId) {
        self.nodes
            .set_state(id, ConnectionState::CheckingApiVersions);
        if let Some(node) = self.nodes.get_mut(id) {
            node.failed_connect_attempts = 0;
            node.connection_setup_timeout = self.connection_setup_timeout.backoff(0);
            self.connecting.remove(&id);
        }
    }

    /// Notes that requests can be sent to the node.
    pub(crate) fn ready(&mut self, id: NodeId) {
        self.nodes.set_state(id, ConnectionState::Ready);
        if let Some(node) = self.nodes.get_mut(id) {
            node.has_answered = false;
            node.failed_attempts = 0;
            node.reconnect_backoff = self.reconnect_backoff.backoff(0);
            self.connecting.remove(&id);
        }
    }

    /// Returns the node as it was when its connection was begun, if its host or port has changed
    /// since.
    pub(crate) fn moved_from(&self, node: &Node) -> Option<Node> {
        let known = self.nodes.get(node.id())?;
        let is_moved = !known.state().is_disconnected() && !known.node().has_address_of(node);
        is_moved.then(|| known.node().clone())
    }

    /// Stops sending requests to a ready node, whose requests in flight are still awaited.
    pub(crate) fn drain(&mut self, id: NodeId) {
        if self.nodes.state(id) == Some(ConnectionState::Ready) {
            self.nodes.set_state(id, ConnectionState::Draining);
        }
    }

    pub(crate) fn is_draining(&self, id: NodeId) -> bool {
        self.nodes.state(id) == Some(ConnectionState::Draining)
    }

    /// Forgets the node, so that the next attempt to connect is its first one.
    pub(crate) fn remove(&mut self, id: NodeId) {
        self.nodes.remove(id);
        self.connecting.remove(&id);
    }

    /// Notes that the node responded to a request. Returns true for the first response since the
    /// node was ready.
    pub(crate) fn answered(&mut self, id: NodeId) -> bool {
        let node = self.nodes.get_mut(id);
        node.is_some_and(|node| !std::mem::replace(&mut node.has_answered, true))
    }

    /// Returns whether the node is ready and has not responded since.
    pub(crate) fn has_not_answered(&self, id: NodeId) -> bool {
        self.nodes
            .get(id)
            .is_some_and(|node| node.state() == ConnectionState::Ready && !node.has_answered)
    }

    /// Sends the node nothing until this time. An earlier time than the current one changes
    /// nothing.
    pub(crate) fn throttle(&mut self, id: NodeId, until: Instant) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.throttled_until = node.throttled_until.max(Some(until));
        }
    }

    pub(crate) fn throttle_delay(&self, id: NodeId, now: Instant) -> Duration {
        let until = self.nodes.get(id).and_then(|node| node.throttled_until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    pub(crate) fn is_ready(&self, id: NodeId, now: Instant) -> bool {
        self.nodes.get(id).is_some_and(|node| {
            node.state() == ConnectionState::Ready
                && node.throttled_until.is_none_or(|until| until <= now)
        })
    }

    /// Counts a TLS handshake without a response, or resets the count. Returns the number of
    /// consecutive ones.
    pub(crate) fn count_unanswered_handshakes(&mut self, id: NodeId, is_one_more: bool) -> u32 {
        let Some(node) = self.nodes.get_mut(id) else {
            return 0;
        };
        node.unanswered_handshakes = match is_one_more {
            true => node.unanswered_handshakes.saturating_add(1),
            false => 0,
        };
        node.unanswered_handshakes
    }

    pub(crate) fn is_connected(&self, id: NodeId) -> bool {
        self.nodes
            .get(id)
            .is_some_and(|node| node.state().is_connected())
    }

    pub(crate) fn is_connecting(&self, id: NodeId) -> bool {
        self.connecting.contains(&id)
    }

    /// Returns whether there is a connection, or one that is being made.
    pub(crate) fn has_connection(&self, id: NodeId) -> bool {
        self.nodes
            .get(id)
            .is_some_and(|node| !node.state().is_disconnected())
    }

    /// Returns whether the connection is being made, or is made but not usable yet.
    pub(crate) fn is_preparing(&self, id: NodeId) -> bool {
        matches!(
            self.nodes.state(id),
            Some(ConnectionState::Connecting | ConnectionState::CheckingApiVersions)
        )
    }

    /// Returns whether the node is known and has no connection, not even one that is being made.
    pub(crate) fn is_disconnected(&self, id: NodeId) -> bool {
        let state = self.nodes.state(id);
        state.is_some_and(ConnectionState::is_disconnected)
    }

    pub(crate) fn last_attempt(&self, id: NodeId) -> Option<Instant> {
        self.nodes.get(id).map(|node| node.last_attempt)
    }

    pub(crate) fn connection_setup_timeout(&self, id: NodeId) -> Option<Duration> {
        self.nodes.get(id).map(|node| node.connection_setup_timeout)
    }

    /// Returns the nodes whose connection was not made in time, in order.
    pub(crate) fn nodes_with_connection_setup_timeout(&mut self, now: Instant) -> Vec<NodeId> {
        if self
            .next_setup_timeout(now)
            .is_none_or(|timeout| timeout > now)
        {
            return Vec::new();
        }
        let is_late = |id: &&NodeId| {
            let expires = self.setup_expires(**id);
            expires.is_some_and(|expires| expires <= now)
        };
        let mut nodes: Vec<_> = self.connecting.iter().filter(is_late).copied().collect();
        nodes.sort_unstable();
        nodes
    }

    /// Returns a time before which no attempt to connect times out. If it is due, an attempt does
    /// time out.
    ///
    /// Looks at the attempts only if the time is due, because each poll calls this.
    pub(crate) fn next_setup_timeout(&mut self, now: Instant) -> Option<Instant> {
        let (nodes, connecting) = (&self.nodes, &self.connecting);
        let next = self.next_setup_timeout.get(now, || {
            let expires = connecting.iter().map(|id| nodes.get(*id)?.setup_expires());
            expires.flatten().min()
        });
        next.filter(|_| !connecting.is_empty())
    }

    /// Returns the nodes with a connection, even one that is being made, in order.
    pub(crate) fn nodes_with_connections(&self) -> Vec<NodeId> {
        let connected = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.state().is_disconnected());
        let mut nodes: Vec<_> = connected.map(|(id, _)| *id).collect();
        nodes.sort_unstable();
        nodes
    }

    fn setup_expires(&self, id: NodeId) -> Option<Instant> {
        self.nodes.get(id)?.setup_expires()
    }
}

/// Sorts addresses with IPv4 first, as the JVM does: `localhost` often has both, and a broker there
/// may listen only on IPv4. Keeps the resolver's order within a family.
fn by_preference(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut ipv4, ipv6): (Vec<_>, Vec<_>) =
        addresses.iter().partition(|address| address.is_ipv4());
    ipv4.extend(ipv6);
    ipv4
}

#[cfg(test)]
mod tests;
