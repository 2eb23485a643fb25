//! What came in, and waiting for it.

use std::time::Duration;

use crate::testing::fake_broker::FakeBroker;
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::facts::Request;
use crate::utils::{SystemTime, Time};

/// What came in, and waiting for it.
impl FakeBroker {
    /// Every request that could be read, oldest first, whatever became of it. Each is here as soon as the script has said
    /// what becomes of it: a hook does not find the request that it is asked about.
    pub fn requests(&self) -> Vec<Request> {
        self.core.journal.lock().requests.clone()
    }

    /// The number of requests of a kind so far.
    pub fn request_count(&self, api: Api) -> usize {
        self.count_requests(|request| request.api == api)
    }

    /// The number of requests so far that `is_counted` holds for, such as those of one version to one node.
    pub fn count_requests(&self, is_counted: impl Fn(&Request) -> bool) -> usize {
        let journal = self.core.journal.lock();
        journal
            .requests
            .iter()
            .filter(|request| is_counted(request))
            .count()
    }

    /// What came that a broker closes the connection for: unreadable requests, and versions that it does not speak.
    pub fn protocol_violations(&self) -> Vec<String> {
        self.core.journal.lock().violations.clone()
    }

    /// The number of connections that are open now.
    pub fn connection_count(&self) -> usize {
        self.core.connections.lock().open()
    }

    /// The number of connections that were accepted so far.
    pub fn accepted_connections(&self) -> u64 {
        self.core.connections.lock().accepted()
    }

    // Waiting.

    /// Waits until `is_true`, which is asked whenever something happened. False: `timeout` passed first.
    pub fn wait_for(&self, timeout: Duration, is_true: impl Fn(&Self) -> bool) -> bool {
        let deadline = SystemTime.now().checked_add(timeout);
        self.core.activity.wait_until(deadline, || is_true(self))
    }

    /// Waits until `count` requests of a kind came. False: `timeout` passed first.
    pub fn await_requests(&self, api: Api, count: usize, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.request_count(api) >= count)
    }

    /// Waits until a topic has `count` records. False: `timeout` passed first.
    pub fn await_records(&self, topic: &str, count: u64, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.record_count(topic) >= count)
    }

    /// Waits until exactly `count` connections are open. False: `timeout` passed first.
    pub fn await_connections(&self, count: usize, timeout: Duration) -> bool {
        self.wait_for(timeout, |broker| broker.connection_count() == count)
    }
}
