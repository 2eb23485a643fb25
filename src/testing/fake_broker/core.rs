//! What all threads of a test broker share.
//!
//! Locks, in the order in which they may nest: `cluster`, then `connections`. `script`, `journal` and `Activity` are
//! leaves. No lock is held while a hook runs, while a socket is read or written, or while anything is waited for.

use std::net::TcpStream;
use std::thread::JoinHandle;

use hashbrown::HashMap;

use super::activity::Activity;
use super::cluster::Cluster;
use super::connection::{self, Connection};
use super::facts::Request;
use super::script::Script;
use super::server::NodeServer;
use crate::common::NodeId;
use crate::sync::{Arc, Mutex};
use crate::utils::KafkaThread;

/// What came in, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) requests: Vec<Request>,
    pub(super) violations: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Connections {
    accepted: u64,
    open: HashMap<u64, Arc<Connection>>,
    readers: Vec<JoinHandle<()>>,
}

impl Connections {
    pub(super) fn of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Connection>> {
        self.open
            .values()
            .filter(move |connection| connection.node == node)
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) cluster: Mutex<Cluster>,
    pub(super) script: Mutex<Script>,
    pub(super) journal: Mutex<Journal>,
    pub(super) connections: Mutex<Connections>,
    pub(super) activity: Arc<Activity>,
    pub(super) servers: Vec<NodeServer>,
}

impl Core {
    pub(super) fn new(cluster: Cluster, servers: Vec<NodeServer>) -> Self {
        Self {
            cluster: Mutex::new(cluster),
            script: Mutex::default(),
            journal: Mutex::default(),
            connections: Mutex::default(),
            activity: Arc::default(),
            servers,
        }
    }

    pub(super) fn server(&self, node: NodeId) -> Option<&NodeServer> {
        self.servers.iter().find(|server| server.node == node)
    }

    pub(super) fn record_request(&self, request: Request) {
        self.journal.lock().requests.push(request);
        self.activity.announce();
    }

    pub(super) fn record_violation(&self, node: NodeId, violation: &str) {
        log::warn!("node {node} closes a connection: {violation}");
        let violation = format!("node {node}: {violation}");
        self.journal.lock().violations.push(violation);
        self.activity.announce();
    }

    /// Starts to serve a connection that `node` accepted.
    ///
    /// The cluster's lock is held until the connection is in the table. So a stop of the node, which takes both locks,
    /// either comes before, and the connection is refused here, or finds the connection and ends it.
    pub(super) fn serve(self: &Arc<Self>, node: NodeId, stream: TcpStream) {
        let cluster = self.cluster.lock();
        if !cluster.is_up(node) {
            return;
        }
        // Without it replies would be held back until the client's TCP acknowledges the one before.
        let _ = stream.set_nodelay(true);
        let mut connections = self.connections.lock();
        connections.accepted += 1;
        let id = connections.accepted;
        let connection = Arc::new(Connection::new(id, node, stream));
        connections.open.insert(id, Arc::clone(&connection));
        connections.readers.retain(|reader| !reader.is_finished());
        let core = Arc::clone(self);
        let name = format!("fake-broker-{node}-connection-{id}");
        match KafkaThread::spawn(name, move || connection::serve(&core, &connection)) {
            Ok(reader) => connections.readers.push(reader),
            Err(error) => {
                log::error!("no thread for a connection: {error}");
                connections.open.remove(&id);
            }
        }
        drop(connections);
        drop(cluster);
        self.activity.announce();
    }

    /// Counts a connection that was accepted only to be closed.
    pub(super) fn refused(&self) {
        self.connections.lock().accepted += 1;
        self.activity.announce();
    }

    pub(super) fn connection_ended(&self, id: u64) {
        self.connections.lock().open.remove(&id);
        self.activity.announce();
    }

    /// Ends the connections of a node, and lets requests that were read already be handled.
    pub(super) fn disconnect(&self, node: NodeId) {
        for connection in self.connections.lock().of_node(node) {
            connection.close();
        }
        self.activity.announce();
    }

    /// Takes a node out of the cluster and ends its connections; nothing is handled there from now on.
    pub(super) fn stop_node(&self, node: NodeId) {
        let mut cluster = self.cluster.lock();
        if cluster.is_up(node) {
            cluster.broker_stopped(node);
        }
        for connection in self.connections.lock().of_node(node) {
            connection.abandon();
        }
        drop(cluster);
        self.activity.announce();
    }

    /// Ends everything and waits for it.
    pub(super) fn shut_down(&self) {
        for server in &self.servers {
            self.stop_node(server.node);
            server.close();
        }
        let readers = std::mem::take(&mut self.connections.lock().readers);
        let this_thread = std::thread::current().id();
        for reader in readers {
            // A hook may hold the last handle, and then this thread is one of them.
            if reader.thread().id() != this_thread {
                // A panic was logged where it happened.
                let _ = reader.join();
            }
        }
    }
}
