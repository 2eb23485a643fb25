//! The state that all threads of a test broker share.
//!
//! Locks, in the order in which they may nest: `cluster`, then `connections` or a connection's
//! `sasl`. `script`, `journal` and `Activity` are leaves. No lock is held while a hook runs, while
//! a socket is read or written, or during any wait.

use std::thread::JoinHandle;

use hashbrown::HashMap;

use super::connection::Connection;
use super::stream::Security;
use crate::common::NodeId;
use crate::sync::{Arc, Mutex};
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::facts::Request;
use crate::testing::fake_broker::script::activity::Activity;
use crate::testing::fake_broker::script::rules::Script;

/// The received requests and connections, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) requests: Vec<Request>,
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    accepted: u64,
    open: HashMap<u64, Arc<Connection>>,
    readers: Vec<JoinHandle<()>>,
}

impl Connections {
    /// Counts a connection, and returns its number.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.accepted += 1;
        self.accepted
    }

    pub(crate) fn add(&mut self, connection: Arc<Connection>, reader: JoinHandle<()>) {
        self.open.insert(connection.id, connection);
        self.readers.retain(|reader| !reader.is_finished());
        self.readers.push(reader);
    }

    pub(crate) fn of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Connection>> {
        self.open
            .values()
            .filter(move |connection| connection.node == node)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) cluster: Mutex<Cluster>,
    pub(crate) script: Mutex<Script>,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) connections: Mutex<Connections>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) security: Security,
}

impl Core {
    pub(crate) fn new(cluster: Cluster, security: Security) -> Self {
        Self {
            cluster: Mutex::new(cluster),
            script: Mutex::default(),
            journal: Mutex::default(),
            connections: Mutex::default(),
            activity: Arc::default(),
            security,
        }
    }

    pub(crate) fn record_request(&self, request: Request) {
        self.journal.lock().requests.push(request);
        self.activity.announce();
    }

    pub(crate) fn record_violation(&self, node: NodeId, violation: &str) {
        log::warn!("node {node} closes a connection: {violation}");
        let violation = format!("node {node}: {violation}");
        self.journal.lock().violations.push(violation);
        self.activity.announce();
    }

    /// Counts a connection that was accepted only to be closed.
    pub(crate) fn refused(&self) {
        self.connections.lock().next_id();
        self.activity.announce();
    }

    pub(crate) fn connection_ended(&self, id: u64) {
        self.connections.lock().open.remove(&id);
        self.activity.announce();
    }

    /// Ends the connections of a node. Requests that were already read are still handled.
    pub(crate) fn disconnect(&self, node: NodeId) {
        for connection in self.connections.lock().of_node(node) {
            connection.close();
        }
        self.activity.announce();
    }

    /// Removes a node from the cluster and ends its connections. It handles nothing from now on.
    pub(crate) fn stop_node(&self, node: NodeId) {
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

    /// Waits for the threads of connections that have ended.
    pub(crate) fn join_readers(&self) {
        let readers = std::mem::take(&mut self.connections.lock().readers);
        let this_thread = std::thread::current().id();
        for reader in readers {
            // A hook may hold the last handle, so this thread may be one of them.
            if reader.thread().id() != this_thread {
                // A panic was already logged where it happened.
                let _ = reader.join();
            }
        }
    }
}
