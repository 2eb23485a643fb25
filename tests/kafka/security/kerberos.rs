//! GSSAPI, with a Kerberos server of the test's own.

mod expiry;

use std::path::Path;

use super::*;
use crate::harness::{KafkaCluster, Kdc, TestProcess};
use crate::kafka_or_skip;

const KERBEROS: Listener = listener("KERBEROS", "SASL_PLAINTEXT");
const BROKER: &str = "kafka/127.0.0.1";
/// Tells the client where the broker is, and whose keys are in which file.
const ORDERS: &str = "KERBEROS_CLIENT";
/// What the client's lines begin with. The lines of the test framework are others.
const SAYS: &str = "client says: ";

/// Its sessions end after two seconds.
fn layout(kdc: &Kdc) -> Layout {
    let jaas = format!(
        "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=\"{}\" \
         principal=\"{BROKER}@EXAMPLE.COM\";",
        kdc.keytab(BROKER).display()
    );
    let properties = [
        ("sasl.enabled.mechanisms".to_owned(), "GSSAPI".to_owned()),
        (key(KERBEROS, "gssapi.sasl.jaas.config"), jaas),
        (
            key(KERBEROS, "sasl.kerberos.service.name"),
            "kafka".to_owned(),
        ),
        (
            key(KERBEROS, "gssapi.connections.max.reauth.ms"),
            "2000".to_owned(),
        ),
    ];
    let config = kdc.config().display().to_string();
    Layout::new(1)
        .listeners(&[KERBEROS])
        .properties(&properties)
        .java_option(format!("-Djava.security.krb5.conf={config}"))
}

/// The clients are processes of their own, because the configuration of Kerberos comes from their
/// environment. One realm and one broker are for all of them: a start takes seconds.
#[test]
fn principals_with_tickets_are_let_in_and_others_are_refused_in_words() {
    let _turn = kafka_or_skip!();
    let kdc = Kdc::start(&[&expiry::PRINCIPALS[..], &["alice", "bob", BROKER]].concat());
    kdc.limit_life(expiry::KEYTAB, expiry::LIFE.as_secs());
    let cluster = KafkaCluster::start_layout(layout(&kdc));
    let address = cluster.addresses(KERBEROS);
    for topic in [&["kerberos"], &expiry::PRINCIPALS[..]].concat() {
        cluster.admin().create_topic(topic, 1);
    }
    let start = |test, cache: &str, principals: &[&str]| {
        let keytabs = principals.iter().map(|name| kdc.keytab(name));
        let keytabs = keytabs.map(|path| path.display().to_string());
        let orders: Vec<String> = [address.clone()].into_iter().chain(keytabs).collect();
        let orders = orders.join(" ");
        let config = kdc.config().display().to_string();
        let variables = [
            (ORDERS, &*orders),
            ("KRB5_CONFIG", &config),
            ("KRB5CCNAME", cache),
        ];
        TestProcess::start(test, &variables)
    };
    // They wait for the ends of tickets, meanwhile the others do their work.
    let waiting = start(
        "security::kerberos::expiry::client_process",
        &kdc.cache("short"),
        &expiry::PRINCIPALS,
    );
    let client = start(
        "security::kerberos::client_process",
        &kdc.cache("tickets"),
        &["alice", "bob"],
    );
    assert_holds(cluster.admin(), "kerberos", &said_sent(&client));
    // Each with its own ticket, though both are in one process.
    for name in ["alice", "bob"] {
        assert!(service_tickets(&kdc, name) > 0, "{}", kdc.requests());
    }

    let sent = said_sent(&waiting);
    for topic in expiry::PRINCIPALS {
        let acked = sent.iter().filter(|said| said.starts_with(topic)).count();
        assert_eq!(
            cluster.admin().end_offsets(topic),
            [acked as i64],
            "{topic}"
        );
    }
    // One from the ticket that ended, and at least one from the next.
    for name in expiry::PRINCIPALS {
        assert!(service_tickets(&kdc, name) >= 2, "{}", kdc.requests());
    }
}

