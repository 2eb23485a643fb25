//! Tests over a scripted transport: every order of reads, writes and failures.

use std::collections::VecDeque;
use std::io::{Read, Write};

use mio::Registry;

use super::*;
use crate::network::network_send::tests::{framed, spliced};
use crate::protocol::MessageBytes;
use crate::utils::{SystemTime, Time};

mod authentication;

const NODE: NodeId = NodeId(7);
const LIMIT: usize = 1 << 20;

/// Plays its scripts. After their end, reads block and writes take everything.
#[derive(Debug, Default)]
struct ScriptedTransport {
    connects: VecDeque<Result<bool, Disconnect>>,
    /// An empty read is the end of the stream.
    reads: VecDeque<io::Result<Vec<u8>>>,
    /// How many bytes each write takes.
    writes: VecDeque<io::Result<usize>>,
    taken: Vec<u8>,
    /// The result of each flush. Until they are used up, the transport holds bytes.
    flushes: VecDeque<io::Result<()>>,
    read_calls: usize,
}

impl TransportLayer for ScriptedTransport {
    fn finish_connect(&mut self) -> Result<bool, Disconnect> {
        self.connects.pop_front().unwrap_or(Ok(true))
    }

    fn has_pending_writes(&self) -> bool {
        !self.flushes.is_empty()
    }

    fn close(&mut self, _registry: &Registry) {}
}

impl Read for ScriptedTransport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_calls += 1;
        let bytes = self
            .reads
            .pop_front()
            .unwrap_or_else(|| fails(io::ErrorKind::WouldBlock))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for ScriptedTransport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self
            .writes
            .pop_front()
            .unwrap_or(Ok(usize::MAX))?
            .min(bytes.len());
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes.pop_front().unwrap_or(Ok(()))
    }
}

fn fails<V>(kind: io::ErrorKind) -> io::Result<V> {
    Err(kind.into())
}

fn connecting() -> KafkaChannel<ScriptedTransport> {
    KafkaChannel::new(NODE, ScriptedTransport::default(), None, LIMIT)
}

/// Returns a channel after the event that the connection is made.
fn connected() -> KafkaChannel<ScriptedTransport> {
    let mut channel = connecting();
    channel.note_readiness(false, true);
    assert!(channel.finish_connect());
    channel
}

fn send_of(message: &MessageBytes) -> NetworkSend {
    NetworkSend::new(NODE, message.clone())
}

fn small_send() -> NetworkSend {
    send_of(&MessageBytes::from(b"request".to_vec()))
}

fn frame(payload: &[u8]) -> Vec<u8> {
    framed(&MessageBytes::from(payload.to_vec()))
}

fn read(channel: &mut KafkaChannel<ScriptedTransport>) -> Vec<Vec<u8>> {
    let mut receives = Vec::new();
    channel.read(&mut vec![0; 1 << 16], &mut receives, SystemTime.now());
    assert!(receives.iter().all(|receive| receive.source == NODE));
    receives
        .into_iter()
        .map(|receive| receive.payload)
        .collect()
}

fn reset() -> Disconnect {
    Disconnect::failed(&io::ErrorKind::ConnectionReset.into())
}

// Java: SslTransportLayerTest.testSelectorPollReadSize, KafkaChannel.maybeCompleteSend
#[test]
fn a_send_is_complete_once_the_transport_is_flushed() {
    let mut channel = connected();
    let blocks = fails(io::ErrorKind::WouldBlock);
    channel.transport.flushes = [blocks, Ok(())].into();
    channel.set_send(small_send()).unwrap();
    channel.write();
    assert!(!channel.transport.taken.is_empty());
    assert!(!channel.take_completed_send());
    assert!(
        !channel.has_work(),
        "the socket is full: no work before an event"
    );

    channel.note_readiness(false, true);
    assert!(channel.has_work());
    channel.write();
    assert!(channel.has_work() && channel.take_completed_send());
    assert!(!channel.has_work());
}

/// Such as the response to a key update.
#[test]
fn bytes_of_the_transport_itself_are_written_without_a_send() {
    let mut channel = connected();
    channel.transport.flushes = [Ok(())].into();
    assert!(channel.has_work());
    channel.write();
    assert!(channel.transport.flushes.is_empty() && !channel.has_work());
}

/// Such as an alert that refuses the client's certificate, read after a write has failed.
#[test]
fn a_failed_authentication_says_more_than_a_failed_write() {
    let mut channel = connected();
    let why = Disconnect::AuthenticationFailed {
        message: "no certificate".to_owned(),
    };
    let error = io::Error::new(io::ErrorKind::InvalidData, why.clone());
    channel.transport.reads.push_back(Err(error));
    channel
        .transport
        .writes
        .push_back(fails(io::ErrorKind::BrokenPipe));
    channel.set_send(small_send()).unwrap();
    channel.write();
    assert!(read(&mut channel).is_empty());
    assert_eq!(channel.disconnect(), Some(&why));
}

