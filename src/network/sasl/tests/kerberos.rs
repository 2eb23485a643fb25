//! The exchange of GSSAPI, whose first token another thread makes.

use std::sync::mpsc;

use super::*;
use crate::network::sasl::gssapi::tests::{ScriptedStep, gated_login, scripted_login};

const PATIENCE: Duration = Duration::from_secs(30);

/// The two of Kerberos.
fn steps() -> [ScriptedStep; 2] {
    [Ok((b"ticket".to_vec(), false)), Ok((Vec::new(), true))]
}

/// A waker that sends a message.
fn waker() -> (Waker, mpsc::Receiver<()>) {
    let (sender, woken) = mpsc::channel();
    let waker = Waker::new(move || {
        let _ = sender.send(());
        Ok(())
    });
    assert!(waker.begin_sleep());
    (waker, woken)
}

/// A fixture whose waker sends a message.
fn with_login(login: KerberosLogin) -> (Fixture, mpsc::Receiver<()>) {
    let (waker, woken) = waker();
    let f = Fixture::woken_by("GSSAPI", Source::Kerberos(Arc::new(login)), waker);
    (f, woken)
}

fn answer_token(f: &mut Fixture, expected: &[u8], answer: &[u8]) -> Result<Received, Disconnect> {
    let (header, body) = f.request();
    let RequestBody::SaslAuthenticate(request) = body else {
        panic!("{body:?}");
    };
    assert_eq!(request.auth_bytes, expected);
    let response = SaslAuthenticateResponse {
        auth_bytes: answer.to_vec(),
        session_lifetime_ms: 1_000_000,
        ..SaslAuthenticateResponse::default()
    };
    f.answer(&header, response)
}

// Java: SaslAuthenticatorTest with the mechanism GSSAPI.
#[test]
fn the_first_token_comes_from_another_thread_and_the_rest_goes_on_by_itself() {
    let (mut f, woken) = with_login(scripted_login(steps()));
    f.first_token(1, Some(2));
    woken.recv_timeout(PATIENCE).unwrap();
    assert!(f.authenticator.is_waiting());
    f.authenticator.resume().unwrap();
    assert!(!f.authenticator.is_waiting());
    assert_eq!(
        answer_token(&mut f, b"ticket", b"proof"),
        Ok(Received::Token)
    );
    let offer = b"signed:\x01\0\0\0";
    assert_eq!(answer_token(&mut f, b"", offer), Ok(Received::Token));
    let layer = b"signed:\x01\0\0\0alice@EXAMPLE.COM";
    assert_eq!(answer_token(&mut f, layer, b""), Ok(Received::Complete));
    assert!(f.authenticator.reauthenticate_at().is_some());
}

#[test]
fn nothing_is_accepted_while_the_library_waits_for_its_server() {
    let (gate, login) = gated_login();
    let (mut f, _woken) = with_login(login);
    f.first_token(1, Some(2));
    f.authenticator.resume().unwrap();
    assert!(f.authenticator.is_waiting() && !f.authenticator.has_frame());
    // A success that the broker is quick to send.
    let frame = [&FIRST_ID.to_be_bytes()[..], &[0; 20]].concat();
    let text = invalid(f.receive(&frame));
    assert_eq!(text, "the broker sent a message before this client's token");
    assert!(!f.authenticator.is_waiting());
    // The exchange has failed: a late token goes nowhere.
    drop(gate);
    f.authenticator.resume().unwrap();
    assert!(!f.authenticator.has_frame());
}

#[test]
fn a_job_whose_connection_has_ended_is_not_done() {
    let (gate, login) = gated_login();
    let begin = || {
        let (waker, woken) = waker();
        let peer = Peer {
            host: Arc::from("broker-1.example"),
            waker,
        };
        (login.begin(&peer).unwrap(), woken)
    };
    // The script has two tokens, and the job between would take the second.
    let (first, first_woken) = begin();
    drop(begin());
    let (last, last_woken) = begin();
    drop(gate);
    for (pending, woken) in [(first, first_woken), (last, last_woken)] {
        woken.recv_timeout(PATIENCE).unwrap();
        assert!(pending.take().unwrap().is_ok());
        assert!(pending.take().is_none());
    }
}

// Java: createSaslToken, KerberosError.
#[test]
fn a_failure_that_may_pass_ends_the_connection_as_a_lost_one() {
    for is_transient in [true, false] {
        let failed = Err(("Ticket not yet valid".to_owned(), is_transient));
        let (mut f, woken) = with_login(scripted_login([failed]));
        f.first_token(1, Some(2));
        woken.recv_timeout(PATIENCE).unwrap();
        let message = "SASL GSSAPI: Ticket not yet valid".to_owned();
        let expected = match is_transient {
            true => Disconnect::NotAuthenticated { message },
            false => Disconnect::AuthenticationFailed { message },
        };
        assert_eq!(f.authenticator.resume(), Err(expected));
        assert!(!f.authenticator.has_frame() && f.receive(b"").is_err());
    }
    // In a later step too, which needs no thread.
    let [first, _] = steps();
    let replay = Err(("Request is a replay".to_owned(), true));
    let (mut f, woken) = with_login(scripted_login([first, replay]));
    f.first_token(1, Some(2));
    woken.recv_timeout(PATIENCE).unwrap();
    f.authenticator.resume().unwrap();
    let message = "SASL GSSAPI: Request is a replay".to_owned();
    let expected = Err(Disconnect::NotAuthenticated { message });
    assert_eq!(answer_token(&mut f, b"ticket", b"proof"), expected);
}

// Java: SaslAuthenticatorTest's re-authentication tests; KIP-368.
#[test]
fn a_reauthentication_makes_a_new_context_and_lets_other_responses_pass() {
    let twice = steps().into_iter().chain(steps());
    let (mut f, woken) = with_login(scripted_login(twice));
    for round in 0..2 {
        match round {
            0 => {
                f.first_token(1, Some(2));
            }
            _ => {
                f.authenticator.begin().unwrap();
                f.hand_shaken();
                assert_eq!(f.receive(&[0, 0, 0, 42, 1, 2]), Ok(Received::Response));
            }
        }
        woken.recv_timeout(PATIENCE).unwrap();
        f.waker.acknowledge();
        assert!(f.waker.begin_sleep());
        f.authenticator.resume().unwrap();
        answer_token(&mut f, b"ticket", b"proof").unwrap();
        answer_token(&mut f, b"", b"signed:\x01\0\0\0").unwrap();
        let layer = b"signed:\x01\0\0\0alice@EXAMPLE.COM";
        assert_eq!(answer_token(&mut f, layer, b""), Ok(Received::Complete));
    }
}
