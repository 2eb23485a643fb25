//! A named thread of the library. Java: `KafkaThread`.

use std::io;
use std::thread;

use super::log::{self, LogContext};

/// Starts the library's threads, each with a name. If one ends by a panic, the log has a line.
#[derive(Debug)]
pub(crate) struct KafkaThread;

impl KafkaThread {
    /// Runs `body` on a new thread, with the log context of the thread that starts it. A panic in
    /// `body` is logged, and the thread ends normally.
    ///
    /// # Errors
    ///
    /// The operating system refuses another thread.
    pub(crate) fn spawn(
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<thread::JoinHandle<()>> {
        // Boxed, because what std compiles for each type of a thread's body is 2000 lines of LLVM IR.
        Self::start(name, Box::new(body))
    }

    fn start(name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<thread::JoinHandle<()>> {
        // The name contains the user's client.id, and std panics if it contains a zero byte.
        let name = name.replace('\0', "?");
        let context = LogContext::current();
        thread::Builder::new().name(name.clone()).spawn(move || {
            let _context = context.as_ref().map(LogContext::enter);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            if outcome.is_err() {
                log::error!("uncaught panic in thread '{name}'");
            }
        })
    }
}
