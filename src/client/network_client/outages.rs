//! The failing nodes and their log lines: a warning at the beginning and once a minute, and one
//! line at the end.
//!
//! Differs from Java: Java logs two warnings for each attempt to connect.

use std::fmt;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use crate::client::metadata::node_address;
use crate::common::Node;
use crate::error::ErrorKind;
use crate::utils::log::{self, Level};
use crate::utils::{Count, LOG_INTERVAL};

/// A node without attempts for this long has left the cluster and is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// The nodes that failed lately, by address, because a node has another id as a bootstrap server.
#[derive(Debug, Default)]
pub(super) struct Outages(HashMap<String, Outage>);

/// The latest outage of a node.
#[derive(Debug)]
struct Outage {
    stage: Stage,
    since: Instant,
    last_failure: Instant,
    failures: u64,
    /// When each kind of failure was last logged. Outlives the outage: a node that comes and goes
    /// gives no more lines than one that is away.
    logged: Vec<(ErrorKind, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The log does not show this outage, because it shows an earlier one of the same minute.
    Unseen,
    Logged,
    Over,
}

impl Outages {
    /// Notes that the node failed. Logs it, unless the last minute's log already has it.
    pub(super) fn failed(&mut self, node: &Node, kind: ErrorKind, cause: &str, now: Instant) {
        let is_recent =
            |outage: &Outage| now.saturating_duration_since(outage.last_failure) < FORGOTTEN_AFTER;
        let address = node_address(node);
        if !self.0.contains_key(&address) {
            self.0.retain(|_, outage| is_recent(outage));
        }
        let outage = self.0.entry(address).or_insert(Outage {
            stage: Stage::Over,
            since: now,
            last_failure: now,
            failures: 0,
            logged: Vec::new(),
        });
        if outage.stage == Stage::Over {
            (outage.stage, outage.since, outage.failures) = (Stage::Unseen, now, 0);
        }
        outage.failures += 1;
        outage.last_failure = now;
        let is_due = outage.is_due(kind, now);
        if is_due {
            outage.stage = Stage::Logged;
        }
        let level = match is_due {
            false => Level::Debug,
            true if matches!(
                kind,
                ErrorKind::UnsupportedVersion | ErrorKind::Authentication
            ) =>
            {
                Level::Error
            }
            true => Level::Warn,
        };
        let node = Described(node);
        if outage.failures == 1 {
            log::log!(
                level,
                "{node} failed: {cause}; further failures are logged once a minute"
            );
        } else {
            let lasts = now.saturating_duration_since(outage.since).as_secs();
            let failures = outage.failures;
            log::log!(
                level,
                "{node} failed: {cause}; failure {failures} in {lasts} s"
            );
        }
    }

    /// Notes that the node responded to the first request of a connection.
    pub(super) fn recovered(&mut self, node: &Node, now: Instant) {
        let Some(outage) = self.0.get_mut(&node_address(node)) else {
            return;
        };
        let level = match outage.stage {
            Stage::Over => return,
            Stage::Unseen => Level::Debug,
            Stage::Logged => Level::Info,
        };
        outage.stage = Stage::Over;
        let (node, failures) = (Described(node), Count(outage.failures, "failure"));
        let lasted = now.saturating_duration_since(outage.since).as_secs();
        log::log!(level, "{node} is back after {lasted} s and {failures}");
    }
}

impl Outage {
    /// Returns whether to log a failure of this kind now, and notes that it was logged.
    fn is_due(&mut self, kind: ErrorKind, now: Instant) -> bool {
        let is_recent = |logged: Instant| now.saturating_duration_since(logged) < LOG_INTERVAL;
        match self.logged.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, logged)) if is_recent(*logged) => false,
            Some((_, logged)) => {
                *logged = now;
                true
            }
            None => {
                self.logged.push((kind, now));
                true
            }
        }
    }
}

/// A node in a log line.
struct Described<'a>(&'a Node);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.id().0 < 0 {
            true => write!(f, "bootstrap server {}", node_address(self.0)),
            false => write!(f, "node {}", self.0),
        }
    }
}
