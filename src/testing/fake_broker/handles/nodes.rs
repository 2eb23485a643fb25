//! Nodes, their addresses and their connections.

use std::ops::RangeInclusive;

use super::illegal;
use crate::common::NodeId;
use crate::error::{Error, ErrorKind, Result};
use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::cluster::Broker;
use crate::testing::fake_broker::wire::server::NodeServer;

/// Nodes, their addresses and their connections.
impl FakeBroker {
    /// Returns the addresses of all nodes, as `bootstrap.servers` takes them.
    pub fn bootstrap_servers(&self) -> String {
        let servers = self.servers.iter();
        let addresses: Vec<_> = servers.map(|server| server.address().to_string()).collect();
        addresses.join(",")
    }

    /// Returns the ids of all nodes: 1, 2, ...
    pub fn nodes(&self) -> Vec<NodeId> {
        self.servers.iter().map(|server| server.node).collect()
    }

    /// Returns the port of a node, which it keeps while it is stopped.
    pub fn port(&self, node: impl Into<NodeId>) -> Option<u16> {
        let node = node.into();
        Some(self.find_server(node)?.address().port())
    }

    /// Stops a node. Its connections end, and new ones are refused. Replicas on other nodes become
    /// the leaders of its partitions. Once this returns, the node handles no request, even if it
    /// has read one.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn stop_node(&self, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        let server = self.server(node)?;
        self.core.stop_node(node);
        server.close();
        Ok(())
    }

    /// Starts a stopped node, on its previous port.
    ///
    /// # Errors
    ///
    /// There is no such node, or its port is not available.
    pub fn start_node(&self, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        self.server(node)?;
        let mut cluster = self.core.cluster.lock();
        if !cluster.is_up(node) {
            cluster.broker_started(node);
        }
        drop(cluster);
        self.open_listener(node)
    }

    /// Refuses new connections to a node, and keeps the open ones.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn close_listener(&self, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        self.server(node)?.close();
        Ok(())
    }

    /// Accepts new connections again.
    ///
    /// # Errors
    ///
    /// There is no such node, or its port is not available.
    pub fn open_listener(&self, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        self.server(node)?.open(&self.core).map_err(|error| {
            let text = format!("node {node} cannot listen on its port");
            Error::new(ErrorKind::Internal, text).caused_by(error)
        })
    }

    /// Sets whether a node closes every new connection as soon as it has accepted it.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn accept_then_close(&self, node: impl Into<NodeId>, closes_at_once: bool) -> Result<()> {
        let node = node.into();
        self.server(node)?.close_at_once(closes_at_once);
        Ok(())
    }

    /// Ends all connections of a node now. It still handles the requests that it has read.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn disconnect(&self, node: impl Into<NodeId>) -> Result<()> {
        let node = node.into();
        self.server(node)?;
        self.core.disconnect(node);
        Ok(())
    }

    /// Changes the address that Metadata returns for a node. Another program may listen there, or
    /// none.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn advertise(&self, node: impl Into<NodeId>, host: &str, port: u16) -> Result<()> {
        let node = node.into();
        self.change_broker(node, |broker| {
            host.clone_into(&mut broker.host);
            broker.port = port;
        })
    }

    /// Changes the versions of an API that a node supports. Connections learn of it with their next
    /// ApiVersions request.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn set_versions(
        &self,
        node: impl Into<NodeId>,
        api: Api,
        versions: RangeInclusive<i16>,
    ) -> Result<()> {
        let node = node.into();
        self.change_broker(node, |broker| broker.set_versions(api, Some(versions)))
    }

    /// Removes an API from a node, as if the node were too old to have it.
    ///
    /// # Errors
    ///
    /// There is no such node.
    pub fn remove_api(&self, node: impl Into<NodeId>, api: Api) -> Result<()> {
        let node = node.into();
        self.change_broker(node, |broker| broker.set_versions(api, None))
    }

    fn find_server(&self, node: NodeId) -> Option<&NodeServer> {
        self.servers.iter().find(|server| server.node == node)
    }

    fn server(&self, node: NodeId) -> Result<&NodeServer> {
        let server = self.find_server(node);
        server.ok_or_else(|| illegal(format!("there is no node {node}")))
    }

    fn change_broker(&self, node: NodeId, change: impl FnOnce(&mut Broker)) -> Result<()> {
        let mut cluster = self.core.cluster.lock();
        let broker = cluster.broker_mut(node);
        change(broker.ok_or_else(|| illegal(format!("there is no node {node}")))?);
        Ok(())
    }
}
