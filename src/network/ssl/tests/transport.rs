//! Handshakes, data, and the end of connections.

use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

fn pair(version: &'static SupportedProtocolVersion) -> Pair {
    let server = server("server", version, ClientAuth::None);
    let mut factory = SslFactory::new(trusting("ca")).unwrap();
    Pair::new(&mut factory, server, "localhost")
}

fn connected(version: &'static SupportedProtocolVersion) -> Pair {
    let mut pair = pair(version);
    pair.connect().unwrap();
    pair
}

fn kind_of<V: std::fmt::Debug>(result: io::Result<V>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

fn would_block<V: std::fmt::Debug>(result: io::Result<V>) -> bool {
    kind_of(result) == io::ErrorKind::WouldBlock
}

// Java: SslTransportLayerTest.testTLSDefaults, SslTransportTls12Tls13Test.
#[test]
fn bytes_pass_in_both_versions() {
    for version in VERSIONS {
        let mut pair = connected(version);
        assert_eq!(pair.client.write(b"request").unwrap(), 7);
        assert!(!pair.client.has_pending_writes());
        assert_eq!(pair.server_reads(), b"request");
        pair.server_writes(b"response");
        assert_eq!(pair.read().unwrap(), b"response");
        assert!(would_block(pair.read()));
    }
}

#[test]
fn no_byte_is_written_before_the_socket_is_connected() {
    let mut pair = pair(&version::TLS13);
    pair.wire.borrow_mut().is_connected = false;
    assert_eq!(pair.client.finish_connect(), Ok(false));
    assert!(pair.wire.borrow().to_server.is_empty());
    pair.wire.borrow_mut().is_connected = true;
    pair.connect().unwrap();
}

/// Handles a handshake and a response whose records arrive and leave byte by byte.
#[test]
fn records_may_be_cut_anywhere() {
    for version in VERSIONS {
        let mut pair = pair(version);
        pair.wire.borrow_mut().per_read = 1;
        pair.wire.borrow_mut().room = 1;
        pair.connect().unwrap();
        pair.wire.borrow_mut().room = usize::MAX;
        pair.client.flush().unwrap();
        pair.server_writes(&[7; 40_000]);
        let mut received = Vec::new();
        while let Ok(bytes) = pair.read() {
            assert!(!bytes.is_empty());
            received.extend(bytes);
        }
        assert_eq!(received, [7; 40_000]);
    }
}

// Java: SslTransportLayerTest.testNetworkThreadTimeRecorded's writes, testPendingWrites.
#[test]
fn a_full_socket_leaves_bytes_pending() {
    let mut pair = connected(&version::TLS13);
    pair.wire.borrow_mut().room = 1000;
    let bytes = vec![5; 3 << 20];
    let taken = pair.client.write(&bytes).unwrap();
    assert!(taken > 0 && taken <= 256 * 1024, "{taken} bytes were taken");
    assert!(pair.client.has_pending_writes());
    assert!(would_block(pair.client.write(&bytes[taken..])));
    assert!(would_block(pair.client.flush()));

    let mut written = taken;
    let mut received = Vec::new();
    while received.len() < bytes.len() {
        pair.wire.borrow_mut().room += 100_000;
        match pair.client.write(&bytes[written..]) {
            Ok(taken) => written += taken,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        received.extend(pair.server_reads());
    }
    assert!(received == bytes && !pair.client.has_pending_writes());
}

/// It is unknown whether the peer received them, so they count as written. The next write returns
/// the error.
#[test]
fn bytes_that_were_encrypted_before_the_socket_failed_count_as_written() {
    let mut pair = connected(&version::TLS13);
    pair.wire.borrow_mut().write_failure = Some(io::ErrorKind::BrokenPipe);
    assert_eq!(pair.client.write(b"request").unwrap(), 7);
    assert!(pair.client.has_pending_writes());
    assert_eq!(kind_of(pair.client.flush()), io::ErrorKind::BrokenPipe);
}

#[test]
fn many_slices_leave_in_full_records() {
    let mut pair = connected(&version::TLS13);
    let slices: Vec<_> = (0..100u8).map(|byte| vec![byte; 300]).collect();
    let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
    assert_eq!(pair.client.write_vectored(&slices).unwrap(), 30_000);
    // Two records of at most 16 KiB, each with a header of 5 bytes, a type and a tag of 16.
    assert_eq!(pair.wire.borrow().to_server.len(), 30_000 + 2 * 22);
    assert_eq!(pair.server_reads(), slices.concat_bytes());
}

trait ConcatBytes {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl ConcatBytes for Vec<IoSlice<'_>> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|slice| slice.to_vec()).collect()
    }
}

/// Reads the data that arrives with the end of the handshake without another event.
#[test]
fn bytes_behind_the_handshake_are_not_lost() {
    let mut pair = pair(&version::TLS12);
    while pair.server.is_handshaking() {
        assert_eq!(pair.client.finish_connect(), Ok(false));
        pair.pump();
    }
    pair.server_writes(b"early");
    assert_eq!(pair.client.finish_connect(), Ok(true));
    assert_eq!(pair.read().unwrap(), b"early");
}

// Java: SslTransportLayerTest.testIOExceptionsDuringHandshakeRead, testUngracefulRemoteCloseDuringHandshakeRead.
#[test]
fn a_connection_that_is_lost_at_any_byte_of_the_handshake_may_be_tried_again() {
    for version in VERSIONS {
        // The number of bytes in the server's messages.
        let mut whole = pair(version);
        let mut flights = 0;
        while !whole.client.finish_connect().unwrap() {
            whole.pump();
            flights = whole.wire.borrow().to_client.len().max(flights);
        }
        for received in (0..flights).step_by(61) {
            let mut pair = pair(version);
            assert_eq!(pair.client.finish_connect(), Ok(false));
            pair.pump();
            pair.wire.borrow_mut().to_client.truncate(received);
            pair.wire.borrow_mut().is_ended = true;
            match pair.client.finish_connect() {
                Err(Disconnect::HandshakeUnanswered { message }) if received == 0 => {
                    assert!(message.contains("plaintext listener"), "{message}");
                }
                Err(Disconnect::NotConnected { message, .. }) if received > 0 => {
                    assert!(message.contains("did not complete"), "{message}");
                }
                // The handshake was complete without the last bytes.
                Ok(true) => {}
                other => panic!("after {received} bytes: {other:?}"),
            }
        }
    }
}

// Java: SslTransportLayerTest.testIOExceptionsDuringHandshakeWrite.
#[test]
fn a_write_that_fails_in_the_handshake_may_be_tried_again() {
    let mut pair = pair(&version::TLS13);
    pair.wire.borrow_mut().write_failure = Some(io::ErrorKind::ConnectionReset);
    let why = pair.client.finish_connect().unwrap_err();
    let expected = matches!(why, Disconnect::HandshakeUnanswered { .. });
    assert!(expected, "{why}");
}

// Java: SslTransportLayerTest.testPlaintextSelectorWithSslServer and its reverse.
#[test]
fn a_peer_that_does_not_speak_tls_is_named() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "220 smtp ready\r\n",
        "\0\0\0\x0aresponse..",
    ] {
        let mut pair = pair(&version::TLS13);
        assert_eq!(pair.client.finish_connect(), Ok(false));
        pair.wire.borrow_mut().to_client = answer.bytes().collect();
        let why = pair.client.finish_connect().unwrap_err();
        let Disconnect::AuthenticationFailed { message } = why else {
            panic!("{why:?}");
        };
        assert!(
            message.contains("localhost does not speak TLS"),
            "{answer}: {message}"
        );
    }
}