// Java: SelectorTest.testSendWithoutConnecting
#[test]
fn a_channel_that_is_not_ready_takes_no_send() {
    let mut channel = connecting();
    assert!(!channel.is_ready());
    assert!(channel.set_send(small_send()).is_err());
}

// Java: SelectorTest.testCantSendWithInProgress
#[test]
fn a_second_send_is_refused_until_the_first_is_taken() {
    let mut channel = connected();
    channel.set_send(small_send()).unwrap();
    assert!(channel.set_send(small_send()).is_err());

    // It is written, but its completion is not reported yet, so it is still in progress.
    channel.write();
    assert_eq!(channel.bytes_written(), 11);
    assert!(channel.has_work());
    assert!(channel.set_send(small_send()).is_err());

    assert!(channel.take_completed_send());
    assert!(!channel.take_completed_send());
    assert_eq!(channel.bytes_written(), 0);
    assert!(!channel.has_work());
    channel.set_send(small_send()).unwrap();
}

#[test]
fn an_event_that_comes_for_nothing_leaves_it_connecting() {
    let mut channel = connecting();
    channel.transport.connects.push_back(Ok(false));
    channel.note_readiness(true, true);
    assert!(!channel.finish_connect());
    assert!(!channel.is_ready());
    assert!(!channel.has_work());
    assert_eq!(read(&mut channel).len(), 0);
    assert_eq!(channel.transport.read_calls, 0);

    assert!(channel.finish_connect());
    assert!(channel.is_ready());
    assert!(!channel.finish_connect(), "only the first time is news");
}

#[test]
fn a_connect_that_fails_is_a_disconnect_at_once() {
    let mut channel = connecting();
    let why = Disconnect::not_connected(&io::ErrorKind::ConnectionRefused.into());
    channel.transport.connects.push_back(Err(why.clone()));
    channel.note_readiness(true, true);
    assert!(!channel.finish_connect());
    assert_eq!(channel.disconnect(), Some(&why));
    assert!(!channel.finish_connect());
}

#[test]
fn a_write_that_would_block_goes_on_after_the_next_event() {
    let message = spliced(&[100, 200]);
    let mut channel = connected();
    channel.transport.writes = VecDeque::from([Ok(3), Ok(20), fails(io::ErrorKind::WouldBlock)]);
    channel.set_send(send_of(&message)).unwrap();
    // A `Write` without its own vectored write takes one slice at a time. The prefix is one slice.
    channel.write();
    let after_block = channel.bytes_written();
    assert!(after_block > 3 && after_block < 300, "{after_block}");
    assert!(!channel.has_work(), "nothing to do until an event comes");
    assert!(!channel.take_completed_send());

    channel.write();
    assert_eq!(channel.bytes_written(), after_block);
    channel.note_readiness(true, false);
    channel.write();
    assert_eq!(
        channel.bytes_written(),
        after_block,
        "that event was about reads"
    );

    channel.note_readiness(false, true);
    channel.write();
    assert!(channel.take_completed_send());
    assert_eq!(channel.transport.taken, framed(&message));
}

#[test]
fn interrupted_calls_are_repeated() {
    let mut channel = connected();
    channel.transport.writes = VecDeque::from([fails(io::ErrorKind::Interrupted)]);
    channel.set_send(small_send()).unwrap();
    channel.write();
    assert!(channel.take_completed_send());

    channel.transport.reads = [fails(io::ErrorKind::Interrupted), Ok(frame(b"x"))].into();
    channel.note_readiness(true, false);
    assert_eq!(read(&mut channel), [b"x"]);
    assert_eq!(channel.disconnect(), None);
}

#[test]
fn one_read_may_hold_many_frames_and_a_part_of_the_next() {
    let stream = [frame(b"one"), frame(b""), frame(b"three"), frame(b"four")].concat();
    let (head, tail) = stream.split_at(stream.len() - 2);
    let mut channel = connected();
    channel.transport.reads = [Ok(head.to_vec())].into();
    channel.note_readiness(true, false);
    assert_eq!(
        read(&mut channel),
        [b"one".to_vec(), vec![], b"three".to_vec()]
    );
    assert!(!channel.has_work());

    channel.transport.reads = [Ok(tail.to_vec())].into();
    assert_eq!(read(&mut channel).len(), 0, "no event, no read");
    channel.note_readiness(true, false);
    assert_eq!(read(&mut channel), [b"four"]);
}

#[test]
fn a_channel_that_could_read_for_ever_lets_the_others_have_a_turn() {
    let mut channel = connected();
    let chunk = frame(&[1; (1 << 16) - 4]);
    channel.transport.reads = (0..40).map(|_| Ok(chunk.clone())).collect();
    channel.note_readiness(true, false);
    assert_eq!(read(&mut channel).len(), BYTES_PER_TURN >> 16);
    assert!(channel.has_work());
    assert_eq!(read(&mut channel).len(), BYTES_PER_TURN >> 16);
    assert_eq!(read(&mut channel).len(), 8);
    assert!(!channel.has_work());
}