/// Reads what a client says it has sent, until it is done.
fn said_sent(client: &TestProcess) -> Vec<String> {
    let mut sent = Vec::new();
    loop {
        let line = client.line(LIMIT).expect("the client says something");
        let Some((_, said)) = line.split_once(SAYS) else {
            continue;
        };
        match said.strip_prefix("sent ") {
            Some(value) => sent.push(value.to_owned()),
            None => break assert_eq!(said, "done"),
        }
    }
    sent
}

/// Returns how many tickets for the broker the principal got.
fn service_tickets(kdc: &Kdc, principal: &str) -> usize {
    let ticket = format!("{principal}@EXAMPLE.COM for {BROKER}@EXAMPLE.COM");
    let requests = kdc.requests();
    let issued = requests.lines().filter(|line| line.contains("ISSUE"));
    issued.filter(|line| line.contains(&ticket)).count()
}

fn of_keytab(principal: &str, keytab: &str) -> Client {
    of_module(&format!(
        "useKeyTab=true storeKey=true keyTab=\"{keytab}\" principal=\"{principal}@EXAMPLE.COM\""
    ))
}

fn of_module(options: &str) -> Client {
    let jaas = format!("com.sun.security.auth.module.Krb5LoginModule required {options};");
    Client::new("SASL_PLAINTEXT")
        // Java's default mechanism is GSSAPI.
        .set("sasl.kerberos.service.name", "kafka")
        .set("sasl.jaas.config", &jaas)
}

#[expect(clippy::print_stdout, reason = "this is how the client tells the test")]
fn say(what: &str) {
    println!("{SAYS}{what}");
}

/// Sends until the session was renewed, which must not be seen in the records.
fn send_over_a_renewal(producer: &KafkaProducer, name: &str) {
    let started = Instant::now();
    for number in 0.. {
        let value = format!("{name} {number}");
        let sent = producer.send(ProducerRecord::new("kerberos", value.as_str()));
        sent.and_then(|sent| sent.get_timeout(LIMIT)).unwrap();
        say(&format!("sent {value}"));
        let metrics = producer.metrics();
        let renewed = metrics.number("producer-metrics", "successful-reauthentication-total");
        if renewed.unwrap() >= 1.0 {
            return;
        }
        assert!(started.elapsed() < LIMIT, "no session was renewed");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "the process of the test above"]
fn client_process() {
    let orders = std::env::var(ORDERS).unwrap();
    let [address, alice, bob] = orders.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{orders}");
    };
    assert!(Path::new(alice).exists() && Path::new(bob).exists());

    // Two principals at once, in one process.
    let as_alice = of_keytab("alice", alice).producer(address);
    let as_bob = of_keytab("bob", bob).producer(address);
    send_over_a_renewal(&as_alice, "alice");
    send_over_a_renewal(&as_bob, "bob");
    // The tickets that are there by now.
    let cached = of_module("useTicketCache=true principal=\"alice@EXAMPLE.COM\"");
    cached.send(address, "kerberos", "cached");
    say("sent cached");

    // Keys of somebody else, and no keys at all.
    for (keytab, says) in [(bob, "alice@EXAMPLE.COM"), ("/nonexistent", "/nonexistent")] {
        let error = of_keytab("alice", keytab).build(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        let text = format!("{error:?}");
        assert!(text.contains("kinit"), "{text}");
        assert!(text.contains(says), "{text}");
    }
    let strangers = of_module("useTicketCache=true principal=\"mallory@EXAMPLE.COM\"");
    let error = strangers.build(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(
        format!("{error:?}").contains("mallory@EXAMPLE.COM"),
        "{error:?}"
    );

    // A service that the Kerberos server does not know.
    let client = of_module("useTicketCache=true principal=\"alice@EXAMPLE.COM\"");
    let client = Client(
        client
            .0
            .into_iter()
            .map(|(key, value)| match key {
                "sasl.kerberos.service.name" => (key, "nobody".to_owned()),
                _ => (key, value),
            })
            .collect(),
    );
    let text = client.refusal(address);
    for says in [
        "SASL GSSAPI: no security context with nobody@127.0.0.1",
        "not found in Kerberos database",
        "sasl.kerberos.service.name",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    say("done");
}
