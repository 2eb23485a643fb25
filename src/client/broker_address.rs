//! Addresses of brokers, in `bootstrap.servers` and from brokers. Java: `Utils.getHost`,
//! `InetAddress.getAllByName`.
//!
//! Differs from Java: a scheme in `bootstrap.servers` must match `security.protocol`. Java ignores
//! it and would connect to `SASL_SSL://host:9092` without TLS.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A DNS name has at most 253 characters. An IPv6 address with a scope is shorter.
const MAX_HOST_LENGTH: usize = 255;

/// An entry of `bootstrap.servers`: `[scheme://]host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokerUrl<'a> {
    pub(crate) scheme: Option<&'a str>,
    /// The host without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// Parses an entry of `bootstrap.servers`. The host may be an IPv6 address, preferably in brackets.
///
/// # Errors
///
/// The text is not an address. The error is the reason.
pub(crate) fn parse_url(url: &str) -> Result<BrokerUrl<'_>, &'static str> {
    let (scheme, authority) = match url.split_once("://") {
        Some(("", _)) => return Err("the scheme before '://' is missing"),
        Some((scheme, rest)) if scheme.chars().all(is_host_character) => (Some(scheme), rest),
        Some(_) => return Err("what is before '://' is not a name"),
        None => (None, url),
    };
    let (host, port) = authority
        .rsplit_once(':')
        .ok_or("the port is missing, as in host:9092")?;
    // Java accepts only these characters from the user, but any from a broker.
    if !host
        .chars()
        .all(|c| is_host_character(c) || "[]:".contains(c))
    {
        return Err("the host has a character that none can have");
    }
    let host = parse_host(host)?;
    if port.is_empty() || !port.chars().all(|c| c.is_ascii_digit()) {
        return Err("the port is not a number");
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok(BrokerUrl { scheme, host, port }),
        _ => Err("the port is not between 1 and 65535"),
    }
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-%._".contains(character)
}

/// Checks a host from the user or a broker, and removes the brackets of an IPv6 address.
///
/// # Errors
///
/// No connection is possible to this host. The error is the reason.
pub(crate) fn parse_host(text: &str) -> Result<&str, &'static str> {
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or("']' is missing")?,
        None => text,
    };
    let is_odd = |character: char| character.is_control() || character.is_whitespace();
    if host.is_empty() {
        Err("the host is missing")
    } else if host.len() > MAX_HOST_LENGTH {
        Err("the host is longer than 255 bytes")
    } else if host.contains(is_odd) || host.contains(['[', ']']) {
        Err("the host has a character that none can have")
    } else if host.contains(':') && parse_ipv6(host).is_none() {
        Err("the host has a ':' and is not an IPv6 address")
    } else {
        Ok(host)
    }
}

/// Parses an IPv6 address with an optional scope after `%`: the name or the number of a network
/// interface.
pub(crate) fn parse_ipv6(host: &str) -> Option<(Ipv6Addr, Option<&str>)> {
    match host.split_once('%') {
        Some((_, "")) => None,
        Some((address, scope)) => Some((address.parse().ok()?, Some(scope))),
        None => Some((host.parse().ok()?, None)),
    }
}

/// Returns the address of a numeric host, which needs no name service. Its port is 0. Returns
/// `None` if the scope is the name of a network interface, which the resolver converts to a number.
pub(crate) fn literal_address(host: &str) -> Option<SocketAddr> {
    match parse_ipv6(host) {
        Some((address, None)) => Some(SocketAddr::new(address.into(), 0)),
        Some((address, Some(scope))) => {
            let scope = scope.parse().ok()?;
            Some(SocketAddrV6::new(address, 0, 0, scope).into())
        }
        None => {
            let address: IpAddr = host.parse().ok()?;
            Some(SocketAddr::new(address, 0))
        }
    }
}

#[cfg(test)]
mod tests;
