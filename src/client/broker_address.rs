//! Addresses of brokers, as `bootstrap.servers` and brokers write them. Java: `Utils.getHost`, `InetAddress.getAllByName`.
//!
//! Differs from Java: a scheme in `bootstrap.servers` must agree with `security.protocol`. Java ignores it, so that
//! `SASL_SSL://host:9092` is spoken to in the clear.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A DNS name has at most 253 characters; an IPv6 address with a scope is shorter.
const MAX_HOST_LENGTH: usize = 255;

/// An entry of `bootstrap.servers`: `[scheme://]host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokerUrl<'a> {
    pub(crate) scheme: Option<&'a str>,
    /// Without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// Parses an entry of `bootstrap.servers`. The host may be an IPv6 address, best in brackets.
///
/// # Errors
///
/// The reason for which it is not an address.
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
    // Java takes these characters alone from the user, and any from a broker.
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

/// Checks a host, which the user or a broker wrote, and removes the brackets around an IPv6 address.
///
/// # Errors
///
/// The reason for which nothing can be connected to under this host.
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

/// An IPv6 address as text with the scope after `%`, if it has one: the name or the number of a network interface.
pub(crate) fn parse_ipv6(host: &str) -> Option<(Ipv6Addr, Option<&str>)> {
    match host.split_once('%') {
        Some((_, "")) => None,
        Some((address, scope)) => Some((address.parse().ok()?, Some(scope))),
        None => Some((host.parse().ok()?, None)),
    }
}

/// Returns the address of a host that is written as a number, and so needs no name service; its
/// port is 0. `None` for a scope that is the name of a network interface, which the resolver turns
/// into a number.
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
