//! The script's decision about one request.

use super::action::{Action, Handling};
use crate::protocol::ErrorCode;
use crate::testing::fake_broker::model::failure::Failure;

#[derive(Clone, Debug)]
pub(crate) struct ScopedFailure {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) failure: Failure,
}

impl ScopedFailure {
    pub(crate) fn covers(&self, topic: &str, partition: i32) -> bool {
        self.topic == topic && self.partition.is_none_or(|number| number == partition)
    }
}

/// The script's decision about one request.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) action: Action,
    failures: Vec<ScopedFailure>,
}

impl Plan {
    pub(crate) fn new(action: Action, mut failures: Vec<ScopedFailure>) -> Self {
        let given = action.failed_partitions.iter();
        failures.extend(given.map(|(topic, partition, failure)| ScopedFailure {
            topic: topic.clone(),
            partition: Some(*partition),
            failure: failure.clone(),
        }));
        Self { action, failures }
    }

    /// Returns the scripted failure of a partition, or of a topic if `partition` is -1.
    pub(crate) fn failure(&self, topic: &str, partition: i32) -> Option<&Failure> {
        let scoped = self
            .failures
            .iter()
            .find(|scoped| scoped.covers(topic, partition))
            .map(|scoped| &scoped.failure);
        scoped.or_else(|| self.whole_failure())
    }

    pub(crate) fn whole_failure(&self) -> Option<&Failure> {
        match &self.action.handling {
            Handling::Fail(failure) => Some(failure),
            Handling::Apply | Handling::Skip => None,
        }
    }

    /// Carries out the action for the whole request, unless the request is to be refused. Responds
    /// with the failure either way.
    pub(crate) fn around<T>(
        &self,
        apply: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        match self.whole_failure() {
            Some(failure) if failure.is_after_append => {
                apply()?;
                Err(failure.code)
            }
            Some(failure) => Err(failure.code),
            None => apply(),
        }
    }

    pub(crate) fn omits(&self, topic: &str, partition: i32) -> bool {
        self.action
            .omitted_partitions
            .iter()
            .any(|(name, number)| name == topic && *number == partition)
    }
}
