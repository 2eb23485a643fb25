//! What goes out, what may come in, and what no broker may say.

use super::*;

fn evaluate(client: &mut GssapiSaslClient, challenge: &[u8]) -> Result<Vec<u8>, String> {
    match client.evaluate(challenge) {
        Ok(answer) => Ok(answer.unwrap().to_vec()),
        Err(failure) => Err(failure.to_string()),
    }
}

// Java: SaslAuthenticatorTest and GssKrb5Client; RFC 4752, section 3.1.
#[test]
fn a_ticket_a_proof_and_no_security_layer_complete_the_exchange() {
    let script = Script::of_kerberos();
    let mut client = script.client();
    assert_eq!(evaluate(&mut client, b"").unwrap(), b"ticket");
    assert_eq!(evaluate(&mut client, b"proof").unwrap(), b"");
    assert!(!client.is_complete());
    // Kafka's brokers offer no layer, and name a size nevertheless.
    let answer = evaluate(&mut client, b"signed:\x01\x01\0\0").unwrap();
    assert_eq!(answer, b"signed:\x01\0\0\0alice@EXAMPLE.COM");
    assert!(client.is_complete() && !client.is_transient());
    assert_eq!(script.0.lock().tokens, [None, Some(b"proof".to_vec())]);
    let text = evaluate(&mut client, b"").unwrap_err();
    assert_eq!(text, "the GSSAPI exchange has ended already");
}

#[test]
fn a_broker_that_offers_layers_beside_none_gets_none() {
    let mut client = Script::of_kerberos().client();
    evaluate(&mut client, b"").unwrap();
    evaluate(&mut client, b"proof").unwrap();
    let answer = evaluate(&mut client, b"signed:\x07\0\xff\xff").unwrap();
    assert_eq!(answer, b"signed:\x01\0\0\0alice@EXAMPLE.COM");
}

/// No success without the proof that the broker has the service's key.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of attacks")]
fn a_hostile_broker_is_not_accepted() {
    let endless = || Script::new((0..10).map(|_| step(b"more", false)));
    let huge = vec![0; MAX_MESSAGE_BYTES + 1];
    let proof: &[u8] = b"proof";
    for (script, challenges, says) in [
        (
            Script::of_kerberos(),
            vec![b"".as_slice()],
            "an empty token",
        ),
        (Script::of_kerberos(), vec![&huge], "16385 bytes"),
        (
            Script::of_kerberos().one_sided(),
            vec![proof],
            "did not prove its identity",
        ),
        // As if the exchange were over.
        (
            Script::of_kerberos(),
            vec![proof, b""],
            "the signature is wrong",
        ),
        (
            Script::of_kerberos(),
            vec![proof, b"\x01\0\0\0"],
            "the signature is wrong",
        ),
        (
            Script::of_kerberos(),
            vec![proof, b"signed:"],
            "0 bytes instead of 4",
        ),
        (
            Script::of_kerberos(),
            vec![proof, b"signed:\x01\0\0"],
            "3 bytes instead of 4",
        ),
        (
            Script::of_kerberos(),
            vec![proof, b"signed:\x01\0\0\0\0"],
            "5 bytes instead of 4",
        ),
        (
            Script::of_kerberos(),
            vec![proof, b"signed:\x06\0\0\0"],
            "demands a SASL security layer",
        ),
        (
            Script::of_kerberos(),
            vec![proof, b"signed:\0\0\0\0"],
            "demands a SASL security layer",
        ),
        (endless(), vec![proof; 5], "in 5 steps"),
        (
            Script::new([step(b"ticket", false), step(b"", false)]),
            vec![proof],
            "has no next token",
        ),
        (
            Script::new([step(b"ticket", false), Err(failure("bad token", false))]),
            vec![proof],
            "bad token",
        ),
    ] {
        let mut client = script.client();
        evaluate(&mut client, b"").unwrap();
        let (last, others) = challenges.split_last().unwrap();
        for challenge in others {
            evaluate(&mut client, challenge).unwrap();
        }
        let text = evaluate(&mut client, last).unwrap_err();
        assert!(text.contains(says), "{says}: {text}");
        assert!(!client.is_complete() && !client.is_transient(), "{says}");
        // Nothing is taken after a failure.
        assert!(evaluate(&mut client, b"signed:\x01\0\0\0").is_err());
        assert!(!client.is_complete());
    }
}

// Java: KerberosError.
#[test]
fn a_failure_that_may_pass_is_told_from_others() {
    for is_transient in [false, true] {
        let mut client = Script::new([Err(failure("no", is_transient))]).client();
        assert_eq!(evaluate(&mut client, b"").unwrap_err(), "no");
        assert_eq!(client.is_transient(), is_transient);
    }
}

#[test]
fn debug_shows_no_token() {
    let mut client = Script::new([step(b"hunter2", false)]).client();
    evaluate(&mut client, b"").unwrap();
    let shown = format!("{client:?}");
    assert!(shown.contains("Establishing"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
