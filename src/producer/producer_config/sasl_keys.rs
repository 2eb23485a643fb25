//! The keys of SASL: type, default, valid values, importance, meaning. Java: `SaslConfigs`.
//!
//! They are accepted without the feature `sasl` too. A security protocol that uses them is then
//! refused.

use crate::producer::config_def::{ConfigKey, DefaultValue, Importance, Kind, Rule};

macro_rules! sasl_keys {
    ($($constant:ident = $name:literal: $kind:ident, $default:expr, $rule:expr, $valid:literal, $importance:ident, $doc:literal;)*) => {
        $(pub(crate) static $constant: ConfigKey = ConfigKey {
            name: $name,
            kind: Kind::$kind,
            default: $default,
            rule: $rule,
            valid: $valid,
            importance: Importance::$importance,
            doc: $doc,
        };)*

        /// Every key of SASL.
        pub(super) static ALL: &[&ConfigKey] = &[$(&$constant),*];
    };
}

sasl_keys! {
    CLIENT_CALLBACK_HANDLER_CLASS = "sasl.client.callback.handler.class": Class, DefaultValue::Null, Rule::Any, "", Medium,
        " What provides a mechanism with credentials: in Rust a closure, given to `sasl_credentials` of the builder. A class of \
         Java is refused.";
    JAAS_CONFIG = "sasl.jaas.config": Password, DefaultValue::Null, Rule::Any, "", Medium,
        " The login module and the credentials, as `LoginModule required key=\"value\" ...;`. Java's `PlainLoginModule`, \
         `ScramLoginModule`, `OAuthBearerLoginModule` and `Krb5LoginModule` are known. Never printed.";
    KERBEROS_KINIT_CMD = "sasl.kerberos.kinit.cmd": String, DefaultValue::Text("/usr/bin/kinit"), Rule::Any, "", Low,
        " The program that gets tickets for the keys of a keytab (`useKeyTab=true` in `sasl.jaas.config`), and renews those of \
         a credential cache (`useTicketCache=true`). It is run without a shell.";
    KERBEROS_MIN_TIME_BEFORE_RELOGIN = "sasl.kerberos.min.time.before.relogin": Long, DefaultValue::Text("60000"), Rule::Any, "", Low,
        " How long, in milliseconds, Kerberos credentials are kept at least before they are renewed, unless they end before.";
    KERBEROS_SERVICE_NAME = "sasl.kerberos.service.name": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The first part of the brokers' Kerberos principal, `kafka` in `kafka/broker-1.example@REALM`. Required with \
         `sasl.mechanism=GSSAPI`, unless `sasl.jaas.config` has `serviceName`.";
    KERBEROS_TICKET_RENEW_JITTER = "sasl.kerberos.ticket.renew.jitter": Double, DefaultValue::Text("0.05"), Rule::Any, "", Low,
        " The part of their life that is added at random, at most, to `sasl.kerberos.ticket.renew.window.factor`.";
    KERBEROS_TICKET_RENEW_WINDOW_FACTOR = "sasl.kerberos.ticket.renew.window.factor": Double, DefaultValue::Text("0.8"), Rule::Any, "", Low,
        " The part of their life after which Kerberos credentials are renewed.";
    LOGIN_CALLBACK_HANDLER_CLASS = "sasl.login.callback.handler.class": Class, DefaultValue::Null, Rule::Any, "", Medium,
        " What provides OAUTHBEARER with tokens: in Rust a closure, given to `sasl_oauthbearer` of the builder. Of Java's classes \
         only its own `OAuthBearerLoginCallbackHandler` and `OAuthBearerUnsecuredLoginCallbackHandler` are known.";
    LOGIN_CLASS = "sasl.login.class": Class, DefaultValue::Null, Rule::Any, "", Medium,
        " How Java logs in. A class of Java is refused.";
    LOGIN_CONNECT_TIMEOUT_MS = "sasl.login.connect.timeout.ms": Int, DefaultValue::Null, Rule::Any, "", Low,
        " How long, in milliseconds, a connection to the token endpoint may take. Unset or 0: 10 seconds.";
    LOGIN_READ_TIMEOUT_MS = "sasl.login.read.timeout.ms": Int, DefaultValue::Null, Rule::Any, "", Low,
        " How long, in milliseconds, a response of the token endpoint may take. Unset or 0: 30 seconds.";
    LOGIN_REFRESH_BUFFER_SECONDS = "sasl.login.refresh.buffer.seconds": Short, DefaultValue::Text("300"), Rule::Between(0, 3600), "[0,...,3600]", Low,
        " The latest time for a refresh, in seconds before an OAUTHBEARER token expires. Not kept if it and \
         `sasl.login.refresh.min.period.seconds` together exceed the rest of the token's life.";
    LOGIN_REFRESH_MIN_PERIOD_SECONDS = "sasl.login.refresh.min.period.seconds": Short, DefaultValue::Text("60"), Rule::Between(0, 900), "[0,...,900]", Low,
        " The shortest time, in seconds, between two refreshes of an OAUTHBEARER token. Not kept if it and \
         `sasl.login.refresh.buffer.seconds` together exceed the rest of the token's life.";
    LOGIN_REFRESH_WINDOW_FACTOR = "sasl.login.refresh.window.factor": Double, DefaultValue::Text("0.8"), Rule::Hundredths(50, 100), "[0.5,...,1.0]", Low,
        " The fraction of an OAUTHBEARER token's life after which it is refreshed.";
    LOGIN_REFRESH_WINDOW_JITTER = "sasl.login.refresh.window.jitter": Double, DefaultValue::Text("0.05"), Rule::Hundredths(0, 25), "[0.0,...,0.25]", Low,
        " The largest random fraction to add to `sasl.login.refresh.window.factor`.";
    LOGIN_RETRY_BACKOFF_MAX_MS = "sasl.login.retry.backoff.max.ms": Long, DefaultValue::Text("10000"), Rule::Any, "", Low,
        " How long, in milliseconds, a failed request to the token endpoint is retried.";
    LOGIN_RETRY_BACKOFF_MS = "sasl.login.retry.backoff.ms": Long, DefaultValue::Text("100"), Rule::Any, "", Low,
        " The pause, in milliseconds, before a failed request to the token endpoint is retried. It doubles each time.";
    MECHANISM = "sasl.mechanism": String, DefaultValue::Text("GSSAPI"), Rule::Any, "", Medium,
        " The SASL mechanism: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `OAUTHBEARER`, Amazon's `AWS_MSK_IAM`, or `GSSAPI` for \
         Kerberos, which needs the Cargo feature `gssapi`.";
    OAUTHBEARER_ALLOW_UNVERIFIED_AUDIENCE = "sasl.oauthbearer.allow.unverified.audience": Boolean, DefaultValue::Text("false"), Rule::Any, "", Medium,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_ALLOW_UNVERIFIED_ISSUER = "sasl.oauthbearer.allow.unverified.issuer": Boolean, DefaultValue::Text("false"), Rule::Any, "", Medium,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_ASSERTION_ALGORITHM = "sasl.oauthbearer.assertion.algorithm": String, DefaultValue::Text("RS256"), Rule::OneOfIgnoringCase(&["ES256", "RS256"]), "(case insensitive) [ES256, RS256]", Medium,
        " How assertions are signed.";
    OAUTHBEARER_ASSERTION_CLAIM_AUD = "sasl.oauthbearer.assertion.claim.aud": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The claim `aud` of an assertion: its audience.";
    OAUTHBEARER_ASSERTION_CLAIM_EXP_SECONDS = "sasl.oauthbearer.assertion.claim.exp.seconds": Int, DefaultValue::Text("300"), Rule::Between(0, 86400), "[0,...,86400]", Low,
        " How long, in seconds, an assertion is valid.";
    OAUTHBEARER_ASSERTION_CLAIM_ISS = "sasl.oauthbearer.assertion.claim.iss": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The claim `iss` of an assertion: its issuer. If set, an assertion takes the place of the client secret.";
    OAUTHBEARER_ASSERTION_CLAIM_JTI_INCLUDE = "sasl.oauthbearer.assertion.claim.jti.include": Boolean, DefaultValue::Text("false"), Rule::Any, "", Medium,
        " Whether an assertion has a random claim `jti`.";
    OAUTHBEARER_ASSERTION_CLAIM_NBF_SECONDS = "sasl.oauthbearer.assertion.claim.nbf.seconds": Int, DefaultValue::Text("60"), Rule::Between(0, 3600), "[0,...,3600]", Low,
        " How long, in seconds, an assertion is valid before the time when it is created.";
    OAUTHBEARER_ASSERTION_CLAIM_SUB = "sasl.oauthbearer.assertion.claim.sub": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The claim `sub` of an assertion: its subject.";
    OAUTHBEARER_ASSERTION_FILE = "sasl.oauthbearer.assertion.file": String, DefaultValue::Null, Rule::Any, "", Medium,
        " A file with an assertion that another program creates. It is read for each request, and takes the place of the \
         client secret.";
    OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE = "sasl.oauthbearer.assertion.private.key.file": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The key that signs assertions: PEM, or PKCS#8 in base 64.";
    OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE = "sasl.oauthbearer.assertion.private.key.passphrase": Password, DefaultValue::Null, Rule::Any, "", Medium,
        " The passphrase of `sasl.oauthbearer.assertion.private.key.file`, which needs the Cargo feature `keystores`. \
         Never printed.";
    OAUTHBEARER_ASSERTION_TEMPLATE_FILE = "sasl.oauthbearer.assertion.template.file": String, DefaultValue::Null, Rule::Any, "", Medium,
        " A JSON file whose objects `header` and `payload` go into each assertion.";
    OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID = "sasl.oauthbearer.client.credentials.client.id": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The client id for the token endpoint. It replaces the option `clientId` of `sasl.jaas.config`.";
    OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET = "sasl.oauthbearer.client.credentials.client.secret": Password, DefaultValue::Null, Rule::Any, "", Medium,
        " The client secret for the token endpoint. It replaces the option `clientSecret` of `sasl.jaas.config`. Never printed.";
    OAUTHBEARER_CLOCK_SKEW_SECONDS = "sasl.oauthbearer.clock.skew.seconds": Int, DefaultValue::Text("30"), Rule::Any, "", Low,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_EXPECTED_AUDIENCE = "sasl.oauthbearer.expected.audience": List, DefaultValue::Text(""), Rule::Any, "", High,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_EXPECTED_ISSUER = "sasl.oauthbearer.expected.issuer": String, DefaultValue::Null, Rule::Any, "", High,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_HEADER_URLENCODE = "sasl.oauthbearer.header.urlencode": Boolean, DefaultValue::Text("false"), Rule::Any, "", Low,
        " Whether the client id and secret are URL-encoded in the header, as RFC 6749 requires.";
    OAUTHBEARER_JWKS_ENDPOINT_REFRESH_MS = "sasl.oauthbearer.jwks.endpoint.refresh.ms": Long, DefaultValue::Text("3600000"), Rule::Any, "", Low,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MAX_MS = "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms": Long, DefaultValue::Text("10000"), Rule::Any, "", Low,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_JWKS_ENDPOINT_RETRY_BACKOFF_MS = "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": Long, DefaultValue::Text("100"), Rule::Any, "", Low,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_JWKS_ENDPOINT_URL = "sasl.oauthbearer.jwks.endpoint.url": String, DefaultValue::Null, Rule::Any, "", Medium,
        " Only brokers use this. Accepted, without effect.";
    OAUTHBEARER_JWT_RETRIEVER_CLASS = "sasl.oauthbearer.jwt.retriever.class": Class, DefaultValue::Text("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"), Rule::Any, "", Medium,
        " How tokens are requested: Java's `DefaultJwtRetriever`, `FileJwtRetriever`, `ClientCredentialsJwtRetriever` or \
         `JwtBearerJwtRetriever`.";
    OAUTHBEARER_JWT_VALIDATOR_CLASS = "sasl.oauthbearer.jwt.validator.class": Class, DefaultValue::Text("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"), Rule::Any, "", Medium,
        " How Java checks tokens. Only its `DefaultJwtValidator` and `ClientJwtValidator` are known.";
    OAUTHBEARER_SCOPE = "sasl.oauthbearer.scope": String, DefaultValue::Null, Rule::Any, "", Medium,
        " The scope to request from the token endpoint. It replaces the option `scope` of `sasl.jaas.config`.";
    OAUTHBEARER_SCOPE_CLAIM_NAME = "sasl.oauthbearer.scope.claim.name": String, DefaultValue::Text("scope"), Rule::Any, "", Low,
        " The claim of a token that holds its scope.";
    OAUTHBEARER_SUB_CLAIM_NAME = "sasl.oauthbearer.sub.claim.name": String, DefaultValue::Text("sub"), Rule::Any, "", Low,
        " The claim of a token that holds its subject.";
    OAUTHBEARER_TOKEN_ENDPOINT_URL = "sasl.oauthbearer.token.endpoint.url": String, DefaultValue::Null, Rule::Any, "", Medium,
        " Where OAUTHBEARER tokens come from: `file:///path` of a file that holds a JWT, which is read again for each refresh, \
         or `https://host/path` of a token endpoint, which needs the Cargo feature `oauth-oidc`.";
    OAUTHBEARER_ALLOWED_FILES = "org.apache.kafka.sasl.oauthbearer.allowed.files": List, DefaultValue::Null, Rule::Any, "", Medium,
        " The only files that `sasl.oauthbearer.assertion.*` may name. Unset: any. Java: the JVM property of this name, which is \
         required.";
    OAUTHBEARER_ALLOWED_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls": List, DefaultValue::Null, Rule::Any, "", Medium,
        " The only values that `sasl.oauthbearer.token.endpoint.url` may have. Unset: any. Java: the JVM property of this name, \
         which is required.";
}
