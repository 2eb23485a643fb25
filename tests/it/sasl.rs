//! SASL authentication: each mechanism accepts the right client and no other. A refusal is reported
//! at once, in words and without a secret. Sessions are renewed under load without losing,
//! duplicating or reordering records.

#![allow(clippy::disallowed_methods, reason = "tests may read the clock")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use kafka_producer::testing::{Action, Api, FakeBroker, FakeBrokerBuilder};
use kafka_producer::{
    Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, OAuthBearerToken,
    ProducerRecord, SaslCredentials, SecurityProtocol,
};

use crate::support::chain::chain;

const LONG: Duration = Duration::from_secs(60);
const SECRET: &str = "hunter2";

fn broker(change: impl FnOnce(FakeBrokerBuilder) -> FakeBrokerBuilder) -> FakeBroker {
    change(FakeBroker::builder().topic("orders", 1))
        .start()
        .unwrap()
}

fn client(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .security_protocol(SecurityProtocol::SaslPlaintext)
}

fn delivers(broker: &FakeBroker, producer: &KafkaProducer) {
    let before = broker.all_records("orders").len();
    let sent = producer
        .send(ProducerRecord::new("orders", "value"))
        .unwrap();
    sent.get_timeout(LONG).unwrap();
    assert_eq!(broker.all_records("orders").len(), before + 1);
}

/// Returns the error of a send. Checks that it comes long before `max.block.ms` and contains no
/// secret.
fn refusal(producer: &KafkaProducer) -> Error {
    let start = Instant::now();
    let sent = producer.send(ProducerRecord::new("orders", "value"));
    let error = sent.and_then(|sent| sent.get_timeout(LONG)).unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    let shown = format!("{error:?} {}", chain(&error).join("; "));
    assert!(!shown.contains(SECRET), "{shown}");
    error
}

fn authentication_failure(producer: &KafkaProducer) -> String {
    let error = refusal(producer);
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(!error.is_retriable() && !error.is_fatal());
    error.to_string()
}

// Java: SaslAuthenticatorTest.testValidSaslPlainOverPlaintext, testValidSaslScramSha256, testValidSaslScramMechanisms.
#[test]
fn the_right_user_and_password_are_let_in() {
    let broker = broker(|broker| {
        broker
            .sasl_plain("alice", SECRET)
            .sasl_scram_sha_256("bob,=", SECRET)
            .sasl_scram_sha_512("carol", "p\u{e4}ss, =")
    });
    let plain = client(&broker).sasl_plain("alice", SECRET);
    let scram_256 = client(&broker).sasl_scram_sha_256("bob,=", SECRET);
    let scram_512 = client(&broker).sasl_scram_sha_512("carol", "p\u{e4}ss, =");
    for builder in [plain, scram_256, scram_512] {
        delivers(&broker, &builder.build().unwrap());
    }
    assert_eq!(broker.protocol_violations(), [""; 0]);
}

// Java: SaslAuthenticatorTest.testInvalidPasswordSaslPlain, testInvalidUsernameSaslPlain, testInvalidPasswordSaslScram,
// ClientAuthenticationFailureTest.testProducerWithInvalidCredentials.
#[test]
fn a_wrong_user_or_password_is_told_at_once_with_mechanism_and_host() {
    let broker = broker(|broker| {
        broker
            .sasl_plain("alice", "right")
            .sasl_scram_sha_256("alice", "right")
            .sasl_scram_sha_512("alice", "right")
    });
    let host = format!("127.0.0.1:{}", broker.port(broker.nodes()[0]).unwrap());
    for (mechanism, builder) in [
        ("PLAIN", client(&broker).sasl_plain("alice", SECRET)),
        ("PLAIN", client(&broker).sasl_plain("mallory", "right")),
        (
            "SCRAM-SHA-256",
            client(&broker).sasl_scram_sha_256("alice", SECRET),
        ),
        (
            "SCRAM-SHA-512",
            client(&broker).sasl_scram_sha_512("alice", SECRET),
        ),
        (
            "SCRAM-SHA-512",
            client(&broker).sasl_scram_sha_512("mallory", "right"),
        ),
    ] {
        let text = authentication_failure(&builder.build().unwrap());
        assert!(text.contains(&host), "{text}");
        let says = format!(
            "SASL {mechanism}: the broker refused the credentials (the broker says: Authentication failed during \
             authentication due to invalid credentials with SASL mechanism {mechanism})"
        );
        assert!(text.contains(&says), "{text}");
    }
    assert_eq!(broker.all_records("orders").len(), 0);
}

