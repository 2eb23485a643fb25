//! HTTP requests for credentials, each with a deadline. Only this file and the TLS settings in
//! `ssl/http_tls.rs` use types of `ureq`.
//!
//! Threads: the thread that builds the producer, and the threads that refresh credentials. Never
//! the I/O thread.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;
use zeroize::Zeroizing;

use super::ssl::{SslConfig, http_tls_config};
#[cfg(feature = "aws-msk-iam")]
use crate::utils::Secret;
use crate::utils::log;

/// The largest body. No token or set of credentials comes near it.
const MAX_BODY: u64 = 1 << 20;

/// Sends HTTP requests.
#[derive(Debug)]
pub(super) struct HttpClient {
    agent: ureq::Agent,
    has_tls: bool,
}

/// The timeouts of the steps of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpTimeouts {
    pub(crate) connect: Duration,
    pub(crate) read: Duration,
}

/// A request without a body.
#[cfg(feature = "aws-msk-iam")]
pub(super) struct HttpRequest {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, Secret)>,
}

/// A response with any status.
pub(super) struct HttpResponse {
    pub(super) status: u16,
    /// Empty if that of a refusal cannot be read.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) struct HttpFailure {
    pub(super) reason: String,
    /// Another attempt may succeed.
    pub(super) is_retriable: bool,
}

impl HttpFailure {
    pub(super) fn permanent(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_retriable: false,
        }
    }
}

impl HttpClient {
    /// Creates a client. `ssl` holds the TLS settings for `https` addresses; its files are read
    /// here. The proxy comes from the environment (`HTTPS_PROXY` and the like).
    ///
    /// # Errors
    ///
    /// A certificate cannot be used, or there is no cryptography for this processor.
    pub(super) fn new(timeouts: HttpTimeouts, ssl: Option<&SslConfig>) -> Result<Self, String> {
        let tls = match ssl {
            Some(ssl) => http_tls_config(ssl).map_err(|error| error.to_string())?,
            None => TlsConfig::default(),
        };
        let config = Self::config(timeouts).tls_config(tls).build();
        let (agent, has_tls) = (config.new_agent(), ssl.is_some());
        Ok(Self { agent, has_tls })
    }

    /// Creates a client for `http:` addresses of this machine.
    #[cfg(feature = "aws-msk-iam")]
    pub(super) fn without_proxy(timeouts: HttpTimeouts) -> Self {
        let agent = Self::config(timeouts).proxy(None).build().new_agent();
        let has_tls = false;
        Self { agent, has_tls }
    }

