//! What the broker is to do wrong.

use crate::sync::Arc;
use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::facts::Request;
use crate::testing::fake_broker::script::action::Action;
use crate::testing::fake_broker::script::hold::Hold;
use crate::testing::fake_broker::script::rule::Rule;

/// What the broker is to do wrong.
impl FakeBroker {
    /// Starts a rule for the next request of this kind.
    pub fn on(&self, api: Api) -> Rule<'_> {
        Rule::new(&self.core.script, api)
    }

    /// Asks a closure what to do with each request; `None` leaves it to other hooks, then to the rules.
    ///
    /// It runs on the connection's thread and may use the broker.
    pub fn on_request(
        &self,
        hook: impl Fn(&Self, &Request) -> Option<Action> + Send + Sync + 'static,
    ) {
        // The script is a part of the core, and must not keep it alive.
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

    /// Forgets all rules and hooks.
    pub fn clear_script(&self) {
        self.core.script.lock().clear();
    }

    /// The number of rules that wait for requests, rules for [`always`](Rule::always) aside. Zero says that everything
    /// that was scripted took place.
    pub fn unspent_rules(&self) -> usize {
        self.core.script.lock().unspent_rules()
    }

    /// A gate for [`Action::hold`] and [`Action::hold_request`].
    pub fn new_hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.core.activity))
    }
}
