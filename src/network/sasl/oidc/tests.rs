//! The bytes of requests, the responses that count as tokens, and the retries.

use std::cell::RefCell;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::*;
use crate::network::sasl::json::Json;
use crate::network::ssl::SignatureAlgorithm;
use crate::utils::{MockTime, mutations::mutated};

fn path(name: &str) -> std::path::PathBuf {
    format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR")).into()
}

fn client_secret(url_encodes: bool) -> TokenRequest {
    TokenRequest::ClientSecret {
        id: "my id~*".to_owned(),
        secret: Secret::new("s3cr=t/+\u{e4}&"),
        scope: Some("a b:c".to_owned()),
        url_encodes,
    }
}

fn endpoint(request: TokenRequest) -> TokenEndpoint {
    TokenEndpoint {
        url: Secret::new("https://idp.example/token"),
        shown_url: "https://idp.example/token".to_owned(),
        request,
        ssl: None,
        timeouts: HttpTimeouts {
            connect: Duration::from_secs(1),
            read: Duration::from_secs(1),
        },
        retry_backoff: Duration::from_millis(100),
        retry_backoff_max: Duration::from_secs(10),
        scope_claim: "scope".to_owned(),
        sub_claim: "sub".to_owned(),
        extensions: vec![("logicalCluster".to_owned(), "lkc-1".to_owned())],
    }
}

fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse {
        status,
        body: Zeroizing::new(body.as_bytes().to_vec()),
    }
}

