//! A `client.properties` of a Java deployment works unchanged: the files of tests/data/client_properties have the keys and
//! values of the vendors' documents. Each names its source.

use super::*;
use crate::network::sasl::TokenRequest;
use crate::network::ssl::{Keystore, Truststore};
use crate::utils::log;

const MSK: &str = "b-1.example.g7oein.c2.kafka.us-east-1.amazonaws.com:9098";
const MSK_TRUSTSTORE: &str = "/tmp/kafka.client.truststore.jks";

/// Of files that leave the brokers to the command line, those of Amazon MSK.
fn deployed(name: &str) -> Result<ProducerConfig> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/client_properties");
    let mut config = ProducerConfig::from_properties_file(format!("{folder}/{name}.properties"))?;
    if !config.is_set("bootstrap.servers") {
        config.bootstrap_servers(MSK);
    }
    Ok(config)
}

/// What a file comes to.
#[derive(Debug, PartialEq)]
struct Deployment {
    protocol: &'static str,
    login: String,
    /// The store and its password, or `system`.
    truststore: String,
    keystore: String,
    verifies_host: bool,
    /// The keys that a warning names.
    ignored: Vec<String>,
}

impl Deployment {
    fn of(config: &ProducerConfig) -> Self {
        let (resolved, notes) = config.check(Refusals::default()).unwrap();
        let ssl = resolved.ssl.unwrap();
        let warnings = notes.iter().filter(|note| note.level == log::Level::Warn);
        let unknown = warnings.filter_map(|note| {
            let key = note.text.strip_prefix("unknown configuration key ")?;
            key.split(' ').next().map(str::to_owned)
        });
        Self {
            protocol: resolved.security_protocol.as_str(),
            login: resolved.sasl.map_or_else(String::new, |sasl| login(&sasl)),
            truststore: truststore(&ssl.truststore),
            keystore: ssl.keystore.as_ref().map_or_else(String::new, keystore),
            verifies_host: ssl.verifies_host,
            ignored: unknown.collect(),
        }
    }
}

fn login(settings: &SaslSettings) -> String {
    let mechanism = settings.mechanism.name();
    match &settings.origin {
        Origin::Credentials(it) => format!("{mechanism} {} {}", it.username(), it.password()),
        Origin::MskIam(it) => format!("{mechanism} {} {:?}", it.region, it.origin),
        Origin::TokenEndpoint(endpoint) => {
            let TokenRequest::ClientSecret {
                id, secret, scope, ..
            } = &endpoint.request
            else {
                panic!("{endpoint:?}");
            };
            let (url, secret) = (endpoint.url.expose(), secret.expose());
            let (scope, extensions) = (scope.as_deref().unwrap(), &endpoint.extensions);
            format!("{mechanism} {url} {id} {secret} {scope} {extensions:?}")
        }
        other => panic!("{other:?}"),
    }
}

fn truststore(truststore: &Truststore) -> String {
    match truststore {
        Truststore::Platform => "system".to_owned(),
        Truststore::StoreFile { path, password } => {
            let password = password.as_ref().map_or("-", |password| password.expose());
            format!("{} {password}", path.display())
        }
        other => panic!("{other:?}"),
    }
}

fn keystore(keystore: &Keystore) -> String {
    let Keystore::StoreFile {
        path,
        password,
        key_password,
    } = keystore
    else {
        panic!("{keystore:?}");
    };
    let key_password = key_password
        .as_ref()
        .map_or("-", |password| password.expose());
    format!("{} {} {key_password}", path.display(), password.expose())
}

/// By SASL and TLS, with the system's authorities.
fn sasl_ssl(login: &str, ignored: &[&str]) -> Deployment {
    Deployment {
        protocol: "SASL_SSL",
        login: login.to_owned(),
        truststore: "system".to_owned(),
        keystore: String::new(),
        verifies_host: true,
        ignored: ignored.iter().map(|key| (*key).to_owned()).collect(),
    }
}

