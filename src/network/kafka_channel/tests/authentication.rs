//! A channel with an authenticator: when frames leave, and who receives them. Java:
//! `SaslAuthenticatorTest`, `SelectorTest`.

use std::time::Duration;

use super::*;
use crate::sync::{Arc, Mutex};

/// An exchange of two frames each way. The script decides how it ends.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    begun: usize,
    outgoing: VecDeque<Vec<u8>>,
    taken: Vec<Vec<u8>>,
    reauthenticate_at: Option<Instant>,
    /// The next frame comes from another thread.
    is_waiting: bool,
    /// What it comes to.
    made: Option<Result<Vec<u8>, Disconnect>>,
}

impl Authenticator for Script {
    fn begin(&mut self) -> Result<(), Disconnect> {
        let mut state = self.0.lock();
        state.begun += 1;
        state.outgoing.push_back(frame(b"hello"));
        Ok(())
    }

    fn has_frame(&self) -> bool {
        !self.0.lock().outgoing.is_empty()
    }

    fn next_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.0.lock().outgoing.pop_front().map(Zeroizing::new)
    }

    fn receive(&mut self, received: &[u8], _now: Instant) -> Result<Received, Disconnect> {
        let mut state = self.0.lock();
        state.taken.push(received.to_vec());
        match received {
            b"challenge" => {
                state.outgoing.push_back(frame(b"proof"));
                Ok(Received::Token)
            }
            b"elsewhere" => {
                state.is_waiting = true;
                Ok(Received::Token)
            }
            b"welcome" => Ok(Received::Complete),
            b"refused" => Err(refused()),
            _ => Ok(Received::Response),
        }
    }

    fn is_waiting(&self) -> bool {
        self.0.lock().is_waiting
    }

    fn resume(&mut self) -> Result<(), Disconnect> {
        let mut state = self.0.lock();
        let Some(made) = state.made.take() else {
            return Ok(());
        };
        state.is_waiting = false;
        state.outgoing.push_back(frame(&made?));
        Ok(())
    }

    fn reauthenticate_at(&self) -> Option<Instant> {
        self.0.lock().reauthenticate_at
    }
}

fn refused() -> Disconnect {
    Disconnect::AuthenticationFailed {
        message: "SASL TEST: no".to_owned(),
    }
}

fn connecting() -> (KafkaChannel<ScriptedTransport>, Script) {
    let script = Script::default();
    let authenticator = Box::new(script.clone());
    let transport = ScriptedTransport::default();
    let mut channel = KafkaChannel::new(NODE, transport, Some(authenticator), LIMIT);
    channel.note_readiness(false, true);
    (channel, script)
}

fn arrives(channel: &mut KafkaChannel<ScriptedTransport>, frames: &[&[u8]]) -> Vec<Vec<u8>> {
    let bytes = frames.iter().flat_map(|payload| frame(payload)).collect();
    channel.transport.reads.push_back(Ok(bytes));
    channel.note_readiness(true, true);
    read(channel)
}

/// Returns a channel that has authenticated once, with a session until `until`.
fn authenticated(until: Option<Instant>) -> (KafkaChannel<ScriptedTransport>, Script) {
    let (mut channel, script) = connecting();
    script.0.lock().reauthenticate_at = until;
    assert!(channel.finish_connect());
    channel.write();
    assert_eq!(arrives(&mut channel, &[b"welcome"]).len(), 0);
    assert!(channel.take_newly_ready());
    channel.transport.taken.clear();
    (channel, script)
}

#[test]
fn nothing_of_an_authentication_leaves_before_the_transport_is_set_up() {
    let (mut channel, script) = connecting();
    channel.transport.connects = [Ok(false), Ok(true)].into();
    assert!(!channel.finish_connect());
    channel.write();
    assert_eq!(
        (channel.transport.taken.len(), script.0.lock().begun),
        (0, 0)
    );
    // With TLS, the peer is verified at this point.
    assert!(channel.finish_connect());
    channel.write();
    assert_eq!(channel.transport.taken, frame(b"hello"));
}

#[test]
fn a_peer_that_is_not_verified_gets_no_byte_of_an_authentication() {
    let (mut channel, script) = connecting();
    channel.transport.connects = [Err(refused())].into();
    assert!(!channel.finish_connect());
    channel.write();
    assert_eq!(channel.disconnect(), Some(&refused()));
    assert_eq!(
        (channel.transport.taken.len(), script.0.lock().begun),
        (0, 0)
    );
}

#[test]
fn the_channel_is_ready_when_the_exchange_is_complete() {
    let (mut channel, script) = connecting();
    assert!(channel.finish_connect());
    assert!(!channel.is_ready() && !channel.take_newly_ready());
    assert!(channel.set_send(small_send()).is_err());
    assert!(channel.has_work(), "a frame is to go out");
    channel.write();
    assert!(!channel.has_work());
    assert_eq!(arrives(&mut channel, &[b"challenge"]).len(), 0);
    assert!(channel.has_work() && !channel.is_ready());
    channel.write();
    assert_eq!(
        channel.transport.taken,
        [frame(b"hello"), frame(b"proof")].concat()
    );
    // The rest of the same read is already a response.
    assert_eq!(
        arrives(&mut channel, &[b"welcome", b"response"]),
        [b"response"]
    );
    assert!(channel.is_ready() && channel.take_newly_ready());
    assert!(!channel.take_newly_ready(), "told once");
    assert_eq!(
        script.0.lock().taken,
        [b"challenge".to_vec(), b"welcome".to_vec()]
    );
    assert!(!channel.has_session_lifetime());
    channel.set_send(small_send()).unwrap();
}

