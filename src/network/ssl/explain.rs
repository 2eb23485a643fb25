//! Describes why a handshake failed, and names the setting to check. Java: the messages of
//! `SSLHandshakeException`.

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription, CertificateError, ContentType, Error, HandshakeType, InvalidMessage,
    PeerIncompatible,
};

use crate::utils::printable;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Describes a failure between this client and `host`.
pub(super) fn explain(error: &Error, host: &str) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why, host),
        Error::AlertReceived(alert) => received(*alert),
        // The first bytes are not those of a TLS record.
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => format!(
            "{host} does not speak TLS: its port may be a plaintext listener (security.protocol), or no Kafka broker"
        ),
        Error::PeerIncompatible(why) => incompatible(why),
        Error::InappropriateHandshakeMessage {
            got_type: HandshakeType::ServerHello,
            ..
        }
        | Error::InappropriateMessage {
            got_type: ContentType::Handshake,
            ..
        } => repeated_handshake(host),
        Error::NoCertificatesPresented => format!("{host} has no certificate"),
        error => format!(
            "the TLS handshake failed: {}",
            printable(&error.to_string())
        ),
    }
}

/// Describes a failure of a connection to `host` after this side completed the handshake and before
/// the first byte of data.
pub(super) fn explain_after_handshake(error: &Error, host: &str) -> String {
    match error {
        // With TLS 1.3, the repeated messages are not encrypted, but only encrypted ones are
        // expected.
        Error::DecryptError => repeated_handshake(host),
        error => explain(error, host),
    }
}

/// When Kafka 2.8 refuses a client, it sends its part of the handshake again, followed by the
/// alert.
fn repeated_handshake(host: &str) -> String {
    format!(
        "{host} starts the TLS handshake again instead of ending it; Kafka 2.8 does so when it refuses this client's \
         certificate, or the lack of one: see ssl.keystore.* and the broker's log"
    )
}

/// Describes a broker's certificate that is not accepted.
fn certificate(why: &CertificateError, host: &str) -> String {
    let what = format!("the certificate of {host}");
    match why {
        CertificateError::Expired => format!("{what} has expired"),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("{what} expired {} ago", days_between(*not_after, *time))
        }
        CertificateError::NotValidYet => format!("{what} is not valid yet"),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "{what} is not valid yet, but in {}; is this machine's clock right?",
            days_between(*time, *not_before)
        ),
        CertificateError::UnknownIssuer => format!(
            "{what} is not signed by an authority of the truststore (ssl.truststore.*): it is self-signed or of another \
             authority, or the broker does not send an intermediate certificate"
        ),
        CertificateError::NotValidForName => {
            format!("{what} is for another host ({HOST_CHECK})")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| plain_name(name)).collect();
            let names = names.join(", ");
            match names.as_str() {
                "" => format!(
                    "{what} names no host: it needs a subject alternative name, and a common name is not enough ({HOST_CHECK})"
                ),
                names => format!(
                    "{what} is not for {host}, but for {} ({HOST_CHECK})",
                    printable(names)
                ),
            }
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{what} is not meant for servers (extended key usage)")
        }
        CertificateError::BadSignature => {
            format!(
                "{what} is not signed by the key of its issuer, or the broker does not have its key"
            )
        }
        CertificateError::Revoked => format!("{what} is revoked"),
        CertificateError::BadEncoding => format!("{what} is damaged"),
        CertificateError::UnhandledCriticalExtension => {
            format!("{what} has a critical extension that this client does not know")
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => format!(
            "{what} is signed with an algorithm that is too weak or unknown, such as SHA-1 or RSA of less than 2048 bits"
        ),
        why => {
            let why = why.to_string();
            if why.contains("CaUsedAsEndEntity") {
                format!(
                    "{what} is that of an authority (CA:TRUE), which a broker cannot use as its own"
                )
            } else {
                format!("{what} is not accepted: {}", printable(&why))
            }
        }
    }
}

/// Returns the name without rustls's wrapper, such as `DnsName("a.example")` or `IpAddress(::1)`.
fn plain_name(name: &str) -> &str {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

const HOST_CHECK: &str = "ssl.endpoint.identification.algorithm=https";

fn days_between(earlier: UnixTime, later: UnixTime) -> String {
    match later.as_secs().saturating_sub(earlier.as_secs()) / SECONDS_PER_DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Describes an alert with which the broker ended the handshake.
fn received(alert: AlertDescription) -> String {
    let name = format!("{alert:?}");
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => format!(
            "the broker demands a client certificate (alert {name}): set ssl.keystore.location or ssl.keystore.key"
        ),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => format!(
            "the broker refuses this client's certificate, or the lack of one (alert {name}): see ssl.keystore.* and the \
             broker's log"
        ),
        AlertDescription::ProtocolVersion => format!(
            "the broker supports none of this client's TLS versions (alert {name}): see ssl.enabled.protocols"
        ),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => format!(
            "the broker and this client have no cipher suite in common, or the broker demands a client certificate (alert \
             {name}): see ssl.cipher.suites, ssl.enabled.protocols and ssl.keystore.*"
        ),
        AlertDescription::UnrecognisedName => {
            format!("the broker knows no host of the name that this client asks for (alert {name})")
        }
        _ => format!("the broker ended the TLS handshake (alert {name})"),
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "the broker supports none of this client's TLS versions: see ssl.enabled.protocols"
                .to_owned()
        }
        why => format!("the broker and this client do not agree on TLS: {why:?}"),
    }
}
