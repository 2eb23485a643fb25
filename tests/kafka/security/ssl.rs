//! TLS with and without a client certificate, and SASL over it, on Kafka 4.4 and 2.8.

use super::*;
use crate::harness::{KafkaCluster, LegacyKafka, Release};
use crate::kafka_or_skip;

const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

#[test]
fn every_way_in_lets_the_right_client_in() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of(one_node());
    cluster.admin().create_topic("secured", 1);
    let mut sent = Vec::new();
    let mut send = |client: Client, listener, name: String| {
        client.send(&cluster.addresses(listener), "secured", &name);
        sent.push(name);
    };
    for version in VERSIONS {
        let client = |protocol| Client::over_tls(protocol).set("ssl.enabled.protocols", version);
        send(client("SSL"), SSL, format!("SSL {version}"));
        for identity in ["client", "client-rsa"] {
            let client = client("SSL").certificate(identity);
            send(client, MUTUAL, format!("{identity} {version}"));
        }
    }
    for (mechanism, password) in PASSWORDS {
        let client = Client::over_tls("SASL_SSL").password(mechanism, password);
        send(client, SASL_SSL, mechanism.to_owned());
    }
    let client = Client::over_tls("SASL_SSL").token();
    send(client, SASL_SSL, "OAUTHBEARER".to_owned());
    assert_holds(cluster.admin(), "secured", &sent);
}

#[test]
fn a_broker_that_cannot_prove_who_it_is_is_told_at_once() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of(one_node());
    for (listener, says) in [
        (EXPIRED, "the certificate of 127.0.0.1 expired "),
        (
            WRONG_HOST,
            "the certificate of 127.0.0.1 is not for 127.0.0.1, but for elsewhere.example, other.example",
        ),
        (
            UNKNOWN_AUTHORITY,
            "the certificate of 127.0.0.1 is not signed by an authority of the truststore",
        ),
    ] {
        for version in VERSIONS {
            let client = Client::over_tls("SSL").set("ssl.enabled.protocols", version);
            let text = client.refusal(&cluster.addresses(listener));
            assert!(text.contains(says), "{version}: {text}");
        }
    }
}

#[test]
fn a_client_that_cannot_prove_who_it_is_is_told_at_once() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of(one_node());
    for version in VERSIONS {
        let client = || Client::over_tls("SSL").set("ssl.enabled.protocols", version);
        let address = cluster.addresses(MUTUAL);
        let text = client().refusal(&address);
        // Kafka's JVM sends the same alert for a missing certificate as for a bad one.
        let says = "the broker refuses this client's certificate, or the lack of one (alert BadCertificate)";
        assert!(text.contains(says), "{version}: {text}");

        let text = client().certificate("client-of-other-ca").refusal(&address);
        let says = "the broker refuses this client's certificate, or the lack of one (alert ";
        assert!(text.contains(says), "{version}: {text}");
    }
    for (mechanism, _) in PASSWORDS {
        let client = Client::over_tls("SASL_SSL").password(mechanism, "hunter2");
        let text = client.refusal(&cluster.addresses(SASL_SSL));
        let says = format!("SASL {mechanism}: the broker refused the credentials");
        assert!(text.contains(&says), "{text}");
    }
}

#[test]
fn kafka_2_8_lets_the_right_client_in_and_refuses_a_wrong_one() {
    let _turn = kafka_or_skip!();
    let layout = Layout::new(1).release(Release::V2_8);
    let ssl = [(MUTUAL, "server"), (SASL_SSL, "server")];
    let kafka = LegacyKafka::start_layout(&with_listeners(layout, &[SASL_SSL], &ssl));
    let (mutual, sasl_ssl) = (kafka.address(MUTUAL), kafka.address(SASL_SSL));
    kafka.admin().create_topic("secured", 1);
    let client = Client::over_tls("SSL").certificate("client");
    client.send(&mutual, "secured", "mutual");
    let sasl = |password| Client::over_tls("SASL_SSL").password("SCRAM-SHA-512", password);
    sasl("secret512").send(&sasl_ssl, "secured", "SCRAM");
    assert_holds(
        kafka.admin(),
        "secured",
        &["mutual", "SCRAM"].map(str::to_owned),
    );

    let text = sasl("hunter2").refusal(&sasl_ssl);
    let says = "SASL SCRAM-SHA-512: the broker refused the credentials";
    assert!(text.contains(says), "{text}");
    for version in VERSIONS {
        let client = Client::over_tls("SSL").set("ssl.enabled.protocols", version);
        let text = client.refusal(&mutual);
        // The client retransmits its part of the handshake before the alert.
        let says = "it refuses this client's certificate, or the lack of one";
        assert!(text.contains(says), "{version}: {text}");
    }
}
