//! The whole exchange in memory: what the client sends, what it accepts, and what it refuses.

#[cfg(feature = "gssapi")]
mod kerberos;
mod mutations;

use std::time::{Duration, Instant};

use super::*;
use crate::network::Disconnect;
use crate::network::authenticator::{Authenticator, Received};
use crate::protocol::messages::{
    ApiVersion, ApiVersionsResponse, SaslAuthenticateResponse, SaslHandshakeResponse,
};
use crate::protocol::{
    ApiKey, ErrorCode, RequestBody, RequestHeader, ResponseBody, decode_request, encode_response,
};
use crate::sync::Arc;
use crate::utils::{MockTime, Secret, SystemTime, Time};

const FIRST_ID: i32 = i32::MAX - 7;

struct Fixture {
    authenticator: SaslClientAuthenticator,
    /// Of the thread that polls the connection.
    #[cfg(feature = "gssapi")]
    waker: Waker,
    now: Instant,
}

impl Fixture {
    fn new(mechanism: &str) -> Self {
        let source = Source::Fixed(SaslCredentials::new("alice", "hunter2"));
        Self::with(mechanism, source)
    }

    fn with(mechanism: &str, source: Source) -> Self {
        Self::woken_by(mechanism, source, Waker::new(|| Ok(())))
    }

    fn woken_by(mechanism: &str, source: Source, waker: Waker) -> Self {
        let login = SaslLogin::new(SaslMechanism::from_name(mechanism).unwrap(), source);
        let peer = Peer {
            host: Arc::from("broker-1.example"),
            waker: waker.clone(),
        };
        let (login, client_id) = (Arc::new(login), Arc::from("me"));
        let mut authenticator = SaslClientAuthenticator::new(login, client_id, peer);
        authenticator.begin().unwrap();
        Self {
            authenticator,
            #[cfg(feature = "gssapi")]
            waker,
            now: SystemTime.now(),
        }
    }

    /// Returns the payload of the next frame to send.
    fn frame(&mut self) -> Vec<u8> {
        assert!(self.authenticator.has_frame());
        let frame = self.authenticator.next_frame().unwrap();
        assert!(!self.authenticator.has_frame());
        let (size, payload) = frame.split_at(4);
        assert_eq!(size, i32::try_from(payload.len()).unwrap().to_be_bytes());
        payload.to_vec()
    }

