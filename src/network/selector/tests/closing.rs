//! The ends of connections, and how they are reported.

use std::net::Shutdown;

use socket2::SockRef;

use super::*;

/// Closes the connection with a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

// Java: SelectorTest.testServerDisconnect
#[test]
fn a_disconnect_by_the_server_frees_the_id() {
    let mut harness = Harness::new();
    let peer = harness.pair(NODE);
    drop(peer);
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    assert_eq!(harness.disconnected, [(NODE, Disconnect::PeerClosed)]);
    assert!(!harness.selector.is_channel_ready(NODE));

    // The id is free again.
    let mut peer = harness.pair(NODE);
    harness.send(NODE, b"hello");
    harness.poll_until(|harness| !harness.sent.is_empty());
    assert_eq!(read_frame(&mut peer).unwrap(), b"hello");
}

// Java: SelectorTest.testConnectionRefused
#[test]
fn a_refused_connection_is_reported_with_its_cause() {
    let address = address_of(&listener());
    let mut harness = Harness::new();
    harness.connect(NODE, address);
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    let (id, why) = &harness.disconnected[0];
    assert_eq!(*id, NODE);
    assert!(
        matches!(
            why,
            Disconnect::NotConnected {
                kind: io::ErrorKind::ConnectionRefused,
                ..
            }
        ),
        "{why:?}"
    );
    assert_eq!(harness.connected, []);
    assert!(harness.selector.connections.is_empty());
}

// Java: SelectorTest.testConnectException, registerFailure
#[test]
fn a_connect_that_fails_at_once_leaks_nothing() {
    let mut harness = Harness::new();
    // TCP cannot connect to a broadcast address.
    let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
    let now = harness.time.now();
    harness
        .selector
        .connect(NODE, HOST, nowhere, now)
        .unwrap_err();
    assert!(harness.selector.connections.is_empty());
    assert!(harness.selector.tokens.is_empty());
    harness.poll_until_quiet();
    assert_eq!(harness.disconnected, []);
    harness.pair(NODE);
}

/// The number of written bytes determines whether the records may be in the log.
#[test]
fn the_written_bytes_of_a_lost_connection_are_known_until_the_next_poll() {
    let mut harness = Harness::with(|config| config.socket_options.send_buffer = Some(8 * 1024));
    let peer = harness.pair(NODE);
    harness
        .selector
        .send(NetworkSend::new(NODE, spliced(&[8_000_000])))
        .unwrap();
    harness.poll_until_quiet();
    let written = harness.selector.bytes_written(NODE);
    assert!(written > 0);

    drop(peer);
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    assert!(harness.selector.bytes_written(NODE) >= written);
    harness.poll(Duration::ZERO);
    assert_eq!(harness.selector.bytes_written(NODE), 0);
}

// Java: SelectorTest.testGracefulClose
#[test]
fn what_the_peer_sent_before_it_closed_is_delivered() {
    const FRAMES: usize = 50;
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    let writer = thread::spawn(move || {
        for _ in 0..FRAMES {
            peer.write_all(&frame(&[3; 100_000])).unwrap();
        }
        peer.write_all(&frame(b"cut short")[..6]).unwrap();
    });
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    writer.join().unwrap();
    assert_eq!(harness.received.len(), FRAMES);
    assert_eq!(harness.disconnected, [(NODE, Disconnect::PeerClosed)]);
}

#[test]
fn a_peer_that_answers_and_closes_at_once() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    harness.send(NODE, b"request");
    assert_eq!(read_frame(&mut peer).unwrap(), b"request");
    peer.write_all(&frame(b"answer")).unwrap();
    drop(peer);

    // The kernel has all of it by now, so one poll reports it, in lists that show the order.
    harness.poll(PATIENCE);
    assert_eq!(harness.sent, [NODE]);
    assert_eq!(harness.payloads(), [b"answer"]);
    assert_eq!(harness.disconnected, [(NODE, Disconnect::PeerClosed)]);
}

/// Sends to a peer that has reset the connection: `send` finds the failure, and the poll reports
/// it.
#[test]
fn a_send_that_fails_is_reported_as_a_disconnect() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    if cfg!(target_os = "linux") {
        peer.write_all(&frame(b"answer")).unwrap(); // Others drop what was not read when the reset arrives.
    }
    reset(peer);
    harness.send(NODE, b"too late");
    assert!(!harness.selector.is_channel_ready(NODE));
    harness.poll(PATIENCE);
    assert!(
        matches!(
            harness.disconnected[..],
            [(NODE, Disconnect::Failed { .. })]
        ),
        "{:?}",
        harness.disconnected
    );
    assert_eq!(harness.sent, []);
    assert_eq!(harness.selector.bytes_written(NODE), 0);
    if cfg!(target_os = "linux") {
        assert_eq!(harness.payloads(), [b"answer"]);
    }
}

