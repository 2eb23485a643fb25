//! What the client needs of a set of connections. Java: `Selectable`, `ChannelState`.
//!
//! Threads: one thread owns it; other threads reach it through its [`Waker`] alone.
//! Differs from Java: a poll may complete several receives of one node (the one-receive rule protects brokers), and
//! a refused call is an `Err` that gives the send back and leaves the connection alone, where Java throws and closes it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{NetworkReceive, NetworkSend, Waker};
use crate::common::NodeId;

/// Connections to many nodes, one per node, each with at most one send in progress.
pub(crate) trait Selectable {
    /// Starts to connect to an address of `host`, the name that the peer has to prove where it has to prove one. The
    /// outcome comes with a later poll, in `connected` or `disconnected`.
    ///
    /// # Errors
    ///
    /// There is a connection with this id already (`AlreadyExists`), or the operating system refused at once. Nothing
    /// is kept then, and no disconnect will be reported.
    fn connect(
        &mut self,
        id: NodeId,
        host: &str,
        address: SocketAddr,
        now: Instant,
    ) -> io::Result<()>;

    /// Hands a send to the channel of its destination, which writes what the socket takes at once. The end of the
    /// send, or the loss of the connection, is reported by a later poll and never here.
    ///
    /// # Errors
    ///
    /// Gives the send back: there is no such connection, it is not connected yet, it is failing, or its previous send
    /// was not reported as completed so far.
    fn send(&mut self, send: NetworkSend) -> Result<(), NetworkSend>;

    /// Does all the I/O that is possible, after a wait of up to `timeout` for some to become possible. `Duration::MAX`
    /// waits for ever. Clears the four lists below and fills them anew; a poll may return early with all of them empty.
    ///
    /// # Blocking
    ///
    /// Up to `timeout`, until a socket is ready or the [`Waker`] is used.
    fn poll(&mut self, timeout: Duration) -> io::Result<()>;

    /// The nodes whose send was written to the last byte. Drains the list.
    fn completed_sends(&mut self) -> Vec<NodeId>;

    /// The frames that arrived, in order for each node, at times several of one node. Drains the list.
    ///
    /// What a node sent before its connection was lost is here in the poll that reports the loss, or in an earlier one.
    fn completed_receives(&mut self) -> Vec<NetworkReceive>;

    /// The connections that were lost or could not be made, and why. They are forgotten already. Drains the list.
    fn disconnected(&mut self) -> Vec<(NodeId, Disconnect)>;

    /// The connections that became usable, without those that the same poll lost again. Drains the list.
    fn connected(&mut self) -> Vec<NodeId>;

    /// Whether the connection takes a send now, but for one that may be in progress.
    fn is_channel_ready(&self, id: NodeId) -> bool;

    /// How many bytes of the send in progress, size prefix included, were handed to the socket; 0 if there is none.
    ///
    /// A send is in progress until `completed_sends` has named it. For a connection that the last poll reported as
    /// disconnected this still tells about its last send, until the next poll or `connect`.
    fn bytes_written(&self, id: NodeId) -> u64;

    /// Closes the connection at once, if there is one, and discards what was in progress and what the lists above
    /// still hold of it. Not reported as a disconnect.
    fn close(&mut self, id: NodeId);

    /// Closes every connection, as [`close`](Self::close) does.
    fn close_all(&mut self);

    /// Returns what a peer that hung up this early may expect of a client instead, if that is known.
    fn likely_mistake(&self, _end: EarlyEnd) -> Option<&'static str> {
        None
    }

    /// A handle with which any thread ends the current or the next poll.
    fn waker(&self) -> Waker;

    /// Sets the size above which a frame of this node ends the connection. A new connection starts with the limit
    /// that the selector was made with.
    fn set_receive_limit(&mut self, id: NodeId, limit: usize);
}

/// When a peer hung up, if it had not answered a request by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlyEnd {
    BeforeVersions,
    /// It told its versions, and answered nothing else.
    AfterVersions,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disconnect {
    /// The connection could not be made. Nothing was written.
    NotConnected {
        kind: io::ErrorKind,
        message: String,
    },
    /// The peer closed the connection instead of answering the first message of a TLS handshake: it may not speak TLS, or
    /// something in front of it has nothing to connect to just now.
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
    /// The peer could not prove who it is, or it refused this client's identity. Another attempt with the same
    /// credentials would fail too. Java: `AuthenticationException`.
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
    /// The connection could not be made, for this reason.
    pub(super) fn not_connected(error: &io::Error) -> Self {
        Self::NotConnected {
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    /// Reading or writing failed, for this reason. A transport that knows more than an `io::Error` can say puts a
    /// `Disconnect` into it.
    pub(super) fn failed(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        inner.cloned().unwrap_or_else(|| Self::Failed {
            kind: error.kind(),
            message: error.to_string(),
        })
    }
}
