//! Runs a closure in a forked child process and returns its result.

#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    reason = "the library's rule that it reads no clock is not for what tests it"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The outcome of the child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    /// The closure returned this.
    Returned(String),
    /// The closure panicked.
    Panicked,
    /// The closure had not returned in time. The child was killed.
    Hung,
}

/// Forks, runs `body` in the child, and waits for it for at most `timeout`. The child exits when
/// the closure returns: it neither drops nor runs anything of the caller's frames.
///
/// # Errors
///
/// When the operating system refuses the pipe or the process.
pub fn in_child(timeout: Duration, body: impl FnOnce() -> String) -> io::Result<Child> {
    let (mut from_child, to_parent) = pipe()?;
    // SAFETY: the child calls functions that are not async-signal-safe, such as the allocator. The C
    // libraries glibc, musl and macOS make that sound in a child of fork. A child that hangs anyway
    // is killed below.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child == 0 {
        run_and_exit(to_parent, body);
    }
    drop(to_parent);
    let text = read_until(&mut from_child, Instant::now() + timeout);
    // SAFETY: the process is a child that has not been waited for, so its id is not another's.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    Ok(match text?.as_deref() {
        None => Child::Hung,
        Some([b'+', text @ ..]) => Child::Returned(String::from_utf8_lossy(text).into_owned()),
        Some(_) => Child::Panicked,
    })
}

fn run_and_exit(mut to_parent: File, body: impl FnOnce() -> String) -> ! {
    let text = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(text) => format!("+{text}"),
        Err(_) => "-".to_owned(),
    };
    let written = to_parent.write_all(text.as_bytes());
    // SAFETY: ends the process without running anything of the parent's that is registered for its exit.
    unsafe { libc::_exit(i32::from(written.is_err())) }
}

fn pipe() -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for the two descriptors.
    if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are open, and owned by nothing else.
    Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) })
}

/// Reads to the end, or gives nothing if that does not come in time.
fn read_until(from: &mut File, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd {
            fd: from.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let millis = libc::c_int::try_from(left.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the one entry is valid.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            0 => return Ok(None),
            1.. => {}
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => return Err(error),
            },
        }
        let mut chunk = [0; 4096];
        match from.read(&mut chunk)? {
            0 => return Ok(Some(text)),
            read => text.extend_from_slice(&chunk[..read]),
        }
    }
}