// Java: SaslAuthenticatorTest's handling of partial reads and writes.
#[test]
fn frames_of_an_authentication_may_come_and_go_in_pieces() {
    let (mut channel, _) = connecting();
    channel.transport.writes = [Ok(1), fails(io::ErrorKind::Interrupted), Ok(3)]
        .into_iter()
        .chain([fails(io::ErrorKind::WouldBlock)])
        .collect();
    assert!(channel.finish_connect());
    channel.write();
    assert_eq!(channel.transport.taken.len(), 4);
    assert!(!channel.has_work(), "the socket takes no more");
    channel.note_readiness(false, true);
    assert!(channel.has_work());
    channel.write();
    assert_eq!(channel.transport.taken, frame(b"hello"));

    for byte in frame(b"welcome") {
        assert!(!channel.is_ready());
        channel.transport.reads.push_back(Ok(vec![byte]));
        channel.note_readiness(true, false);
        assert_eq!(read(&mut channel).len(), 0);
    }
    assert!(channel.is_ready());
}

#[test]
fn a_refusal_ends_the_channel_and_nothing_more_is_read() {
    let (mut channel, _) = connecting();
    assert!(channel.finish_connect());
    channel.write();
    assert_eq!(arrives(&mut channel, &[b"refused", b"response"]).len(), 0);
    assert_eq!(channel.disconnect(), Some(&refused()));
    assert!(!channel.is_ready() && !channel.take_newly_ready());
    assert_eq!(read(&mut channel).len(), 0);
}

#[test]
fn a_connection_that_is_lost_during_an_authentication_is_no_refusal() {
    let (mut channel, _) = connecting();
    assert!(channel.finish_connect());
    channel.write();
    channel.transport.reads = [Ok(frame(b"challenge")), Ok(vec![])].into();
    channel.note_readiness(true, false);
    read(&mut channel);
    assert_eq!(channel.disconnect(), Some(&Disconnect::PeerClosed));
}

#[test]
fn a_refusal_is_told_rather_than_that_the_next_write_failed() {
    let (mut channel, _) = connecting();
    channel.transport.writes = [fails(io::ErrorKind::BrokenPipe)].into();
    assert!(channel.finish_connect());
    channel.write();
    assert_eq!(channel.disconnect(), None, "there may be an answer");
    arrives(&mut channel, &[b"refused"]);
    assert_eq!(channel.disconnect(), Some(&refused()));

    let (mut channel, _) = connecting();
    channel.transport.writes = [fails(io::ErrorKind::BrokenPipe)].into();
    assert!(channel.finish_connect());
    channel.write();
    // It does not help that the broker accepted the client.
    assert_eq!(arrives(&mut channel, &[b"welcome", b"x"]).len(), 1);
    assert!(!channel.is_ready());
}

// Java: SaslAuthenticatorTest.testReauthentication..., testCorrelationIdDuringReauthentication;
// KIP-368.
#[test]
fn a_send_after_the_session_waits_for_a_reauthentication_and_no_response_is_lost() {
    let now = SystemTime.now();
    let (mut channel, script) = authenticated(Some(now));
    assert!(channel.has_session_lifetime());
    channel.set_send(small_send()).unwrap();
    channel.maybe_reauthenticate(now);
    assert_eq!(script.0.lock().begun, 2);
    channel.write();
    assert_eq!(channel.transport.taken, frame(b"hello"), "the send waits");
    assert_eq!(channel.bytes_written(), 0);
    assert!(channel.is_ready(), "connected, with a send in progress");
    assert!(channel.set_send(small_send()).is_err());

    // Responses to earlier requests come first.
    assert_eq!(arrives(&mut channel, &[b"first", b"second"]).len(), 2);
    script.0.lock().reauthenticate_at = now.checked_add(Duration::from_secs(1));
    assert_eq!(arrives(&mut channel, &[b"third", b"welcome"]), [b"third"]);
    assert!(!channel.take_newly_ready(), "it was ready before");
    assert!(channel.has_work());
    channel.write();
    assert_eq!(
        channel.transport.taken,
        [frame(b"hello"), frame(b"request")].concat()
    );
    assert!(channel.take_completed_send());
    // The next send is within the new session.
    channel.set_send(small_send()).unwrap();
    channel.maybe_reauthenticate(now);
    assert_eq!(script.0.lock().begun, 2);
}