#[test]
fn a_refused_client_is_not_back_at_once_each_time() {
    let broker = broker(|broker| broker.sasl_plain("alice", "right"));
    let producer = client(&broker)
        .sasl_plain("alice", SECRET)
        .reconnect_backoff(Duration::from_millis(500))
        .reconnect_backoff_max(Duration::from_secs(30))
        .build()
        .unwrap();
    let start = Instant::now();
    for _ in 0..3 {
        authentication_failure(&producer);
    }
    // Each failure raises the backoff twice, so the waits are at least half a second and two
    // seconds.
    let attempts = broker.request_count(Api::SaslAuthenticate);
    assert!(attempts <= 4, "{attempts}");
    assert!(
        start.elapsed() >= Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
}

// Java: ClientAuthenticationFailureTest.testTransactionalProducerWithInvalidCredentials.
#[test]
fn a_transactional_call_hears_of_a_refusal() {
    let broker = broker(|broker| broker.sasl_plain("alice", "right"));
    let producer = client(&broker)
        .sasl_plain("alice", SECRET)
        .transactional_id("t")
        .build()
        .unwrap();
    let error = producer.init_transactions().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(error.is_fatal());
}

// Java: SaslAuthenticatorTest.testDisabledMechanism, testUnknown...
#[test]
fn a_mechanism_that_the_broker_does_not_enable_is_told_with_those_that_it_does() {
    let broker = broker(|broker| {
        broker
            .sasl_scram_sha_256("alice", SECRET)
            .sasl_oauthbearer(|_| false)
    });
    let producer = client(&broker).sasl_plain("alice", SECRET).build().unwrap();
    let text = authentication_failure(&producer);
    let says = "SASL PLAIN: the broker does not enable this mechanism, but OAUTHBEARER, SCRAM-SHA-256: set sasl.mechanism";
    assert!(text.contains(says), "{text}");
    assert_eq!(
        broker.request_count(Api::SaslAuthenticate),
        0,
        "the password stays here"
    );
}

#[test]
fn both_sides_must_want_sasl() {
    let open = broker(|broker| broker);
    let producer = client(&open).sasl_plain("alice", SECRET).build().unwrap();
    let text = authentication_failure(&producer);
    assert!(text.contains("expects no SASL on this listener"), "{text}");
    assert_eq!(
        open.request_count(Api::SaslAuthenticate),
        0,
        "the password stays here"
    );

    let closed = broker(|broker| broker.sasl_plain("alice", SECRET));
    let producer = KafkaProducer::builder()
        .bootstrap_servers(closed.bootstrap_servers())
        .max_block(Duration::from_secs(1))
        .build()
        .unwrap();
    let texts = chain(&refusal(&producer)).join("; ");
    assert!(
        texts.contains("it may expect SASL (security.protocol)"),
        "{texts}"
    );
}

/// With SASL configured, the error must not suggest SASL.
#[test]
fn a_broker_that_hangs_up_after_sasl_is_not_told_to_expect_sasl() {
    let broker = broker(|broker| broker.sasl_plain("alice", SECRET));
    let hang_up = Action::skip().disconnect();
    broker.on(Api::Metadata).always().then(hang_up);
    let producer = client(&broker)
        .sasl_plain("alice", SECRET)
        .max_block(Duration::from_millis(500))
        .build()
        .unwrap();
    let texts = chain(&refusal(&producer)).join("; ");
    assert!(texts.ends_with("and no other response"), "{texts}");
}

#[test]
fn iterations_out_of_range_are_refused() {
    for (iterations, says) in [
        (
            4095,
            "the broker asks for 4095 SCRAM iterations, fewer than the 4096",
        ),
        (
            131_073,
            "the broker asks for 131073 SCRAM iterations, more than the 131072",
        ),
    ] {
        let broker = broker(|broker| {
            broker
                .sasl_scram_sha_512("alice", SECRET)
                .sasl_scram_iterations(iterations)
        });
        let producer = client(&broker)
            .sasl_scram_sha_512("alice", SECRET)
            .build()
            .unwrap();
        let text = authentication_failure(&producer);
        assert!(text.contains(says), "{text}");
        // Each attempt sends one message: the client sends no proof.
        let messages = broker.request_count(Api::SaslAuthenticate);
        assert!(messages <= broker.request_count(Api::SaslHandshake));
    }
}

#[test]
fn a_connection_that_is_lost_during_the_authentication_is_made_again() {
    let broker = broker(|broker| broker.sasl_scram_sha_256("alice", SECRET));
    for api in [Api::SaslHandshake, Api::SaslAuthenticate] {
        broker.on(api).then(Action::apply().disconnect());
        broker.on(api).then(Action::apply().cut_reply(9));
    }
    let producer = client(&broker)
        .sasl_scram_sha_256("alice", SECRET)
        .build()
        .unwrap();
    delivers(&broker, &producer);
    assert_eq!(broker.unspent_rules(), 0);
}

#[test]
fn a_broker_that_says_nothing_is_given_up() {
    let broker = broker(|broker| broker.sasl_plain("alice", SECRET));
    broker
        .on(Api::SaslAuthenticate)
        .then(Action::skip().never_reply());
    let producer = client(&broker)
        .sasl_plain("alice", SECRET)
        .socket_connection_setup_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    delivers(&broker, &producer);
    assert!(broker.accepted_connections() >= 2);
}

#[test]
fn a_broker_that_refuses_for_a_while_is_tried_again() {
    let broker = broker(|broker| broker.sasl_plain("alice", SECRET));
    let refused = ErrorCode::SASL_AUTHENTICATION_FAILED;
    broker.on(Api::SaslAuthenticate).then(Action::fail(refused));
    let producer = client(&broker).sasl_plain("alice", SECRET).build().unwrap();
    authentication_failure(&producer);
    delivers(&broker, &producer);
}

// Java: dynamic JAAS configuration, sasl.client.callback.handler.class.
#[test]
fn credentials_can_change_while_the_producer_runs() {
    let broker = broker(|broker| broker.sasl_scram_sha_512("alice", "new"));
    let password = Arc::new(Mutex::new(SECRET));
    let provided = Arc::clone(&password);
    let producer = client(&broker)
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .unwrap()
        .sasl_credentials(move || Ok(SaslCredentials::new("alice", *provided.lock().unwrap())))
        .build()
        .unwrap();
    authentication_failure(&producer);
    *password.lock().unwrap() = "new";
    // A failure from before may still be reported once.
    drop(
        producer
            .send(ProducerRecord::new("orders", "value"))
            .map(|sent| sent.get_timeout(LONG)),
    );
    delivers(&broker, &producer);
}

// Java: SaslAuthenticatorTest.testValidSaslOauthBearerMechanism, testInsufficientScopeSaslOauthBearerMechanism.
#[test]
fn a_token_is_let_in_or_refused_in_words() {
    let broker = broker(|broker| broker.sasl_oauthbearer(|token| token == "right.token"));
    let token =
        |value: &'static str| move || Ok(OAuthBearerToken::new(value, SystemTime::now() + LONG));
    let producer = client(&broker)
        .sasl_oauthbearer(token("right.token"))
        .build()
        .unwrap();
    delivers(&broker, &producer);
    let producer = client(&broker)
        .sasl_oauthbearer(token(SECRET))
        .build()
        .unwrap();
    let text = authentication_failure(&producer);
    let says = "SASL OAUTHBEARER: the broker refused the token: {\"status\":\"invalid_token\"}";
    assert!(text.contains(says), "{text}");
    let failed = client(&broker)
        .sasl_oauthbearer(|| Err("no network".into()))
        .build();
    let error = failed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert_eq!(
        chain(&error),
        [
            "the producer cannot log in",
            "no OAUTHBEARER token: no network"
        ]
    );
}

#[test]
fn a_token_comes_from_a_file_or_from_the_configuration() {
    // {"alg":"none"}.{"sub":"alice","exp":99999999999}
    let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OTl9.c2ln";
    let broker = broker(|broker| {
        broker.sasl_oauthbearer(move |token| {
            token == jwt || token.starts_with("eyJhbGciOiJub25lIn0.") && token.ends_with('.')
        })
    });
    let path = std::env::temp_dir().join(format!("sasl-token-{}", std::process::id()));
    std::fs::write(&path, jwt).unwrap();
    let url = format!("file://{}", path.display());
    let from_file = client(&broker)
        .set("sasl.mechanism", "OAUTHBEARER")
        .and_then(|builder| builder.set("sasl.oauthbearer.token.endpoint.url", &url))
        .unwrap();
    delivers(&broker, &from_file.build().unwrap());
    std::fs::remove_file(&path).unwrap();

    let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                unsecuredLoginStringClaim_sub=\"alice\";";
    let unsecured = client(&broker)
        .set("sasl.mechanism", "OAUTHBEARER")
        .and_then(|builder| builder.set("sasl.jaas.config", jaas))
        .unwrap();
    delivers(&broker, &unsecured.build().unwrap());
}

// Java: KIP-368; SaslAuthenticatorTest.testCannotReauthenticateWithDifferentPrincipal and others.
#[test]
fn sessions_are_renewed_under_load_and_every_record_is_there_once_in_order() {
    const RENEWALS: usize = 6;
    // The broker refuses to renew a session twice within a second.
    let broker = broker(|broker| {
        broker
            .sasl_scram_sha_256("alice", SECRET)
            .sasl_max_reauth(Duration::from_millis(400))
    });
    let producer = client(&broker)
        .sasl_scram_sha_256("alice", SECRET)
        .build()
        .unwrap();
    let failed = Arc::new(AtomicUsize::new(0));
    let mut sent = 0_usize;
    let start = Instant::now();
    while broker.request_count(Api::SaslHandshake) < RENEWALS && start.elapsed() < LONG {
        for _ in 0..200 {
            let failed = Arc::clone(&failed);
            let value = sent.to_string();
            let sending =
                producer.send_with_callback(ProducerRecord::new("orders", &value), move |result| {
                    if result.is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            sending.unwrap();
            sent += 1;
        }
        producer.flush().unwrap();
    }
    assert!(broker.request_count(Api::SaslHandshake) >= RENEWALS);
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    let records = broker.all_records("orders");
    assert_eq!(records.len(), sent);
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record.value.as_deref(), Some(number.to_string().as_bytes()));
    }
    // One connection to the node and one to the bootstrap server, not one per session. A machine
    // that stops for a while may miss the end of a session and lose the connection.
    let connections = broker.accepted_connections();
    assert!(connections < RENEWALS as u64, "{connections}");
}

#[test]
fn a_session_that_is_not_renewed_ends_with_an_authentication_error() {
    let broker = broker(|broker| {
        broker
            .sasl_plain("alice", SECRET)
            .sasl_max_reauth(Duration::from_millis(200))
    });
    let calls = AtomicUsize::new(0);
    let producer = client(&broker)
        .set("sasl.mechanism", "PLAIN")
        .unwrap()
        .sasl_credentials(move || match calls.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Ok(SaslCredentials::new("alice", SECRET)),
            _ => Ok(SaslCredentials::new("alice", "revoked")),
        })
        .max_block(Duration::from_secs(5))
        .delivery_timeout(Duration::from_secs(3))
        .linger(Duration::ZERO)
        .request_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    delivers(&broker, &producer);
    let start = Instant::now();
    let error = loop {
        let sent = producer.send(ProducerRecord::new("orders", "value"));
        match sent.and_then(|sent| sent.get_timeout(LONG)) {
            Ok(_) => assert!(start.elapsed() < LONG),
            Err(error) => break error,
        }
    };
    let texts = chain(&error).join("; ");
    assert!(
        texts.contains("SASL PLAIN: the broker refused the credentials"),
        "{texts}"
    );
}