#[test]
fn a_peer_that_stops_sending_is_gone() {
    let mut harness = Harness::new();
    let peer = harness.pair(NODE);
    peer.shutdown(Shutdown::Write).unwrap();
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    assert_eq!(harness.disconnected, [(NODE, Disconnect::PeerClosed)]);
}

// Java: SelectorTest.testConnectDisconnectDuringInSinglePoll
#[test]
fn a_connect_and_disconnect_in_one_poll_reports_the_disconnect() {
    let mut harness = Harness::new();
    let listener = listener();
    harness.connect(NODE, address_of(&listener));
    drop(accept(&listener));
    harness.poll_until(|harness| !harness.disconnected.is_empty());
    assert_eq!(harness.connected, []);
    assert_eq!(harness.disconnected, [(NODE, Disconnect::PeerClosed)]);
    assert!(harness.selector.connections.is_empty());
}

// Peers that are not brokers.
#[test]
fn what_is_no_broker_is_named() {
    for (bytes, cause) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "HTTP server"),
        (
            b"\x15\x03\x03\x00\x02\x02\x46",
            "the port is a TLS listener",
        ),
        (b"\xff\xff\xff\xff", "size of -1"),
        (b"\x7f\xff\xff\xff", "size of 2147483647"),
        (
            b"\x00\x01\x00\x01",
            "size of 65537, which is not between 0 and 65536",
        ),
    ] {
        let mut harness = Harness::with(|config| {
            config.initial_receive_limit = SelectorConfig::DEFAULT_INITIAL_RECEIVE_LIMIT;
        });
        let mut peer = harness.pair(NODE);
        peer.write_all(bytes).unwrap();
        harness.poll_until(|harness| !harness.disconnected.is_empty());
        let [(NODE, Disconnect::InvalidReceive(text))] = &harness.disconnected[..] else {
            panic!("{:?}", harness.disconnected);
        };
        assert!(text.contains(cause), "{text}");
        assert_eq!(harness.received, []);
    }
}

// Java: SelectorTest.testCloseAllChannels
#[test]
fn close_all_closes_every_channel() {
    let mut harness = Harness::new();
    let mut peers: Vec<_> = (0..5).map(|id| harness.pair(NodeId(id))).collect();
    harness.send(NODE, b"unreported");
    harness.selector.close_all();
    assert!(harness.selector.connections.is_empty());
    assert!(harness.selector.tokens.is_empty());
    assert_eq!(read_frame(&mut peers[0]).unwrap(), b"unreported");
    for peer in &mut peers {
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
    harness.sent.clear();
    harness.poll_until_quiet();
    assert_eq!(harness.disconnected, []);
    assert_eq!(harness.sent, []);
}

// Java: SelectorTest.testChannelCloseWhileProcessingReceives
#[test]
fn close_discards_what_was_not_taken() {
    let mut harness = Harness::new();
    let mut peer = harness.pair(NODE);
    peer.write_all(&[frame(b"first"), frame(b"second")].concat())
        .unwrap();
    let selector = &mut harness.selector;
    while selector.completed_receives.is_empty() {
        selector.poll(PATIENCE).unwrap();
    }
    selector.close(NODE);
    assert_eq!(selector.completed_receives(), []);
    assert!(!selector.is_channel_ready(NODE));
    selector.close(NODE);
    harness.poll_until_quiet();
    assert_eq!(harness.disconnected, []);
}

/// No queue entry or event of a closed connection may reach the next one with its id.
#[test]
fn a_new_connection_inherits_nothing_from_the_old_one() {
    let mut harness = Harness::new();
    let _first = harness.pair(NODE);
    harness.send(NODE, b"reported by nobody");
    harness.selector.close(NODE);
    let mut second = harness.pair(NODE);
    assert_eq!(harness.sent, []);
    assert_eq!(harness.selector.bytes_written(NODE), 0);
    harness.send(NODE, b"new");
    assert_eq!(read_frame(&mut second).unwrap(), b"new");
}
