//! Clients that Kafka accepts by TLS, by SASL and by both, and those that it refuses: one node with
//! a listener for each case.

#[cfg(feature = "gssapi")]
mod kerberos;
mod sasl;
mod sessions;
mod ssl;

use std::time::{Duration, Instant};

use kafka_producer::{ErrorKind, KafkaProducer, ProducerRecord};

use crate::harness::{Admin, ConsoleConsumer, Layout, Listener};

const LIMIT: Duration = Duration::from_secs(60);
/// Half of `max.block.ms`: an error that no retry can help must come earlier.
const AT_ONCE: Duration = Duration::from_secs(30);

const SASL_PLAINTEXT: Listener = listener("SASL_PLAINTEXT", "SASL_PLAINTEXT");
/// Does not enable PLAIN.
const SCRAM_ONLY: Listener = listener("SCRAM_ONLY", "SASL_PLAINTEXT");
const SSL: Listener = listener("SSL", "SSL");
/// Requires a client certificate.
const MUTUAL: Listener = listener("MUTUAL", "SSL");
const SASL_SSL: Listener = listener("SASL_SSL", "SASL_SSL");
/// Its SCRAM sessions end after two seconds.
const SESSIONS: Listener = listener("SESSIONS", "SASL_SSL");
const EXPIRED: Listener = listener("EXPIRED", "SSL");
const WRONG_HOST: Listener = listener("WRONG_HOST", "SSL");
const UNKNOWN_AUTHORITY: Listener = listener("UNKNOWN_AUTHORITY", "SSL");

const SASL_LISTENERS: [Listener; 4] = [SASL_PLAINTEXT, SCRAM_ONLY, SASL_SSL, SESSIONS];
const SSL_LISTENERS: [(Listener, &str); 7] = [
    (SSL, "server"),
    (MUTUAL, "server-rsa"),
    (SASL_SSL, "server"),
    (SESSIONS, "server"),
    (EXPIRED, "expired"),
    (WRONG_HOST, "wrong-host"),
    (UNKNOWN_AUTHORITY, "unknown-issuer"),
];

const USERS: [&str; 2] = [
    "SCRAM-SHA-256=[name=alice,password=secret256]",
    "SCRAM-SHA-512=[name=alice,password=secret512]",
];
/// The mechanisms with a password, and alice's.
const PASSWORDS: [(&str, &str); 3] = [
    ("PLAIN", "secret"),
    ("SCRAM-SHA-256", "secret256"),
    ("SCRAM-SHA-512", "secret512"),
];

const fn listener(name: &'static str, protocol: &'static str) -> Listener {
    Listener { name, protocol }
}

/// One node with all listeners.
fn one_node() -> Layout {
    with_listeners(Layout::new(1), &SASL_LISTENERS, &SSL_LISTENERS)
}

fn with_listeners(layout: Layout, sasl: &[Listener], ssl: &[(Listener, &str)]) -> Layout {
    const MODULES: [(&str, &str); 4] = [
        (
            "plain",
            "plain.PlainLoginModule required user_alice=\"secret\"",
        ),
        ("scram-sha-256", "scram.ScramLoginModule required"),
        ("scram-sha-512", "scram.ScramLoginModule required"),
        (
            "oauthbearer",
            "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\"",
        ),
    ];
    let mut properties = vec![(
        "sasl.enabled.mechanisms".to_owned(),
        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned(),
    )];
    let mut listeners: Vec<Listener> = ssl.iter().map(|(listener, _)| *listener).collect();
    for listener in sasl {
        if !listeners.contains(listener) {
            listeners.push(*listener);
        }
        for (mechanism, module) in MODULES {
            properties.push((
                key(*listener, &format!("{mechanism}.sasl.jaas.config")),
                format!("org.apache.kafka.common.security.{module};"),
            ));
        }
    }
    if sasl.contains(&SCRAM_ONLY) {
        properties.push((
            key(SCRAM_ONLY, "sasl.enabled.mechanisms"),
            "SCRAM-SHA-512,SCRAM-SHA-256".to_owned(),
        ));
    }
    if sasl.contains(&SESSIONS) {
        properties.push((
            key(SESSIONS, "scram-sha-512.connections.max.reauth.ms"),
            "2000".to_owned(),
        ));
    }
    for (listener, identity) in ssl {
        let mut property = |name: &str, value: String| {
            properties.push((key(*listener, name), value.replace('\n', "\\n")));
        };
        property("ssl.keystore.type", "PEM".to_owned());
        property("ssl.keystore.certificate.chain", file(identity));
        property("ssl.keystore.key", file(&format!("{identity}.key")));
        property("ssl.truststore.type", "PEM".to_owned());
        property("ssl.truststore.certificates", file("ca"));
    }
    if listeners.contains(&MUTUAL) {
        properties.push((key(MUTUAL, "ssl.client.auth"), "required".to_owned()));
    }
    layout
        .listeners(&listeners)
        .properties(&properties)
        .features(&USERS)
}

