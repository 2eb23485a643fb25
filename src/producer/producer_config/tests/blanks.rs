//! Blanks around values, empty elements and repeated entries, as Java 4.4.0 reads them.

use super::*;

/// Characters that Java's `String.trim` keeps belong to the value: another `transactional.id` is
/// another identity.
#[test]
fn blanks_beyond_u0020_belong_to_the_value() {
    for blank in ["\u{a0}", "\u{85}", "\u{2003}", "\u{3000}", "\u{feff}"] {
        let id = format!("{blank}orders");
        let set = [
            ("client.id", &*id),
            ("transactional.id", &id),
            ("client.rack", &id),
        ];
        let config = resolved(&set);
        assert_eq!(&*config.client_id, id);
        assert_eq!(config.transactional_id.as_deref(), Some(&*id));
        assert_eq!(config.client_rack.as_deref(), Some(&*id));
        resolved(&[("client.id", blank), ("transactional.id", blank)]);
        for (key, value) in [
            ("acks", "all"),
            ("linger.ms", "5"),
            ("enable.idempotence", "true"),
            ("compression.type", "gzip"),
            ("security.protocol", "PLAINTEXT"),
            ("interceptor.classes", ""),
        ] {
            ProducerConfig::new().set(key, value).unwrap();
            let padded = format!("{value}{blank}");
            let error = ProducerConfig::from_map([(key, &padded)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{padded:?}");
        }
    }
}

#[test]
fn blanks_up_to_u0020_do_not_count() {
    let config = resolved(&[
        ("client.id", "\u{1}orders\u{1f}"),
        ("transactional.id", "\t\r\norders \u{b}"),
        ("acks", "\u{1}all\u{1f}"),
        ("linger.ms", "\u{b}5\0"),
        (
            "bootstrap.servers",
            "\u{1}a:1\u{b},\u{c}b:2\r\n,\tc:3\u{1f}",
        ),
    ]);
    assert_eq!(&*config.client_id, "orders");
    assert_eq!(config.transactional_id.as_deref(), Some("orders"));
    assert_eq!(config.linger, Duration::from_millis(5));
    assert_eq!(config.bootstrap_servers, ["a:1", "b:2", "c:3"]);
    let error = ProducerConfig::from_map([("transactional.id", "\u{2}")]).unwrap_err();
    assert!(error.to_string().contains("must not be empty"), "{error}");
}

#[test]
fn a_broker_that_is_named_twice_is_taken_once() {
    let set = [("bootstrap.servers", "a:1,b:2, a:1")];
    assert_eq!(resolved(&set).bootstrap_servers, ["a:1", "b:2"]);
    assert_eq!(notes(&set), ["bootstrap.servers names a:1 more than once"]);
}
