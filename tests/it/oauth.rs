//! OAUTHBEARER tokens from a token endpoint: it alone gets what is configured for it, its errors
//! are reported without a secret, and no send waits for it.

#![allow(clippy::disallowed_methods, reason = "tests may read the clock")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kafka_producer::testing::FakeBroker;
use kafka_producer::{
    ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerRecord, SecurityProtocol,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::bad_input::peer::Peer;
use crate::support::chain::chain;

const LONG: Duration = Duration::from_secs(60);
const SECRET: &str = "hunter2";

fn path(name: &str) -> String {
    format!("{}/tests/data/tls/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

/// Returns a token that expires after this many milliseconds.
fn jwt(lifetime_ms: u64) -> String {
    let end = SystemTime::now() + Duration::from_millis(lifetime_ms);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let claims = format!("{{\"sub\":\"alice\",\"exp\":{}}}", end.as_secs_f64());
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", encode("{\"alg\":\"RS256\"}"), encode(&claims))
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn token_response(lifetime_ms: u64) -> Vec<u8> {
    let token = jwt(lifetime_ms);
    http(
        "200 OK",
        &format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\"}}"),
    )
}

/// Reads a request. Returns its lines, the last of which is the body.
fn request(stream: &mut impl Read) -> Option<Vec<String>> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        lines.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    lines.push(String::from_utf8(body).unwrap());
    Some(lines)
}

/// A token endpoint, and the requests that it received.
struct Endpoint {
    peer: Peer,
    scheme: &'static str,
    requests: Receiver<Vec<String>>,
}

impl Endpoint {
    /// Without TLS. `respond` gets the number of the request and returns the response.
    fn start(respond: impl Fn(usize) -> Vec<u8> + Send + 'static) -> Self {
        let (sender, requests) = channel();
        let count = Mutex::new(0);
        let peer = Peer::start(move |mut stream| serve(&mut stream, &sender, &count, &respond));
        Self {
            peer,
            scheme: "http",
            requests,
        }
    }

    /// With TLS and this certificate.
    fn start_tls(identity: &str, respond: impl Fn(usize) -> Vec<u8> + Send + 'static) -> Self {
        let chain = CertificateDer::pem_file_iter(path(identity)).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(path(&format!("{identity}.key"))).unwrap();
        let provider = Arc::new(rustls_graviola::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let (sender, requests) = channel();
        let count = Mutex::new(0);
        let peer = Peer::start(move |stream: TcpStream| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(
                &mut StreamOwned::new(session, stream),
                &sender,
                &count,
                &respond,
            );
        });
        Self {
            peer,
            scheme: "https",
            requests,
        }
    }

    fn url(&self) -> String {
        format!(
            "{}://localhost:{}/token",
            self.scheme,
            self.peer.address.port()
        )
    }

    /// Returns the next request, which must have arrived.
    fn request(&self) -> Option<Vec<String>> {
        self.requests.try_recv().ok()
    }
}

fn serve(
    stream: &mut (impl Read + Write),
    requests: &Sender<Vec<String>>,
    count: &Mutex<usize>,
    respond: &impl Fn(usize) -> Vec<u8>,
) {
    let Some(request) = request(stream) else {
        return;
    };
    let number = {
        let mut count = count.lock().unwrap();
        *count += 1;
        *count
    };
    let _ = requests.send(request);
    let _ = stream.write_all(&respond(number));
    let _ = stream.flush();
}

fn broker() -> FakeBroker {
    let builder = FakeBroker::builder().topic("orders", 1);
    builder
        .sasl_oauthbearer(|token| token.ends_with(".c2ln"))
        .start()
        .unwrap()
}

const MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";

/// A client that gets its tokens from `url`, with these keys in addition.
fn client(broker: &FakeBroker, url: &str, keys: &[(&str, &str)]) -> KafkaProducerBuilder {
    let builder = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .security_protocol(SecurityProtocol::SaslPlaintext);
    let required = [
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", url),
        ("sasl.login.retry.backoff.ms", "10"),
    ];
    let all = required.iter().chain(keys);
    all.fold(builder, |builder, (key, value)| {
        builder.set(key, value).unwrap()
    })
}

fn secret_keys() -> [(&'static str, &'static str); 2] {
    [
        ("sasl.oauthbearer.client.credentials.client.id", "orders"),
        ("sasl.oauthbearer.client.credentials.client.secret", SECRET),
    ]
}

fn delivers(producer: &KafkaProducer) {
    let sent = producer
        .send(ProducerRecord::new("orders", "value"))
        .unwrap();
    sent.get_timeout(LONG).unwrap();
}

/// Returns why the producer cannot be built. Checks that the text contains no secret.
fn refusal(builder: KafkaProducerBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    let text = chain(&error).join(": ");
    let shown = format!("{text} {error:?}");
    assert!(
        !shown.contains(SECRET) && !shown.contains("aHVudGVyMg"),
        "{shown}"
    );
    text
}

// Java: ClientCredentialsJwtRetrieverTest, OAuthBearerLoginCallbackHandlerTest.
#[test]
fn a_token_is_requested_over_tls_and_used() {
    let (broker, endpoint) = (
        broker(),
        Endpoint::start_tls("server", |_| token_response(3_600_000)),
    );
    let ca = path("ca");
    let jaas = format!(
        "{MODULE} clientId=\"orders\" clientSecret=\"{SECRET}\" scope=\"kafka\" ssl.truststore.type=\"PEM\" \
         ssl.truststore.location=\"{ca}\";"
    );
    let producer = client(&broker, &endpoint.url(), &[("sasl.jaas.config", &jaas)]).build();
    delivers(&producer.unwrap());
    let request = endpoint.request().unwrap();
    assert_eq!(request[0], "POST /token HTTP/1.1");
    assert_eq!(
        request.last().unwrap(),
        "grant_type=client_credentials&scope=kafka"
    );
    for header in [
        "accept: application/json",
        "authorization: Basic b3JkZXJzOmh1bnRlcjI=",
        "cache-control: no-cache",
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert!(
            request.iter().any(|line| line == header),
            "{header} in {request:?}"
        );
    }
    assert_eq!(endpoint.request(), None);
}

// Java: JwtBearerJwtRetrieverTest.
#[test]
fn an_assertion_is_signed_and_sent() {
    let (broker, endpoint) = (broker(), Endpoint::start(|_| token_response(3_600_000)));
    let key = path("client-rsa.key");
    let producer = client(
        &broker,
        &endpoint.url(),
        &[
            (
                "sasl.oauthbearer.jwt.retriever.class",
                "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever",
            ),
            ("sasl.oauthbearer.assertion.private.key.file", &key),
            ("sasl.oauthbearer.assertion.claim.sub", "orders"),
        ],
    );
    delivers(&producer.build().unwrap());
    let request = endpoint.request().unwrap();
    let body = request.last().unwrap();
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = body.strip_prefix(grant).unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    let claims = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert!(
        claims.starts_with("{\"sub\":\"orders\",\"iat\":"),
        "{claims}"
    );
    assert!(!request.iter().any(|line| line.starts_with("authorization")));
}

#[test]
fn an_endpoint_that_cannot_prove_who_it_is_gets_no_secret() {
    let broker = broker();
    let ca = path("ca");
    let trusted = format!(
        "{MODULE} clientId=\"orders\" clientSecret=\"{SECRET}\" ssl.truststore.type=PEM ssl.truststore.location=\"{ca}\";"
    );
    for (identity, reason) in [
        ("unknown-issuer", "UnknownIssuer"),
        ("wrong-host", "not valid for name"),
        ("expired", "expired"),
    ] {
        let endpoint = Endpoint::start_tls(identity, |_| token_response(3_600_000));
        let start = Instant::now();
        let text = refusal(client(
            &broker,
            &endpoint.url(),
            &[("sasl.jaas.config", &trusted)],
        ));
        assert!(text.contains(reason), "{text}");
        // The request is not retried.
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(endpoint.request(), None);
    }
}

// Java: HttpJwtRetrieverTest.testErrorResponseUnretryableCode, testErrorResponseRetryableCode.
#[test]
fn what_may_pass_is_retried_and_nothing_else() {
    let broker = broker();
    let busy = Endpoint::start(|number| match number {
        3 => token_response(3_600_000),
        _ => http("503 Service Unavailable", "busy"),
    });
    delivers(
        &client(&broker, &busy.url(), &secret_keys())
            .build()
            .unwrap(),
    );
    assert_eq!(busy.requests.try_iter().count(), 3);

    let body = r#"{"error":"invalid_client","error_description":"No\u0007"}"#;
    let refusing = Endpoint::start(move |_| http("401 Unauthorized", body));
    let text = refusal(client(&broker, &refusing.url(), &secret_keys()));
    assert!(
        text.contains("it responded with 401: invalid_client - No\\u{7}"),
        "{text}"
    );
    assert_eq!(refusing.requests.try_iter().count(), 1);
}

#[test]
fn what_is_no_response_with_a_token_is_told_in_words() {
    let broker = broker();
    let long = "x".repeat(2 << 20);
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{".to_owned();
    let redirect =
        "HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n"
            .to_owned();
    let text_of = |body: &str| String::from_utf8(http("200 OK", body)).unwrap();
    for (response, reason) in [
        (text_of("<html>hunter2</html>"), "its response is not JSON"),
        (
            text_of("{\"token\":\"hunter2\"}"),
            "has no access_token, but token",
        ),
        (
            text_of("{\"access_token\":\"hunter2\"}"),
            "no usable JWT: it is not three parts",
        ),
        (text_of(""), "it responded with 200 and nothing else"),
        (text_of(&long), "larger than"),
        (redirect, "it responded with 302"),
        (cut, ""),
        ("hunter2\r\n\r\n".to_owned(), ""),
        (String::new(), ""),
    ] {
        let shown: String = response.chars().take(80).collect();
        let endpoint = Endpoint::start(move |_| response.clone().into_bytes());
        let keys = [
            &secret_keys()[..],
            &[("sasl.login.retry.backoff.max.ms", "0")],
        ]
        .concat();
        let text = refusal(client(&broker, &endpoint.url(), &keys));
        assert!(
            text.contains("the token endpoint http://localhost:"),
            "{text}"
        );
        assert!(text.contains(reason), "{shown}: {text}");
        assert!(text.len() < 2000);
        assert_eq!(endpoint.requests.try_iter().count(), 1, "{shown}");
    }
}

#[test]
fn a_silent_endpoint_is_given_up() {
    let (broker, peer) = (broker(), Peer::that_is_silent());
    let url = format!("http://{}/token", peer.address);
    let keys = [
        &secret_keys()[..],
        &[
            ("sasl.login.read.timeout.ms", "50"),
            ("sasl.login.retry.backoff.max.ms", "0"),
        ],
    ];
    let text = refusal(client(&broker, &url, &keys.concat()));
    assert!(text.contains("timed out"), "{text}");
}

/// The endpoint delays the second request. The first record of the second session does not wait for
/// it.
#[test]
fn no_send_waits_for_a_token() {
    let broker = broker();
    let (release, held) = channel::<()>();
    let endpoint = Endpoint::start(move |number| {
        if number == 2 {
            let _ = held.recv_timeout(LONG);
        }
        token_response(1_500 + 3_600_000 * (number as u64 - 1))
    });
    let producer = client(&broker, &endpoint.url(), &secret_keys())
        .build()
        .unwrap();
    endpoint.requests.recv_timeout(LONG).unwrap();
    endpoint.requests.recv_timeout(LONG).unwrap();
    delivers(&producer);
    release.send(()).unwrap();
    delivers(&producer);
}

#[cfg(feature = "aws-msk-iam")]
mod msk_iam {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kafka_producer::AwsCredentials;

    use super::*;

    fn builder(broker: &FakeBroker) -> KafkaProducerBuilder {
        KafkaProducer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .security_protocol(SecurityProtocol::SaslPlaintext)
    }

    /// A broker that accepts clients with the signature of the key `ID`.
    fn broker() -> FakeBroker {
        let is_signed = |token: &str| {
            let url = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
            let url = String::from_utf8(url).unwrap();
            url.starts_with(
                "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&",
            ) && url.contains("&X-Amz-Credential=ID%2F")
                && url.contains("&X-Amz-Signature=")
        };
        let builder = FakeBroker::builder().topic("orders", 1);
        builder.sasl_oauthbearer(is_signed).start().unwrap()
    }

    #[test]
    fn a_closure_provides_aws_credentials() {
        let broker = broker();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let producer = builder(&broker).sasl_aws_msk_iam("eu-west-1", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(AwsCredentials::new("ID", SECRET).session_token("t"))
        });
        assert!(!format!("{producer:?}").contains(SECRET));
        delivers(&producer.build().unwrap());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_wrong_with_the_credentials_is_told() {
        let broker = broker();
        let text = refusal(builder(&broker).sasl_aws_msk_iam("eu-west-1", || Err("locked".into())));
        assert!(text.contains("no OAUTHBEARER token: locked"), "{text}");
        let past = SystemTime::now() - LONG;
        let expired = builder(&broker).sasl_aws_msk_iam("eu-west-1", move || {
            Ok(AwsCredentials::new("ID", SECRET).expires_at(past))
        });
        let text = refusal(expired);
        assert!(text.contains("the AWS credentials have expired"), "{text}");
        let other = builder(&broker)
            .sasl_aws_msk_iam("eu-west-1", || Ok(AwsCredentials::new("NO", SECRET)));
        let producer = other.build().unwrap();
        let sent = producer.send(ProducerRecord::new("orders", "value"));
        let error = sent.and_then(|sent| sent.get_timeout(LONG)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        let elsewhere = builder(&broker).sasl_aws_msk_iam("eu west", || Err("unused".into()));
        let error = elsewhere.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
}