    fn request(&mut self) -> (RequestHeader, RequestBody) {
        let (header, body) = decode_request(&self.frame()).unwrap();
        assert_eq!(header.client_id.as_deref(), Some("me"));
        (header, body)
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Received, Disconnect> {
        self.authenticator.receive(frame, self.now)
    }

    /// Responds to the last request.
    fn answer(
        &mut self,
        header: &RequestHeader,
        body: impl Into<ResponseBody>,
    ) -> Result<Received, Disconnect> {
        let body = body.into();
        let (version, id) = (header.api_version, header.correlation_id);
        let frame = encode_response(body.api_key(), version, id, &body).unwrap();
        self.receive(&frame)
    }

    /// Runs the exchange up to the first token, with a broker that supports these versions.
    fn first_token(&mut self, handshake: i16, authenticate: Option<i16>) -> RequestHeader {
        let (header, _) = self.request();
        self.answer(&header, versions(handshake, authenticate))
            .unwrap();
        self.hand_shaken()
    }

    fn hand_shaken(&mut self) -> RequestHeader {
        let (header, body) = self.request();
        assert!(matches!(body, RequestBody::SaslHandshake(_)));
        let answered = self.answer(&header, SaslHandshakeResponse::default());
        assert_eq!(answered, Ok(Received::Token));
        header
    }

    /// Completes an exchange of PLAIN whose session lasts this long.
    fn complete_plain(&mut self, session_lifetime_ms: i64) {
        let (header, _) = self.request();
        let response = SaslAuthenticateResponse {
            session_lifetime_ms,
            ..SaslAuthenticateResponse::default()
        };
        assert_eq!(self.answer(&header, response), Ok(Received::Complete));
    }
}

fn versions(handshake: i16, authenticate: Option<i16>) -> ApiVersionsResponse {
    let range = |key: ApiKey, max_version| ApiVersion {
        api_key: key.id(),
        min_version: 0,
        max_version,
    };
    let authenticate = authenticate.map(|version| range(ApiKey::SaslAuthenticate, version));
    ApiVersionsResponse {
        api_keys: [range(ApiKey::SaslHandshake, handshake)]
            .into_iter()
            .chain(authenticate)
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

/// Returns the text of an authentication failure. Asserts that it names the mechanism and contains
/// no secret.
fn failure(received: Result<Received, Disconnect>) -> String {
    let Err(Disconnect::AuthenticationFailed { message }) = received else {
        panic!("{received:?}");
    };
    assert!(message.starts_with("SASL "), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    message
}

fn invalid(received: Result<Received, Disconnect>) -> String {
    match received {
        Err(Disconnect::InvalidReceive(text)) => text,
        received => panic!("{received:?}"),
    }
}

// Java: SaslAuthenticatorTest.testValidSaslPlainOverPlaintext, testApiVersionsRequest..., testCorrelationId...
#[test]
fn plain_goes_through_versions_handshake_and_token() {
    let mut f = Fixture::new("PLAIN");
    let (header, body) = f.request();
    // Version 0, whatever the broker supports.
    assert_eq!((header.api_version, header.correlation_id), (0, FIRST_ID));
    assert!(matches!(body, RequestBody::ApiVersions(_)));
    f.answer(&header, versions(9, Some(9))).unwrap();

    let (header, body) = f.request();
    assert_eq!(
        (header.api_version, header.correlation_id),
        (1, FIRST_ID + 1)
    );
    assert!(matches!(body, RequestBody::SaslHandshake(request) if request.mechanism == "PLAIN"));
    f.answer(&header, SaslHandshakeResponse::default()).unwrap();

    let (header, body) = f.request();
    assert_eq!(
        (header.api_version, header.correlation_id),
        (2, FIRST_ID + 2)
    );
    let RequestBody::SaslAuthenticate(request) = body else {
        panic!();
    };
    assert_eq!(request.auth_bytes, b"\0alice\0hunter2");
    let answered = f.answer(&header, SaslAuthenticateResponse::default());
    assert_eq!(answered, Ok(Received::Complete));
    assert!(!f.authenticator.has_frame());
    assert_eq!(f.authenticator.reauthenticate_at(), None);
    assert!(!format!("{:?}", f.authenticator).contains("hunter2"));
}

/// A derived `Debug` of bytes prints their numbers.
#[test]
fn a_message_that_waits_for_the_socket_is_not_printed() {
    let mut f = Fixture::new("PLAIN");
    f.first_token(1, Some(2));
    assert!(f.authenticator.has_frame());
    let printed = format!("{:?}", f.authenticator);
    let numbers = format!("{:?}", b"hunter2");
    let numbers = numbers.trim_matches(['[', ']']);
    assert!(!printed.contains("hunter2") && !printed.contains(numbers));
}

// Java: SaslAuthenticatorTest.oldSaslPlainPlaintextServerWithoutSaslAuthenticateHeader and others.
#[test]
fn a_broker_without_sasl_authenticate_gets_tokens_without_headers() {
    let mut f = Fixture::new("PLAIN");
    let header = f.first_token(1, None);
    assert_eq!(header.api_version, 0, "version 1 would ask for headers");
    assert_eq!(f.frame(), b"\0alice\0hunter2");
    assert_eq!(f.receive(b""), Ok(Received::Complete));
}

#[test]
fn versions_are_the_highest_of_both_sides() {
    for (handshake, authenticate, expected) in [(0, 0, (0, 0)), (1, 1, (1, 1)), (5, 7, (1, 2))] {
        let mut f = Fixture::new("PLAIN");
        let header = f.first_token(handshake, Some(authenticate));
        let (token, _) = f.request();
        assert_eq!((header.api_version, token.api_version), expected);
    }
}

// Java: SaslAuthenticatorTest.testInvalidPasswordSaslPlain, testDisabledMechanism, ClientAuthenticationFailureTest.
#[test]
fn each_refusal_of_a_broker_is_told_in_words() {
    let handshake = |error_code, mechanisms: &[&str]| {
        let mut f = Fixture::new("PLAIN");
        let (header, _) = f.request();
        f.answer(&header, versions(1, Some(2))).unwrap();
        let (header, _) = f.request();
        let mechanisms = mechanisms.iter().map(|name| (*name).to_owned()).collect();
        let response = SaslHandshakeResponse {
            error_code,
            mechanisms,
        };
        failure(f.answer(&header, response))
    };
    let unsupported = ErrorCode::UNSUPPORTED_SASL_MECHANISM;
    assert!(handshake(unsupported, &["SCRAM-SHA-256", "O\n"]).contains(
        "SASL PLAIN: the broker does not enable this mechanism, but SCRAM-SHA-256, O\\n: set sasl.mechanism"
    ));
    assert!(handshake(unsupported, &[]).contains("but none"));
    let many = vec!["x"; 10_000];
    assert!(handshake(unsupported, &many).len() < 300);
    let text = handshake(ErrorCode::ILLEGAL_SASL_STATE, &[]);
    assert!(text.contains("expects no SASL on this listener"), "{text}");
    let text = handshake(ErrorCode::UNSUPPORTED_VERSION, &["PLAIN"]);
    assert!(
        text.contains("refused the handshake with UNSUPPORTED_VERSION"),
        "{text}"
    );

    let token = |error_code, error_message: Option<&str>| {
        let mut f = Fixture::new("PLAIN");
        f.first_token(1, Some(2));
        let (header, _) = f.request();
        let response = SaslAuthenticateResponse {
            error_code,
            error_message: error_message.map(str::to_owned),
            ..SaslAuthenticateResponse::default()
        };
        failure(f.answer(&header, response))
    };
    let refused = ErrorCode::SASL_AUTHENTICATION_FAILED;
    assert_eq!(
        token(refused, Some("no such\u{1b} user")),
        "SASL PLAIN: the broker refused the credentials (the broker says: no such\\u{1b} user)"
    );
    assert!(token(refused, None).ends_with("(the broker gives no reason)"));
    assert!(token(refused, Some(&"x".repeat(30_000))).len() < 400);
    let text = token(ErrorCode::ILLEGAL_SASL_STATE, Some("no"));
    assert!(
        text.contains("refused the exchange with ILLEGAL_SASL_STATE"),
        "{text}"
    );
}

/// There is no success unless the broker proves that it knows the password.
#[test]
fn a_hostile_broker_is_not_accepted_by_scram() {
    let hostile = |first: &dyn Fn(&str) -> String, last: &str| {
        let mut f = Fixture::new("SCRAM-SHA-512");
        f.first_token(1, Some(2));
        let (header, body) = f.request();
        let RequestBody::SaslAuthenticate(request) = body else {
            panic!();
        };
        let client_first = String::from_utf8(request.auth_bytes).unwrap();
        let nonce = client_first.rsplit_once("r=").unwrap().1;
        let token = |text: &str| SaslAuthenticateResponse {
            auth_bytes: text.as_bytes().to_vec(),
            ..SaslAuthenticateResponse::default()
        };
        if let Err(why) = f.answer(&header, token(&first(nonce))) {
            assert!(
                !f.authenticator.has_frame(),
                "nothing goes to such a broker"
            );
            return failure(Err(why));
        }
        let (header, _) = f.request();
        let text = failure(f.answer(&header, token(last)));
        // The client accepts nothing after a failure.
        failure(f.answer(&header, token("v=")));
        text
    };
    let good = |nonce: &str| format!("r={nonce}x,s=c2FsdA==,i=4096");
    for (reason, text) in [
        ("has no signature", hostile(&good, "")),
        ("signature is wrong", hostile(&good, "v=AAAA")),
        (
            "refused the SCRAM exchange: other-error",
            hostile(&good, "e=other-error"),
        ),
        (
            "is not this client's",
            hostile(&|_| "r=other,s=c2FsdA==,i=4096".to_owned(), ""),
        ),
        (
            "fewer than the 4096",
            hostile(&|nonce| format!("r={nonce}x,s=c2FsdA==,i=4095"), ""),
        ),
        (
            "more than the 131072",
            hostile(&|nonce| format!("r={nonce}x,s=c2FsdA==,i=2147483647"), ""),
        ),
        // As if the first message were enough for the broker.
        ("does not begin with r=", hostile(&|_| String::new(), "")),
        (
            "does not begin with r=",
            hostile(&|_| "v=AAAA".to_owned(), ""),
        ),
    ] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
}

#[test]
fn bytes_after_the_last_message_are_refused() {
    let mut f = Fixture::new("PLAIN");
    f.first_token(1, Some(2));
    let (header, _) = f.request();
    let response = SaslAuthenticateResponse {
        auth_bytes: vec![1, 2],
        ..SaslAuthenticateResponse::default()
    };
    assert!(failure(f.answer(&header, response)).contains("sent 2 bytes after the last message"));
    assert!(f.receive(b"").is_err());
}

// Java: SaslAuthenticatorTest.testConvertListOffset...: a response outside of the reserved ids is a schema error.
#[test]
fn frames_that_do_not_belong_here_end_the_connection() {
    let mut f = Fixture::new("PLAIN");
    let (header, _) = f.request();
    assert!(invalid(f.receive(&[0, 0, 0, 5, 0, 0])).contains("a response to no request"));

    let mut f = Fixture::new("PLAIN");
    f.request();
    let wrong_id = RequestHeader {
        correlation_id: FIRST_ID + 3,
        ..header.clone()
    };
    let text = invalid(f.answer(&wrong_id, versions(1, Some(2))));
    assert!(
        text.contains("its correlation id is 2147483643 instead of 2147483640"),
        "{text}"
    );

    for length in 0..10 {
        let mut f = Fixture::new("PLAIN");
        let (header, _) = f.request();
        let id = header.correlation_id;
        let body = versions(1, Some(2)).into();
        let frame = encode_response(ApiKey::ApiVersions, 0, id, &body).unwrap();
        invalid(f.receive(&frame[..length]));
    }
    let mut f = Fixture::new("PLAIN");
    let (header, _) = f.request();
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        ..ApiVersionsResponse::default()
    };
    assert!(invalid(f.answer(&header, response)).contains("UNSUPPORTED_VERSION"));
    let mut f = Fixture::new("PLAIN");
    let (header, _) = f.request();
    let text = failure(f.answer(&header, ApiVersionsResponse::default()));
    assert!(text.contains("does not know SaslHandshake"), "{text}");
}

// Java: SaslAuthenticatorTest.testMissingUsernameSaslPlain, and dynamic JAAS configuration.
#[test]
fn credentials_are_asked_for_at_each_exchange_and_their_failure_is_one() {
    let calls = crate::sync::AtomicU64::new(0);
    let source = Source::Provider(Arc::new(move || {
        match calls.fetch_add(1, crate::sync::Ordering::Relaxed) {
            0 => Ok(SaslCredentials::new("alice", "first")),
            1 => Ok(SaslCredentials::new("alice", "second")),
            2 => Err("the vault is sealed".into()),
            _ => panic!("a provider that panics"),
        }
    }));
    let mut f = Fixture::with("PLAIN", source);
    f.first_token(1, Some(2));
    f.complete_plain(0);
    f.authenticator.begin().unwrap();
    f.hand_shaken();
    let (header, body) = f.request();
    let RequestBody::SaslAuthenticate(request) = body else {
        panic!();
    };
    assert_eq!(request.auth_bytes, b"\0alice\0second");
    f.answer(&header, SaslAuthenticateResponse::default())
        .unwrap();
    for reason in [
        "no credentials: the vault is sealed",
        "no credentials: the provider panicked",
    ] {
        f.authenticator.begin().unwrap();
        let (header, _) = f.request();
        let text = failure(f.answer(&header, SaslHandshakeResponse::default()));
        assert!(text.ends_with(reason), "{text}");
    }
}

// Java: SaslAuthenticatorTest's re-authentication tests; KIP-368.
#[test]
fn a_session_is_renewed_after_85_to_95_percent_of_its_life() {
    for _ in 0..100 {
        let mut f = Fixture::new("PLAIN");
        f.first_token(1, Some(2));
        f.complete_plain(1_000_000);
        let after = f.authenticator.reauthenticate_at().unwrap() - f.now;
        assert!(
            Duration::from_secs(850) <= after && after < Duration::from_secs(950),
            "{after:?}"
        );
    }
    for lifetime in [0, -1, i64::MIN] {
        let mut f = Fixture::new("PLAIN");
        f.first_token(1, Some(2));
        f.complete_plain(lifetime);
        assert_eq!(f.authenticator.reauthenticate_at(), None);
    }
    for lifetime in [1, i64::MAX] {
        let mut f = Fixture::new("PLAIN");
        f.first_token(1, Some(2));
        f.complete_plain(lifetime);
    }
}

#[test]
fn a_reauthentication_asks_for_no_versions_and_lets_other_responses_pass() {
    let mut f = Fixture::new("PLAIN");
    f.first_token(1, Some(2));
    f.complete_plain(1000);
    for _ in 0..5 {
        f.authenticator.begin().unwrap();
        let (header, body) = f.request();
        assert!(matches!(body, RequestBody::SaslHandshake(_)));
        assert!((FIRST_ID..=i32::MAX).contains(&header.correlation_id));
        assert_eq!(f.receive(&[0, 0, 0, 42, 1, 2]), Ok(Received::Response));
        f.answer(&header, SaslHandshakeResponse::default()).unwrap();
        assert_eq!(f.receive(&[0, 0, 0, 43]), Ok(Received::Response));
        f.complete_plain(1000);
    }
}

const REFRESH: RefreshConfig = RefreshConfig {
    window_factor: 0.8,
    window_jitter: 0.05,
    min_period: Duration::from_secs(60),
    buffer: Duration::from_secs(300),
};

/// Such as after the machine has slept. The refresh that was missed is made now, so nothing is refused for good.
#[test]
fn a_token_that_is_being_replaced_is_no_refusal() {
    let time = MockTime::new();
    let expires_at = time.unix_millis() + 3_600_000;
    let provider = move || {
        let value = Secret::new("hunter2");
        Ok(OAuthBearerToken::from_millis(value, None, expires_at))
    };
    let clock: Arc<dyn Time> = Arc::new(time.clone());
    let login = RefreshingLogin::without_thread(Box::new(provider), REFRESH, clock).unwrap();
    let source = Source::Token(Arc::new(login));
    time.advance_ms(7_200_000);
    for is_replaced in [true, false] {
        let mut f = Fixture::with("OAUTHBEARER", source.clone());
        let (header, _) = f.request();
        f.answer(&header, versions(1, Some(2))).unwrap();
        let (header, _) = f.request();
        let answered = f.answer(&header, SaslHandshakeResponse::default());
        let text = "SASL OAUTHBEARER: the OAUTHBEARER token has expired: the provider has given no newer one";
        if is_replaced {
            let message = text.to_owned();
            assert_eq!(answered, Err(Disconnect::NotAuthenticated { message }));
        } else {
            assert_eq!(failure(answered), text);
        }
        time.advance_ms(10_000);
    }
}

// Java: OAuthBearerSaslClientTest, SaslAuthenticatorTest.testValidSaslOauthBearerMechanism.
#[test]
fn what_the_broker_says_against_a_token_is_told() {
    let login = |value: &'static str| {
        let provider = move || {
            let expires_at = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
            Ok(OAuthBearerToken::new(value, expires_at))
        };
        let login = RefreshingLogin::log_in("t", Box::new(provider), REFRESH, Arc::new(SystemTime));
        Source::Token(Arc::new(login.unwrap()))
    };
    let mut f = Fixture::with("OAUTHBEARER", login("hunter2"));
    f.first_token(1, Some(2));
    let (header, _) = f.request();
    let challenge = SaslAuthenticateResponse {
        auth_bytes: b"{\"status\":\"invalid_token\"}".to_vec(),
        ..SaslAuthenticateResponse::default()
    };
    assert_eq!(f.answer(&header, challenge), Ok(Received::Token));
    let (header, body) = f.request();
    assert!(
        matches!(body, RequestBody::SaslAuthenticate(request) if request.auth_bytes == b"\x01")
    );
    let refusal = SaslAuthenticateResponse {
        error_code: ErrorCode::SASL_AUTHENTICATION_FAILED,
        ..SaslAuthenticateResponse::default()
    };
    let text = failure(f.answer(&header, refusal));
    let expected = "SASL OAUTHBEARER: the broker refused the token: {\"status\":\"invalid_token\"}";
    assert_eq!(text, expected);
    // A broker that then accepts the token is not believed.
    let mut f = Fixture::with("OAUTHBEARER", login("t"));
    f.first_token(1, Some(2));
    let (header, _) = f.request();
    let challenge = SaslAuthenticateResponse {
        auth_bytes: b"no".to_vec(),
        ..SaslAuthenticateResponse::default()
    };
    f.answer(&header, challenge).unwrap();
    let (header, _) = f.request();
    failure(f.answer(&header, SaslAuthenticateResponse::default()));
}

proptest::proptest! {
    /// No bytes from a broker cause a panic, and only the right ones complete an exchange.
    #[test]
    fn random_frames_are_refused(frames in proptest::collection::vec(proptest::collection::vec(0_u8.., 0..64), 1..5)) {
        for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
            let mut f = Fixture::new(mechanism);
            for frame in &frames {
                assert_ne!(f.receive(frame), Ok(Received::Complete));
            }
        }
    }
}