/// A server that speaks no version above TLS 1.1.
#[test]
fn a_server_of_old_versions_is_named() {
    let mut pair = pair(&version::TLS13);
    assert_eq!(pair.client.finish_connect(), Ok(false));
    pair.wire.borrow_mut().to_client = [0x15, 3, 1, 0, 2, 2, 70].into();
    let message = pair.refusal();
    assert!(message.contains("ssl.enabled.protocols"), "{message}");
}

// Java: SslTransportLayerTest.testCloseSsl, testClose.
#[test]
fn the_peer_is_told_of_the_end() {
    for version in VERSIONS {
        let mut pair = connected(version);
        let poll = mio::Poll::new().unwrap();
        pair.client.close(poll.registry());
        assert!(pair.wire.borrow().is_closed);
        pair.pump();
        let mut buffer = [0; 10];
        assert_eq!(pair.server.reader().read(&mut buffer).unwrap(), 0);
    }
}

#[test]
fn the_end_that_the_peer_tells_of_is_the_end_of_the_stream() {
    let mut pair = connected(&version::TLS13);
    pair.server_writes(b"last");
    pair.server.send_close_notify();
    pair.pump();
    pair.wire.borrow_mut().is_ended = true;
    assert_eq!(pair.read().unwrap(), b"last");
    assert_eq!(pair.read().unwrap(), b"");
}

