//! Tests over sockets of the loopback interface. Java: `SelectorTest`.
//!
//! The peers are threads, or the test's own thread. Waits are bounded, so that a failure does not
//! hang the test.

mod closing;
mod counting;
mod waiting;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;
use crate::metrics::Metrics;
use crate::network::network_send::tests::{framed, spliced};
use crate::network::plaintext_transport_layer::PlaintextTransportLayer;
use crate::protocol::MessageBytes;
use crate::utils::{MockTime, SystemTime};

const NODE: NodeId = NodeId(0);

/// The host name of the addresses.
const HOST: &str = "localhost";

/// Longer than any step of a peer takes.
const PATIENCE: Duration = Duration::from_secs(30);

const MAX_IDLE: Duration = Duration::from_millis(5000);

/// A selector, with everything that its polls reported.
struct Harness {
    selector: Selector,
    metrics: Arc<Metrics>,
    time: MockTime,
    sent: Vec<NodeId>,
    received: Vec<NetworkReceive>,
    connected: Vec<NodeId>,
    disconnected: Vec<(NodeId, Disconnect)>,
}

impl Harness {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut SelectorConfig)) -> Self {
        let time = MockTime::new();
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let metrics = Metrics::unread(&clock);
        let mut config = SelectorConfig {
            channel_builder: ChannelBuilder::Plaintext,
            authentication: Authentication::None,
            socket_options: SocketOptions::default(),
            connections_max_idle: MAX_IDLE,
            initial_receive_limit: 100 << 20,
            time: Arc::new(time.clone()),
            metrics: SelectorMetrics::new(&metrics),
        };
        change(&mut config);
        Self {
            selector: Selector::new(config).unwrap(),
            metrics,
            time,
            sent: Vec::new(),
            received: Vec::new(),
            connected: Vec::new(),
            disconnected: Vec::new(),
        }
    }

    fn connect(&mut self, id: NodeId, address: SocketAddr) {
        self.selector
            .connect(id, HOST, address, self.time.now())
            .unwrap();
    }

    /// Connects, and waits until the connection is made.
    fn establish(&mut self, id: NodeId, address: SocketAddr) {
        self.connect(id, address);
        self.poll_until(|harness| harness.selector.is_channel_ready(id));
    }

    /// Opens a connection whose other end the test holds.
    fn pair(&mut self, id: NodeId) -> TcpStream {
        let listener = listener();
        self.connect(id, address_of(&listener));
        let peer = accept(&listener);
        self.poll_until(|harness| harness.selector.is_channel_ready(id));
        peer
    }

    fn send(&mut self, id: NodeId, payload: &[u8]) {
        let message = MessageBytes::from(payload.to_vec());
        self.selector.send(NetworkSend::new(id, message)).unwrap();
    }

    fn poll(&mut self, timeout: Duration) {
        self.selector.poll(timeout).unwrap();
        self.sent.extend(self.selector.completed_sends());
        self.received.extend(self.selector.completed_receives());
        self.connected.extend(self.selector.connected());
        self.disconnected.extend(self.selector.disconnected());
    }

    /// Waits for a wake-up, while the connections are quiet.
    fn poll_until_woken(&mut self) {
        let end = SystemTime.now() + PATIENCE;
        self.poll(PATIENCE);
        assert!(SystemTime.now() < end, "a wake-up was lost");
    }

    fn poll_until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let may_block = self.selector.ready.is_empty();
            self.poll(PATIENCE);
            let timed_out = may_block && self.selector.events.is_empty();
            assert!(
                !timed_out || done(self),
                "nothing happened for {PATIENCE:?}"
            );
        }
    }

    /// Polls until no pending event would end a wait.
    fn poll_until_quiet(&mut self) {
        for _ in 0..1000 {
            self.poll(Duration::ZERO);
            if self.selector.events.is_empty() && self.selector.ready.is_empty() {
                return;
            }
        }
        panic!("the selector finds something to do for ever");
    }

    fn payloads(&self) -> Vec<&[u8]> {
        self.received
            .iter()
            .map(|receive| &receive.payload[..])
            .collect()
    }
}

fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap()
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes(size)).unwrap()];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    framed(&MessageBytes::from(payload.to_vec()))
}

