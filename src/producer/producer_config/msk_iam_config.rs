//! The keys for Amazon MSK with IAM. Amazon's Java library: `MSKCredentialProvider`, `RegionUtils`.

use super::jaas_config::JaasEntry;
use super::{ProducerConfig, keys, sasl_keys};
use crate::error::Result;
use crate::network::sasl::{AwsOrigin, MskIam};
use crate::producer::config_def::{config_error, trim};

/// Options of Amazon's login module that have no effect here.
const IGNORED: [&str; 3] = ["awsDebugCreds", "awsMaxRetries", "awsMaxBackOffTimeMs"];

/// Reads the source of the credentials, and the region for which tokens are signed.
pub(super) fn msk_iam(config: &ProducerConfig, entry: Option<&JaasEntry>) -> Result<MskIam> {
    let options = entry
        .into_iter()
        .flat_map(|entry| entry.options_with("aws"));
    let mut profile = None;
    for (name, value) in options {
        let name = format!("aws{name}");
        match name.as_str() {
            "awsProfileName" => profile = Some(value.to_owned()).filter(|name| !name.is_empty()),
            name if IGNORED.contains(&name) => {}
            name => {
                let name = crate::utils::printable(name);
                return Err(config_error(format!(
                    "{}: {name} is not supported: give a closure to sasl_aws_msk_iam(..), or remove it",
                    sasl_keys::JAAS_CONFIG.name
                )));
            }
        }
    }
    Ok(MskIam {
        region: region(config, |name| std::env::var(name).ok())?,
        origin: AwsOrigin::Chain { profile },
    })
}

/// Returns the region in a broker's name, or the environment's.
fn region(config: &ProducerConfig, environment: impl Fn(&str) -> Option<String>) -> Result<String> {
    let servers = config.value(&keys::BOOTSTRAP_SERVERS).unwrap_or_default();
    let of_broker = servers.split(',').find_map(region_of);
    let of_environment = || {
        let mut variables = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter();
        variables.find_map(|name| environment(name).filter(|value| !value.trim().is_empty()))
    };
    let region = of_broker.map(str::to_owned).or_else(of_environment);
    let region = region.ok_or_else(|| {
        config_error(
            "AWS_MSK_IAM needs a region, which the names in bootstrap.servers do not have: set the environment variable \
             AWS_REGION, or call sasl_aws_msk_iam(..) on the builder",
        )
    })?;
    checked_region(trim(&region))
}

/// # Errors
///
/// The text is not the name of a region, such as `us-east-1`.
pub(super) fn checked_region(region: &str) -> Result<String> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !region.is_empty() && region.len() <= 32 && region.bytes().all(is_part) {
        true => Ok(region.to_owned()),
        false => Err(config_error(format!(
            "the AWS region '{}' is malformed: expected one such as us-east-1",
            crate::utils::printable(region)
        ))),
    }
}

/// Returns `us-east-1` for `b-1.cluster.abc.c2.kafka.us-east-1.amazonaws.com:9098`.
fn region_of(server: &str) -> Option<&str> {
    let (before, after) = server.split_once(".amazonaws.com")?;
    let is_end = after.is_empty() || after.starts_with([':', '.', ' ']);
    let (_, region) = before.rsplit_once('.')?;
    is_end.then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region_in(servers: &str, variable: &str) -> Result<String> {
        let config = ProducerConfig::from_map([("bootstrap.servers", servers)])?;
        region(&config, |name| {
            (name == "AWS_REGION").then(|| variable.to_owned())
        })
    }

    // Amazon's library: RegionUtilsTest.
    #[test]
    fn the_region_is_in_the_name_of_a_broker_or_in_the_environment() {
        for (servers, variable, expected) in [
            (
                "b-1.x.abc.c2.kafka.us-east-1.amazonaws.com:9098",
                "eu-west-1",
                "us-east-1",
            ),
            (
                "h:1,boot-abc.c3.kafka-serverless.eu-north-1.amazonaws.com:9098",
                "",
                "eu-north-1",
            ),
            (
                "b-1.x.kafka.cn-north-1.amazonaws.com.cn:9098",
                "",
                "cn-north-1",
            ),
            ("broker.internal:9098", "ap-south-1", "ap-south-1"),
            ("x.amazonaws.community:9098", " ap-south-1", "ap-south-1"),
        ] {
            assert_eq!(region_in(servers, variable).unwrap(), expected);
        }
        let text = region_in("h:1", "").unwrap_err().to_string();
        assert!(text.contains("AWS_MSK_IAM needs a region"), "{text}");
        let text = region_in("h:1", "us/east").unwrap_err().to_string();
        assert!(
            text.contains("the AWS region 'us/east' is malformed"),
            "{text}"
        );
    }
}
