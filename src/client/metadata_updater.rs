//! Decides when to request metadata and from which node, and when to start again from the bootstrap
//! nodes.
//!
//! Java: `NetworkClient.DefaultMetadataUpdater`, `MetadataRecoveryStrategy`; KIP-899, KIP-1102.
//!
//! Differs from Java: it is not part of the client. It receives what the client sees, and returns
//! what the client should do. Every failure counts as a failed update, so a broker that always asks
//! for a rebootstrap is subject to the backoff.

use std::time::{Duration, Instant};

use super::metadata::{Metadata, MetadataRequestVersion, describe_errors};
use crate::common::{Node, NodeId};
use crate::error::Error;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{MetadataRequest, MetadataView};
use crate::sync::Arc;
use crate::utils::{Count, LogLimiter, choice, log};

choice! {
    /// What to do when no known broker is reachable (`metadata.recovery.strategy`).
    MetadataRecoveryStrategy {
        /// Start again from the addresses in `bootstrap.servers`.
        Rebootstrap = "rebootstrap",
        /// Continue to try the brokers that were known last.
        None = "none",
    }
}

#[derive(Clone, Debug)]
pub(crate) struct MetadataUpdaterConfig {
    pub(crate) reconnect_backoff: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) recovery_strategy: MetadataRecoveryStrategy,
    /// `metadata.recovery.rebootstrap.trigger.ms`
    pub(crate) rebootstrap_trigger: Duration,
}

/// The state of the connections when an update is due.
#[derive(Clone, Debug)]
pub(crate) struct LeastLoadedNode {
    pub(crate) node: Option<LoadedNode>,
    /// Whether some connection is ready, even if it cannot take another request.
    pub(crate) has_ready_connection: bool,
    /// Whether some connection is being made.
    pub(crate) is_any_connecting: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct LoadedNode {
    pub(crate) node: Node,
    pub(crate) can_send: bool,
    pub(crate) can_connect: bool,
}

/// The client's next step for the metadata.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetadataStep {
    /// Nothing, for this long. `Duration::MAX`: until a network event.
    Wait(Duration),
    /// Connect to this node, and call again after the time.
    Connect(Node, Duration),
    Send(Node, MetadataRequest, MetadataRequestVersion),
    /// No known node is usable: forget them and start again.
    Rebootstrap,
}

/// The state between metadata requests.
#[derive(Debug)]
pub(crate) struct MetadataUpdater {
    metadata: Arc<Metadata>,
    config: MetadataUpdaterConfig,
    is_in_progress: bool,
    /// Since when updates have failed. KIP-1102.
    attempts_since: Option<Instant>,
    /// Whether a broker has asked for a rebootstrap. KIP-1102.
    is_rebootstrap_required: bool,
    /// The nodes whose connection was lost since the last update, or made after such a loss.
    /// Another cluster may respond there.
    unconfirmed: Vec<Unconfirmed>,
    /// By text: while a topic has no leader, every update reports it.
    log_limiter: LogLimiter<String>,
}

/// A node whose cluster is not known.
#[derive(Debug)]
struct Unconfirmed {
    node: NodeId,
    /// The version of the metadata when the node became unconfirmed.
    version: u64,
    /// Whether a metadata request was sent to the node since.
    is_asked: bool,
}

impl MetadataUpdater {
    pub(crate) fn new(metadata: Arc<Metadata>, config: MetadataUpdaterConfig) -> Self {
        Self {
            metadata,
            config,
            is_in_progress: false,
            attempts_since: None,
            is_rebootstrap_required: false,
            unconfirmed: Vec::new(),
            log_limiter: LogLimiter::new(16),
        }
    }

    pub(crate) fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// Returns whether to request an update now. Constant time.
    pub(crate) fn is_update_due(&self, now: Instant) -> bool {
        !self.is_in_progress && self.metadata.time_to_next_update(now).is_zero()
    }

