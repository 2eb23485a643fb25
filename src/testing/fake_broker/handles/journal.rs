//! The received requests, and methods that wait for them.

use std::time::Duration;

use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::facts::Request;
use crate::utils::{SystemTime, Time};

/// The received requests, and methods that wait for them.
impl FakeBroker {
    /// Returns every request that could be read, oldest first. A request appears once the script
    /// has decided about it, so a hook does not find the request that it is called for.
    pub fn requests(&self) -> Vec<Request> {
        self.core.journal.lock().requests.clone()
    }

    /// Returns the number of requests of this kind so far.
    pub fn request_count(&self, api: Api) -> usize {
        self.count_requests(|request| request.api == api)
    }

    /// Returns the number of requests so far for which `is_counted` returns `true`, such as those
    /// of one version to one node.
    pub fn count_requests(&self, is_counted: impl Fn(&Request) -> bool) -> usize {
        let journal = self.core.journal.lock();
        journal
            .requests
            .iter()
            .filter(|request| is_counted(request))
            .count()
    }

    /// Returns descriptions of the requests for which a broker closes the connection: unreadable
    /// ones, and versions that it does not support.
    pub fn protocol_violations(&self) -> Vec<String> {
        self.core.journal.lock().violations.clone()
    }

    /// Returns the number of connections that are open now.
    pub fn connection_count(&self) -> usize {
        self.core.connections.lock().open()
    }

    /// Returns the number of connections that were accepted so far.
    pub fn accepted_connections(&self) -> u64 {
        self.core.connections.lock().accepted()
    }

    // Waiting.

    /// Waits until `is_true` returns `true`. It is called after every event. Returns `false` if
    /// `timeout` passes first.
    pub fn wait_for(&self, timeout: Duration, is_true: impl Fn(&Self) -> bool) -> bool {
        let deadline = SystemTime.now().checked_add(timeout);
        self.core.activity.wait_until(deadline, || is_true(self))
    }

    /// Waits until `count` requests of this kind have arrived. Returns `false` if `timeout` passes
    /// first.
    pub fn await_requests(&self, api: Api, count: usize, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.request_count(api) >= count)
    }

    /// Waits until a topic has `count` records. Returns `false` if `timeout` passes first.
    pub fn await_records(&self, topic: &str, count: u64, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.record_count(topic) >= count)
    }

    /// Waits until exactly `count` connections are open. Returns `false` if `timeout` passes first.
    pub fn await_connections(&self, count: usize, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.connection_count() == count)
    }
}