/// As tiny TLS records arrive.
#[test]
fn a_channel_that_reads_byte_by_byte_lets_the_others_have_a_turn() {
    let mut channel = connected();
    let mut frame = 10_000u32.to_be_bytes().to_vec();
    frame.resize(10_004, 0);
    channel.transport.reads = frame.iter().map(|byte| Ok(vec![*byte])).collect();
    channel.note_readiness(true, false);
    assert_eq!(read(&mut channel).len(), 0);
    assert_eq!(channel.transport.read_calls, BYTES_PER_TURN / LEAST_COST);
    assert!(channel.has_work(), "the next turn goes on");
}

#[test]
fn a_channel_that_could_write_for_ever_lets_the_others_have_a_turn() {
    let message = spliced(&[BYTES_PER_TURN / 2; 5]);
    let mut channel = connected();
    channel.set_send(send_of(&message)).unwrap();
    let mut turns = 0;
    while !channel.take_completed_send() {
        assert!(channel.has_work());
        channel.write();
        turns += 1;
    }
    assert_eq!(turns, 3);
    assert_eq!(channel.transport.taken, framed(&message));
}

// Java: SelectorTest.testGracefulClose
#[test]
fn what_was_sent_before_the_end_is_delivered_first() {
    let mut channel = connected();
    channel.transport.reads = [Ok(frame(b"a")), Ok(frame(b"b")), Ok(vec![])].into();
    channel.note_readiness(true, false);
    assert_eq!(read(&mut channel), [b"a", b"b"]);
    assert_eq!(channel.disconnect(), Some(&Disconnect::PeerClosed));
    assert!(!channel.is_ready());
}

// Java: SelectorTest.testPartialReceiveGracefulClose
#[test]
fn a_frame_that_was_cut_short_is_not_delivered() {
    let stream = [frame(b"whole"), frame(b"cut")].concat();
    for missing in 1..=b"....cut".len() {
        let mut channel = connected();
        let arrived = stream[..stream.len() - missing].to_vec();
        channel.transport.reads = [Ok(arrived), fails(io::ErrorKind::ConnectionReset)].into();
        channel.note_readiness(true, false);
        assert_eq!(read(&mut channel), [b"whole"]);
        assert_eq!(channel.disconnect(), Some(&reset()));
    }
}

#[test]
fn a_failed_write_still_delivers_what_the_peer_had_answered() {
    let mut channel = connected();
    channel.transport.writes = [fails(io::ErrorKind::ConnectionReset)].into();
    channel.transport.reads = [Ok(frame(b"answer")), Ok(vec![])].into();
    channel.set_send(small_send()).unwrap();
    channel.write();
    assert!(!channel.is_ready());
    assert!(channel.has_work());
    assert_eq!(channel.disconnect(), None, "there may be an answer");

    assert_eq!(read(&mut channel), [b"answer"]);
    assert_eq!(
        channel.disconnect(),
        Some(&reset()),
        "the first failure is the reason"
    );
    assert!(!channel.take_completed_send());
}

#[test]
fn a_failed_write_with_nothing_to_read_is_a_disconnect() {
    let mut channel = connected();
    channel.transport.writes = [Ok(4), fails(io::ErrorKind::ConnectionReset)].into();
    channel.set_send(small_send()).unwrap();
    channel.write();
    assert_eq!(read(&mut channel).len(), 0);
    assert_eq!(channel.disconnect(), Some(&reset()));
    assert_eq!(channel.bytes_written(), 4);
    assert!(channel.set_send(small_send()).is_err());
}

#[test]
fn nothing_is_read_after_bytes_that_are_no_frame() {
    let mut channel = connected();
    let stream = [frame(b"good"), b"HTTP/1.1 400 Bad Request".to_vec()].concat();
    channel.transport.reads = [Ok(stream), Ok(frame(b"never"))].into();
    channel.note_readiness(true, false);
    assert_eq!(read(&mut channel), [b"good"]);
    assert!(matches!(
        channel.disconnect(),
        Some(Disconnect::InvalidReceive(_))
    ));
    assert_eq!(channel.transport.reads.len(), 1);
}

#[test]
fn who_answered_is_told_rather_than_that_the_write_failed() {
    let mut channel = connected();
    channel.transport.writes = [fails(io::ErrorKind::BrokenPipe)].into();
    channel.transport.reads = [Ok(vec![0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46])].into();
    channel.set_send(small_send()).unwrap();
    channel.write();
    assert_eq!(read(&mut channel).len(), 0);
    let text = channel.disconnect().unwrap().to_string();
    assert!(text.contains("the port is a TLS listener"), "{text}");
}