    fn config(timeouts: HttpTimeouts) -> ConfigBuilder<AgentScope> {
        let read = Some(timeouts.read);
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could send the credentials to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .timeout_resolve(Some(timeouts.connect))
            .timeout_connect(Some(timeouts.connect))
            .timeout_send_request(read)
            .timeout_send_body(read)
            .timeout_recv_response(read)
            .timeout_recv_body(read)
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// No complete response arrives in time.
    ///
    /// # Blocking
    ///
    /// Up to the timeouts.
    #[cfg(feature = "aws-msk-iam")]
    pub(super) fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpFailure> {
        refuse_traces()?;
        self.refuse_https(&request.url)?;
        let builder = ureq::http::Request::builder();
        let builder = builder.method(request.method).uri(&request.url);
        let headers = request.headers.iter();
        let built = headers
            .fold(builder, |builder, (name, value)| {
                builder.header(*name, value.expose())
            })
            .body(());
        let built = built.map_err(|_| HttpFailure::permanent("the request is malformed"))?;
        read(self.agent.run(built))
    }

    /// Sends `body` as a form.
    ///
    /// # Errors
    ///
    /// No complete response arrives in time.
    ///
    /// # Blocking
    ///
    /// Up to the timeouts.
    pub(super) fn post_form(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<HttpResponse, HttpFailure> {
        refuse_traces()?;
        self.refuse_https(url)?;
        let request = self.agent.post(url);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        read(request.send(body))
    }

    /// Fails at an address that needs TLS, if there are no settings for it. `ureq` panics there.
    fn refuse_https(&self, url: &str) -> Result<(), HttpFailure> {
        let needs_tls = starts_with_ignoring_case(url, "https:");
        match needs_tls && !self.has_tls {
            true => Err(HttpFailure::permanent(
                "an address with https is not supported here",
            )),
            false => Ok(()),
        }
    }
}

/// Compares the scheme of an address, which may be in capitals.
pub(super) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Returns an error while the log shows ureq's lines at level trace. Those lines have every byte of
/// a request and its response, including secrets and tokens.
fn refuse_traces() -> Result<(), HttpFailure> {
    if ["ureq", "ureq::util", "ureq_proto::util"]
        .iter()
        .any(|target| log::is_traced(target))
    {
        return Err(HttpFailure::permanent(
            "not sent, because the log would show its secrets: set the log targets ureq and ureq_proto to debug at most",
        ));
    }
    Ok(())
}

fn read(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<HttpResponse, HttpFailure> {
    let mut response = response.map_err(|error| failure(&error))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(MAX_BODY);
    let body = match body.read_to_vec() {
        Ok(body) => body,
        // The status alone decides whether to retry. The body could only add a reason.
        Err(_) if !status.is_success() => Vec::new(),
        Err(error) => return Err(failure(&error)),
    };
    Ok(HttpResponse {
        status: status.as_u16(),
        body: Zeroizing::new(body),
    })
}

/// Describes an error. A malformed address and a host that cannot prove its name are not retriable.
fn failure(error: &ureq::Error) -> HttpFailure {
    let is_certificate = match error {
        ureq::Error::Rustls(error) => is_certificate_error(error),
        ureq::Error::Io(error) => tls_error(error).is_some_and(is_certificate_error),
        _ => false,
    };
    let is_permanent = is_certificate
        || matches!(
            error,
            ureq::Error::BadUri(_)
                | ureq::Error::Http(_)
                | ureq::Error::InvalidProxyUrl
                | ureq::Error::BodyExceedsLimit(_)
                | ureq::Error::LargeResponseHeader(..)
        );
    let reason = match error {
        // ureq's text shows the whole address, which may contain secrets.
        ureq::Error::BadUri(_) => "the address is malformed".to_owned(),
        ureq::Error::Timeout(step) => format!("timed out ({step})"),
        ureq::Error::HostNotFound => "the host is unknown".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Rustls(error) => error.to_string(),
        error => error.to_string(),
    };
    HttpFailure {
        reason: crate::utils::printable(&reason).to_string(),
        is_retriable: !is_permanent,
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let source: &(dyn StdError + 'static) = error.get_ref()?;
    source.downcast_ref()
}

fn is_certificate_error(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(_))
}

/// Returns the address without the parts that may be secret, for errors.
///
/// # Errors
///
/// The address is malformed or not allowed. The text says why.
pub(crate) fn checked_url(url: &str) -> Result<String, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is not a URL")?;
    let scheme = uri.scheme_str().unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err("must begin with https://, http:// or file:///");
    }
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("must hold no user or password");
    }
    if authority.host().is_empty() {
        return Err("has no host");
    }
    Ok(format!("{scheme}://{authority}{}", uri.path()))
}

#[cfg(test)]
mod tests {
    use ureq::Body;
    use ureq::http::Response;

    use super::*;

    // Java: HttpJwtRetriever.handleOutput, which logs that it cannot read the body.
    #[test]
    fn a_refusal_counts_even_if_its_body_cannot_be_read() {
        let read_with = |status: u16, body: Body| {
            let response = Response::builder().status(status).body(body).unwrap();
            read(Ok(response))
        };
        let endless: fn() -> Body = || Body::builder().reader(io::repeat(b'x'));
        let broken: fn() -> Body = || Body::builder().reader(Broken);
        for body in [endless, broken] {
            for status in [302, 400, 503] {
                let response = read_with(status, body()).unwrap();
                assert_eq!((response.status, response.body.len()), (status, 0));
            }
        }
        let failure = |body| read_with(200, body).err().unwrap();
        assert!(!failure(endless()).is_retriable);
        assert!(failure(broken()).is_retriable);
        let response = read_with(503, Body::builder().data("slow down")).unwrap();
        assert_eq!(&**response.body, b"slow down");
    }

    struct Broken;

    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    #[test]
    fn https_without_tls_settings_is_refused_and_no_panic() {
        let timeouts = HttpTimeouts {
            connect: Duration::from_secs(1),
            read: Duration::from_secs(1),
        };
        for url in ["https://127.0.0.1:1/", "HTTPS://127.0.0.1:1/"] {
            let client = HttpClient::new(timeouts, None).unwrap();
            let failure = client.post_form(url, &[], "a=b").err().unwrap();
            let (reason, is_retriable) = (failure.reason, failure.is_retriable);
            assert!(
                reason.contains("https is not supported here") && !is_retriable,
                "{reason}"
            );
            #[cfg(feature = "aws-msk-iam")]
            {
                let (method, headers) = ("GET", Vec::new());
                let url = url.to_owned();
                let request = HttpRequest {
                    method,
                    url,
                    headers,
                };
                let failure = HttpClient::without_proxy(timeouts).send(&request).err();
                let reason = failure.unwrap().reason;
                assert!(reason.contains("https is not supported here"), "{reason}");
            }
        }
    }
}
