//! A rule of the script, as a test writes it.

use super::action::Action;
use super::active_rule::{ActiveRule, Filter};
use super::rules::Script;
use crate::common::NodeId;
use crate::sync::Mutex;
use crate::testing::fake_broker::model::api::Api;

/// A rule in the making. [`FakeBroker::on`](crate::testing::FakeBroker::on) begins it, and
/// [`then`](Self::then) completes it.
///
/// Rules are tried in the order of their creation. Each applies once, unless [`times`](Self::times)
/// or [`always`](Self::always) says otherwise. A request takes the first rule that matches. Rules
/// for single partitions or topics combine, so one request may take several of them.
#[must_use = "a rule does nothing until `then` gives it an action"]
#[derive(Debug)]
pub struct Rule<'a> {
    script: &'a Mutex<Script>,
    filter: Filter,
    remaining: Option<usize>,
}

impl<'a> Rule<'a> {
    pub(crate) fn new(script: &'a Mutex<Script>, api: Api) -> Self {
        Self {
            script,
            filter: Filter {
                api,
                node: None,
                topic: None,
                partition: None,
            },
            remaining: Some(1),
        }
    }

    /// Restricts the rule to requests to this node.
    pub fn node(mut self, node: impl Into<NodeId>) -> Self {
        let node = node.into();
        self.filter.node = Some(node);
        self
    }

    /// Restricts the rule to requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.filter.topic = Some(topic.into());
        self
    }

    /// Restricts the rule to Produce, AddPartitionsToTxn and TxnOffsetCommit requests that name
    /// this partition, and to Metadata requests that name its topic.
    pub fn partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.filter.topic = Some(topic.into());
        self.filter.partition = Some(partition);
        self
    }

    /// Applies the rule to the first `count` matching requests.
    pub fn times(mut self, count: usize) -> Self {
        self.remaining = Some(count);
        self
    }

    /// Applies the rule to every matching request, until the script is cleared.
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Completes the rule with the action for its requests.
    pub fn then(self, action: Action) {
        self.script.lock().rules.push(ActiveRule {
            filter: self.filter,
            remaining: self.remaining,
            action,
        });
    }
}
