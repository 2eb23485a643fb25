//! An active rule: its requests, how often it applies, and its action.

use super::action::{Action, Handling};
use super::plan::ScopedFailure;
use crate::common::NodeId;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::facts::Request;

/// The requests to which a rule applies.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) api: Api,
    pub(crate) node: Option<NodeId>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
}

impl Filter {
    pub(crate) fn matches(&self, request: &Request) -> bool {
        self.api == request.api
            && self.node.is_none_or(|node| node == request.node)
            && self.topic.as_deref().is_none_or(|topic| {
                request.names(topic, self.partition) || request.is_for_all_topics
            })
    }
}

#[derive(Debug)]
pub(crate) struct ActiveRule {
    pub(crate) filter: Filter,
    pub(crate) remaining: Option<usize>,
    pub(crate) action: Action,
}

impl ActiveRule {
    pub(crate) fn is_spent(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Returns the failure if the rule is for one topic or partition rather than for the whole
    /// request.
    pub(crate) fn scoped_failure(&self) -> Option<ScopedFailure> {
        let topic = self.filter.topic.clone()?;
        let Handling::Fail(failure) = &self.action.handling else {
            return None;
        };
        Some(ScopedFailure {
            topic,
            partition: self.filter.partition,
            failure: failure.clone(),
        })
    }
}
