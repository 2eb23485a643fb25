//! The active hooks and rules, and their decisions.

use std::fmt;

use super::action::{Action, Handling};
use super::active_rule::ActiveRule;
use super::plan::{Plan, ScopedFailure};
use crate::sync::Arc;
use crate::testing::fake_broker::model::facts::Request;

/// Decides on a request before the rules do.
pub(crate) type Hook = dyn Fn(&Request) -> Option<Action> + Send + Sync;

/// The active hooks and rules.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) hooks: Vec<Arc<Hook>>,
    pub(crate) rules: Vec<ActiveRule>,
}

impl Script {
    pub(crate) fn clear(&mut self) {
        self.hooks.clear();
        self.rules.clear();
    }

    /// Returns the number of rules that have not applied as often as they should.
    pub(crate) fn unspent_rules(&self) -> usize {
        self.rules
            .iter()
            .filter(|rule| rule.remaining.is_some())
            .count()
    }

    /// Spends the rules that apply to `request`. `hooked` is a hook's decision, if any.
    pub(crate) fn decide(&mut self, request: &Request, hooked: Option<Action>) -> Plan {
        let mut whole = hooked;
        let mut failures: Vec<ScopedFailure> = Vec::new();
        for rule in &mut self.rules {
            if rule.is_spent() || !rule.filter.matches(request) {
                continue;
            }
            let scoped = rule.scoped_failure();
            let wants_request = scoped.is_none() || rule.action.concerns_whole_request();
            if wants_request && whole.is_some() {
                continue;
            }
            if let Some(scoped) = scoped {
                if !adds_a_failure(&failures, &scoped, request) {
                    continue;
                }
                failures.push(scoped);
                if wants_request {
                    let mut action = rule.action.clone();
                    action.handling = Handling::Apply;
                    whole = Some(action);
                }
            } else {
                whole = Some(rule.action.clone());
            }
            rule.remaining = rule.remaining.map(|count| count.saturating_sub(1));
        }
        self.rules.retain(|rule| !rule.is_spent());
        Plan::new(whole.unwrap_or_else(Action::apply), failures)
    }
}

/// Returns whether `scoped` affects a part of the request that no earlier rule fails.
fn adds_a_failure(earlier: &[ScopedFailure], scoped: &ScopedFailure, request: &Request) -> bool {
    let is_new = |topic: &str, partition| {
        scoped.covers(topic, partition) && !earlier.iter().any(|e| e.covers(topic, partition))
    };
    if request.partitions.is_empty() {
        return is_new(&scoped.topic, scoped.partition.unwrap_or(-1));
    }
    request
        .partitions
        .iter()
        .any(|named| is_new(named.topic(), named.partition()))
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("hooks", &self.hooks.len())
            .field("rules", &self.rules)
            .finish()
    }
}