/// Starts a server that returns every frame on this many connections, until they end.
fn echo_server(connections: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = listener();
    let address = address_of(&listener);
    let server = thread::spawn(move || {
        let echo = |mut stream: TcpStream| {
            while let Ok(payload) = read_frame(&mut stream) {
                stream.write_all(&frame(&payload)).unwrap();
            }
        };
        let threads: Vec<_> = (0..connections)
            .map(|_| accept(&listener))
            .map(|stream| thread::spawn(move || echo(stream)))
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
    (address, server)
}

// Java: SelectorTest.testCantSendWithInProgress
#[test]
fn a_second_send_is_refused_while_one_is_in_progress() {
    let mut harness = Harness::new();
    let _peer = harness.pair(NODE);
    harness.send(NODE, b"first");
    let second = NetworkSend::new(NODE, MessageBytes::from(b"second".to_vec()));
    let second = harness.selector.send(second).unwrap_err();
    assert_eq!(second.message().to_vec(), b"second");

    harness.poll_until(|harness| harness.sent == [NODE]);
    harness.selector.send(second).unwrap();
}

// Java: SelectorTest.testSendWithoutConnecting
#[test]
fn a_send_without_a_ready_connection_is_refused() {
    let mut harness = Harness::new();
    let send = NetworkSend::new(NODE, MessageBytes::from(b"x".to_vec()));
    let send = harness.selector.send(send).unwrap_err();

    let listener = listener();
    harness.connect(NODE, address_of(&listener));
    assert!(!harness.selector.is_channel_ready(NODE));
    assert_eq!(harness.selector.send(send).unwrap_err().destination(), NODE);
}

// Java: SelectorTest.testExistingConnectionId
#[test]
fn a_second_connection_with_the_same_id_is_refused() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    let listener = listener();
    let now = harness.time.now();
    let error = harness
        .selector
        .connect(NODE, HOST, address_of(&listener), now)
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);

    harness.send(NODE, b"still there");
    assert_eq!(read_frame(&mut peer).unwrap(), b"still there");
}

// Java: SelectorTest.testNormalOperation
#[test]
fn many_requests_on_many_connections_get_their_responses() {
    const NODES: i32 = 5;
    const REQUESTS: usize = 500;
    let (address, server) = echo_server(5);
    let mut harness = Harness::new();
    for id in 0..NODES {
        harness.establish(NodeId(id), address);
    }
    assert_eq!(
        harness.connected,
        (0..NODES).map(NodeId).collect::<Vec<_>>()
    );

    let request = |id: NodeId, number: usize| format!("{id}-{number}").into_bytes();
    for id in 0..NODES {
        harness.send(NodeId(id), &request(NodeId(id), 0));
    }
    let mut requests = [1; 5];
    let mut responses = [0; 5];
    while responses.iter().any(|count| *count < REQUESTS) {
        harness.poll_until(|harness| !harness.sent.is_empty() || !harness.received.is_empty());
        for NetworkReceive { source, payload } in mem::take(&mut harness.received) {
            let count = &mut responses[usize::try_from(source.0).unwrap()];
            assert_eq!(payload, request(source, *count));
            *count += 1;
        }
        for id in mem::take(&mut harness.sent) {
            let count = &mut requests[usize::try_from(id.0).unwrap()];
            if *count < REQUESTS {
                harness.send(id, &request(id, *count));
                *count += 1;
            }
        }
    }
    assert_eq!(harness.disconnected, []);
    drop(harness);
    server.join().unwrap();
}

// Java: SelectorTest.testSendLargeRequest, testLargeMessageSequence
#[test]
fn large_messages_arrive_whole() {
    let (address, server) = echo_server(1);
    let mut harness = Harness::new();
    harness.establish(NODE, address);
    for size in [1 << 20, 3_000_000, 10 << 20] {
        let message = spliced(&[size / 3, 7, size / 2]);
        let expected = message.to_vec();
        harness
            .selector
            .send(NetworkSend::new(NODE, message))
            .unwrap();
        harness.poll_until(|harness| !harness.received.is_empty());
        assert!(
            harness.received[0].payload == expected,
            "{size} bytes came back changed"
        );
        harness.poll_until(|harness| !harness.sent.is_empty());
        harness.received.clear();
        harness.sent.clear();
    }
    drop(harness);
    server.join().unwrap();
}

// Java: SelectorTest.testEmptyRequest
#[test]
fn an_empty_request_gets_its_response() {
    let (address, server) = echo_server(1);
    let mut harness = Harness::new();
    harness.establish(NODE, address);
    harness.send(NODE, b"");
    harness.poll_until(|harness| !harness.received.is_empty());
    assert_eq!(harness.payloads(), [b""]);
    drop(harness);
    server.join().unwrap();
}

// Java: SelectorTest.testClearCompletedSendsAndReceives
#[test]
fn clear_completed_sends_and_receives() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.send(NODE, b"request");
    peer.write_all(&frame(b"response")).unwrap();
    let selector = &mut harness.selector;
    while selector.completed_receives.is_empty() {
        selector.poll(PATIENCE).unwrap();
    }
    selector.poll(Duration::ZERO).unwrap();
    assert_eq!(selector.completed_sends(), []);
    assert_eq!(selector.completed_receives(), []);
    assert_eq!(selector.connected(), []);
}

/// Completes within `send` itself; the next poll reports it without a wait.
#[test]
fn a_send_that_ends_at_once_is_reported_by_the_next_poll() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.send(NODE, b"hello");
    assert_eq!(read_frame(&mut peer).unwrap(), b"hello");
    assert_eq!(harness.selector.bytes_written(NODE), 9);

    let now = harness.time.now();
    assert_eq!(
        harness.selector.wait_time(Duration::MAX, now),
        Some(Duration::ZERO)
    );
    harness.poll(PATIENCE);
    assert_eq!(harness.sent, [NODE]);
    assert_eq!(harness.selector.bytes_written(NODE), 0);
}

