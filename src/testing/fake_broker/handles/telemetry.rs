//! The telemetry that the cluster requests, and what clients pushed.

use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::telemetry::{TelemetryPush, TelemetrySubscription};

/// The telemetry that the cluster requests, and what clients pushed.
impl FakeBroker {
    /// Changes the subscription of every client. A client that pushes for the old one is told to
    /// request the new one. `None` removes the subscription; open connections still have the APIs.
    pub fn set_telemetry(&self, subscription: Option<TelemetrySubscription>) {
        self.core.cluster.lock().telemetry.subscribe(subscription);
        self.core.activity.announce();
    }

    /// Returns every accepted push, oldest first.
    pub fn telemetry_pushes(&self) -> Vec<TelemetryPush> {
        self.core.cluster.lock().telemetry.pushes.clone()
    }
}
