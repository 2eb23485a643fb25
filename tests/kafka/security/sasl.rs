//! SASL without TLS.

use super::*;
use crate::harness::KafkaCluster;
use crate::kafka_or_skip;

#[test]
fn the_right_client_is_let_in_and_a_wrong_one_is_refused_in_words() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of(one_node());
    let address = cluster.addresses(SASL_PLAINTEXT);
    cluster.admin().create_topic("sasl", 1);
    let client = || Client::new("SASL_PLAINTEXT");
    let mut sent = Vec::new();
    for (mechanism, password) in PASSWORDS {
        let client = client().password(mechanism, password);
        client.send(&address, "sasl", mechanism);
        sent.push(mechanism.to_owned());
    }
    client().token().send(&address, "sasl", "OAUTHBEARER");
    sent.push("OAUTHBEARER".to_owned());
    assert_holds(cluster.admin(), "sasl", &sent);

    for (mechanism, _) in PASSWORDS {
        let text = client().password(mechanism, "hunter2").refusal(&address);
        let says = format!("SASL {mechanism}: the broker refused the credentials");
        assert!(text.contains(&says), "{text}");
    }
    let plaintext = cluster.bootstrap_servers();
    let text = client().password("PLAIN", "hunter2").refusal(&plaintext);
    let says = "the broker expects no SASL on this listener";
    assert!(text.contains(says), "{text}");
}

#[test]
fn a_mechanism_that_is_not_enabled_is_told_with_those_that_are() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease_of(one_node());
    let client = Client::new("SASL_PLAINTEXT").password("PLAIN", "hunter2");
    let text = client.refusal(&cluster.addresses(SCRAM_ONLY));
    let says = "SASL PLAIN: the broker does not enable this mechanism, but SCRAM-SHA-";
    assert!(text.contains(says), "{text}");
}
