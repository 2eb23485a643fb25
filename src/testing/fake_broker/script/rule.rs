//! A line of the script, as a test writes it.

use super::action::Action;
use super::active_rule::{ActiveRule, Filter};
use super::rules::Script;
use crate::common::NodeId;
use crate::sync::Mutex;
use crate::testing::fake_broker::model::api::Api;

/// A line of the script in the making: made by [`FakeBroker::on`](crate::testing::FakeBroker::on), ended by [`then`](Self::then).
///
/// Rules are tried in the order they were made, each as often as it says: once, unless [`times`](Self::times) or
/// [`always`](Self::always) says otherwise. A request takes the first rule that matches; rules that fail one partition or
/// topic combine, so that one request may take several of them.
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

    /// Only requests to this node.
    pub fn node(mut self, node: impl Into<NodeId>) -> Self {
        let node = node.into();
        self.filter.node = Some(node);
        self
    }

    /// Only requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.filter.topic = Some(topic.into());
        self
    }

    /// Only Produce, AddPartitionsToTxn and TxnOffsetCommit requests that name this partition, and Metadata requests that
    /// name its topic.
    pub fn partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.filter.topic = Some(topic.into());
        self.filter.partition = Some(partition);
        self
    }

    /// The first `count` matching requests.
    pub fn times(mut self, count: usize) -> Self {
        self.remaining = Some(count);
        self
    }

    /// Every matching request, until the script is cleared.
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Ends the rule: what is done with the requests that it is for.
    pub fn then(self, action: Action) {
        self.script.lock().rules.push(ActiveRule {
            filter: self.filter,
            remaining: self.remaining,
            action,
        });
    }
}
