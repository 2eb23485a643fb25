//! The operating system's name service, and its network interfaces.

use std::io;
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};

use super::HostLookup;
use crate::client::broker_address::{literal_address, parse_ipv6};

/// Calls the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemHostLookup;

impl HostLookup for SystemHostLookup {
    fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = literal_address(host) {
            return Ok(vec![address]);
        }
        // glibc resolves the names of interfaces only for link-local addresses, and musl never
        // does.
        if let Some((address, Some(scope))) = parse_ipv6(host) {
            if let Some(index) = interface_index(scope) {
                return Ok(vec![SocketAddrV6::new(address, 0, 0, index).into()]);
            }
            let resolved = (host, 0).to_socket_addrs().map_err(|error| {
                let text = format!("no network interface '{scope}' has IPv6 addresses ({error})");
                io::Error::other(text)
            })?;
            return Ok(resolved.collect());
        }
        Ok((host, 0).to_socket_addrs()?.collect())
    }

    /// Differs from Java: the standard library cannot look up the name of an address, so this
    /// returns the address as text. Java also gets that if the name service has no reverse entry.
    fn canonical_host_name(&self, address: SocketAddr) -> String {
        match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            address => address.ip().to_string(),
        }
    }
}

/// Returns the number of a network interface that has an IPv6 address.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn interface_index(name: &str) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    index_in(&table, name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn interface_index(_name: &str) -> Option<u32> {
    None
}

/// Finds an interface in the text of `/proc/net/if_inet6`. A line has the address, index in
/// hexadecimal digits, length of the prefix, scope, flags and name.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn index_in(table: &str, name: &str) -> Option<u32> {
    table.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let index = fields.nth(1)?;
        let is_named = fields.nth(3)? == name;
        is_named.then(|| u32::from_str_radix(index, 16).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_resolves_literals() {
        for (host, canonical) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("fe80::1%4", "fe80::1%4"),
        ] {
            let addresses = SystemHostLookup.addresses(host).unwrap();
            assert_eq!(addresses, [literal_address(host).unwrap()]);
            let name = SystemHostLookup.canonical_host_name(addresses[0]);
            assert_eq!(name, canonical);
        }
    }

    #[test]
    fn an_interface_that_does_not_exist_is_named() {
        let error = SystemHostLookup
            .addresses("fe80::1%no-such-if")
            .unwrap_err();
        let expected = "no network interface 'no-such-if' has IPv6 addresses";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_interface_is_found_by_its_name() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe8000000000000000fc00fffe000001 1f 40 20 80     eth0\n\
                     fe8000000000000000fc00fffe000002 zz 40 20 80     odd\n\
                     short line\n";
        assert_eq!(index_in(table, "lo"), Some(1));
        assert_eq!(index_in(table, "eth0"), Some(31));
        for unknown in ["eth", "odd", "", "80", "line"] {
            assert_eq!(index_in(table, unknown), None, "{unknown}");
        }
    }

    /// The interfaces of this machine with the kernel's numbers.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_scope_becomes_the_number_of_its_interface() {
        let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        for name in table
            .lines()
            .filter_map(|line| line.split_whitespace().last())
        {
            let path = format!("/sys/class/net/{name}/ifindex");
            let index = std::fs::read_to_string(path).unwrap();
            let host = format!("::1%{name}");
            let addresses = SystemHostLookup.addresses(&host).unwrap();
            let SocketAddr::V6(address) = addresses[0] else {
                panic!("{addresses:?}");
            };
            assert_eq!(address.scope_id(), index.trim().parse::<u32>().unwrap());
        }
    }
}
