//! Gates that a test opens.
//!
//! Threads: connection threads wait at a gate, with the help of `Activity`; tests open it.

use super::activity::Activity;
use crate::sync::{Arc, AtomicBool, Ordering};

/// A gate at which requests or replies wait until it is [`release`](Self::release)d or dropped.
#[derive(Debug)]
pub struct Hold {
    flag: HoldFlag,
    activity: Arc<Activity>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct HoldFlag(Arc<AtomicBool>);

impl HoldFlag {
    pub(crate) fn is_released(&self) -> bool {
        // Acquire pairs with the release in `Hold::release`: the waiting thread sees what the
        // releasing thread did before.
        self.0.load(Ordering::Acquire)
    }
}

impl Hold {
    pub(crate) fn new(activity: Arc<Activity>) -> Self {
        Self {
            flag: HoldFlag::default(),
            activity,
        }
    }

    pub(crate) fn flag(&self) -> HoldFlag {
        self.flag.clone()
    }

    /// Releases everything that waits, now and later.
    pub fn release(&self) {
        self.flag.0.store(true, Ordering::Release);
        self.activity.announce();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}
