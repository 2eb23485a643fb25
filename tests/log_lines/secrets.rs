//! No secret of a SASL_SSL connection appears in any text, whether the connection succeeds or
//! fails.

use std::time::SystemTime;

use kafka_producer::{
    Error, KafkaProducerBuilder, OAuthBearerToken, SaslCredentials, SecurityProtocol,
};

use super::*;

/// Passwords, tokens, and a part of each.
const SECRETS: [&str; 4] = ["hunter2", "right-pass", "right.token", "wrong.token"];

fn path(name: &str) -> String {
    format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

fn secured_broker() -> FakeBroker {
    FakeBroker::builder()
        .topic(TOPIC, 1)
        .tls(file("server"), file("server.key"))
        .tls_client_authorities(file("ca"))
        .sasl_plain("alice", "right-pass")
        .sasl_scram_sha_256("alice", "right-pass")
        .sasl_scram_sha_512("alice", "right-pass")
        .sasl_oauthbearer(|token| token == "right.token")
        .start()
        .unwrap()
}

/// A producer with a certificate and a key, and without credentials.
fn secured(broker: &FakeBroker) -> KafkaProducerBuilder {
    producer(broker, "secrets")
        .security_protocol(SecurityProtocol::SaslSsl)
        .ssl_truststore_type("PEM")
        .ssl_truststore_location(&path("ca"))
        .ssl_keystore_type("PEM")
        .ssl_keystore_key(&file("client.key"))
        .ssl_keystore_certificate_chain(&file("client"))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a token expires by the real clock"
)]
fn with_token(builder: KafkaProducerBuilder, value: &'static str) -> KafkaProducerBuilder {
    let token = OAuthBearerToken::new(value, SystemTime::now() + SOON);
    builder.sasl_oauthbearer(move || Ok(token.clone()))
}

fn with_jaas(builder: KafkaProducerBuilder, password: &str) -> KafkaProducerBuilder {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let jaas = format!("{module} required username=\"alice\" password=\"{password}\";");
    let builder = builder.set("sasl.mechanism", "PLAIN").unwrap();
    builder.set("sasl.jaas.config", &jaas).unwrap()
}

/// Configurations, and whether the broker accepts each.
fn sessions(broker: &FakeBroker) -> Vec<(KafkaProducerBuilder, bool)> {
    let secured = || secured(broker);
    let provided = secured()
        .set("sasl.mechanism", "SCRAM-SHA-256")
        .unwrap()
        .sasl_credentials(|| Ok(SaslCredentials::new("alice", "hunter2")));
    let untrusting = secured().ssl_truststore_location(&path("other-ca"));
    vec![
        (secured().sasl_plain("alice", "right-pass"), true),
        (secured().sasl_plain("alice", "hunter2"), false),
        (secured().sasl_scram_sha_256("alice", "right-pass"), true),
        (secured().sasl_scram_sha_512("alice", "hunter2"), false),
        (with_token(secured(), "right.token"), true),
        (with_token(secured(), "wrong.token"), false),
        (with_jaas(secured(), "right-pass"), true),
        (with_jaas(secured(), "hunter2"), false),
        (provided, false),
        (untrusting.sasl_plain("alice", "right-pass"), false),
    ]
}

/// Settings that are refused, with a secret in each kind of key that may hold one.
fn refused_settings() -> Vec<Vec<(&'static str, String)>> {
    let own = |settings: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let owned = settings
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()));
        owned.collect()
    };
    let encrypted = file("client.encrypted");
    let store = path("client");
    let encrypted_file = path("client.encrypted");
    let token = |settings: &[(&'static str, &str)]| {
        let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
        let required = [
            ("sasl.mechanism", "OAUTHBEARER"),
            (
                "sasl.oauthbearer.token.endpoint.url",
                "http://127.0.0.1:1/token",
            ),
            ("sasl.login.retry.backoff.max.ms", "0"),
            (
                "sasl.jaas.config",
                &*format!("{module} clientId=a clientSecret=\"hunter2\";"),
            ),
        ];
        own(&[&required, settings].concat())
    };
    vec![
        own(&[(
            "sasl.jaas.config",
            "no.Module required password=\"hunter2\";",
        )]),
        own(&[("sasl.jaas.config", "password=hunter2")]),
        own(&[("ssl.keystore.key", "-----BEGIN PRIVATE KEY-----\nhunter2\n")]),
        own(&[
            ("ssl.keystore.key", &encrypted),
            ("ssl.key.password", "hunter2"),
        ]),
        own(&[("ssl.keystore.password", "hunter2")]),
        own(&[
            ("ssl.truststore.type", "JKS"),
            ("ssl.truststore.location", &store),
            ("ssl.truststore.password", "hunter2"),
        ]),
        token(&[]),
        token(&[(
            "sasl.oauthbearer.client.credentials.client.secret",
            "hunter2",
        )]),
        token(&[
            ("sasl.oauthbearer.assertion.claim.iss", "me"),
            (
                "sasl.oauthbearer.assertion.private.key.file",
                &encrypted_file,
            ),
            (
                "sasl.oauthbearer.assertion.private.key.passphrase",
                "hunter2",
            ),
        ]),
    ]
}

