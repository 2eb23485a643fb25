//! The settings of requests to a token endpoint.

use super::*;

fn timeouts(entries: &[(&str, &str)]) -> (Duration, Duration) {
    let endpoint = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", "http://idp.example/"),
        ("sasl.oauthbearer.client.credentials.client.id", "a"),
        ("sasl.oauthbearer.client.credentials.client.secret", "b"),
    ];
    let settings = settings(&config(&[&endpoint, entries].concat()));
    let Origin::TokenEndpoint(endpoint) = settings.origin else {
        panic!("{settings:?}");
    };
    (endpoint.timeouts.connect, endpoint.timeouts.read)
}

/// In Java no timeout, rather than one that has passed before the request begins.
#[test]
fn a_timeout_of_zero_is_that_of_a_key_that_is_not_set() {
    let (connect, read) = (
        "sasl.login.connect.timeout.ms",
        "sasl.login.read.timeout.ms",
    );
    let defaults = (Duration::from_secs(10), Duration::from_secs(30));
    assert_eq!(timeouts(&[]), defaults);
    assert_eq!(timeouts(&[(connect, "0"), (read, "0")]), defaults);
    let short = (Duration::from_millis(1), Duration::from_millis(2));
    assert_eq!(timeouts(&[(connect, "1"), (read, "2")]), short);
}