    /// Returns the next step. Calls `least_loaded` only if an update is due.
    pub(crate) fn maybe_update(
        &mut self,
        now: Instant,
        least_loaded: impl FnOnce() -> LeastLoadedNode,
    ) -> MetadataStep {
        let wait = self.metadata.time_to_next_update(now);
        let wait = match self.is_in_progress {
            true => wait.max(self.config.request_timeout),
            false => wait,
        };
        if !wait.is_zero() {
            return MetadataStep::Wait(wait);
        }
        self.attempts_since = self.attempts_since.or(Some(now));
        let LeastLoadedNode {
            node,
            has_ready_connection,
            is_any_connecting,
        } = least_loaded();
        let Some(LoadedNode {
            node,
            can_send,
            can_connect,
        }) = node
        else {
            let is_stuck = !has_ready_connection && self.can_rebootstrap();
            return if is_stuck && !self.metadata.snapshot().is_bootstrap() {
                MetadataStep::Rebootstrap
            } else {
                log::debug!("no node is available for a metadata request");
                MetadataStep::Wait(self.config.reconnect_backoff)
            };
        };
        if can_send {
            let (request, version) = self.metadata.new_request(now);
            self.is_in_progress = true;
            self.note_asked(node.id());
            return MetadataStep::Send(node, request, version);
        }
        if is_any_connecting {
            // One connection is enough. Wait for it before another one is begun.
            return MetadataStep::Wait(self.config.reconnect_backoff);
        }
        if can_connect {
            return MetadataStep::Connect(node, self.config.reconnect_backoff);
        }
        // Connected, and the request for its versions is in flight. The network will report the
        // response.
        MetadataStep::Wait(Duration::MAX)
    }

    /// Notes that the connection to a node was lost. Until the next update it is unknown which
    /// cluster responds there.
    pub(crate) fn connection_lost(&mut self, node: NodeId) {
        self.unconfirmed.retain(|other| other.node != node);
        self.unconfirmed.push(Unconfirmed {
            node,
            version: self.metadata.update_version(),
            is_asked: false,
        });
    }

    /// Notes that a connection to a node was made. If another one was lost before, another cluster
    /// may have replaced the known one, and this may be the first connection to it.
    pub(crate) fn connection_made(&mut self, node: NodeId) {
        let mut unconfirmed = self.unconfirmed.iter();
        let is_listed = unconfirmed.any(|other| other.node == node);
        let mut unconfirmed = self.unconfirmed.iter();
        if !is_listed && unconfirmed.any(|other| !self.is_confirmed(other.node)) {
            self.connection_lost(node);
        }
    }

    /// Returns whether there was an update since the connection to the node was lost, if it ever
    /// was. A rebootstrap does not count, because no broker has responded.
    pub(crate) fn is_confirmed(&self, node: NodeId) -> bool {
        let mut unconfirmed = self.unconfirmed.iter();
        unconfirmed
            .find(|other| other.node == node)
            .is_none_or(|other| {
                self.metadata.update_version() > other.version
                    && !self.metadata.snapshot().is_bootstrap()
            })
    }

    /// Returns a node that `can_send` accepts and that must confirm its cluster itself, with the
    /// request to send to it.
    ///
    /// The update that a lost connection requests may have gone to another node that does not
    /// respond, or may wait for a backoff. Meanwhile the lost node is connected again, and its
    /// records should not wait for the other node. Each connection gets one such request, so the
    /// reconnect backoff limits them.
    pub(crate) fn next_to_confirm(
        &mut self,
        can_send: impl Fn(NodeId) -> bool,
        now: Instant,
    ) -> Option<(NodeId, MetadataRequest, MetadataRequestVersion)> {
        let index = self.unconfirmed.iter().position(|other| {
            !other.is_asked && can_send(other.node) && !self.is_confirmed(other.node)
        })?;
        let unconfirmed = self.unconfirmed.get_mut(index)?;
        unconfirmed.is_asked = true;
        let node = unconfirmed.node;
        let (request, version) = self.metadata.new_request(now);
        self.is_in_progress = true;
        Some((node, request, version))
    }

    fn note_asked(&mut self, node: NodeId) {
        let mut unconfirmed = self.unconfirmed.iter_mut();
        if let Some(unconfirmed) = unconfirmed.find(|other| other.node == node) {
            unconfirmed.is_asked = true;
        }
    }

