//! Creates the transport and the authenticator of each new connection, according to
//! `security.protocol`. Java: `ChannelBuilder`, `ChannelBuilders`.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::{Registry, Token};

use super::authenticator::Authenticator;
use super::plaintext_transport_layer::PlaintextTransportLayer;
#[cfg(feature = "sasl")]
use super::sasl::{Peer, SaslClientAuthenticator, SaslLogin};
#[cfg(feature = "tls")]
use super::ssl::{SslFactory, SslTransportLayer};
use super::transport_layer::TransportLayer;
use super::{Disconnect, EarlyEnd, SocketOptions, Waker};
#[cfg(feature = "sasl")]
use crate::sync::Arc;

/// The protection of a client's connections.
#[derive(Clone, Debug)]
pub(crate) enum ChannelBuilder {
    /// Nothing. Java: `PlaintextChannelBuilder`.
    Plaintext,
    /// TLS. Java: `SslChannelBuilder`.
    #[cfg(feature = "tls")]
    Ssl(Box<SslFactory>),
}

impl ChannelBuilder {
    /// Returns whether the transport itself authenticates a connection.
    pub(super) fn verifies_peers(&self) -> bool {
        match self {
            Self::Plaintext => false,
            #[cfg(feature = "tls")]
            Self::Ssl(_) => true,
        }
    }

    /// Returns a hint for a peer that closed the connection this early: what it may expect instead.
    pub(super) fn likely_mistake(
        &self,
        authentication: &Authentication,
        end: EarlyEnd,
    ) -> Option<&'static str> {
        let is_plaintext = matches!(self, Self::Plaintext);
        let is_authenticated = !matches!(authentication, Authentication::None);
        match end {
            EarlyEnd::BeforeVersions if is_plaintext => {
                Some("it may expect TLS (security.protocol), or be no Kafka broker")
            }
            EarlyEnd::BeforeVersions => Some(
                "it may refuse this client's certificate (ssl.keystore.*), or be no Kafka broker",
            ),
            EarlyEnd::AfterVersions if is_authenticated => None,
            EarlyEnd::AfterVersions => Some("it may expect SASL (security.protocol)"),
        }
    }

    /// Starts to connect to an address of `host`, and registers the socket.
    ///
    /// # Errors
    ///
    /// The operating system refuses the socket, which is closed again, or `host` cannot be the name
    /// in a certificate.
    #[cfg_attr(
        not(feature = "tls"),
        expect(
            clippy::needless_pass_by_ref_mut,
            reason = "only TLS reads its files again"
        )
    )]
    pub(super) fn connect(
        &mut self,
        #[cfg_attr(
            not(feature = "tls"),
            expect(unused_variables, reason = "only TLS needs a name")
        )]
        host: &str,
        address: SocketAddr,
        options: SocketOptions,
        registry: &Registry,
        token: Token,
        #[cfg_attr(
            not(feature = "tls"),
            expect(unused_variables, reason = "only TLS has sessions that age")
        )]
        now: Instant,
    ) -> io::Result<Transport> {
        let connect = || PlaintextTransportLayer::connect(address, options, registry, token);
        match self {
            Self::Plaintext => connect().map(Transport::Plaintext),
            #[cfg(feature = "tls")]
            Self::Ssl(factory) => {
                // Comes first, so that a failure leaves no registered socket.
                let session = factory.session(host, now).map_err(io::Error::other)?;
                let transport = SslTransportLayer::new(connect()?, session, host);
                Ok(Transport::Ssl(Box::new(transport)))
            }
        }
    }
}

/// The authentication of a client's connections.
#[derive(Clone, Debug)]
pub(crate) enum Authentication {
    /// Not at all, or by TLS.
    None,
    #[cfg(feature = "sasl")]
    Sasl {
        login: Arc<SaslLogin>,
        /// Sent in the headers of the requests.
        client_id: Arc<str>,
    },
}

impl Authentication {
    /// The authenticator of a new connection to `host`, if it has one. What it has another thread do ends with a call of the
    /// waker.
    #[cfg_attr(
        not(feature = "sasl"),
        expect(unused_variables, reason = "only SASL has a peer")
    )]
    pub(super) fn authenticator(
        &self,
        host: &str,
        waker: &Waker,
    ) -> Option<Box<dyn Authenticator>> {
        match self {
            Self::None => None,
            #[cfg(feature = "sasl")]
            Self::Sasl { login, client_id } => {
                let (login, client_id) = (Arc::clone(login), Arc::clone(client_id));
                let peer = Peer {
                    host: Arc::from(host),
                    waker: waker.clone(),
                };
                let authenticator = SaslClientAuthenticator::new(login, client_id, peer);
                Some(Box::new(authenticator))
            }
        }
    }
}

/// The transports that a [`ChannelBuilder`] creates. An enum, so that the bytes of a plaintext
/// connection need no virtual call.
#[derive(Debug)]
pub(super) enum Transport {
    Plaintext(PlaintextTransportLayer),
    #[cfg(feature = "tls")]
    Ssl(Box<SslTransportLayer<PlaintextTransportLayer>>),
}

impl TransportLayer for Transport {
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        match self {
            Self::Plaintext(transport) => transport.finish_connect(),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.finish_connect(),
        }
    }

    fn has_pending_writes(&self) -> bool {
        match self {
            Self::Plaintext(transport) => transport.has_pending_writes(),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.has_pending_writes(),
        }
    }

    fn close(&mut self, registry: &Registry) {
        match self {
            Self::Plaintext(transport) => transport.close(registry),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.close(registry),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plaintext(transport) => transport.read(buffer),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plaintext(transport) => transport.write(bytes),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plaintext(transport) => transport.write_vectored(slices),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plaintext(transport) => transport.flush(),
            #[cfg(feature = "tls")]
            Self::Ssl(transport) => transport.flush(),
        }
    }
}
