//! What a process has used of the machine.

use std::fs;
use std::ops::Sub;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::Failure;

/// CPU time in microseconds and context switches, of all threads since the process started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) user_us: i64,
    pub(crate) sys_us: i64,
    pub(crate) voluntary: i64,
    pub(crate) involuntary: i64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self, Failure> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        Ok(Self {
            user_us: usage.user_time().num_microseconds(),
            sys_us: usage.system_time().num_microseconds(),
            voluntary: usage.voluntary_context_switches(),
            involuntary: usage.involuntary_context_switches(),
        })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user_us: self.user_us - earlier.user_us,
            sys_us: self.sys_us - earlier.sys_us,
            voluntary: self.voluntary - earlier.voluntary,
            involuntary: self.involuntary - earlier.involuntary,
        }
    }
}

/// The most memory that was resident at once. Not `getrusage`'s, which may be that of the process that started this one.
pub(crate) fn max_rss_kb() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM in /proc/self/status")?.parse()?)
}