    /// Notes that a connection was lost or could not be made, so the metadata may be out of date.
    pub(crate) fn handle_server_disconnect(&self, now: Instant) {
        if self.is_update_due(now) {
            // Otherwise the due update would be tried again immediately.
            self.metadata.failed_update(now);
        }
        self.metadata.request_update();
    }

    /// Notes that the metadata request will have no response.
    pub(crate) fn handle_failed_request(&mut self, fatal: Option<Error>, now: Instant) {
        if let Some(error) = fatal {
            self.metadata.fatal_error(error);
        }
        self.metadata.failed_update(now);
        self.is_in_progress = false;
    }

    pub(crate) fn handle_response(
        &mut self,
        request: MetadataRequestVersion,
        response: &MetadataView<'_>,
        now: Instant,
    ) {
        self.is_in_progress = false;
        if let Some(errors) = describe_errors(response) {
            self.log_limiter
                .warn(format!("the metadata has errors: {errors}"), now);
        }
        if response.error_code == ErrorCode::REBOOTSTRAP_REQUIRED {
            self.log_limiter
                .warn("a broker requested a rebootstrap".to_owned(), now);
            self.require_rebootstrap();
        } else if !response.error_code.is_none() {
            let text = format!("the metadata request failed: {}", response.error_code);
            self.log_limiter.warn(text, now);
        } else if self.metadata.update(request, response, now) {
            self.attempts_since = None;
            self.unconfirmed.clear();
            return;
        } else {
            let text = "a metadata response without a usable broker is ignored";
            self.log_limiter.warn(text.to_owned(), now);
        }
        self.metadata.failed_update(now);
    }

    /// Notes that another broker than `node` responds at its address, so the client must start
    /// again from the bootstrap nodes.
    pub(crate) fn misrouted(&mut self, node: NodeId, cause: &str, now: Instant) {
        if let Some(node) = self.metadata.snapshot().node(node) {
            self.metadata.connection_misrouted(node, cause);
        }
        self.log_limiter
            .warn(format!("node {node} cannot be reached: {cause}"), now);
        self.require_rebootstrap();
    }

    /// Notes that a broker requires a rebootstrap.
    pub(crate) fn require_rebootstrap(&mut self) {
        self.is_rebootstrap_required = true;
    }

    /// Returns whether updates have failed for too long, or a broker has asked for a rebootstrap.
    pub(crate) fn needs_rebootstrap(&self, now: Instant) -> bool {
        let is_overdue = self.attempts_since.is_some_and(|since| {
            now.saturating_duration_since(since) >= self.rebootstrap_trigger()
        });
        self.can_rebootstrap() && (is_overdue || self.is_rebootstrap_required)
    }

    /// Returns when [`needs_rebootstrap`](Self::needs_rebootstrap) becomes true if no update
    /// succeeds before.
    pub(crate) fn rebootstrap_due(&self) -> Option<Instant> {
        let since = self.attempts_since.filter(|_| self.can_rebootstrap())?;
        since.checked_add(self.rebootstrap_trigger())
    }

    /// Starts again from the bootstrap nodes. The caller has closed the connections.
    pub(crate) fn rebootstrap(&mut self, now: Instant) {
        if let Some(nodes) = self.metadata.rebootstrap() {
            let text = format!("rebootstrapping with {}", Count(nodes, "node"));
            // With only one broker, each loss of a connection leads here.
            match self.log_limiter.admit(&text, now) {
                Some(_) => log::info!("{text}"),
                None => log::debug!("{text}"),
            }
        }
        self.attempts_since = Some(now);
        self.is_rebootstrap_required = false;
    }

    /// Returns the configured time, but at least long enough to make a connection. With 0, which is
    /// allowed, each one would fail immediately.
    fn rebootstrap_trigger(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(100);
        self.config.rebootstrap_trigger.max(LEAST)
    }

    /// Returns whether `metadata.recovery.strategy` allows a rebootstrap.
    pub(crate) fn can_rebootstrap(&self) -> bool {
        self.config.recovery_strategy == MetadataRecoveryStrategy::Rebootstrap
    }
}

#[cfg(test)]
mod tests;
