//! The places that may have AWS credentials: the environment, the profile files, and the metadata
//! services of containers and of instances. AWS: `DefaultCredentialsProvider`.

use std::path::PathBuf;
use std::time::Duration;

use super::AwsCredentials;
use super::presigned_request::parsed_time;
use crate::network::http::{HttpFailure, HttpRequest, HttpResponse, starts_with_ignoring_case};
use crate::network::sasl::json::Json;
use crate::utils::{Secret, log, printable};

/// The host of a container's credentials, if only a path is set.
const CONTAINER_HOST: &str = "http://169.254.170.2";
/// The hosts from which container credentials may be fetched without TLS.
const CONTAINER_HOSTS: [&str; 6] = [
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::23]",
    "localhost",
    "127.0.0.1",
    "[::1]",
];
const INSTANCE_HOST: &str = "http://169.254.169.254";
const INSTANCE_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// How often a metadata service is asked. AWS: the standard retry mode.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt. It doubles.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

type Send<'a> = dyn Fn(&HttpRequest) -> Result<HttpResponse, HttpFailure> + 'a;

/// The places and their current contents.
pub(super) struct CredentialsChain<'a> {
    /// The name of a profile. If set, no other place is searched.
    pub(super) profile: Option<&'a str>,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) send: &'a Send<'a>,
    /// Blocks the thread for this long.
    pub(super) pause: &'a dyn Fn(Duration),
}

impl CredentialsChain<'_> {
    /// # Errors
    ///
    /// No place has credentials, or a configured one is broken. The text contains no secret.
    pub(super) fn credentials(&self) -> Result<AwsCredentials, String> {
        if let Some(profile) = self.profile {
            let found = self.of_profile(profile)?;
            return found.ok_or_else(|| format!("there is no profile '{}'", printable(profile)));
        }
        if let Some(credentials) = self.of_environment() {
            return Ok(credentials);
        }
        if self.variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() {
            return Err(
                "AWS_WEB_IDENTITY_TOKEN_FILE is set, which is not supported: use EKS pod identity, or give a closure to \
                 sasl_aws_msk_iam(..)"
                    .to_owned(),
            );
        }
        let named = self.variable("AWS_PROFILE");
        let profile = named.as_deref().unwrap_or("default");
        match self.of_profile(profile)? {
            Some(credentials) => return Ok(credentials),
            None if named.is_some() => {
                return Err(format!(
                    "AWS_PROFILE: there is no profile '{}'",
                    printable(profile)
                ));
            }
            None => {}
        }
        if let Some(credentials) = self.of_container()? {
            return Ok(credentials);
        }
        self.of_instance()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.trim().is_empty())
    }

    fn of_environment(&self) -> Option<AwsCredentials> {
        let id = self.variable("AWS_ACCESS_KEY_ID")?;
        let secret = self.variable("AWS_SECRET_ACCESS_KEY")?;
        let credentials = AwsCredentials::new(id.trim(), secret.trim());
        Some(match self.variable("AWS_SESSION_TOKEN") {
            Some(token) => credentials.session_token(token.trim()),
            None => credentials,
        })
    }

    /// Reads a profile from the two files.
    fn of_profile(&self, profile: &str) -> Result<Option<AwsCredentials>, String> {
        let headings = [profile.to_owned(), format!("profile {profile}")];
        let is_named = self.profile.is_some() || self.variable("AWS_PROFILE").is_some();
        let mut entries = Vec::new();
        for (variable, name) in [
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            ("AWS_CONFIG_FILE", "config"),
        ] {
            let Some(path) = self.file(variable, name) else {
                continue;
            };
            match std::fs::read_to_string(&path).map(Secret::new) {
                Ok(text) => entries.extend(section(text.expose(), &headings)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // The file may belong to another user. A container or a machine with a role needs
                // no file.
                Err(error) if !is_named && self.variable(variable).is_none() => {
                    log::debug!("skipped {}: {error}", path.display());
                }
                Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
            }
        }
        let entry = |name: &str| {
            let mut entries = entries.iter();
            let (_, value) =
                entries.find(|(key, value)| key == name && !value.expose().is_empty())?;
            Some(value.expose())
        };
        if let (Some(id), Some(secret)) =
            (entry("aws_access_key_id"), entry("aws_secret_access_key"))
        {
            let credentials = AwsCredentials::new(id, secret);
            return Ok(Some(match entry("aws_session_token") {
                Some(token) => credentials.session_token(token),
                None => credentials,
            }));
        }
        let others = [
            "role_arn",
            "sso_session",
            "sso_start_url",
            "credential_process",
        ];
        match others.into_iter().find(|name| entry(name).is_some()) {
            None => Ok(None),
            Some(other) => Err(format!(
                "the profile '{}' has {other}, which is not supported: give a closure to sasl_aws_msk_iam(..)",
                printable(profile)
            )),
        }
    }

    fn file(&self, variable: &str, name: &str) -> Option<PathBuf> {
        if let Some(path) = self.variable(variable) {
            return Some(PathBuf::from(path));
        }
        let home = self
            .variable("HOME")
            .or_else(|| self.variable("USERPROFILE"))?;
        Some(PathBuf::from(home).join(".aws").join(name))
    }

    /// Requests credentials from Amazon ECS or EKS Pod Identity.
    fn of_container(&self) -> Result<Option<AwsCredentials>, String> {
        let relative = self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let relative = relative.map(|path| format!("{CONTAINER_HOST}{path}"));
        let address = relative.or_else(|| self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        let Some(address) = address else {
            return Ok(None);
        };
        let address = address.trim();
        let host = address.strip_prefix("http://").unwrap_or_default();
        let is_allowed = CONTAINER_HOSTS.iter().any(|allowed| {
            let rest = host.strip_prefix(allowed);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '?']))
        });
        if !is_allowed || host.contains('@') {
            return Err(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI names a host that is not this machine's, to which no secret is sent"
                    .to_owned(),
            );
        }
        let token = match self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => {
                let token = std::fs::read_to_string(&path);
                Some(token.map_err(|error| {
                    format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: {error}")
                })?)
            }
            None => self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let headers = token.map(|token| ("Authorization", Secret::new(token.trim())));
        let text = self.get("the container's credentials", address.to_owned(), headers)?;
        credentials_of(text.expose())
            .map(Some)
            .ok_or_else(|| "the container's metadata service sent no credentials".to_owned())
    }

    /// Requests credentials from Amazon EC2, with IMDSv2 only.
    fn of_instance(&self) -> Result<AwsCredentials, String> {
        let none = "there are none in the environment, in a profile or of a container";
        let disabled = self.variable("AWS_EC2_METADATA_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(format!("{none}, and AWS_EC2_METADATA_DISABLED is set"));
        }
        let endpoint = self.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let host = endpoint
            .as_deref()
            .map_or(INSTANCE_HOST, str::trim)
            .trim_end_matches('/');
        if !starts_with_ignoring_case(host, "http://") {
            return Err(format!(
                "{none}, and AWS_EC2_METADATA_SERVICE_ENDPOINT does not begin with http://"
            ));
        }
        let request = HttpRequest {
            method: "PUT",
            url: format!("{host}/latest/api/token"),
            headers: vec![("X-aws-ec2-metadata-token-ttl-seconds", Secret::new("21600"))],
        };
        let what = "the instance's metadata service";
        let token = self
            .ask(what, &request)
            .map_err(|reason| format!("{none}, and {reason}"))?;
        let header = || Some(("X-aws-ec2-metadata-token", token.clone()));
        let path = format!("{host}{INSTANCE_PATH}");
        let role = self.get(what, path.clone(), header())?;
        let role = role.expose().lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err("the instance has no role".to_owned());
        }
        let text = self.get(what, format!("{path}{role}"), header())?;
        credentials_of(text.expose()).ok_or_else(|| format!("{what} sent no credentials"))
    }

    fn get(
        &self,
        what: &str,
        url: String,
        header: Option<(&'static str, Secret)>,
    ) -> Result<Secret, String> {
        let request = HttpRequest {
            method: "GET",
            url,
            headers: header.into_iter().collect(),
        };
        self.ask(what, &request)
    }

    fn ask(&self, what: &str, request: &HttpRequest) -> Result<Secret, String> {
        let mut backoff = RETRY_BACKOFF;
        let mut attempt = 1;
        loop {
            let (reason, is_retriable) = match (self.send)(request) {
                Ok(response) if response.status == 200 => {
                    return Ok(Secret::new(String::from_utf8_lossy(&response.body)));
                }
                Ok(HttpResponse { status, .. }) => {
                    let reason = format!("{what} responded with {status}");
                    (reason, matches!(status, 429 | 500..))
                }
                Err(failure) => (format!("{what}: {}", failure.reason), failure.is_retriable),
            };
            if !is_retriable || attempt == ATTEMPTS {
                return Err(reason);
            }
            (self.pause)(backoff);
            backoff *= 2;
            attempt += 1;
        }
    }
}

