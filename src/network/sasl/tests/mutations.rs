//! Messages of a hostile broker at every step of an exchange. The client responds or refuses; it
//! never panics.

use std::time::UNIX_EPOCH;

use super::*;
use crate::network::sasl::json::Json;
use crate::network::sasl::oauthbearer::OAuthBearerSaslClient;
use crate::network::sasl::scram::{ScramKeyCache, ScramSaslClient};
use crate::utils::ScramMechanism;
use crate::utils::mutations::mutated;

// RFC 7677, section 3.
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/// Returns the RFC's client after its first message.
fn scram(cache: &ScramKeyCache) -> ScramSaslClient {
    let credentials = SaslCredentials::new("user", "pencil");
    let (cache, nonce) = (cache.clone(), NONCE.to_owned());
    let mut client = ScramSaslClient::with_nonce(ScramMechanism::Sha256, credentials, cache, nonce);
    client.evaluate(b"").unwrap();
    client
}

#[test]
fn any_scram_message_is_answered_or_refused() {
    let cache = ScramKeyCache::default();
    mutated(&[SERVER_FIRST, "e=other-error"], 300, |message| {
        let mut client = scram(&cache);
        let answer = client.evaluate(message);
        assert!(!client.is_complete(), "the broker has proved nothing");
        assert!(answer.is_ok() || message != SERVER_FIRST.as_bytes());
        if let Ok(Some(answer)) = answer {
            assert!(answer.len() < message.len() + 256);
        }
    });
    mutated(&[SERVER_FINAL, "e=invalid-proof"], 3_000, |message| {
        let mut client = scram(&cache);
        client.evaluate(SERVER_FIRST.as_bytes()).unwrap();
        let is_proved = client.evaluate(message).is_ok();
        assert_eq!(is_proved, client.is_complete());
        assert!(is_proved || message != SERVER_FINAL.as_bytes());
        assert!(
            !is_proved || message.starts_with(SERVER_FINAL.as_bytes()),
            "{}",
            shown(message)
        );
    });
}

#[test]
fn any_oauthbearer_challenge_is_acknowledged_and_refused() {
    let seeds = [
        r#"{"status":"invalid_token","scope":"write","openid-configuration":"https://a.example"}"#,
        r#"{"status":"\u0000\ud800","nested":[[[{"a":-1.5e300}]]]}"#,
    ];
    mutated(&seeds, 5_000, |challenge| {
        let token = OAuthBearerToken::new("token", UNIX_EPOCH);
        let mut client = OAuthBearerSaslClient::new(token);
        client.evaluate(b"").unwrap();
        let answer = client.evaluate(challenge).unwrap();
        assert_eq!(client.is_complete(), challenge.is_empty());
        if !challenge.is_empty() {
            assert_eq!(answer.unwrap().as_slice(), [1]);
            let refusal = client.evaluate(b"").unwrap_err().to_string();
            assert!(refusal.len() < 4096 && !refusal.contains(char::is_control));
        }
        _ = std::str::from_utf8(challenge).map(Json::parse);
    });
}

#[test]
fn any_frame_is_taken_or_refused_at_every_step() {
    let bodies: [ResponseBody; 5] = [
        versions(1, Some(2)).into(),
        SaslHandshakeResponse {
            error_code: ErrorCode::UNSUPPORTED_SASL_MECHANISM,
            mechanisms: vec!["GSSAPI".to_owned(), "SCRAM-SHA-512".to_owned()],
        }
        .into(),
        SaslAuthenticateResponse {
            error_message: Some("no".to_owned()),
            auth_bytes: SERVER_FIRST.as_bytes().to_vec(),
            session_lifetime_ms: 1000,
            ..SaslAuthenticateResponse::default()
        }
        .into(),
        SaslHandshakeResponse::default().into(),
        SaslAuthenticateResponse::default().into(),
    ];
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        for step in 0..3 {
            let frame = |body: &ResponseBody| {
                let version = match body.api_key() {
                    ApiKey::SaslAuthenticate => 2,
                    _ if step == 0 => 0,
                    _ => 1,
                };
                encode_response(body.api_key(), version, FIRST_ID + step, body).unwrap()
            };
            let seeds: Vec<Vec<u8>> = bodies.iter().map(|body| frame(body).to_vec()).collect();
            let received = |frame: &[u8]| {
                let mut f = Fixture::new(mechanism);
                if step > 0 {
                    let (header, _) = f.request();
                    f.answer(&header, versions(1, Some(2))).unwrap();
                }
                if step > 1 {
                    f.hand_shaken();
                }
                f.receive(frame)
            };
            let is_taken = seeds.iter().any(|frame| received(frame).is_ok());
            // The nonce of SCRAM is another each time.
            assert!(
                is_taken || (mechanism, step) == ("SCRAM-SHA-256", 2),
                "{step}"
            );
            mutated(&seeds, 500, |frame| match received(frame) {
                Ok(_) | Err(Disconnect::InvalidReceive(_)) => {}
                refused => _ = failure(refused),
            });
        }
    }
}
