//! What the keys of Kerberos come to. Java: `KerberosLogin.configure`, and `Krb5LoginModule` of the JDK.
//!
//! Differs from Java: without `sasl.jaas.config` the system's credential cache is used. Options of the login module that would
//! change something and are not known are refused, where the JDK ignores them.

use std::time::Duration;

use super::jaas_config::JaasEntry;
use super::{ProducerConfig, sasl_keys};
use crate::error::{Error, Result};
use crate::network::sasl::{KerberosConfig, Keytab, RenewConfig};
use crate::producer::config_def::{ConfigKey, config_error, trim};
use crate::utils::printable;

pub(super) const LOGIN_MODULE: &str = "Krb5LoginModule";

/// Options that change nothing here: what they turn on or off does not exist.
const IGNORED: [&str; 10] = [
    "clearPass",
    "debug",
    "doNotPrompt",
    "refreshKrb5Config",
    "renewTGT",
    // No option of Java's module, but vendors' documents have it.
    "renewTicket",
    "storeKey",
    "storePass",
    "tryFirstPass",
    "useFirstPass",
];

/// Reads who the client is, and where its tickets come from. Without an entry they are in the credential cache.
pub(super) fn kerberos(
    config: &ProducerConfig,
    entry: Option<&JaasEntry>,
) -> Result<KerberosConfig> {
    let options = entry.map_or_else(|| Ok(Options::of_the_cache()), Options::read)?;
    let keytab = match (options.uses_keytab, options.keytab) {
        (false, None) => Keytab::None,
        (false, Some(_)) => return Err(refusal("keyTab has no effect without useKeyTab=true")),
        (true, None) => Keytab::Default,
        (true, Some(path)) => Keytab::File(path),
    };
    if keytab == Keytab::None && !options.uses_ticket_cache {
        return Err(refusal(
            "there is neither useKeyTab=true nor useTicketCache=true: nobody is asked for a password",
        ));
    }
    if keytab != Keytab::None && options.principal.is_none() {
        return Err(refusal(
            "useKeyTab=true needs principal=\"...\", whose keys the keytab has",
        ));
    }
    Ok(KerberosConfig {
        service: service_name(config, options.service_name.as_deref())?,
        principal: options.principal,
        keytab,
        uses_ticket_cache: options.uses_ticket_cache,
        kinit: text(config, &sasl_keys::KERBEROS_KINIT_CMD).to_owned(),
        renew: renew(config)?,
    })
}

/// The options of `Krb5LoginModule`.
#[derive(Default)]
struct Options {
    uses_keytab: bool,
    keytab: Option<String>,
    principal: Option<String>,
    uses_ticket_cache: bool,
    /// Kafka's own.
    service_name: Option<String>,
}

impl Options {
    fn of_the_cache() -> Self {
        Self {
            uses_ticket_cache: true,
            ..Self::default()
        }
    }

    fn read(entry: &JaasEntry) -> Result<Self> {
        let mut options = Self::default();
        for (name, value) in entry.options_with("") {
            let is_true = value.eq_ignore_ascii_case("true");
            let given = Some(value.to_owned()).filter(|value| !value.is_empty());
            match name {
                "useKeyTab" => options.uses_keytab = is_true,
                "useTicketCache" => options.uses_ticket_cache = is_true,
                "keyTab" => options.keytab = given,
                "principal" => options.principal = given,
                "serviceName" => options.service_name = given,
                "ticketCache" => {
                    return Err(refusal(
                        "ticketCache is not supported: set the environment variable KRB5CCNAME of the process",
                    ));
                }
                "isInitiator" if is_true => {}
                name if IGNORED.contains(&name) => {}
                name => {
                    let text = format!("the option {} is not supported", printable(name));
                    return Err(refusal(&text));
                }
            }
        }
        Ok(options)
    }
}

fn refusal(reason: &str) -> Error {
    config_error(format!("{}: {reason}", sasl_keys::JAAS_CONFIG.name))
}

/// Java: `KerberosLogin.getServiceName`.
fn service_name(config: &ProducerConfig, of_entry: Option<&str>) -> Result<String> {
    let key = sasl_keys::KERBEROS_SERVICE_NAME.name;
    let of_key =
        Some(text(config, &sasl_keys::KERBEROS_SERVICE_NAME)).filter(|name| !name.is_empty());
    match (of_entry, of_key) {
        (Some(of_entry), Some(of_key)) if of_entry != of_key => Err(config_error(format!(
            "{key} is {}, but serviceName in {} is {}: remove one of them",
            printable(of_key),
            sasl_keys::JAAS_CONFIG.name,
            printable(of_entry)
        ))),
        (Some(name), _) | (None, Some(name)) => Ok(name.to_owned()),
        (None, None) => Err(config_error(format!(
            "{key} is required with the mechanism GSSAPI: set it to the first part of the brokers' principal, such as kafka"
        ))),
    }
}