#[test]
fn a_session_is_renewed_only_for_a_send_of_which_no_byte_has_left() {
    let now = SystemTime.now();
    let (mut channel, script) = authenticated(Some(now));
    channel.maybe_reauthenticate(now);
    assert_eq!(script.0.lock().begun, 1, "there is nothing to send");
    channel.set_send(small_send()).unwrap();
    channel.transport.writes = [Ok(2), fails(io::ErrorKind::WouldBlock)].into();
    channel.write();
    channel.maybe_reauthenticate(now);
    assert_eq!(script.0.lock().begun, 1, "it would be cut in two");
}

// Java: SaslAuthenticatorTest.testCannotReauthenticateAgainFasterThanOneSecond.
#[test]
fn a_send_waits_until_the_broker_takes_another_reauthentication() {
    let now = SystemTime.now();
    // Each session ends when it begins.
    let (mut channel, script) = authenticated(Some(now));
    let renewed = [frame(b"hello"), frame(b"request")].concat();
    for renewals in [2, 3] {
        channel.set_send(small_send()).unwrap();
        channel.maybe_reauthenticate(now);
        // The first one may begin at any time.
        assert_eq!(channel.rests_until().is_some(), renewals > 2);
        if let Some(until) = channel.rests_until() {
            channel.write();
            assert!(channel.awaits_authenticator() && !channel.has_work());
            assert!(channel.is_ready(), "responses still arrive");
            assert_eq!(arrives(&mut channel, &[b"response"]), [b"response"]);
            channel.resume_authentication(until - Duration::from_nanos(1));
            channel.write();
            assert_eq!(channel.transport.taken, b"");
            channel.resume_authentication(until);
        }
        channel.write();
        assert_eq!(script.0.lock().begun, renewals);
        // The send leaves at once, before this session too has ended.
        arrives(&mut channel, &[b"welcome"]);
        assert_eq!(channel.transport.taken, renewed);
        assert!(channel.take_completed_send());
        channel.transport.taken.clear();
    }
}

#[test]
fn a_refused_reauthentication_ends_the_channel_with_the_send_unwritten() {
    let now = SystemTime.now();
    let (mut channel, _) = authenticated(Some(now));
    channel.set_send(small_send()).unwrap();
    channel.maybe_reauthenticate(now);
    channel.write();
    assert_eq!(arrives(&mut channel, &[b"first", b"refused"]), [b"first"]);
    assert_eq!(channel.disconnect(), Some(&refused()));
    assert_eq!(channel.bytes_written(), 0);
    assert!(!channel.take_completed_send());
}

/// The peer may not read for so long that the session ends meanwhile. Java checks before each write, too.
#[test]
fn a_session_that_ends_while_the_send_waits_for_the_socket_is_renewed_first() {
    let now = SystemTime.now();
    let until = now + Duration::from_secs(9);
    let (mut channel, script) = authenticated(Some(until));
    channel.set_send(small_send()).unwrap();
    channel.maybe_reauthenticate(now);
    channel.transport.writes = [fails(io::ErrorKind::WouldBlock)].into();
    channel.write();
    channel.note_readiness(false, true);
    channel.resume_authentication(until);
    channel.write();
    assert_eq!(script.0.lock().begun, 2);
    assert_eq!(channel.transport.taken, frame(b"hello"));
    script.0.lock().reauthenticate_at = None;
    assert_eq!(arrives(&mut channel, &[b"welcome"]).len(), 0);
    channel.write();
    let all = [frame(b"hello"), frame(b"request")].concat();
    assert_eq!(channel.transport.taken, all);
}

#[test]
fn a_frame_that_another_thread_makes_leaves_when_it_is_there() {
    let (mut channel, script) = connecting();
    assert!(channel.finish_connect());
    channel.write();
    channel.transport.taken.clear();
    assert!(!channel.awaits_authenticator());
    arrives(&mut channel, &[b"elsewhere"]);
    // It is not there yet, and there is nothing to do until then.
    assert!(channel.awaits_authenticator());
    channel.resume_authentication(SystemTime.now());
    channel.write();
    assert!(channel.awaits_authenticator() && !channel.has_work());
    assert_eq!(channel.transport.taken, b"");
    script.0.lock().made = Some(Ok(b"token".to_vec()));
    channel.resume_authentication(SystemTime.now());
    channel.write();
    assert!(!channel.awaits_authenticator());
    assert_eq!(channel.transport.taken, frame(b"token"));
    arrives(&mut channel, &[b"welcome"]);
    assert!(channel.is_ready());
}

#[test]
fn a_frame_that_another_thread_cannot_make_ends_the_connection() {
    let (mut channel, script) = connecting();
    assert!(channel.finish_connect());
    channel.write();
    arrives(&mut channel, &[b"elsewhere"]);
    let why = Disconnect::NotAuthenticated {
        message: "SASL TEST: later".to_owned(),
    };
    script.0.lock().made = Some(Err(why.clone()));
    // What the peer still sends is of no use.
    let bytes = frame(b"welcome");
    channel.transport.reads.push_back(Ok(bytes));
    channel.note_readiness(true, true);
    channel.resume_authentication(SystemTime.now());
    read(&mut channel);
    assert_eq!(channel.disconnect(), Some(&why));
    assert!(!channel.awaits_authenticator());
}