/// Texts that a program may print or log.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn add(&mut self, value: &impl std::fmt::Debug) {
        self.0.push(format!("{value:?} {value:#?}"));
    }

    fn add_error(&mut self, error: &Error) {
        self.add(error);
        let mut next: Option<&dyn StdError> = Some(error);
        while let Some(error) = next {
            self.0.push(error.to_string());
            next = error.source();
        }
    }
}

/// The log of this program shows everything at level trace, and `ureq` shows whole requests there.
#[cfg(feature = "oauth-oidc")]
#[test]
fn a_secret_that_the_log_would_show_is_not_sent() {
    capture();
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    endpoint.set_nonblocking(true).unwrap();
    let url = format!("http://{}/token", endpoint.local_addr().unwrap());
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
    let jaas = format!("{module} clientId=a clientSecret=\"hunter2\";");
    let settings = [
        ("bootstrap.servers", "127.0.0.1:1"),
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", &*url),
        ("sasl.jaas.config", &*jaas),
    ];
    let builder = settings
        .iter()
        .try_fold(KafkaProducer::builder(), |builder, (key, value)| {
            builder.set(key, value)
        });
    let mut error: &dyn StdError = &builder.unwrap().build().unwrap_err();
    while let Some(source) = error.source() {
        error = source;
    }
    let text = error.to_string();
    assert!(
        text.contains("the log would show its secrets: set the log targets ureq"),
        "{text}"
    );
    let connected = endpoint.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(connected, Err(std::io::ErrorKind::WouldBlock));
}

/// Every line at every level, and each text of the configuration, the producer and its errors.
#[test]
fn no_secret_of_a_secured_session_is_shown() {
    capture();
    let broker = secured_broker();
    let mut shown = Shown::default();
    for (builder, is_let_in) in sessions(&broker) {
        shown.add(&builder);
        let producer = builder.build().unwrap();
        shown.add(&producer);
        let sent = producer.send(ProducerRecord::new(TOPIC, "value"));
        let sent = sent.and_then(|sent| sent.get_timeout(SOON));
        assert_eq!(sent.is_ok(), is_let_in, "{sent:?}");
        if let Err(error) = sent {
            shown.add_error(&error);
        }
    }

    for settings in refused_settings() {
        let builder = with_jaas(secured(&broker), "right-pass");
        let set = settings
            .iter()
            .try_fold(builder, |builder, (key, value)| builder.set(key, value));
        match set {
            Ok(builder) => {
                shown.add(&builder);
                shown.add_error(&builder.build().unwrap_err());
            }
            Err(error) => shown.add_error(&error),
        }
    }

    let lines = lines_of("");
    for part in [
        "authenticated by SASL PLAIN",
        "authenticated by SASL OAUTHBEARER",
        "SASL SCRAM-SHA-512: the broker refused the credentials",
    ] {
        let is_logged = lines.iter().any(|line| line.text.contains(part));
        assert!(is_logged, "{part}: {lines:#?}");
    }
    shown.0.extend(lines.into_iter().map(|line| line.text));
    let key = file("client.key");
    let key_line = key.lines().nth(1).unwrap();
    for text in &shown.0 {
        let secrets = SECRETS.iter().chain([&key_line]);
        let found = secrets.filter(|secret| text.contains(**secret)).count();
        assert_eq!(found, 0, "{text}");
    }
}
