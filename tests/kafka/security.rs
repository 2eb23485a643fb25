//! Kafka lets the right client in by each mechanism of SASL and refuses the wrong one, and a load loses nothing over sessions
//! that end every two seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_producer::{ErrorKind, KafkaProducer, ProducerRecord, SaslCredentials};

use crate::harness::{ConsoleConsumer, KafkaCluster, is_long_run};
use crate::kafka_or_skip;
use crate::load::{Load, THREADS};

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "orders";
const USERS: [&str; 2] = [
    "SCRAM-SHA-256=[name=alice,password=secret256]",
    "SCRAM-SHA-512=[name=alice,password=secret512]",
];

fn cluster(more: &[(&str, &str)]) -> (KafkaCluster, String) {
    let mut properties = vec![
        (
            "sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        ),
        (
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"secret\";",
        ),
        (
            "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ),
        (
            "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ),
        (
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config",
            "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
             unsecuredLoginStringClaim_sub=\"broker\";",
        ),
    ];
    properties.extend(more);
    let (cluster, address) = KafkaCluster::start_with_sasl(&properties, &USERS);
    cluster.admin().create_topic(TOPIC, 1);
    (cluster, address)
}

fn producer(address: &str, mechanism: &str, jaas: &str) -> KafkaProducer {
    let jaas = format!("org.apache.kafka.common.security.{jaas};");
    let builder = KafkaProducer::builder().bootstrap_servers(address);
    [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", mechanism),
        ("sasl.jaas.config", &jaas),
    ]
    .into_iter()
    .fold(builder, |builder, (key, value)| {
        builder.set(key, value).unwrap()
    })
    .build()
    .unwrap()
}

fn module(mechanism: &str, password: &str) -> String {
    let module = match mechanism {
        "PLAIN" => "plain.PlainLoginModule",
        _ => "scram.ScramLoginModule",
    };
    format!("{module} required username=\"alice\" password=\"{password}\"")
}

#[test]
fn the_right_client_is_let_in_and_a_wrong_one_is_refused_in_words() {
    let _turn = kafka_or_skip!();
    let (cluster, address) = cluster(&[]);
    let mechanisms = [
        ("PLAIN", "secret"),
        ("SCRAM-SHA-256", "secret256"),
        ("SCRAM-SHA-512", "secret512"),
    ];
    for (mechanism, password) in mechanisms {
        let producer = producer(&address, mechanism, &module(mechanism, password));
        let sent = producer
            .send(ProducerRecord::new(TOPIC, mechanism))
            .unwrap();
        sent.get_timeout(LIMIT).unwrap();
    }
    let token =
        "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\"";
    let sent =
        producer(&address, "OAUTHBEARER", token).send(ProducerRecord::new(TOPIC, "OAUTHBEARER"));
    sent.unwrap().get_timeout(LIMIT).unwrap();

    let read = ConsoleConsumer::new(cluster.bootstrap_servers(), TOPIC).read(4);
    let values: Vec<_> = read
        .iter()
        .map(|record| record.value.as_deref().unwrap())
        .collect();
    let sent = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
    assert_eq!(values, sent.map(str::as_bytes));

    for (mechanism, _) in mechanisms {
        let text = refusal(&producer(
            &address,
            mechanism,
            &module(mechanism, "hunter2"),
        ));
        let says = format!("SASL {mechanism}: the broker refused the credentials");
        assert!(text.contains(&address) && text.contains(&says), "{text}");
    }
    let text = refusal(&producer(
        &cluster.bootstrap_servers(),
        "PLAIN",
        &module("PLAIN", "hunter2"),
    ));
    assert!(
        text.contains("the broker expects no SASL on this listener"),
        "{text}"
    );
}

/// The error of a send to brokers that do not let the client in.
fn refusal(producer: &KafkaProducer) -> String {
    let sent = producer.send(ProducerRecord::new(TOPIC, "refused"));
    let error = sent.and_then(|sent| sent.get_timeout(LIMIT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let text = error.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    text
}

#[test]
fn a_mechanism_that_is_not_enabled_is_told_with_those_that_are() {
    let _turn = kafka_or_skip!();
    let (_cluster, address) =
        cluster(&[("sasl.enabled.mechanisms", "SCRAM-SHA-512,SCRAM-SHA-256")]);
    let text = refusal(&producer(&address, "PLAIN", &module("PLAIN", "hunter2")));
    let says = "SASL PLAIN: the broker does not enable this mechanism, but SCRAM-SHA-";
    assert!(text.contains(says), "{text}");
}

#[test]
fn a_load_over_sessions_that_end_is_there_once_and_in_order() {
    static AUTHENTICATIONS: AtomicU64 = AtomicU64::new(0);
    const PER_SECOND: u64 = 20_000;
    let _turn = kafka_or_skip!();
    let (cluster, address) = cluster(&[("connections.max.reauth.ms", "2000")]);
    cluster.admin().create_topic("sessions", 3);
    // A session of 2 s is renewed after 1.7 to 1.9 s.
    let (seconds, expected) = match is_long_run() {
        true => (210, 100),
        false => (15, 6),
    };
    let sent = Load::new(
        "sessions",
        PER_SECOND * seconds / u64::from(THREADS) * u64::from(THREADS),
    )
    .per_second(PER_SECOND)
    .set("security.protocol", "SASL_PLAINTEXT")
    .set("sasl.mechanism", "SCRAM-SHA-512")
    .credentials(|| {
        AUTHENTICATIONS.fetch_add(1, Ordering::Relaxed);
        SaslCredentials::new("alice", "secret512")
    })
    .send(&address);
    sent.check(cluster.admin()).assert_all_acked();
    let authentications = AUTHENTICATIONS.load(Ordering::Relaxed);
    eprintln!("sessions: {authentications} authentications in {seconds} s");
    assert!(authentications >= expected, "{authentications}");
}
