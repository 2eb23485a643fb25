//! The batches without an outcome, for `flush` to wait for. Java: `IncompleteBatches`.
//!
//! Locks: one mutex around a map, taken when a batch begins and when it ends, never per record.

use hashbrown::HashMap;

use super::produce_request_result::ProduceRequestResult;
use crate::sync::{Arc, Mutex};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct IncompleteBatches {
    /// Keyed by the result's address, which is its identity.
    results: Mutex<HashMap<usize, Arc<ProduceRequestResult>>>,
}

impl IncompleteBatches {
    pub(crate) fn add(&self, result: &Arc<ProduceRequestResult>) {
        self.results.lock().insert(key(result), Arc::clone(result));
    }

    pub(crate) fn remove(&self, result: &Arc<ProduceRequestResult>) {
        self.results.lock().remove(&key(result));
    }

    /// Returns the current results. Batches that begin later are not included.
    pub(crate) fn copy_all(&self) -> Vec<Arc<ProduceRequestResult>> {
        self.results.lock().values().cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.results.lock().is_empty()
    }
}

fn key(result: &Arc<ProduceRequestResult>) -> usize {
    Arc::as_ptr(result).addr()
}
