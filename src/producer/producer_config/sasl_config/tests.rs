//! The credentials from each combination of keys, and the refused ones.

#[cfg(all(feature = "keystores", feature = "aws-msk-iam"))]
mod deployments;
#[cfg(feature = "oauth-oidc")]
mod endpoints;
mod merging;

use super::*;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"hunter2\";";

fn config(entries: &[(&str, &str)]) -> ProducerConfig {
    let required = [
        ("bootstrap.servers", "h:1"),
        ("security.protocol", "SASL_PLAINTEXT"),
    ];
    ProducerConfig::from_map(required.iter().chain(entries).copied()).unwrap()
}

fn settings(config: &ProducerConfig) -> SaslSettings {
    config.check(Refusals::default()).unwrap().0.sasl.unwrap()
}

fn credentials(config: &ProducerConfig) -> (SaslMechanism, String, String, bool) {
    let settings = settings(config);
    let Origin::Credentials(credentials) = settings.origin else {
        panic!("{settings:?}");
    };
    (
        settings.mechanism,
        credentials.username().to_owned(),
        credentials.password().to_owned(),
        credentials.is_delegation_token(),
    )
}

fn refusal(config: &ProducerConfig) -> String {
    let error = config.validate().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("hunter2"), "{text}");
    error.to_string()
}