/// By TLS alone.
fn ssl(truststore: &str, keystore: &str) -> Deployment {
    Deployment {
        protocol: "SSL",
        truststore: truststore.to_owned(),
        keystore: keystore.to_owned(),
        ..sasl_ssl("", &[])
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of deployments")]
fn the_files_of_java_deployments_work_unchanged() {
    let deserializers = ["key.deserializer", "value.deserializer"];
    let registry = [
        "basic.auth.credentials.source",
        "basic.auth.user.info",
        "schema.registry.url",
    ];
    let expected = [
        (
            "confluent-cloud",
            sasl_ssl(
                "PLAIN CLUSTER_API_KEY CLUSTER_API_SECRET",
                &[&registry[..], &["session.timeout.ms"]].concat(),
            ),
        ),
        (
            "confluent-cloud-oauth",
            sasl_ssl(
                "OAUTHBEARER https://idp.example/oauth2/token CLIENT_ID CLIENT_SECRET SCOPE \
                 [(\"logicalCluster\", \"lkc-00000\"), (\"identityPoolId\", \"pool-0000\")]",
                &[],
            ),
        ),
        (
            "amazon-msk-iam",
            Deployment {
                truststore: format!("{MSK_TRUSTSTORE} -"),
                ..sasl_ssl("OAUTHBEARER us-east-1 Chain { profile: None }", &[])
            },
        ),
        ("amazon-msk-tls", ssl(&format!("{MSK_TRUSTSTORE} -"), "")),
        (
            "amazon-msk-mutual-tls",
            ssl(
                "/tmp/kafka_2.12-2.2.1/kafka.client.truststore.jks -",
                "/tmp/kafka_2.12-2.2.1/kafka.client.keystore.jks Your-Store-Pass Your-Key-Pass",
            ),
        ),
        (
            "azure-event-hubs",
            sasl_ssl(
                "PLAIN $ConnectionString Endpoint=sb://mynamespace.servicebus.windows.net/;SharedAccessKeyName=XXXXXX;\
                 SharedAccessKey=XXXXXX",
                &[],
            ),
        ),
        (
            "aiven",
            ssl(
                "/home/user/client.truststore.jks changeit",
                "/home/user/client.keystore.p12 changeit changeit",
            ),
        ),
        (
            "aiven-sasl",
            Deployment {
                truststore: "client.truststore.jks changeit".to_owned(),
                verifies_host: false,
                ..sasl_ssl("SCRAM-SHA-256 avnadmin SASL_PASSWORD", &deserializers)
            },
        ),
        (
            "redpanda",
            sasl_ssl(
                "SCRAM-SHA-256 USERNAME PASSWORD",
                &["enable.auto.commit", deserializers[0], deserializers[1]],
            ),
        ),
    ];
    for (name, expected) in expected {
        let config = deployed(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Deployment::of(&config), expected, "{name}");
        let shown = format!("{config:?}");
        let secrets = ["SECRET", "PASSWORD", "changeit", "-Pass", "SharedAccessKey"];
        assert!(
            !secrets.iter().any(|secret| shown.contains(secret)),
            "{shown}"
        );
    }
    let event_hubs = deployed("azure-event-hubs").unwrap();
    let resolved = event_hubs.check(Refusals::default()).unwrap().0;
    assert_eq!(
        resolved.connections_max_idle,
        Some(Duration::from_secs(180))
    );
    assert_eq!(resolved.metadata_max_age, Duration::from_secs(180));
    assert_eq!(&*resolved.client_id, "mirror_maker_producer");
}

/// The JVM has the credentials of Amazon's document in another file, which its entry can leave.
#[test]
fn credentials_in_a_jaas_file_are_to_be_copied() {
    let mut config = deployed("amazon-msk-scram").unwrap();
    let text = refusal(&config);
    assert!(text.contains("java.security.auth.login.config"), "{text}");
    let entry = "org.apache.kafka.common.security.scram.ScramLoginModule required\n   username=\"alice\"\n   \
                 password=\"alice-secret\";";
    config.set("sasl.jaas.config", entry).unwrap();
    let expected = Deployment {
        truststore: format!("{MSK_TRUSTSTORE} -"),
        ..sasl_ssl("SCRAM-SHA-512 alice alice-secret", &[])
    };
    assert_eq!(Deployment::of(&config), expected);
}

/// Java code that the program has to replace.
#[test]
fn a_handler_of_the_deployments_own_is_refused_with_what_replaces_it() {
    let text = deployed("azure-event-hubs-oauth").unwrap_err().to_string();
    assert!(
        text.contains("CustomAuthenticateCallbackHandler") && text.contains(".sasl_oauthbearer("),
        "{text}"
    );
}
