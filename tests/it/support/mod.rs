//! Helpers for the modules. Programs outside of this folder include single files of it.

pub(crate) mod chain;
#[cfg(feature = "classic")]
pub(crate) mod classic_account;
pub(crate) mod executor;
pub(crate) mod history;
pub(crate) mod otlp;
pub(crate) mod producing;
// Scoped addresses are used only on Linux.
#[cfg(target_os = "linux")]
pub(crate) mod proxy;
pub(crate) mod transactions;

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// Returns an address where nobody listens. The port stays taken until the program ends, so that no
/// broker of another test gets it.
pub(crate) fn dead_address() -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any_port.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address.to_string()
}