fn jwt() -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let claims = r#"{"sub":"alice","exp":1700000000}"#;
    format!("{}.{}.c2ln", encode(r#"{"alg":"RS256"}"#), encode(claims))
}

// The expected values are what the classes of Kafka 4.4.0 return for the same arguments.
// Java: ClientSecretRequestFormatterTest.
#[test]
fn a_client_secret_goes_into_the_header() {
    let encoded = client_secret(true).message(0).unwrap();
    let header = encoded.authorization.unwrap();
    assert_eq!(
        header.expose(),
        "Basic bXkraWQlN0UqOnMzY3IlM0R0JTJGJTJCJUMzJUE0JTI2"
    );
    let body = encoded.body.expose().to_owned();
    assert_eq!(body, "grant_type=client_credentials&scope=a+b%3Ac");

    let plain = client_secret(false).message(0).unwrap();
    let header = plain.authorization.unwrap();
    assert_eq!(header.expose(), "Basic bXkgaWR+KjpzM2NyPXQvK8OkJg==");
    // Java does not encode the blank, which makes the form invalid.
    let body = plain.body.expose().to_owned();
    assert_eq!(body, "grant_type=client_credentials&scope=a+b:c");
}

// Java: ClientAssertionRequestFormatterTest, JwtBearerRequestFormatterTest.
#[test]
fn an_assertion_goes_into_the_body() {
    let file = std::env::temp_dir().join(format!("assertion-{}", std::process::id()));
    std::fs::write(&file, "e30.e30.c2ln-_\n").unwrap();
    let assertion = Assertion::File(file.clone());
    let scope = Some("a b:c".to_owned());
    let by_assertion = TokenRequest::ClientAssertion {
        id: Some("client-1".to_owned()),
        assertion: assertion.clone(),
        scope: scope.clone(),
    };
    let message = by_assertion.message(0).unwrap();
    assert!(message.authorization.is_none());
    assert_eq!(
        message.body.expose(),
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=e30.e30.c2ln-_\
         &grant_type=client_credentials&client_id=client-1&scope=a+b%3Ac"
    );
    let message = TokenRequest::JwtBearer { assertion, scope }
        .message(0)
        .unwrap();
    assert_eq!(
        message.body.expose(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=e30.e30.c2ln-_&scope=a+b%3Ac"
    );
    std::fs::write(&file, "hunter2").unwrap();
    let text = by_assertion.message(0).err().unwrap();
    assert!(
        text.contains("holds no JWT") && !text.contains("hunter2"),
        "{text}"
    );
    std::fs::remove_file(&file).unwrap();
    let text = by_assertion.message(0).err().unwrap();
    assert!(text.contains("sasl.oauthbearer.assertion.file"), "{text}");
}

fn signed(algorithm: SignatureAlgorithm, key: &str) -> SignedAssertion {
    SignedAssertion {
        algorithm,
        private_key_file: path(key),
        passphrase: None,
        template_file: None,
        claims: vec![("iss", "me".to_owned()), ("aud", "\"them\"".to_owned())],
        exp_seconds: 300,
        nbf_seconds: 60,
        includes_jti: false,
    }
}

fn parts(assertion: SignedAssertion) -> (String, String, Vec<u8>) {
    let text = Assertion::Signed(assertion).text(1_000_000_999).unwrap();
    let parts: Vec<Vec<u8>> = text
        .expose()
        .split('.')
        .map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap())
        .collect();
    let text = |index: usize| String::from_utf8(parts[index].clone()).unwrap();
    (text(0), text(1), parts[2].clone())
}

// Java: DefaultAssertionCreatorTest, LayeredAssertionJwtTemplateTest, FileAssertionJwtTemplateTest.
#[test]
fn an_assertion_is_made_of_claims_and_a_template() {
    let mut assertion = signed(SignatureAlgorithm::Rs256, "client-rsa.key.pem");
    let (header, payload, signature) = parts(assertion.clone());
    assert_eq!(header, r#"{"alg":"RS256","typ":"JWT"}"#);
    assert_eq!(
        payload,
        r#"{"iss":"me","aud":"\"them\"","iat":1000000,"exp":1000300,"nbf":999940}"#
    );
    assert_eq!(signature.len(), 256);

    let file = std::env::temp_dir().join(format!("template-{}", std::process::id()));
    let template = r#"{"header":{"kid":"k1","alg":"none","n":123456.5},
        "payload":{"iss":"other","list":["a",9007199254740993,null,true],"exp":7,"o":{"x":{}}}}"#;
    std::fs::write(&file, template).unwrap();
    assertion.template_file = Some(file.clone());
    assertion.includes_jti = true;
    let (header, payload, _) = parts(assertion.clone());
    // Computed claims override the template, and the template overrides the keys.
    assert_eq!(
        header,
        r#"{"kid":"k1","n":123456.5,"alg":"RS256","typ":"JWT"}"#
    );
    let (before, id) = payload.split_once(r#","jti":""#).unwrap();
    assert_eq!(
        before,
        r#"{"aud":"\"them\"","iss":"other","list":["a",9007199254740993,null,true],"o":{"x":{}},"iat":1000000,"exp":1000300,"nbf":999940"#
    );
    let lengths: Vec<usize> = id
        .trim_end_matches("\"}")
        .split('-')
        .map(str::len)
        .collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");

    for (template, reason) in [
        ("hunter2", "is not JSON"),
        ("[]", "is no JSON object"),
        (r#"{"header":1}"#, "its header is no JSON object"),
        (r#"{"payload":{"x":1e999}}"#, "too large"),
    ] {
        std::fs::write(&file, template).unwrap();
        let text = Assertion::Signed(assertion.clone()).text(0).unwrap_err();
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
}

/// The signature that OpenSSL makes of the same text. RSA signatures are deterministic.
const OPENSSL: &str = "IsERzRxsMhuK67YHsxQb/02oVe06tTWyMYUHtjNlDEdPL0y3ZbhnNSv4zNdIn7Bdq1MYqWKVSx+n9jkHQJbOj0KxT8zEu1Qvs725qNUFbW14r4ao5oCy\
                       PDDtcvpQHiUYBqAsJ9c8MB15UleglaWplMIHQVxrywGvIvGP2kbWQr9vPlj6R4YZqSYoqfagsH3B35EuDNoS75XiCMl8apPlVt6Xo0HGszZb4Giv\
                       edtfuF0SyAoeVD4djZU8gWJuRDUTJfpprkOmQ5JR13CY16RA1mF7NFpuZ1WgBXRF+gz9D2acNCxTqpYZJdXX1P8p+IP3+1qaPReK6sq1SxKimgd5\
                       YA==";

#[test]
fn each_form_of_a_key_signs_as_openssl_does() {
    use crate::network::ssl::sign;
    use base64::prelude::BASE64_STANDARD;

    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    let pem = read("client-rsa.key.pem");
    let lines = pem.lines().filter(|line| !line.starts_with("--"));
    let bare = lines.collect::<Vec<_>>().join("\n");
    for key in [pem, bare, read("client-rsa.pkcs1.pem")] {
        let key = Secret::new(key);
        let signature = sign(SignatureAlgorithm::Rs256, &key, None, b"content").unwrap();
        assert_eq!(BASE64_STANDARD.encode(signature), OPENSSL);
    }
    let curve = Secret::new(read("client.key.pem"));
    let signature = sign(SignatureAlgorithm::Es256, &curve, None, b"content").unwrap();
    assert_eq!(signature.len(), 64);
    for (algorithm, key, reason) in [
        (
            SignatureAlgorithm::Rs256,
            curve.clone(),
            "is not an RSA key, which RS256 needs",
        ),
        (
            SignatureAlgorithm::Es256,
            Secret::new("aHVudGVyMg=="),
            "cannot be used",
        ),
        (
            SignatureAlgorithm::Es256,
            Secret::new("hunter2!"),
            "neither PEM nor PKCS#8",
        ),
        (
            SignatureAlgorithm::Es256,
            Secret::new(read("client.encrypted.pem")),
            match cfg!(feature = "keystores") {
                true => "set sasl.oauthbearer.assertion.private.key.passphrase",
                false => "needs the Cargo feature `keystores`",
            },
        ),
    ] {
        let text = sign(algorithm, &key, None, b"content").unwrap_err();
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
    }
    #[cfg(feature = "keystores")]
    {
        let encrypted = read("client.encrypted.pem");
        let lines = encrypted.lines().filter(|line| !line.starts_with("--"));
        let bare = lines.collect::<String>();
        for key in [encrypted.clone(), bare] {
            let passphrase = Secret::new("secret");
            let key = Secret::new(key);
            let signature = sign(
                SignatureAlgorithm::Es256,
                &key,
                Some(&passphrase),
                b"content",
            );
            assert_eq!(signature.unwrap().len(), 64);
            let wrong = Secret::new("wrong");
            let text = sign(SignatureAlgorithm::Es256, &key, Some(&wrong), b"").unwrap_err();
            assert!(text.contains("private.key.passphrase is wrong"), "{text}");
        }
    }
}

// Java: HttpJwtRetrieverTest, JwtResponseParserTest.
#[test]
fn only_a_token_is_taken_and_nothing_secret_is_shown() {
    for body in [
        r#"{"access_token":" t ","id_token":"other"}"#,
        r#"{"access_token":"","id_token":"t"}"#,
        r#"{"access_token":7,"id_token":"t"}"#,
    ] {
        for status in [200, 201] {
            let text = response::token_text(&response(status, body)).unwrap();
            assert_eq!(text.expose(), "t");
        }
    }
    for (status, body, reason, is_retriable) in [
        (200, " ", "it responded with 200 and nothing else", true),
        (200, "hunter2", "its response is not JSON", false),
        (
            200,
            r#"{"refresh_token":"hunter2","expires_in":1}"#,
            "its response has no access_token, but refresh_token, expires_in",
            false,
        ),
        (
            200,
            "[]",
            "its response has no access_token, but is no object",
            false,
        ),
        (
            200,
            "{}",
            "its response has no access_token, but is empty",
            false,
        ),
        (
            401,
            r#"{"error":"invalid_client","error_description":"Bad","x":"hunter2"}"#,
            "it responded with 401: invalid_client - Bad",
            false,
        ),
        (
            400,
            r#"{"errorCode":"E1","errorSummary":"Bad","x":"hunter2"}"#,
            "it responded with 400: E1 - Bad",
            false,
        ),
        (403, r#"{"error":"no"}"#, "it responded with 403: no", false),
        (302, "", "it responded with 302: no reason is given", false),
        (404, "<html>", "it responded with 404: <html>", false),
        (408, "", "it responded with 408: no reason is given", true),
        (429, "slow down", "it responded with 429: slow down", true),
        (500, "", "it responded with 500: no reason is given", true),
        (501, "", "it responded with 501: no reason is given", false),
        (503, "", "it responded with 503: no reason is given", true),
        (505, "", "it responded with 505: no reason is given", false),
    ] {
        let failure = response::token_text(&response(status, body)).unwrap_err();
        assert_eq!(
            (&*failure.reason, failure.is_retriable),
            (reason, is_retriable)
        );
    }
}

#[test]
fn any_response_is_a_token_or_refused() {
    let seeds = [
        r#"{"access_token":"a.b.c","expires_in":3600,"scope":["x"]}"#,
        r#"{"error":"invalid_client","error_description":"\u0041"}"#,
    ];
    let token = response::token_text(&response(200, seeds[0])).unwrap();
    assert_eq!(token.expose(), "a.b.c");
    mutated(&seeds, 5_000, |body| {
        for status in [200, 401] {
            let body = Zeroizing::new(body.to_vec());
            _ = response::token_text(&HttpResponse { status, body });
        }
    });
}

#[test]
fn what_a_server_echoes_is_hidden() {
    let endpoint = endpoint(client_secret(true));
    let text = endpoint.token_from(&MockTime::new(), |message| {
        let header = message.authorization.as_ref().unwrap().expose();
        let body = format!("\u{7} {header} s3cr=t/+\u{e4}& s3cr%3Dt%2F%2B%C3%A4%26");
        Ok(response(400, &body))
    });
    assert_eq!(
        text.unwrap_err().to_string(),
        "the token endpoint https://idp.example/token: it responded with 400: \\u{7} Basic [hidden] [hidden] [hidden]"
    );
}

/// JSON may write a character in several ways.
#[test]
fn what_a_server_echoes_in_json_is_hidden() {
    let secret = TokenRequest::ClientSecret {
        id: "id".to_owned(),
        secret: Secret::new("s3\"cr/t"),
        scope: None,
        url_encodes: false,
    };
    let endpoint = endpoint(secret);
    for body in [
        r#"{"message":"no client has s3\"cr/t"}"#,
        r#"{"message":"no client has s3\"cr\/t"}"#,
        r#"{"message":"no client has \u0073\u0033\u0022cr\u002ft"}"#,
        r#"{"message":"no client has s3%22cr%2Ft"}"#,
    ] {
        let failure = endpoint.token_from(&MockTime::new(), |_| Ok(response(400, body)));
        assert_eq!(
            failure.unwrap_err().to_string(),
            r#"the token endpoint https://idp.example/token: it responded with 400: {"message":"no client has [hidden]"}"#
        );
    }
}

// Java: RetryTest, HttpJwtRetrieverTest.testUnretryableResponse.
#[test]
fn a_request_is_repeated_with_pauses_that_double() {
    let time = MockTime::new();
    let start = time.now();
    let moments = RefCell::new(Vec::new());
    let endpoint = endpoint(client_secret(false));
    let token = endpoint.token_from(&time, |_| {
        let at = time.now().duration_since(start).as_millis();
        moments.borrow_mut().push(at);
        match moments.borrow().len() {
            1 => Ok(response(503, "")),
            2 => Err(HttpFailure {
                reason: "timed out".to_owned(),
                is_retriable: true,
            }),
            _ => Ok(response(
                200,
                &format!("{{\"access_token\":\"{}\"}}", jwt()),
            )),
        }
    });
    let token = token.unwrap();
    assert_eq!(
        (token.value(), token.expiry()),
        (&*jwt(), 1_700_000_000_000)
    );
    assert_eq!(
        token.extensions(),
        [("logicalCluster".to_owned(), "lkc-1".to_owned())]
    );
    assert_eq!(moments.take(), [0, 100, 300]);

    let start = time.now();
    let failure = endpoint.token_from(&time, |_| {
        moments
            .borrow_mut()
            .push(time.now().duration_since(start).as_millis());
        Ok(response(500, ""))
    });
    assert_eq!(
        failure.unwrap_err().to_string(),
        "the token endpoint https://idp.example/token: after 8 attempts: it responded with 500: no reason is given"
    );
    // The last attempt is at `sasl.login.retry.backoff.max.ms`.
    assert_eq!(moments.take(), [0, 100, 300, 700, 1500, 3100, 6300, 10_000]);

    for permanent in [response(401, ""), response(200, "x")] {
        let calls = RefCell::new(0);
        let permanent = RefCell::new(Some(permanent));
        let failure = endpoint.token_from(&time, |_| {
            *calls.borrow_mut() += 1;
            Ok(permanent.take().unwrap())
        });
        failure.unwrap_err();
        assert_eq!(calls.take(), 1);
    }
}

#[test]
fn a_token_that_is_no_jwt_is_not_shown() {
    let endpoint = endpoint(client_secret(false));
    let failure = endpoint.token_from(&MockTime::new(), |_| {
        Ok(response(200, r#"{"access_token":"hunter2"}"#))
    });
    let text = failure.unwrap_err().to_string();
    assert!(
        text.contains("no usable JWT") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn json_is_written_as_it_was_read() {
    let text = r#"{"a":[1,-2.5,"\u0007\"x",null,true,false,{}],"b":{"c":12345678901}}"#;
    assert_eq!(Json::parse(text).unwrap().to_text().unwrap(), text);
    assert_eq!(Json::parse("[1e999]").unwrap().to_text(), None);
}
