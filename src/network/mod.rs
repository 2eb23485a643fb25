//! Connections to brokers, keyed by node id: sockets, framing, and the I/O thread's wait. Java:
//! `common.network`.
//!
//! Higher layers never see a socket, and this layer does not know the contents of a frame.

mod authenticator;
#[cfg(feature = "classic")]
mod blocking_channel;
mod channel_builder;
#[cfg(feature = "oauth-oidc")]
pub(crate) mod http;
mod kafka_channel;
#[cfg(test)]
mod mock_selector;
mod network_receive;
mod network_send;
mod plaintext_transport_layer;
#[cfg(feature = "sasl")]
pub(crate) mod sasl;
mod security_protocol;
mod selectable;
mod selector;
mod selector_metrics;
#[cfg(feature = "tls")]
pub(crate) mod ssl;
mod transport_layer;
mod waker;

#[cfg(feature = "classic")]
pub(crate) use blocking_channel::{BlockingChannels, Channel, ChannelOptions, Channels};
pub(crate) use channel_builder::{Authentication, ChannelBuilder};
#[cfg(test)]
pub(crate) use mock_selector::MockSelector;
pub(crate) use network_receive::NetworkReceive;
pub(crate) use network_send::NetworkSend;
pub(crate) use plaintext_transport_layer::SocketOptions;
#[cfg(feature = "aws-msk-iam")]
pub use sasl::AwsCredentials;
#[cfg(feature = "sasl")]
pub use sasl::{OAuthBearerToken, SaslCredentials};
pub use security_protocol::SecurityProtocol;
pub(crate) use selectable::{Disconnect, EarlyEnd, Selectable};
pub(crate) use selector::{Selector, SelectorConfig};
pub(crate) use selector_metrics::SelectorMetrics;
pub(crate) use waker::Waker;