/// The entries of the sections that one of `headings` names.
pub(super) fn section(text: &str, headings: &[String]) -> Vec<(String, Secret)> {
    let mut is_wanted = false;
    let mut entries = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(heading) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            let words: Vec<&str> = heading.split_whitespace().collect();
            is_wanted = headings.contains(&words.join(" "));
            continue;
        }
        // A line that begins with a blank continues the entry before it.
        let is_entry = !line.starts_with([' ', '\t', '#', ';']);
        let line = without_comment(line);
        if let (true, true, Some((key, value))) = (is_wanted, is_entry, line.split_once('=')) {
            entries.push((key.trim().to_ascii_lowercase(), Secret::new(value.trim())));
        }
    }
    entries
}

/// Returns an entry without the comment behind it, which begins after a blank.
fn without_comment(line: &str) -> &str {
    let mark = line.match_indices(['#', ';']).map(|(at, _)| at);
    let before = mark.map(|at| line.get(..at).unwrap_or_default());
    let mut entry = before.filter(|entry| entry.ends_with([' ', '\t']));
    entry.next().unwrap_or(line)
}

/// The credentials that a metadata service sent.
pub(super) fn credentials_of(text: &str) -> Option<AwsCredentials> {
    let json = Json::parse(text)?;
    let member = |name: &str| json.member(name)?.text().filter(|text| !text.is_empty());
    if member("Code").is_some_and(|code| code != "Success") {
        return None;
    }
    let credentials = AwsCredentials::new(member("AccessKeyId")?, member("SecretAccessKey")?);
    let credentials = match member("Token") {
        Some(token) => credentials.session_token(token),
        None => credentials,
    };
    let expiry = match member("Expiration") {
        Some(time) => Some(parsed_time(time)?),
        None => None,
    };
    Some(credentials.with_expiry(expiry))
}