fn key(listener: Listener, name: &str) -> String {
    format!("listener.name.{}.{name}", listener.name.to_lowercase())
}

fn path(name: &str) -> String {
    format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of a file in tests/data/tls. Its name says what is wrong with it.
fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// The settings of a client, with Java's keys.
#[derive(Clone, Debug)]
struct Client(Vec<(&'static str, String)>);

impl Client {
    fn new(security_protocol: &str) -> Self {
        Self(Vec::new()).set("security.protocol", security_protocol)
    }

    /// Adds trust in tests/data/tls/ca.pem.
    fn over_tls(security_protocol: &str) -> Self {
        Self::new(security_protocol)
            .set("ssl.truststore.type", "PEM")
            .set("ssl.truststore.location", &path("ca"))
    }

    fn set(mut self, key: &'static str, value: &str) -> Self {
        self.0.push((key, value.to_owned()));
        self
    }

    /// Adds a client certificate.
    fn certificate(self, identity: &str) -> Self {
        self.set("ssl.keystore.type", "PEM")
            .set("ssl.keystore.certificate.chain", &file(identity))
            .set("ssl.keystore.key", &file(&format!("{identity}.key")))
    }

    /// Authenticates as alice with a password.
    fn password(self, mechanism: &str, password: &str) -> Self {
        let module = match mechanism {
            "PLAIN" => "plain.PlainLoginModule",
            _ => "scram.ScramLoginModule",
        };
        self.module(
            mechanism,
            &format!("{module} required username=\"alice\" password=\"{password}\""),
        )
    }

    /// Authenticates as alice with a token without a signature.
    fn token(self) -> Self {
        let module =
            "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\"";
        self.module("OAUTHBEARER", module)
    }

    fn module(self, mechanism: &str, module: &str) -> Self {
        let jaas = format!("org.apache.kafka.common.security.{module};");
        self.set("sasl.mechanism", mechanism)
            .set("sasl.jaas.config", &jaas)
    }

    fn producer(&self, address: &str) -> KafkaProducer {
        self.build(address).unwrap()
    }

    fn build(&self, address: &str) -> kafka_producer::Result<KafkaProducer> {
        let builder = KafkaProducer::builder().bootstrap_servers(address);
        let settings = self.0.iter();
        let builder = settings.fold(builder, |builder, (key, value)| {
            builder.set(key, value).unwrap()
        });
        builder.build()
    }

    /// Sends one record and waits for its acknowledgement.
    fn send(&self, address: &str, topic: &str, value: &str) {
        let producer = self.producer(address);
        let sent = producer.send(ProducerRecord::new(topic, value));
        let sent = sent.and_then(|sent| sent.get_timeout(LIMIT));
        sent.unwrap_or_else(|error| panic!("{value}: {error}: {self:?}"));
    }

    /// Returns the error text of a send to a broker that refuses the client or that the client does
    /// not trust.
    fn refusal(&self, address: &str) -> String {
        let producer = self.producer(address);
        let started = Instant::now();
        let sent = producer.send(ProducerRecord::new("refused", "refused"));
        let error = sent
            .and_then(|sent| sent.get_timeout(LIMIT))
            .expect_err("nobody lets this client in");
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{text}");
        assert!(started.elapsed() < AT_ONCE, "{text}");
        assert!(text.contains(address), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        text
    }
}

/// Checks that Kafka's own consumer reads `values` from `topic`, in this order.
fn assert_holds(admin: &Admin, topic: &str, values: &[String]) {
    let consumer = ConsoleConsumer::new(admin.bootstrap_servers(), topic);
    let read: Vec<String> = consumer
        .read(values.len() as u64)
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect();
    assert_eq!(read, values);
}