// Java: SaslAuthenticatorTest's client configurations.
#[test]
fn jaas_entries_come_to_credentials() {
    let own = |text: &str| text.to_owned();
    let plain = config(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", PLAIN)]);
    let expected = (SaslMechanism::Plain, own("alice"), own("hunter2"), false);
    assert_eq!(credentials(&plain), expected);
    let scram = config(&[
        ("sasl.mechanism", " SCRAM-SHA-512 "),
        (
            "sasl.jaas.config",
            "kafkashaded.org.apache.kafka.common.security.scram.ScramLoginModule required\n username='id' password='mac' tokenauth=true;",
        ),
    ]);
    let mechanism = SaslMechanism::from_name("SCRAM-SHA-512").unwrap();
    assert_eq!(
        credentials(&scram),
        (mechanism, own("id"), own("mac"), true)
    );
}

#[test]
fn setters_come_to_the_same_as_the_keys() {
    let mut config = config(&[]);
    for (user, password) in [("alice", "hunter2"), ("a\"b\\c=;", "//\n\r\t'\u{e4}\0 x")] {
        let expected = |name| {
            let mechanism = SaslMechanism::from_name(name).unwrap();
            (mechanism, user.to_owned(), password.to_owned(), false)
        };
        config.sasl_plain(user, password);
        assert_eq!(credentials(&config), expected("PLAIN"));
        config.sasl_scram_sha_256(user, password);
        assert_eq!(credentials(&config), expected("SCRAM-SHA-256"));
        config.sasl_scram_sha_512(user, password);
        assert_eq!(credentials(&config), expected("SCRAM-SHA-512"));
    }
    assert_eq!(config.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
    assert_eq!(config.get("sasl.jaas.config"), Some("[hidden]"));
    assert!(!format!("{config:?} {:?}", settings(&config)).contains("hunter2"));
}

#[test]
fn debug_hides_the_urls_of_endpoints() {
    let url = "https://idp.example/token?key=hunter2";
    let config = config(&[("sasl.oauthbearer.token.endpoint.url", url)]);
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    assert_eq!(config.get("sasl.oauthbearer.token.endpoint.url"), Some(url));
}

#[test]
fn closures_come_before_the_text_and_must_fit_the_mechanism() {
    let mut config = config(&[("sasl.mechanism", "SCRAM-SHA-256")]);
    config.sasl_credentials(|| Ok(SaslCredentials::new("alice", "hunter2")));
    assert!(matches!(
        settings(&config).origin,
        Origin::Provider(SaslProvider::Credentials(_))
    ));
    config.set("sasl.mechanism", "OAUTHBEARER").unwrap();
    assert!(
        refusal(&config)
            .contains("sasl.mechanism is OAUTHBEARER, which needs sasl_oauthbearer(..)")
    );
    config.sasl_oauthbearer(|| Err("none".into()));
    assert!(matches!(
        settings(&config).origin,
        Origin::Provider(SaslProvider::Token(_))
    ));
    config.set("sasl.mechanism", "PLAIN").unwrap();
    assert!(refusal(&config).contains("sasl.mechanism is PLAIN, which needs sasl_credentials(..)"));
    #[cfg(feature = "aws-msk-iam")]
    {
        config.sasl_aws_msk_iam("eu-west-1", || Err("none".into()));
        config.set("sasl.mechanism", "PLAIN").unwrap();
        assert!(refusal(&config).contains("but sasl_aws_msk_iam(..) was called"));
    }
    // The last call wins.
    config.sasl_plain("alice", "hunter2");
    assert_eq!(credentials(&config).0, SaslMechanism::Plain);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn each_mistake_is_named_and_no_secret_is_shown() {
    let jaas = "sasl.jaas.config";
    for (mechanism, entries, reason) in [
        (
            "GSSAPI",
            vec![],
            match cfg!(feature = "gssapi") {
                true => "sasl.kerberos.service.name is required with the mechanism GSSAPI",
                false => {
                    "Kerberos needs the Cargo feature `gssapi` of kafka-producer, which is off"
                }
            },
        ),
        (
            "AWS_MSK_IAM",
            vec![(jaas, "hunter2")],
            match cfg!(feature = "aws-msk-iam") {
                true => "sasl.jaas.config cannot be read",
                false => "needs the Cargo feature `aws-msk-iam`",
            },
        ),
        ("SCRAM-SHA-1", vec![(jaas, PLAIN)], "must be one of PLAIN"),
        ("", vec![(jaas, PLAIN)], "must be one of PLAIN"),
        (
            "PLAIN",
            vec![],
            "sasl.jaas.config is required with the mechanism PLAIN",
        ),
        (
            "PLAIN",
            vec![(jaas, "hunter2")],
            "sasl.jaas.config cannot be read",
        ),
        (
            "PLAIN",
            vec![(jaas, "a.PlainLoginModule required password=\"hunter2\";")],
            "has no username",
        ),
        (
            "PLAIN",
            vec![(
                jaas,
                "a.PlainLoginModule required username=\"a\" password=\"\";",
            )],
            "has no password",
        ),
        (
            "PLAIN",
            vec![(
                jaas,
                "com.sun.security.auth.module.Krb5LoginModule required password=\"hunter2\";",
            )],
            "names the login module com.sun.security.auth.module.Krb5LoginModule",
        ),
        (
            "OAUTHBEARER",
            vec![("sasl.oauthbearer.token.endpoint.url", "https://idp/token")],
            match cfg!(feature = "oauth-oidc") {
                true => "sasl.oauthbearer.client.credentials.client.id is required",
                false => "need the Cargo feature `oauth-oidc`",
            },
        ),
        (
            "OAUTHBEARER",
            vec![("sasl.oauthbearer.token.endpoint.url", "file:relative")],
            "expected file:///path",
        ),
        (
            "OAUTHBEARER",
            vec![(
                jaas,
                "a.OAuthBearerLoginModule required clientId=\"a\" clientSecret=\"hunter2\";",
            )],
            "has no source of tokens",
        ),
        (
            "OAUTHBEARER",
            vec![(
                jaas,
                "a.OAuthBearerLoginModule required unsecuredLoginNumberClaim_x=\"hunter2\";",
            )],
            "unsecuredLoginNumberClaim_x is not a number",
        ),
        (
            "OAUTHBEARER",
            vec![(
                jaas,
                "a.OAuthBearerLoginModule required unsecuredLoginLifetimeSeconds=\"60\";",
            )],
            "unsecuredLoginStringClaim_sub is missing",
        ),
    ] {
        let mut config = config(&entries);
        config.set("sasl.mechanism", mechanism).unwrap();
        let text = refusal(&config);
        assert!(text.contains(reason), "{mechanism} {entries:?}: {text}");
    }
    let text = refusal(&config(&[(jaas, PLAIN)]));
    let says = match cfg!(feature = "gssapi") {
        true => {
            "PlainLoginModule, which is not supported with the mechanism GSSAPI, the default of sasl.mechanism"
        }
        false => "it is the default, and needs the Cargo feature `gssapi`",
    };
    assert!(text.contains(says), "{text}");
}

#[test]
fn classes_of_java_that_cannot_be_loaded_are_refused() {
    let mut config = ProducerConfig::new();
    for (key, method) in [
        (
            "sasl.client.callback.handler.class",
            ".sasl_credentials(..)",
        ),
        ("sasl.login.class", ".sasl_credentials(..)"),
        ("sasl.login.callback.handler.class", ".sasl_oauthbearer(..)"),
        (
            "sasl.oauthbearer.jwt.retriever.class",
            ".sasl_oauthbearer(..)",
        ),
        (
            "sasl.oauthbearer.jwt.validator.class",
            ".sasl_oauthbearer(..)",
        ),
    ] {
        let text = config.set(key, "org.example.Own").unwrap_err().to_string();
        assert!(text.contains(key) && text.contains(method), "{text}");
    }
    let handler =
        "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler";
    config
        .set("sasl.login.callback.handler.class", handler)
        .unwrap();
}

// Java: OAuthBearerLoginCallbackHandler.configure, which requires the URL.
#[test]
fn a_login_handler_that_contradicts_the_source_of_tokens_is_refused() {
    let package = "org.apache.kafka.common.security.oauthbearer";
    let jaas = format!(
        "{package}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\";"
    );
    let with = |handler: &str, url: &str| {
        config(&[
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.jaas.config", &jaas),
            (
                "sasl.login.callback.handler.class",
                &format!("{package}.{handler}"),
            ),
            ("sasl.oauthbearer.token.endpoint.url", url),
        ])
    };
    let (secured, unsecured) = (
        "OAuthBearerLoginCallbackHandler",
        "OAuthBearerUnsecuredLoginCallbackHandler",
    );
    let file = "file:///run/token";
    let text = refusal(&with(secured, ""));
    assert!(text.contains("needs a source of tokens"), "{text}");
    let text = refusal(&with(unsecured, file));
    assert!(text.contains("makes tokens without a signature"), "{text}");
    let origin = |handler, url| settings(&with(handler, url)).origin;
    assert!(matches!(origin(secured, file), Origin::TokenFile(_)));
    assert!(matches!(origin(unsecured, ""), Origin::Unsecured(_)));
}

#[test]
fn without_sasl_the_keys_are_not_looked_at_but_a_warning_says_so() {
    let mut config = config(&[
        ("sasl.mechanism", "GSSAPI"),
        ("sasl.jaas.config", "hunter2"),
    ]);
    config.set("security.protocol", "PLAINTEXT").unwrap();
    let (resolved, notes) = config.check(Refusals::default()).unwrap();
    assert!(resolved.sasl.is_none());
    let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].contains("sasl.jaas.config is set, but security.protocol=PLAINTEXT"),
        "{texts:?}"
    );
}

#[test]
fn credentials_in_the_clear_are_warned_of() {
    for (mechanism, exposed) in [
        ("PLAIN", "the password of PLAIN"),
        ("SCRAM-SHA-256", "all records"),
    ] {
        let config = config(&[("sasl.mechanism", mechanism), ("sasl.jaas.config", PLAIN)]);
        let (_, notes) = config.check(Refusals::default()).unwrap();
        let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
        assert!(
            texts[0].contains(exposed) && texts[0].contains("SASL_SSL"),
            "{texts:?}"
        );
    }
}

#[test]
fn the_path_of_a_file_url_is_decoded() {
    for (url, path) in [
        ("file:///run/token", Some("/run/token")),
        ("file:/run/token", Some("/run/token")),
        ("file://localhost/run/a%20b%C3%A4", Some("/run/a b\u{e4}")),
        ("file://elsewhere/run/token", None),
        ("file:token", None),
        ("file:", None),
        ("file:///", None),
        ("file:///a%2", None),
        ("file:///a%zz", None),
    ] {
        assert_eq!(file_path(url), path.map(PathBuf::from), "{url}");
    }
}

// Java: OAuthBearerUnsecuredLoginCallbackHandlerTest.addsExtensions, validOptionsWithExplicitOptionValues.
#[test]
fn the_options_of_an_unsecured_token_come_to_claims() {
    let entry = JaasEntry::parse(
        "M required unsecuredLoginStringClaim_user=\"bob\" unsecuredLoginPrincipalClaimName=\"user\" \
         unsecuredLoginNumberClaim_n=\"1.5\" unsecuredLoginListClaim_scope=\"|a|b\" unsecuredLoginListClaim_e=\"\" \
         unsecuredLoginLifetimeSeconds=\"60\" unsecuredLoginExtension_traceId=\"7\" unsecuredLoginScopeClaimName=\"scope\";",
    );
    let claims = unsecured(&entry.unwrap()).unwrap().unwrap();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    let expected = [
        ("user", "\"bob\""),
        ("n", "1.5"),
        ("scope", "[\"a\",\"b\"]"),
        ("e", "[]"),
    ];
    assert_eq!(claims.claims, pairs(&expected));
    assert_eq!(claims.extensions, pairs(&[("traceId", "7")]));
    assert_eq!(claims.lifetime_seconds, 60);
    let unknown = JaasEntry::parse("M required unsecuredLoginTypo=\"x\";").unwrap();
    assert!(
        unsecured(&unknown)
            .unwrap_err()
            .to_string()
            .contains("is not an option")
    );
}

/// The snippets of the README are configurations, and each one's user and password are found.
#[cfg(feature = "tls")]
#[test]
fn the_snippets_of_the_readme_are_configurations() {
    let readme = include_str!("../../../../README.md");
    let section = readme.split("## Connecting to secured clusters").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next()).unwrap();
    let blocks: Vec<_> = section
        .split("```properties\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        // The others are fragments.
        .filter(|block| block.contains("bootstrap.servers="))
        .collect();
    let mut users = Vec::new();
    for block in blocks {
        let config = ProducerConfig::from_properties(block).unwrap();
        let checked = config.check(Refusals::default()).unwrap().0;
        assert!(checked.ssl.is_some(), "{block}");
        let Some(sasl) = checked.sasl else {
            users.push("none".to_owned());
            continue;
        };
        let Origin::Credentials(credentials) = sasl.origin else {
            panic!("{block}");
        };
        assert!(credentials.password().ends_with("SECRET"), "{block}");
        let mechanism = sasl.mechanism.name();
        users.push(format!("{} by {mechanism}", credentials.username()));
    }
    let expected = [
        "KEY by PLAIN",
        "$ConnectionString by PLAIN",
        "alice by SCRAM-SHA-512",
        "alice by SCRAM-SHA-256",
        "none",
    ];
    assert_eq!(users, expected);
}

#[cfg(feature = "oauth-oidc")]
#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn each_mistake_about_a_token_endpoint_is_named() {
    let jaas = "a.OAuthBearerLoginModule required clientId=\"a\" clientSecret=\"hunter2\" ssl.truststore.type=PEM;";
    let url = "https://idp.example/token?key=hunter2";
    let files = "org.apache.kafka.sasl.oauthbearer.allowed.files";
    let urls = "org.apache.kafka.sasl.oauthbearer.allowed.urls";
    for (entries, reason) in [
        (
            vec![(
                "sasl.oauthbearer.token.endpoint.url",
                "https://a:hunter2@idp/token",
            )],
            "must hold no user or password",
        ),
        (
            vec![("sasl.oauthbearer.token.endpoint.url", "ftp://hunter2/")],
            "must begin with https://",
        ),
        (
            vec![("sasl.oauthbearer.token.endpoint.url", "https://hunter2 /")],
            "is not a URL",
        ),
        (
            vec![(urls, "https://other.example/token")],
            "the value is not in org.apache.kafka.sasl.oauthbearer.allowed.urls",
        ),
        (
            vec![
                (urls, "https://other.example/token"),
                ("sasl.oauthbearer.token.endpoint.url", "file:///run/token"),
            ],
            "the value is not in org.apache.kafka.sasl.oauthbearer.allowed.urls",
        ),
        (
            vec![("sasl.login.read.timeout.ms", "-1")],
            "must not be negative",
        ),
        (
            vec![("sasl.oauthbearer.jwt.retriever.class", "x.FileJwtRetriever")],
            "reads a file",
        ),
        (
            vec![(
                "sasl.oauthbearer.jwt.retriever.class",
                "x.JwtBearerJwtRetriever",
            )],
            "assertion.private.key.file is required",
        ),
        (
            vec![("sasl.oauthbearer.assertion.claim.iss", "me")],
            "assertion.private.key.file is required",
        ),
        (
            vec![
                (files, "/allowed"),
                ("sasl.oauthbearer.assertion.file", "/hunter2"),
            ],
            "sasl.oauthbearer.assertion.file: the value is not in org.apache.kafka.sasl.oauthbearer.allowed.files",
        ),
        (
            vec![(
                "sasl.jaas.config",
                "a.OAuthBearerLoginModule required clientId=a clientSecret=\"hunter2\" ssl.protocol=SSLv3;",
            )],
            "sasl.jaas.config: ",
        ),
        (
            vec![(
                "sasl.jaas.config",
                "a.OAuthBearerLoginModule required clientId=a clientSecret=\"hunter2\" ssl.endpoint.identification.algorithm=\"\";",
            )],
            "must prove its host name",
        ),
    ] {
        let mut config = config(&[
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.token.endpoint.url", url),
            ("sasl.jaas.config", jaas),
        ]);
        for (key, value) in &entries {
            config.set(key, value).unwrap();
        }
        let text = refusal(&config);
        assert!(text.contains(reason), "{entries:?}: {text}");
    }
    let allowed = config(&[
        ("sasl.mechanism", "OAUTHBEARER"),
        ("sasl.oauthbearer.token.endpoint.url", url),
        ("sasl.jaas.config", jaas),
        (
            urls,
            "https://other.example/token, https://idp.example/token?key=hunter2",
        ),
    ]);
    let settings = settings(&allowed);
    assert!(!format!("{settings:?}").contains("hunter2"));
    let Origin::TokenEndpoint(endpoint) = settings.origin else {
        panic!("{settings:?}");
    };
    assert_eq!(endpoint.shown_url, "https://idp.example/token");
}

