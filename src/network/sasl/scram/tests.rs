//! The exchanges of the RFCs, and messages of a hostile broker.

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn client() -> ScramSaslClient {
    let credentials = SaslCredentials::new("user", "pencil");
    let cache = ScramKeyCache::default();
    ScramSaslClient::with_nonce(ScramMechanism::Sha256, credentials, cache, NONCE.to_owned())
}

fn text(message: Option<SecretBytes>) -> String {
    String::from_utf8(message.unwrap().to_vec()).unwrap()
}

/// Returns the failure after a first message of the broker.
fn refusal_of(server_first: &[u8]) -> String {
    let mut client = client();
    client.evaluate(b"").unwrap();
    client.evaluate(server_first).unwrap_err().to_string()
}

/// Returns the failure after a last message of the broker.
fn final_refusal_of(server_final: &[u8]) -> String {
    let mut client = client();
    client.evaluate(b"").unwrap();
    client.evaluate(SERVER_FIRST.as_bytes()).unwrap();
    client.evaluate(server_final).unwrap_err().to_string()
}

// RFC 7677, section 3.
#[test]
fn the_exchange_of_the_rfc_succeeds() {
    let mut client = client();
    let first = text(client.evaluate(b"").unwrap());
    assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let last = text(client.evaluate(SERVER_FIRST.as_bytes()).unwrap());
    assert_eq!(
        last,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert!(!client.is_complete(), "the broker has not proved itself");
    assert_eq!(client.evaluate(SERVER_FINAL.as_bytes()).unwrap(), None);
    assert!(client.is_complete());
}

// Java: ScramSaslServerTest, SaslAuthenticatorTest.testUserCredentialsWithSpecialCharacters, testTokenAuthenticationOverSaslScram.
#[test]
fn names_are_escaped_and_delegation_tokens_are_marked() {
    let credentials = SaslCredentials::new("a=b,c", "x").delegation_token();
    let cache = ScramKeyCache::default();
    let mut client =
        ScramSaslClient::with_nonce(ScramMechanism::Sha512, credentials, cache, "N".to_owned());
    let first = text(client.evaluate(b"").unwrap());
    assert_eq!(first, "n,,n=a=3Db=2Cc,r=N,tokenauth=true");
}

#[test]
fn nonces_are_long_and_never_the_same() {
    let nonce = || {
        let credentials = SaslCredentials::new("user", "pencil");
        let client = ScramSaslClient::new(
            ScramMechanism::Sha256,
            credentials,
            ScramKeyCache::default(),
        );
        let first = text(client.unwrap().evaluate(b"").unwrap());
        first.rsplit_once("r=").unwrap().1.to_owned()
    };
    let (a, b) = (nonce(), nonce());
    assert_eq!((a.len(), b.len()), (32, 32));
    assert_ne!(a, b);
}

#[test]
fn each_bad_first_message_has_its_own_refusal() {
    let with = |nonce: &str, salt: &str, count: &str| format!("r={nonce},s={salt},i={count}");
    let good = format!("{NONCE}abc");
    let cases = [
        (with("other", "AAAA", "4096"), "is not this client's"),
        (
            with(&NONCE.replace('r', "s"), "AAAA", "4096"),
            "is not this client's",
        ),
        (
            with(NONCE, "AAAA", "4096"),
            "adds nothing to the client's nonce",
        ),
        (with(&format!("{NONCE} x"), "AAAA", "4096"), "not printable"),
        (with(&good, "", "4096"), "has an empty salt"),
        (with(&good, "*", "4096"), "has a salt that is not base64"),
        (format!("s=AAAA,r={good},i=4096"), "does not begin with r="),
        (format!("r={good},i=4096,s=AAAA"), "has no s="),
        (format!("r={good},s=AAAA"), "has no i="),
        (format!("r={good},r={good},s=AAAA,i=4096"), "has no s="),
        (
            format!("m=x,r={good},s=AAAA,i=4096"),
            "demands an extension",
        ),
        (
            format!("r={good},s=AAAA,i=4096,"),
            "an extension that is none",
        ),
        (
            format!("r={good},s=AAAA,i=4096,i=1"),
            "an extension that is none",
        ),
        (
            "e=unknown-user".to_owned(),
            "refused the SCRAM exchange: unknown-user",
        ),
        (String::new(), "does not begin with r="),
        ("\u{7}\n".to_owned(), "'\\u{7}\\n'"),
    ];
    for (message, reason) in cases {
        let refusal = refusal_of(message.as_bytes());
        assert!(refusal.contains(reason), "{message}: {refusal}");
        assert!(!refusal.contains("pencil"), "{refusal}");
    }
    assert!(refusal_of(&[0xff]).contains("not UTF-8"));
    let huge = vec![b'r'; 10 << 20];
    assert!(refusal_of(&huge).contains("has 10485760 bytes, more than 4096"));
}

#[test]
fn iterations_have_a_floor_and_a_ceiling() {
    for count in ["1", "4095"] {
        let refusal = refusal_of(format!("r={NONCE}x,s=AAAA,i={count}").as_bytes());
        assert!(refusal.contains("fewer than the 4096"), "{refusal}");
    }
    for count in [
        "131073",
        "1000000",
        "2147483647",
        "4294967295",
        "99999999999999999999",
    ] {
        let refusal = refusal_of(format!("r={NONCE}x,s=AAAA,i={count}").as_bytes());
        assert!(refusal.contains("more than the 131072"), "{refusal}");
    }
    for count in ["", "0", "-1", "+4096", "04096", "4096 ", "0x1000", "many"] {
        let refusal = refusal_of(format!("r={NONCE}x,s=AAAA,i={count}").as_bytes());
        assert!(refusal.contains("not a positive number"), "{refusal}");
    }
    for (count, expected) in [("4096", 4096), ("16384", 16384), ("131072", 131_072)] {
        assert_eq!(iteration_count(count), Ok(expected));
    }
}

#[test]
fn each_bad_last_message_has_its_own_refusal() {
    let wrong = SERVER_FINAL.replace("v=6", "v=7");
    for (message, reason) in [
        (wrong.as_str(), "signature is wrong"),
        ("v=", "signature is wrong"),
        ("v=AAAA", "signature is wrong"),
        ("v=***", "is not base64"),
        (
            "e=invalid-proof",
            "refused the SCRAM exchange: invalid-proof",
        ),
        ("", "has no signature"),
        (SERVER_FIRST, "has no signature"),
    ] {
        let refusal = final_refusal_of(message.as_bytes());
        assert!(refusal.contains(reason), "{message}: {refusal}");
    }
    assert!(final_refusal_of(&[0x80]).contains("not UTF-8"));
}

#[test]
fn keys_are_computed_once_for_a_salt() {
    let cache = ScramKeyCache::default();
    let keys = |password: &str, salt: &[u8], count| {
        let keys = cache.keys(ScramMechanism::Sha256, password, salt, count);
        keys.client.to_vec()
    };
    let first = keys("pencil", b"salt", 4096);
    assert_eq!(keys("pencil", b"salt", 4096), first);
    // Keys of another password, salt or count are never used.
    assert_ne!(keys("pen", b"salt", 4096), first);
    assert_ne!(keys("pencil", b"pepper", 4096), first);
    assert_ne!(keys("pencil", b"salt", 4097), first);
    assert_eq!(keys("pencil", b"salt", 4096), first);
    assert_eq!(format!("{cache:?}"), "ScramKeyCache([hidden])");
}
