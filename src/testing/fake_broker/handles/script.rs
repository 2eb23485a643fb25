//! Faults that a test scripts.

use crate::sync::Arc;
use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::facts::Request;
use crate::testing::fake_broker::script::action::Action;
use crate::testing::fake_broker::script::hold::Hold;
use crate::testing::fake_broker::script::rule::Rule;

/// Faults that a test scripts.
impl FakeBroker {
    /// Starts a rule for the next request of this kind.
    pub fn on(&self, api: Api) -> Rule<'_> {
        Rule::new(&self.core.script, api)
    }

    /// Calls a closure for each request to decide what to do. `None` leaves the request to other
    /// hooks, and then to the rules.
    ///
    /// The closure runs on the connection's thread and may use the broker.
    pub fn on_request(
        &self,
        hook: impl Fn(&Self, &Request) -> Option<Action> + Send + Sync + 'static,
    ) {
        // The script is part of the core, so it must not keep the core alive.
        let core = Arc::downgrade(&self.core);
        let servers = Arc::clone(&self.servers);
        let hook = move |request: &Request| {
            let view = Self {
                core: core.upgrade()?,
                servers: Arc::clone(&servers),
                is_owner: false,
            };
            hook(&view, request)
        };
        self.core.script.lock().hooks.push(Arc::new(hook));
    }

    /// Removes all rules and hooks.
    pub fn clear_script(&self) {
        self.core.script.lock().clear();
    }

    /// Returns the number of rules that wait for requests, rules for [`always`](Rule::always)
    /// aside. Zero says that everything that was scripted took place.
    pub fn unspent_rules(&self) -> usize {
        self.core.script.lock().unspent_rules()
    }

    /// Returns a gate for [`Action::hold`] and [`Action::hold_request`].
    pub fn new_hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.core.activity))
    }
}
