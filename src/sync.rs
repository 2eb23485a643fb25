//! The one place that names lock and atomic types, so that a model checker can take their place.
//!
//! Locks come from `parking_lot`: they are never poisoned, and notifying a condition variable on which nobody waits
//! costs a load instead of a system call.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, OnceLock};

pub(crate) use arc_swap::{ArcSwap, ArcSwapOption, Guard as Snapshot};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
