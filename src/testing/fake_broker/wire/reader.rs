//! Reads the frames of a connection and passes them on.
//!
//! Threads: one for each connection. Locks: see `core.rs`.

use std::io::{self, BufReader, Read};
use std::net::TcpStream;

use super::connection::Connection;
use super::core::Core;
use super::dispatch;
use crate::common::NodeId;
use crate::sync::Arc;
use crate::utils::KafkaThread;

/// The largest request that a broker accepts. Java (broker): `socket.request.max.bytes`.
const MAX_REQUEST_BYTES: usize = 100 << 20;

/// Starts to serve a connection that `node` accepted.
///
/// The cluster's lock is held until the connection is in the table. A stop of the node takes both
/// locks. So it either comes before, and the connection is refused here, or it finds the connection
/// and ends it.
pub(crate) fn accept(core: &Arc<Core>, node: NodeId, stream: TcpStream) {
    let cluster = core.cluster.lock();
    if !cluster.is_up(node) {
        return;
    }
    // Otherwise the socket would hold replies back until the client's TCP acknowledges earlier
    // ones.
    let _ = stream.set_nodelay(true);
    let stream = match core.security.protect(stream) {
        Ok(stream) => stream,
        Err(error) => return log::error!("no TLS for a connection: {error}"),
    };
    let mut connections = core.connections.lock();
    let id = connections.next_id();
    let activity = Arc::clone(&core.activity);
    let connection = Arc::new(Connection::new(id, node, stream, activity));
    let name = format!("fake-broker-{node}-connection-{id}");
    let (serving, served) = (Arc::clone(core), Arc::clone(&connection));
    match KafkaThread::spawn(name, move || serve(&serving, &served)) {
        Ok(reader) => connections.add(connection, reader),
        Err(error) => log::error!("no thread for a connection: {error}"),
    }
    drop(connections);
    drop(cluster);
    core.activity.announce();
}

/// Runs the reader's loop until the client or the broker ends the connection.
fn serve(core: &Arc<Core>, connection: &Arc<Connection>) {
    let guard = ConnectionGuard { core, connection };
    let mut input = BufReader::with_capacity(64 << 10, connection.input());
    while !connection.is_closed() {
        match read_frame(&mut input) {
            Ok(Some(payload)) => dispatch::handle(core, connection, &payload),
            Ok(None) => break,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    core.record_violation(connection.node, &error.to_string());
                }
                break;
            }
        }
    }
    drop(guard);
}

/// Ends a connection when its reader ends, even by a panic.
struct ConnectionGuard<'a> {
    core: &'a Core,
    connection: &'a Connection,
}

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.connection.close();
        self.core.connection_ended(self.connection.id);
        self.connection.join_writer();
    }
}

/// Returns the next request without its size, or `None` at the end of the stream. Memory grows with
/// the bytes that arrive, not with the claimed size.
fn read_frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut size = [0; 4];
    if let Err(error) = input.read_exact(&mut size) {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(None),
            _ => Err(error),
        };
    }
    let claimed = i32::from_be_bytes(size);
    let length = usize::try_from(claimed)
        .ok()
        .filter(|length| *length <= MAX_REQUEST_BYTES);
    let Some(length) = length else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a request of {claimed} bytes"),
        ));
    };
    let mut payload = Vec::with_capacity(length.min(64 << 10));
    let read = input.take(length as u64).read_to_end(&mut payload)?;
    Ok((read == length).then_some(payload))
}
