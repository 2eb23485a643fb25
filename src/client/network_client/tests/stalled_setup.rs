//! Peers that stall during the setup of a connection: in the TLS handshake and at each step of the
//! SASL exchange. The setup timeout covers all of it (KIP-601). Uses real sockets and the test's
//! clock.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::network::sasl::{SaslLogin, SaslMechanism, Source};
use crate::network::ssl::{SslConfig, SslFactory, TlsVersion, Truststore};
use crate::network::{
    Authentication, ChannelBuilder, SaslCredentials, Selector, SelectorConfig, SelectorMetrics,
    SocketOptions,
};
use crate::protocol::messages::SaslHandshakeResponse;

const BOOTSTRAP: NodeId = NodeId(-1);

/// A client, and a peer that accepted its connection.
struct Stalled {
    client: NetworkClient<Selector>,
    metadata: Arc<Metadata>,
    time: MockTime,
    peer: TcpStream,
}

impl Stalled {
    fn new(channel_builder: ChannelBuilder, authentication: Authentication) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let time = MockTime::new();
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let metrics = Metrics::unread(&clock);
        let selector = Selector::new(SelectorConfig {
            channel_builder,
            authentication,
            socket_options: SocketOptions::default(),
            connections_max_idle: Duration::MAX,
            initial_receive_limit: SelectorConfig::DEFAULT_INITIAL_RECEIVE_LIMIT,
            time: Arc::clone(&clock),
            metrics: SelectorMetrics::new(&metrics),
        })
        .unwrap();
        let metadata = metadata(&time);
        let node = Node::new(BOOTSTRAP, "127.0.0.1", port, None);
        metadata.bootstrap(vec![node.clone()]);
        let mut client = NetworkClient::new(
            config(),
            selector,
            Arc::clone(&metadata),
            clock,
            Box::new(FakeResolver::default()),
            ClientMetrics::new(&metrics, &metadata),
        );
        client.ready(&node, time.now());
        // The operating system makes the connection without the listener.
        let (peer, _) = listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        Self {
            client,
            metadata,
            time,
            peer,
        }
    }

    /// Runs the client until the peer has something to read, and returns it.
    fn received(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 1 << 16];
        for _ in 0..10_000 {
            self.client.poll(ms(1), self.time.now());
            match self.peer.read(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    return buffer;
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        panic!("the client sends nothing");
    }

    fn answer(&mut self, request: &[u8], body: impl Into<ResponseBody>) {
        let (header, _) = decode_request(&request[4..]).unwrap();
        let key = ApiKey::from_id(header.api_key).unwrap();
        let id = header.correlation_id;
        let response = encode_response(key, header.api_version, id, &body.into()).unwrap();
        let size = u32::try_from(response.len()).unwrap();
        self.peer.write_all(&size.to_be_bytes()).unwrap();
        self.peer.write_all(&response).unwrap();
    }

    #[track_caller]
    fn assert_ends_at_the_deadline(mut self) {
        self.time.advance_ms(SETUP_MS - 1);
        self.client.poll(ms(0), self.time.now());
        assert!(!self.client.connection_failed(BOOTSTRAP));
        assert!(!self.client.is_ready(BOOTSTRAP, self.time.now()));
        self.time.advance_ms(1);
        self.client.poll(ms(0), self.time.now());
        assert!(self.client.connection_failed(BOOTSTRAP));
        let failure = self.metadata.connection_failure().unwrap();
        let says = "no connection within 10000 ms (socket.connection.setup.timeout.ms)";
        assert!(failure.to_string().contains(says), "{failure}");
        self.peer.set_nonblocking(false).unwrap();
        self.peer.read_to_end(&mut Vec::new()).unwrap();
    }
}

fn ssl() -> ChannelBuilder {
    let ca = format!("{}/tests/data/tls/ca.pem", env!("CARGO_MANIFEST_DIR"));
    let factory = SslFactory::new(SslConfig {
        truststore: Truststore::PemFile(ca.into()),
        keystore: None,
        verifies_host: true,
        protocols: vec![TlsVersion::Tls12, TlsVersion::Tls13],
        cipher_suites: Vec::new(),
    });
    ChannelBuilder::Ssl(Box::new(factory.unwrap()))
}

fn sasl() -> Authentication {
    let credentials = SaslCredentials::new("alice", "secret");
    Authentication::Sasl {
        login: Arc::new(SaslLogin::new(
            SaslMechanism::Plain,
            Source::Fixed(credentials),
        )),
        client_id: Arc::from("stalled"),
    }
}

#[test]
fn a_peer_that_never_answers_the_tls_handshake_is_given_up() {
    let mut stalled = Stalled::new(ssl(), Authentication::None);
    assert_eq!(stalled.received()[0], 22, "no handshake record");
    stalled.assert_ends_at_the_deadline();
}

#[test]
fn a_peer_that_stops_within_its_tls_answer_is_given_up() {
    let mut stalled = Stalled::new(ssl(), sasl());
    stalled.received();
    // The header of a record of 100 bytes, and one byte of the record.
    stalled.peer.write_all(&[22, 3, 3, 0, 100, 2]).unwrap();
    stalled.assert_ends_at_the_deadline();
}

#[test]
fn a_peer_that_stops_in_the_sasl_exchange_is_given_up() {
    for steps in 0..3 {
        let mut stalled = Stalled::new(ChannelBuilder::Plaintext, sasl());
        let mut request = stalled.received();
        for step in 0..steps {
            match step {
                0 => stalled.answer(&request, all_versions()),
                _ => stalled.answer(&request, SaslHandshakeResponse::default()),
            }
            request = stalled.received();
        }
        stalled.assert_ends_at_the_deadline();
    }
}

/// A library that waits for its Kerberos server.
#[cfg(feature = "gssapi")]
mod kerberos {
    use super::*;
    use crate::network::sasl::{KerberosLogin, gated_login};

    /// As far as the token, for which the library asks its server.
    fn stalled(login: KerberosLogin) -> Stalled {
        let source = Source::Kerberos(Arc::new(login));
        let authentication = Authentication::Sasl {
            login: Arc::new(SaslLogin::new(SaslMechanism::Gssapi, source)),
            client_id: Arc::from("stalled"),
        };
        let mut stalled = Stalled::new(ChannelBuilder::Plaintext, authentication);
        let request = stalled.received();
        stalled.answer(&request, all_versions());
        let request = stalled.received();
        stalled.answer(&request, SaslHandshakeResponse::default());
        for _ in 0..10 {
            stalled.client.poll(ms(1), stalled.time.now());
        }
        stalled
    }

    #[test]
    fn a_kerberos_server_that_never_answers_is_given_up() {
        let (_gate, login) = gated_login();
        stalled(login).assert_ends_at_the_deadline();
    }

    #[test]
    fn the_token_leaves_as_soon_as_the_server_has_answered() {
        let (gate, login) = gated_login();
        let mut stalled = stalled(login);
        drop(gate);
        let request = stalled.received();
        let (_, body) = decode_request(&request[4..]).unwrap();
        let RequestBody::SaslAuthenticate(request) = body else {
            panic!("{body:?}");
        };
        assert_eq!(request.auth_bytes, b"ticket");
    }
}
