//! The interface between the client and a set of connections. Java: `Selectable`, `ChannelState`.
//!
//! Threads: one thread owns it. Other threads use only its [`Waker`].
//! Differs from Java: a poll may complete several receives of one node (Java's limit of one per
//! poll protects brokers). A refused call returns an `Err` with the send and leaves the connection
//! alone; Java throws and closes it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{NetworkReceive, NetworkSend, Waker};
use crate::common::NodeId;

/// Connections to many nodes, one per node, each with at most one send in progress.
pub(crate) trait Selectable {
    /// Starts to connect to an address of `host`. If the protocol verifies names, the peer must
    /// prove that name. A later poll reports the outcome in `connected` or `disconnected`.
    ///
    /// # Errors
    ///
    /// There is a connection with this id already (`AlreadyExists`), or the operating system
    /// refused immediately. Then nothing is kept and no disconnect is reported.
    fn connect(
        &mut self,
        id: NodeId,
        host: &str,
        address: SocketAddr,
        now: Instant,
    ) -> io::Result<()>;

    /// Passes a send to the channel of its destination, which immediately writes what the socket
    /// takes. A later poll reports the end of the send or the loss of the connection; this call
    /// never does.
    ///
    /// # Errors
    ///
    /// Returns the send: there is no such connection, it is not connected yet or failing, or
    /// `completed_sends` has not named its previous send yet.
    fn send(&mut self, send: NetworkSend) -> Result<(), NetworkSend>;

    /// Waits up to `timeout` until some I/O is possible, then does all that is. `Duration::MAX`
    /// means no limit. Replaces the contents of the four lists below. A poll may return early with
    /// all of them empty.
    ///
    /// # Blocking
    ///
    /// Up to `timeout`, until a socket is ready or the [`Waker`] is used.
    fn poll(&mut self, timeout: Duration) -> io::Result<()>;

    /// Returns the nodes whose send was written to the last byte. Drains the list.
    fn completed_sends(&mut self) -> Vec<NodeId>;

    /// Returns the frames that arrived. Those of one node are in order, and there may be several.
    /// Drains the list.
    ///
    /// The data that a node sent before its connection ended appears no later than in the poll that
    /// reports the disconnect.
    fn completed_receives(&mut self) -> Vec<NetworkReceive>;

    /// Returns the connections that were lost or could not be made, and why. The selector has
    /// already forgotten them. Drains the list.
    fn disconnected(&mut self) -> Vec<(NodeId, Disconnect)>;

    /// Returns the connections that became usable. Omits those that the same poll lost again.
    /// Drains the list.
    fn connected(&mut self) -> Vec<NodeId>;

    /// Returns whether the connection could take a send now, if none is in progress.
    fn is_channel_ready(&self, id: NodeId) -> bool;

    /// Returns how many bytes of the send in progress, size prefix included, were handed to the
    /// socket; 0 if there is none.
    ///
    /// A send is in progress until `completed_sends` has named it. For a connection that the last
    /// poll reported as disconnected, this still returns the bytes of its last send, until the next
    /// poll or `connect`.
    fn bytes_written(&self, id: NodeId) -> u64;

    /// Closes the connection immediately, if there is one. Discards its send in progress and its
    /// entries in the lists above. Not reported as a disconnect.
    fn close(&mut self, id: NodeId);

    /// Closes every connection, as [`close`](Self::close) does.
    fn close_all(&mut self);

    /// Returns a hint for a peer that closed the connection this early: what it may expect instead,
    /// if that is known.
    fn likely_mistake(&self, _end: EarlyEnd) -> Option<&'static str> {
        None
    }

    /// Returns a handle with which any thread ends the current or the next poll.
    fn waker(&self) -> Waker;

    /// Sets the size above which a frame from this node ends the connection. A new connection
    /// starts with the selector's initial limit.
    fn set_receive_limit(&mut self, id: NodeId, limit: usize);
}

/// How early a peer closed the connection: before it answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlyEnd {
    BeforeVersions,
    /// It answered the ApiVersions request and nothing else.
    AfterVersions,
}

/// The reason why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disconnect {
    /// The connection could not be made, so nothing was written.
    NotConnected {
        kind: io::ErrorKind,
        message: String,
    },
    /// The peer closed the connection instead of answering the first message of a TLS handshake. It
    /// may not speak TLS, or a proxy in front of it has no server to connect to.
    #[cfg_attr(
        not(any(test, feature = "tls")),
        allow(dead_code, reason = "without TLS there is no handshake")
    )]
    HandshakeUnanswered { message: String },
    /// The peer closed the connection in an orderly way.
    PeerClosed,
    /// Reading or writing failed.
    Failed {
        kind: io::ErrorKind,
        message: String,
    },
    /// The peer sent what cannot be a frame.
    InvalidReceive(String),
    /// The peer could not prove its identity, or it refused this client's. Another attempt with the
    /// same credentials would fail too. Java: `AuthenticationException`.
    #[cfg_attr(
        not(any(test, feature = "tls", feature = "sasl")),
        allow(dead_code, reason = "without TLS and SASL nothing is authenticated")
    )]
    AuthenticationFailed { message: String },
    /// This client could not prove its identity for now: the next attempt may succeed. Java: a `SaslException`, which is an
    /// `IOException`.
    #[cfg_attr(
        not(any(test, feature = "sasl")),
        allow(dead_code, reason = "only SASL has such errors")
    )]
    NotAuthenticated { message: String },
    /// Nothing happened on the connection for `connections.max.idle.ms`.
    Expired,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected { message, .. } | Self::HandshakeUnanswered { message } => {
                write!(f, "the connection could not be made: {message}")
            }
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::Failed { message, .. } => write!(f, "the connection was lost: {message}"),
            Self::InvalidReceive(message) => f.write_str(message),
            Self::AuthenticationFailed { message } => write!(f, "authentication failed: {message}"),
            Self::NotAuthenticated { message } => {
                write!(f, "authentication is not possible now: {message}")
            }
            Self::Expired => {
                f.write_str("the connection was idle for longer than connections.max.idle.ms")
            }
        }
    }
}

impl std::error::Error for Disconnect {}

impl Disconnect {
    /// The connection could not be made. `error` says why.
    pub(super) fn not_connected(error: &io::Error) -> Self {
        Self::NotConnected {
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    /// Reading or writing failed. `error` says why. A transport that knows more than an `io::Error`
    /// can express puts a `Disconnect` into it.
    pub(super) fn failed(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        inner.cloned().unwrap_or_else(|| Self::Failed {
            kind: error.kind(),
            message: error.to_string(),
        })
    }
}