/// Amazon's documentation for its Java library and for OAUTHBEARER:
/// https://docs.aws.amazon.com/msk/latest/developerguide/configure-clients-for-iam-access-control.html
#[cfg(feature = "aws-msk-iam")]
#[test]
fn amazons_settings_come_to_signed_tokens() {
    let iam = "security.protocol=SASL_SSL
sasl.mechanism=AWS_MSK_IAM
sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;
sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMClientCallbackHandler
";
    let profile = iam.replace(
        "required;",
        "required awsProfileName=\"your profile name\";",
    );
    let bearer = "security.protocol=SASL_SSL
sasl.mechanism=OAUTHBEARER
sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
sasl.login.callback.handler.class=software.amazon.msk.auth.iam.IAMOAuthBearerLoginCallbackHandler
";
    for text in [iam, &profile, bearer] {
        let mut config = ProducerConfig::from_properties(text).unwrap();
        config.bootstrap_servers("b-1.demo.abc.c2.kafka.us-east-1.amazonaws.com:9098");
        let Origin::MskIam(msk_iam) = settings(&config).origin else {
            panic!("{text}");
        };
        assert_eq!(msk_iam.region, "us-east-1");
        let shown = format!("{msk_iam:?}");
        assert_eq!(
            shown.contains("your profile name"),
            text == profile,
            "{shown}"
        );
    }
    let role = iam.replace(
        "required;",
        "required awsRoleArn=\"arn:aws:iam::1:role/hunter2\";",
    );
    let mut config = ProducerConfig::from_properties(&role).unwrap();
    config.bootstrap_servers("b-1.demo.abc.c2.kafka.us-east-1.amazonaws.com:9098");
    let text = refusal(&config);
    assert!(
        text.contains("awsRoleArn is not supported: give a closure"),
        "{text}"
    );
}

/// So is that of its section about Kerberos.
#[cfg(all(feature = "gssapi", feature = "tls"))]
#[test]
fn the_kerberos_snippet_of_the_readme_is_a_configuration() {
    let readme = include_str!("../../../../README.md");
    let section = readme.split("## Kerberos\n").nth(1).unwrap();
    let block = section.split("```properties\n").nth(1);
    let block = block.and_then(|rest| rest.split("```").next()).unwrap();
    let mut config = ProducerConfig::from_properties(block).unwrap();
    let Origin::Kerberos(kerberos) = settings(&config).origin else {
        panic!("{block}");
    };
    assert_eq!(kerberos.principal.as_deref(), Some("client@EXAMPLE.COM"));
    assert_eq!(kerberos.service, "kafka");
    // A closure is for other mechanisms, wherever it was set.
    config.sasl_credentials(|| Ok(SaslCredentials::new("alice", "hunter2")));
    assert!(refusal(&config).contains("whose credentials are Kerberos tickets"));
}
