//! What the cluster wants of clients' metrics, and what came.

use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::telemetry::{TelemetryPush, TelemetrySubscription};

/// What the cluster wants of clients' metrics, and what came.
impl FakeBroker {
    /// Changes the subscription of every client. One that pushes for the old one is told to ask again. `None`: the cluster
    /// wants no metrics any more; connections that are open have learned otherwise.
    pub fn set_telemetry(&self, subscription: Option<TelemetrySubscription>) {
        self.core.cluster.lock().telemetry.subscribe(subscription);
        self.core.activity.announce();
    }

    /// Every push that was taken, oldest first.
    pub fn telemetry_pushes(&self) -> Vec<TelemetryPush> {
        self.core.cluster.lock().telemetry.pushes.clone()
    }
}