// Java: SelectorTest.testPartialSendAndReceiveReflectedInMetrics, and a peer that reads slowly.
#[test]
fn a_slow_reader_gets_the_right_bytes() {
    let mut harness = Harness::with(|config| config.socket_options.send_buffer = Some(8 * 1024));
    let mut peer = harness.pair(NODE);
    let message = spliced(&[100_000, 1, 2_000_000, 0, 4_000_000, 3]);
    let expected = framed(&message);
    harness
        .selector
        .send(NetworkSend::new(NODE, message))
        .unwrap();
    harness.poll_until_quiet();
    let written = harness.selector.bytes_written(NODE);
    assert!(written > 0 && written < expected.len() as u64, "{written}");
    assert_eq!(harness.sent, []);

    let length = expected.len();
    let reader = thread::spawn(move || {
        let mut arrived = Vec::new();
        let mut piece = [0; 1000];
        while arrived.len() < length {
            let count = peer.read(&mut piece).unwrap();
            assert_ne!(count, 0);
            arrived.extend_from_slice(&piece[..count]);
        }
        (peer, arrived)
    });
    let waits = harness.selector.waits;
    harness.poll_until(|harness| !harness.sent.is_empty());
    assert!(
        harness.selector.waits > waits + 1,
        "the socket took it all: no test of anything"
    );
    let (_peer, arrived) = reader.join().unwrap();
    assert!(arrived == expected, "the bytes arrived changed");
}

#[test]
fn responses_one_byte_at_a_time() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    peer.set_nodelay(true).unwrap();
    for byte in [frame(b"drip"), frame(b"drop")].concat() {
        peer.write_all(&[byte]).unwrap();
        harness.poll(PATIENCE);
    }
    harness.poll_until(|harness| harness.received.len() == 2);
    assert_eq!(harness.payloads(), [b"drip", b"drop"]);
}

/// A level-triggered selector would report the rest again. This one must remember it.
#[test]
fn what_is_left_after_a_turn_needs_no_event() {
    const FRAMES: usize = 100;
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    let writer = thread::spawn(move || {
        for number in 0..FRAMES {
            peer.write_all(&frame(&vec![u8::try_from(number).unwrap(); 100_000]))
                .unwrap();
        }
        peer
    });
    harness.poll_until(|harness| harness.received.len() == FRAMES);
    for (number, receive) in harness.received.iter().enumerate() {
        assert!(receive.payload == vec![u8::try_from(number).unwrap(); 100_000]);
    }
    writer.join().unwrap();
}

#[test]
fn the_receive_limit_can_be_raised() {
    let mut harness = Harness::with(|config| config.initial_receive_limit = 10);
    let mut peer = harness.pair(NODE);
    harness.selector.set_receive_limit(NODE, 20);
    harness.selector.set_receive_limit(NodeId(99), 20);
    peer.write_all(&frame(&[1; 20])).unwrap();
    harness.poll_until(|harness| !harness.received.is_empty());
    peer.write_all(&frame(&[1; 21])).unwrap();
    harness.poll_until(|harness| !harness.disconnected.is_empty());
}

#[test]
fn the_socket_is_configured() {
    let mut harness = Harness::with(|config| {
        config.socket_options = SocketOptions {
            send_buffer: Some(50_000),
            receive_buffer: Some(60_000),
        };
    });
    let listener = listener();
    let mut transport = PlaintextTransportLayer::connect(
        address_of(&listener),
        harness.selector.config.socket_options,
        harness.selector.poll.registry(),
        Token(0),
    )
    .unwrap();
    let socket = transport.socket();
    assert!(socket.keepalive().unwrap());
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.send_buffer_size().unwrap() >= 50_000);
    assert!(socket.recv_buffer_size().unwrap() >= 60_000);
    transport.close(harness.selector.poll.registry());
    harness.poll_until_quiet();
}

#[test]
fn a_connection_has_one_turn_per_poll() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.poll_until_quiet();
    harness.send(NODE, b"queued by its completion");
    peer.write_all(&frame(b"queued by an event")).unwrap();
    let Selector { poll, events, .. } = &mut harness.selector;
    poll.poll(events, Some(PATIENCE)).unwrap();
    assert!(!events.is_empty());
    harness.selector.note_events();
    assert_eq!(harness.selector.ready.len(), 1);
}

/// A listener with a full queue leaves further connections unfinished.
#[test]
#[cfg(target_os = "linux")]
fn an_event_does_not_say_that_the_connection_is_made() {
    use socket2::{Domain, Socket, Type};

    let harness = Harness::new();
    let registry = harness.selector.poll.registry();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let options = SocketOptions::default();
    let mut transports: Vec<_> = (0..4)
        .map(|token| PlaintextTransportLayer::connect(address, options, registry, Token(token)))
        .map(Result::unwrap)
        .collect();
    assert_eq!(transports[0].finish_connect(), Ok(true));
    assert_eq!(transports[3].finish_connect(), Ok(false));
}
