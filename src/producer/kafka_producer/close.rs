//! The end of a producer. Java: `KafkaProducer.close`.

use std::time::{Duration, Instant};

use super::KafkaProducer;
use crate::error::{Error, ErrorKind, Result, TimeoutReason};
use crate::producer::Serializer;
use crate::producer::user_code::contain;
use crate::sync::{Arc, AtomicBool, Condvar, Mutex, Ordering};
use crate::utils::{Count, Time, log};

/// The end of the I/O thread, for which other threads can wait.
///
/// The thread's own handle is dropped: std can join, but not with a timeout. The thread sets the
/// flag as its last action.
#[derive(Clone, Debug, Default)]
pub(super) struct IoThreadHandle(Arc<Ended>);

#[derive(Debug, Default)]
struct Ended {
    has_ended: Mutex<bool>,
    ended: Condvar,
    close_called: AtomicBool,
    plugins_closed: AtomicBool,
}

impl IoThreadHandle {
    pub(super) fn set_ended(&self) {
        *self.0.has_ended.lock() = true;
        self.0.ended.notify_all();
    }

    /// Waits for the end of the thread, until `deadline` if there is one. Returns whether it has
    /// ended.
    fn join(&self, deadline: Option<Instant>) -> bool {
        let mut has_ended = self.0.has_ended.lock();
        while !*has_ended {
            match deadline {
                None => self.0.ended.wait(&mut has_ended),
                Some(deadline) => {
                    if self
                        .0
                        .ended
                        .wait_until(&mut has_ended, deadline)
                        .timed_out()
                    {
                        return *has_ended;
                    }
                }
            }
        }
        true
    }

    /// Returns whether this is the first call that closes the producer.
    fn is_first_close(&self) -> bool {
        !self.0.close_called.swap(true, Ordering::AcqRel)
    }

    /// Returns whether this is the first call that closes the plugins.
    fn is_first_to_close_plugins(&self) -> bool {
        !self.0.plugins_closed.swap(true, Ordering::AcqRel)
    }
}

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Stops accepting records, waits until the accepted ones have an outcome, and ends the I/O
    /// thread.
    ///
    /// Records that are not delivered within `timeout` fail. The error of this call says how many
    /// there were. Each record's own error says whether the log may hold it. With [`Duration::MAX`]
    /// every record gets its `delivery.timeout.ms`. Closing twice is no error. Inside a callback
    /// this does not wait: records that are not delivered yet fail.
    ///
    /// # Errors
    ///
    /// `Timeout` if records were not delivered in time. `Forked` in a forked child.
    ///
    /// # Blocking
    ///
    /// At most `timeout`, plus the rest of a running callback.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.accumulator.io_thread().check_process()?;
        let _context = self.log_context.enter();
        let is_first = self.io_thread.is_first_close();
        let on_io_thread = self.accumulator.io_thread().is_current();
        if on_io_thread || timeout.is_zero() {
            // First, because a round that finds the accumulator closed sends what it has: records
            // that nobody waits for, whose errors could only say that they may be written.
            self.control.force_close();
            self.accumulator.close();
        } else {
            self.accumulator.close();
            self.control.initiate_close();
        }
        self.accumulator.signal().wake();
        if on_io_thread {
            // Another thread that closes or drops the producer closes the plugins, once the last
            // record has its outcome.
            return Ok(());
        }
        let deadline = self.time.now().checked_add(timeout);
        if !self.io_thread.join(deadline) {
            self.control.force_close();
            self.accumulator.signal().wake();
            self.io_thread.join(None);
        }
        self.close_plugins();
        if is_first {
            self.undelivered(timeout)
        } else {
            Ok(())
        }
    }

    /// Closes the user's interceptors, serializers and partitioner, once.
    fn close_plugins(&self) {
        if !self.io_thread.is_first_to_close_plugins() {
            return;
        }
        self.interceptors.close();
        self.metrics.close();
        let close: [&dyn Fn(); 3] = [
            &|| self.key_serializer.close(),
            &|| self.value_serializer.close(),
            &|| {
                self.partitioner
                    .iter()
                    .for_each(|partitioner| partitioner.close())
            },
        ];
        for close in close {
            if let Err(panic) = contain("a serializer or partitioner", close) {
                log::error!("{panic}, while it was closed");
            }
        }
    }

    fn undelivered(&self, timeout: Duration) -> Result<()> {
        undelivered_at_close(self.control.undelivered(), timeout)
    }
}

/// Returns the result of a close that left this many records undelivered.
pub(crate) fn undelivered_at_close(records: usize, timeout: Duration) -> Result<()> {
    if records == 0 {
        return Ok(());
    }
    let text = format!(
        "the producer was closed, and {} had not been delivered after {} ms",
        Count(records, "record"),
        timeout.as_millis()
    );
    let reason = TimeoutReason {
        waiting_for: "the delivery of all records before the close",
        waited: timeout,
        config: None,
    };
    Err(Error::timed_out(text, reason).with_delivery(crate::error::Delivery::MaybeWritten))
}

impl<KS: Serializer, VS: Serializer> Drop for KafkaProducer<KS, VS> {
    fn drop(&mut self) {
        if self.accumulator.io_thread().check_process().is_err() {
            // The parent has the thread and the plugins. They share reference-counted data, and the
            // thread's references in the child are never dropped.
            return;
        }
        let context = self.log_context.clone();
        let _context = context.enter();
        if self.accumulator.io_thread().is_current() {
            // The last handle was dropped inside a callback. The thread cannot wait for itself. It
            // continues until everything is delivered, and then no thread is left to close the
            // plugins.
            self.accumulator.close();
            self.control.initiate_close();
            self.close_plugins();
            return;
        }
        match self.close(self.close_on_drop_timeout) {
            Err(error) if error.kind() == ErrorKind::Timeout => {
                log::warn!("the producer was dropped: {error}");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
