//! Parses `bootstrap.servers`. Java: `ClientUtils`, `ClientDnsLookup`.

use std::net::SocketAddr;

use super::broker_address::{literal_address, parse_url};
use super::host_resolver::{HostLookup, SystemHostLookup};
use super::metadata::printable;
use crate::common::{Node, NodeId};
use crate::error::{Error, ErrorKind};
use crate::network::SecurityProtocol;
use crate::utils::{choice, log};

const CONFIG: &str = "bootstrap.servers";

choice! {
    /// How to handle a host name with more than one address (`client.dns.lookup`).
    ClientDnsLookup {
        /// Try each address in turn.
        UseAllDnsIps = "use_all_dns_ips",
        /// Replace each bootstrap name by the canonical names of all its addresses, as Kerberos
        /// requires.
        ResolveCanonicalBootstrapServersOnly = "resolve_canonical_bootstrap_servers_only",
    }
}

/// Returns the nodes in `bootstrap.servers`, with the ids -1, -2, ... Skips those that cannot be
/// resolved, with a warning.
///
/// # Errors
///
/// `Config`: an entry has no host or no port, its scheme does not match `security_protocol`, or no
/// entry can be resolved.
///
/// # Blocking
///
/// On the name service.
pub(crate) fn parse_and_validate_addresses(
    urls: &[String],
    security_protocol: SecurityProtocol,
    lookup: ClientDnsLookup,
) -> Result<Vec<Node>, Error> {
    parse_and_validate_addresses_with(urls, security_protocol, lookup, &SystemHostLookup)
}

/// Returns the problem of each entry that is not a host and a port, or whose scheme does not match.
/// Resolves no name.
pub(crate) fn address_refusals(urls: &[String], security_protocol: SecurityProtocol) -> Vec<Error> {
    let parsed = urls.iter().map(|url| parse(url, security_protocol));
    parsed.filter_map(Result::err).collect()
}

/// Does the same as [`parse_and_validate_addresses`], with another name service.
pub(crate) fn parse_and_validate_addresses_with(
    urls: &[String],
    security_protocol: SecurityProtocol,
    lookup: ClientDnsLookup,
    names: &dyn HostLookup,
) -> Result<Vec<Node>, Error> {
    // Comes before any look-up, because an invalid entry needs no name service to be refused.
    let parsed = parse_addresses(urls, security_protocol)?;
    let mut addresses = Vec::new();
    let mut last_failure = None;
    for entry in parsed {
        let resolved = resolve(&entry, lookup, names);
        let BootstrapAddress { host, port } = entry;
        match resolved {
            Ok(hosts) => addresses.extend(hosts.into_iter().map(|host| (host, port))),
            Err(reason) => {
                log::warn!(
                    "{CONFIG}: ignoring '{host}:{port}', because {host} cannot be resolved: {reason}"
                );
                last_failure = Some(format!("{host}: {reason}"));
            }
        }
    }
    if addresses.is_empty() {
        let text = match last_failure {
            Some(failure) => format!("{CONFIG}: no entry can be resolved; {failure}"),
            None => format!("{CONFIG} is empty; it needs a host:port"),
        };
        return Err(Error::new(ErrorKind::Config, text));
    }
    Ok(bootstrap_nodes(addresses))
}

/// An entry of `bootstrap.servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BootstrapAddress {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl BootstrapAddress {
    /// Returns the name to connect to, if no name service is needed.
    pub(crate) fn without_resolution(&self, lookup: ClientDnsLookup) -> Option<String> {
        let is_literal = literal_address(&self.host).is_some();
        (is_literal && lookup == ClientDnsLookup::UseAllDnsIps).then(|| self.host.clone())
    }
}

/// Parses `bootstrap.servers` without resolving a name.
///
/// # Errors
///
/// `Config`: an entry has no host or no port, or its scheme does not match `security_protocol`.
pub(crate) fn parse_addresses(
    urls: &[String],
    security_protocol: SecurityProtocol,
) -> Result<Vec<BootstrapAddress>, Error> {
    let parsed = urls.iter().map(|url| parse(url, security_protocol));
    parsed.collect()
}

/// Returns the bootstrap nodes, with the ids -1, -2, ...
pub(crate) fn bootstrap_nodes(addresses: impl IntoIterator<Item = (String, u16)>) -> Vec<Node> {
    let ids = (i32::MIN..0).rev().map(NodeId);
    let nodes = ids
        .zip(addresses)
        .map(|(id, (host, port))| Node::new(id, &host, port, None));
    nodes.collect()
}

fn parse(url: &str, security_protocol: SecurityProtocol) -> Result<BootstrapAddress, Error> {
    let address = parse_url(url).map_err(|reason| invalid(url, reason))?;
    if let Some(scheme) = address.scheme {
        check_scheme(url, scheme, security_protocol)?;
    }
    Ok(BootstrapAddress {
        host: address.host.to_owned(),
        port: address.port,
    })
}

fn invalid(url: &str, reason: &str) -> Error {
    let url = printable(url);
    Error::new(
        ErrorKind::Config,
        format!("{CONFIG}: '{url}' is not a host:port: {reason}"),
    )
}

/// Refuses a scheme that differs from the protocol of the connections. A program that asks for TLS
/// must never run without it.
fn check_scheme(url: &str, scheme: &str, security_protocol: SecurityProtocol) -> Result<(), Error> {
    if scheme.eq_ignore_ascii_case(security_protocol.as_str()) {
        return Ok(());
    }
    let url = printable(url);
    let names = SecurityProtocol::ALL.map(SecurityProtocol::as_str);
    let asked_for = names.iter().find(|name| scheme.eq_ignore_ascii_case(name));
    let text = match asked_for {
        Some(name) => format!(
            "{CONFIG}: '{url}' asks for {scheme}, but security.protocol is {security_protocol}: \
             set security.protocol={name}, or write host:port"
        ),
        None => format!(
            "{CONFIG}: '{url}' has the scheme '{scheme}', which is not a security protocol ({}): write host:port",
            names.join(", ")
        ),
    };
    Err(Error::new(ErrorKind::Config, text))
}

/// Returns the names of the nodes behind the entry's host.
fn resolve(
    entry: &BootstrapAddress,
    lookup: ClientDnsLookup,
    names: &dyn HostLookup,
) -> Result<Vec<String>, String> {
    if let Some(name) = entry.without_resolution(lookup) {
        return Ok(vec![name]);
    }
    let host = &entry.host;
    let addresses = match literal_address(host) {
        Some(address) => vec![address],
        None => names.addresses(host).map_err(|error| error.to_string())?,
    };
    if addresses.is_empty() {
        return Err("it has no addresses".to_owned());
    }
    Ok(names_of(host, &addresses, lookup, names))
}

/// Returns the names of the nodes behind `host`, which has these addresses.
pub(crate) fn names_of(
    host: &str,
    addresses: &[SocketAddr],
    lookup: ClientDnsLookup,
    names: &dyn HostLookup,
) -> Vec<String> {
    match lookup {
        ClientDnsLookup::UseAllDnsIps => vec![host.to_owned()],
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly => addresses
            .iter()
            .map(|address| names.canonical_host_name(*address))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