/// An attacker may cut the stream, so a missing `close_notify` is a failure.
#[test]
fn a_stream_that_is_cut_is_a_failure() {
    for version in VERSIONS {
        let mut pair = connected(version);
        pair.server_writes(b"last");
        pair.wire.borrow_mut().is_ended = true;
        assert_eq!(pair.read().unwrap(), b"last");
        assert_eq!(kind_of(pair.read()), io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_byte_that_was_changed_on_the_way_ends_the_connection() {
    let mut pair = connected(&version::TLS13);
    pair.server_writes(b"good");
    pair.read().unwrap();
    pair.server_writes(b"response");
    *pair.wire.borrow_mut().to_client.back_mut().unwrap() ^= 1;
    let error = pair.read().unwrap_err();
    let why = Disconnect::failed(&error);
    assert!(matches!(why, Disconnect::Failed { .. }), "{why:?}");
    pair.pump();
    assert!(matches!(
        pair.server_failure,
        Some(rustls::Error::AlertReceived(
            rustls::AlertDescription::BadRecordMac
        ))
    ));
}

/// Both come with one read. The data shows that the broker has accepted this client, so the rest is no authentication failure.
#[test]
fn data_before_a_damaged_record_is_read_first() {
    for version in VERSIONS {
        let mut pair = connected(version);
        pair.server_writes(b"response");
        pair.server_writes(b"damaged");
        *pair.wire.borrow_mut().to_client.back_mut().unwrap() ^= 1;
        assert_eq!(pair.read().unwrap(), b"response");
        let why = Disconnect::failed(&pair.read().unwrap_err());
        assert!(matches!(why, Disconnect::Failed { .. }), "{why:?}");
    }
}

/// Kafka 2.8 does this to a client whose certificate it refuses.
#[test]
fn a_handshake_that_starts_again_names_the_client_certificate() {
    for version in VERSIONS {
        let mut pair = pair(version);
        assert_eq!(pair.client.finish_connect(), Ok(false));
        pair.pump();
        let flight = pair.wire.borrow().to_client.clone();
        let is_done = pair.client.finish_connect().unwrap();
        pair.wire.borrow_mut().to_client = flight;
        let why = match is_done {
            true => Disconnect::failed(&pair.read().unwrap_err()),
            false => pair.client.finish_connect().unwrap_err(),
        };
        let Disconnect::AuthenticationFailed { message } = why else {
            panic!("{why:?}");
        };
        let says = "it refuses this client's certificate, or the lack of one";
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn keys_are_updated_in_both_directions() {
    let mut pair = connected(&version::TLS13);
    pair.server.refresh_traffic_keys().unwrap();
    pair.server_writes(b"response");
    assert_eq!(pair.read().unwrap(), b"response");
    pair.client.write_all(b"request").unwrap();
    assert_eq!(pair.server_reads(), b"request");
}

/// A peer that requests new keys again and again causes an error, not an endless loop.
#[test]
fn a_flood_of_key_updates_ends_the_connection() {
    let mut pair = connected(&version::TLS13);
    for _ in 0..1000 {
        pair.server.refresh_traffic_keys().unwrap();
        pair.pump();
    }
    let error = pair.read().unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
}

/// Returns records of one type, encrypted as the server would.
fn records(server: ServerConnection, typ: ContentType, content: &[u8], count: u64) -> Vec<u8> {
    let Some(SupportedCipherSuite::Tls13(suite)) = server.negotiated_cipher_suite() else {
        panic!("not TLS 1.3");
    };
    let (sequence, secrets) = server.dangerous_extract_secrets().unwrap().tx;
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        panic!("an unknown cipher");
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let mut record = |sequence| {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(content),
        };
        encrypter.encrypt(message, sequence).unwrap().encode()
    };
    (sequence..sequence + count).flat_map(&mut record).collect()
}

/// Such records cost time. Without a limit the peer could keep the thread busy for as long as it
/// likes.
#[test]
fn records_without_any_data_end_the_connection() {
    /// Lifetime, age, nonce, ticket and extensions of a NewSessionTicket.
    const TICKET: &[u8] = &[4, 0, 0, 15, 0, 0, 0, 60, 0, 0, 0, 0, 1, 9, 0, 1, 7, 0, 0];
    for (typ, content, says) in [
        // The limit of rustls itself.
        (
            ContentType::ApplicationData,
            &[][..],
            "TooManyEmptyFragments",
        ),
        (
            ContentType::Handshake,
            TICKET,
            "bytes of TLS without any data",
        ),
    ] {
        let server = server("server", &version::TLS13, ClientAuth::None);
        let mut server = ServerConfig::clone(&server);
        server.enable_secret_extraction = true;
        let mut factory = SslFactory::new(trusting("ca")).unwrap();
        let mut pair = Pair::new(&mut factory, Arc::new(server), "localhost");
        pair.connect().unwrap();
        let records = records(pair.server, typ, content, 20_000);
        pair.wire.borrow_mut().to_client.extend(records);
        let error = pair.client.read(&mut [0; 100]).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(!pair.wire.borrow().to_client.is_empty(), "all was read");
    }
}

/// Far more than the limit in all, with data in between.
#[test]
fn tls_beside_data_does_not_end_the_connection() {
    let mut pair = connected(&version::TLS13);
    for _ in 0..20_000 {
        pair.server_writes(b"1");
        assert_eq!(pair.read().unwrap(), b"1");
    }
}

#[test]
fn a_second_session_is_resumed() {
    for version in VERSIONS {
        let server = server("server", version, ClientAuth::None);
        let mut factory = SslFactory::new(trusting("ca")).unwrap();
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut pair = Pair::new(&mut factory, Arc::clone(&server), "localhost");
            pair.connect().unwrap();
            pair.server_writes(b"with the ticket");
            pair.read().unwrap();
            kinds.push(pair.server.handshake_kind().unwrap());
        }
        assert_eq!(
            kinds,
            [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]
        );
    }
}
