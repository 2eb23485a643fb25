//! Sockets and threads: accepts connections, reads requests, passes them on, and sends the replies.

pub(crate) mod connection;
pub(crate) mod core;
mod describe;
mod dispatch;
mod reader;
pub(crate) mod server;
pub(crate) mod stream;
