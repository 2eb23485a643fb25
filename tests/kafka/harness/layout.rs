//! The layout of a cluster: its nodes, listeners, properties and users.

use std::path::{Path, PathBuf};

use super::jars::Release;

/// Describes a cluster. Any cluster of a layout can serve a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(super) release: Release,
    pub(super) nodes: usize,
    pub(super) listeners: Vec<Listener>,
    /// Lines of `server.properties` that override the usual ones.
    pub(super) properties: Vec<(String, String)>,
    /// Features for the format, such as `transaction.version=1`, and users, such as
    /// `SCRAM-SHA-256=[...]`.
    pub(super) features: Vec<String>,
    /// The directory with the classes of plugins.
    pub(super) class_path: Option<PathBuf>,
    /// Options of the nodes' JVMs.
    pub(super) java_options: Vec<String>,
}

/// A listener in addition to the plaintext one that the harness uses.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listener {
    /// In capitals. Its properties are `listener.name.{name in lower case}.*`.
    pub(crate) name: &'static str,
    /// As in `security.protocol`.
    pub(crate) protocol: &'static str,
}

impl Layout {
    /// `nodes` nodes of the current release.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            release: Release::CURRENT,
            nodes,
            listeners: Vec::new(),
            properties: Vec::new(),
            features: Vec::new(),
            class_path: None,
            java_options: Vec::new(),
        }
    }

    pub(crate) fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Adds listeners to each node, on ports of their own.
    #[allow(dead_code, reason = "tests of TLS and SASL have their features")]
    pub(crate) fn listeners(mut self, listeners: &[Listener]) -> Self {
        self.listeners.extend(listeners);
        self
    }

    pub(crate) fn properties<K, V>(mut self, properties: &[(K, V)]) -> Self
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let properties = properties.iter();
        self.properties.extend(
            properties.map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned())),
        );
        self
    }

    /// Sets features, such as `transaction.version=1`, and users, such as
    /// `SCRAM-SHA-256=[name=alice,password=secret]`.
    pub(crate) fn features(mut self, features: &[&str]) -> Self {
        self.features
            .extend(features.iter().copied().map(str::to_owned));
        self
    }

    /// Sets the directory with the classes of plugins.
    pub(crate) fn class_path(mut self, directory: &Path) -> Self {
        self.class_path = Some(directory.to_owned());
        self
    }

    /// The nodes' JVMs get this option, such as `-Dkey=value`.
    pub(crate) fn java_option(mut self, option: String) -> Self {
        self.java_options.push(option);
        self
    }

    /// The lines of `server.properties` for all listeners of a node; `controller` is the port of
    /// its controller, if it is one.
    pub(super) fn listener_lines(
        &self,
        plaintext: u16,
        controller: Option<u16>,
        ports: &[u16],
    ) -> Vec<String> {
        let mut advertised = vec![format!("PLAINTEXT://127.0.0.1:{plaintext}")];
        let mut protocols = vec!["PLAINTEXT:PLAINTEXT".to_owned()];
        for (listener, port) in self.listeners.iter().zip(ports) {
            advertised.push(format!("{}://127.0.0.1:{port}", listener.name));
            protocols.push(format!("{}:{}", listener.name, listener.protocol));
        }
        let mut listeners = advertised.clone();
        if let Some(port) = controller {
            listeners.push(format!("CONTROLLER://127.0.0.1:{port}"));
            protocols.push("CONTROLLER:PLAINTEXT".to_owned());
        }
        vec![
            format!("listeners={}", listeners.join(",")),
            format!("advertised.listeners={}", advertised.join(",")),
            format!("listener.security.protocol.map={}", protocols.join(",")),
        ]
    }

    /// Returns the address of `listener` on a node with these ports.
    #[allow(dead_code, reason = "tests of TLS and SASL have their features")]
    pub(super) fn address(&self, listener: Listener, ports: &[u16]) -> String {
        let mut listeners = self.listeners.iter().zip(ports);
        let (_, port) = listeners
            .find(|(known, _)| **known == listener)
            .expect("a listener of this layout");
        format!("127.0.0.1:{port}")
    }
}

/// Splits `SCRAM-SHA-256=[name=alice,password=secret]` into mechanism, name and password.
pub(super) fn scram_user(user: &str) -> (&str, &str, &str) {
    let parts = user.strip_suffix(']').and_then(|user| {
        let (mechanism, rest) = user.split_once("=[name=")?;
        let (name, password) = rest.split_once(",password=")?;
        Some((mechanism, name, password))
    });
    parts.expect("a user as the format takes it")
}
