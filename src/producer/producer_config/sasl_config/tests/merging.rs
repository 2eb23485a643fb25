//! Credentials in several configurations, of which the last one counts.

use super::*;

#[test]
fn a_user_and_a_password_of_a_later_configuration_replace_a_closure() {
    let of_closure = || {
        let mut base = config(&[("sasl.mechanism", "PLAIN")]);
        base.sasl_credentials(|| Ok(SaslCredentials::new("mallory", "hunter2")));
        base
    };
    let mut by_setter = ProducerConfig::new();
    by_setter.sasl_plain("alice", "hunter2");
    let by_text = ProducerConfig::from_map([("sasl.jaas.config", PLAIN)]).unwrap();
    for overrides in [by_setter.clone(), by_text] {
        assert_eq!(credentials(of_closure().merge(overrides)).1, "alice");
    }
    let mut of_tokens = config(&[]);
    of_tokens.sasl_oauthbearer(|| Err("none".into()));
    assert_eq!(credentials(of_tokens.clone().merge(by_setter)).1, "alice");
    let malformed = ProducerConfig::from_map([("sasl.jaas.config", "hunter2")]).unwrap();
    let text = refusal(of_closure().merge(malformed));
    assert!(text.contains("sasl.jaas.config cannot be read"), "{text}");

    // Java's module says nothing of where tokens come from.
    let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;";
    let module = ProducerConfig::from_map([("sasl.jaas.config", module)]).unwrap();
    assert!(matches!(
        settings(of_tokens.merge(module)).origin,
        Origin::Provider(SaslProvider::Token(_))
    ));
    let other = ProducerConfig::from_map([("linger.ms", "1")]).unwrap();
    assert!(matches!(
        settings(of_closure().merge(other)).origin,
        Origin::Provider(SaslProvider::Credentials(_))
    ));
}