fn renew(config: &ProducerConfig) -> Result<RenewConfig> {
    let decimal = |key: &ConfigKey| key.decimal(text(config, key));
    let key = &sasl_keys::KERBEROS_MIN_TIME_BEFORE_RELOGIN;
    let millis = key.number(text(config, key))?;
    Ok(RenewConfig {
        window_factor: decimal(&sasl_keys::KERBEROS_TICKET_RENEW_WINDOW_FACTOR)?,
        jitter: decimal(&sasl_keys::KERBEROS_TICKET_RENEW_JITTER)?,
        min_time_before_relogin: Duration::from_millis(u64::try_from(millis).unwrap_or_default()),
    })
}

fn text<'a>(config: &'a ProducerConfig, key: &ConfigKey) -> &'a str {
    trim(config.get(key.name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: (&str, &str) = ("sasl.kerberos.service.name", "kafka");

    fn read(jaas: &str, settings: &[(&str, &str)]) -> Result<KerberosConfig> {
        let config = ProducerConfig::from_map(settings.iter().copied())?;
        let entry = JaasEntry::parse(&format!(
            "com.sun.security.auth.module.Krb5LoginModule required {jaas};"
        ));
        kerberos(&config, Some(&entry.unwrap()))
    }

    fn refused(jaas: &str, settings: &[(&str, &str)]) -> String {
        read(jaas, settings).unwrap_err().to_string()
    }

    // Java: the examples of Kafka's documentation, "Authentication using SASL/Kerberos".
    #[test]
    fn the_options_of_the_login_module_come_to_a_source_of_tickets() {
        let keytab = "useKeyTab=true storeKey=true keyTab=\"/etc/kafka_client.keytab\" \
            principal=\"kafka-client-1@EXAMPLE.COM\"";
        let read_keytab = read(keytab, &[SERVICE]).unwrap();
        assert_eq!(
            read_keytab.keytab,
            Keytab::File("/etc/kafka_client.keytab".to_owned())
        );
        assert_eq!(
            read_keytab.principal.as_deref(),
            Some("kafka-client-1@EXAMPLE.COM")
        );
        assert!(!read_keytab.uses_ticket_cache);
        assert_eq!(read_keytab.service, "kafka");
        assert_eq!(read_keytab.kinit, "/usr/bin/kinit");
        let renew = read_keytab.renew;
        assert_eq!((renew.window_factor, renew.jitter), (0.8, 0.05));
        assert_eq!(renew.min_time_before_relogin, Duration::from_secs(60));

        let vendors = "useTicketCache=true renewTGT=true renewTicket=true serviceName=kafka";
        let cache = read(vendors, &[]).unwrap();
        assert_eq!((cache.keytab, cache.principal), (Keytab::None, None));
        assert!(cache.uses_ticket_cache);
        assert_eq!(cache.service, "kafka");

        let default = read(
            "useKeyTab=true principal=alice isInitiator=true",
            &[SERVICE],
        );
        assert_eq!(default.unwrap().keytab, Keytab::Default);
        let config = ProducerConfig::from_map([SERVICE]).unwrap();
        assert!(kerberos(&config, None).unwrap().uses_ticket_cache);
    }

    // Java: JaasContextTest, KerberosLogin.getServiceName.
    #[test]
    fn what_comes_to_no_tickets_is_refused() {
        for (jaas, settings, says) in [
            (
                "",
                &[SERVICE][..],
                "neither useKeyTab=true nor useTicketCache=true",
            ),
            (
                "keyTab=\"/k\"",
                &[SERVICE],
                "keyTab has no effect without useKeyTab=true",
            ),
            (
                "useKeyTab=true keyTab=\"/k\"",
                &[SERVICE],
                "useKeyTab=true needs principal=",
            ),
            (
                "useTicketCache=true ticketCache=\"/c\"",
                &[SERVICE],
                "KRB5CCNAME",
            ),
            (
                "useTicketCache=true isInitiator=false",
                &[SERVICE],
                "the option isInitiator is not supported",
            ),
            (
                "useTicketCache=true password=\"hunter2\"",
                &[SERVICE],
                "the option password is not supported",
            ),
            (
                "useTicketCache=true",
                &[],
                "sasl.kerberos.service.name is required",
            ),
            (
                "useTicketCache=true serviceName=\"other\"",
                &[SERVICE],
                "sasl.kerberos.service.name is kafka, but serviceName in sasl.jaas.config is other",
            ),
            (
                "useTicketCache=true",
                &[SERVICE, ("sasl.kerberos.ticket.renew.jitter", "much")],
                "sasl.kerberos.ticket.renew.jitter",
            ),
        ] {
            let text = refused(jaas, settings);
            assert!(text.contains(says), "{jaas}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
