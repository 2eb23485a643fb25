//! Reads `bootstrap.servers` and splits host from port. Java: `ClientUtils`, `Utils.getHost`, `ClientDnsLookup`.

use std::net::IpAddr;

use super::host_resolver::{HostLookup, SystemHostLookup};
use super::metadata::printable;
use crate::common::{Node, NodeId};
use crate::error::{Error, ErrorKind};
use crate::utils::{choice, log};

const CONFIG: &str = "bootstrap.servers";

choice! {
    /// What is done with a host name that has more than one address (`client.dns.lookup`).
    ClientDnsLookup {
        /// Each address is tried in turn.
        UseAllDnsIps = "use_all_dns_ips",
        /// Each bootstrap name is replaced by the canonical names of all its addresses, as Kerberos needs it.
        ResolveCanonicalBootstrapServersOnly = "resolve_canonical_bootstrap_servers_only",
    }
}

/// The nodes, with ids -1, -2, ..., that `bootstrap.servers` names. Those that cannot be resolved are left out, with a
/// warning.
///
/// # Errors
///
/// `Config`: an entry has no host or no port, or not one entry can be resolved.
///
/// # Blocking
///
/// On the name service.
pub(crate) fn parse_and_validate_addresses(
    urls: &[String],
    lookup: ClientDnsLookup,
) -> Result<Vec<Node>, Error> {
    parse_and_validate_addresses_with(urls, lookup, &SystemHostLookup)
}

/// As [`parse_and_validate_addresses`], with another name service.
pub(crate) fn parse_and_validate_addresses_with(
    urls: &[String],
    lookup: ClientDnsLookup,
    names: &dyn HostLookup,
) -> Result<Vec<Node>, Error> {
    let mut addresses = Vec::new();
    let mut last_failure = None;
    for url in urls.iter().map(|url| url.trim()) {
        if url.is_empty() {
            continue;
        }
        let (host, port) = parse_address(url).map_err(|reason| invalid(url, reason))?;
        match resolve(host, lookup, names) {
            Ok(hosts) => addresses.extend(hosts.into_iter().map(|host| (host, port))),
            Err(reason) => {
                log::warn!("{CONFIG}: '{url}' is left out, {host} cannot be resolved: {reason}");
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
    let ids = (i32::MIN..0).rev().map(NodeId);
    let nodes = ids
        .zip(addresses)
        .map(|(id, (host, port))| Node::new(id, &host, port, None));
    Ok(nodes.collect())
}

fn invalid(url: &str, reason: &str) -> Error {
    let url = printable(url);
    Error::new(
        ErrorKind::Config,
        format!("{CONFIG}: '{url}' is not a host:port: {reason}"),
    )
}

/// The names under which the nodes behind `host` are connected to.
fn resolve(
    host: &str,
    lookup: ClientDnsLookup,
    names: &dyn HostLookup,
) -> Result<Vec<String>, String> {
    if literal_address(host).is_some() && lookup == ClientDnsLookup::UseAllDnsIps {
        return Ok(vec![host.to_owned()]);
    }
    let addresses = match literal_address(host) {
        Some(address) => vec![address],
        None => names.addresses(host).map_err(|error| error.to_string())?,
    };
    if addresses.is_empty() {
        return Err("it has no addresses".to_owned());
    }
    Ok(match lookup {
        ClientDnsLookup::UseAllDnsIps => vec![host.to_owned()],
        ClientDnsLookup::ResolveCanonicalBootstrapServersOnly => addresses
            .into_iter()
            .map(|address| names.canonical_host_name(address))
            .collect(),
    })
}

/// A host that is written as a number, and so needs no name service.
pub(crate) fn literal_address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// Splits `[scheme://]host:port`. The host may be an IPv6 address, best in brackets.
pub(crate) fn parse_address(url: &str) -> Result<(&str, u16), &'static str> {
    let authority = match url.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(is_host_character) => rest,
        Some(_) => return Err("what is before '://' is not a name"),
        None => url,
    };
    let (host, port) = authority
        .rsplit_once(':')
        .ok_or("the port is missing, as in host:9092")?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or("']' is missing")?,
        None => host,
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    if !host.chars().all(|c| is_host_character(c) || c == ':') {
        return Err("the host has a character that none can have");
    }
    if port.is_empty() || !port.chars().all(|c| c.is_ascii_digit()) {
        return Err("the port is not a number");
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok((host, port)),
        _ => Err("the port is not between 1 and 65535"),
    }
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-%._".contains(character)
}

#[cfg(test)]
mod tests;
