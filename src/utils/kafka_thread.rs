//! A named thread of the library. Java: `KafkaThread`.

use std::io;
use std::thread;

/// Starts the library's threads, so that each has a name and none can be lost without a line in the log.
#[derive(Debug)]
pub(crate) struct KafkaThread;

impl KafkaThread {
    /// Runs `body` on a new thread. A panic in it is logged; whoever waits for the thread sees it end.
    ///
    /// # Errors
    ///
    /// When the operating system refuses another thread.
    pub(crate) fn spawn(
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<thread::JoinHandle<()>> {
        // The name holds the user's client.id, and std panics at a zero byte in it.
        let name = name.replace('\0', "?");
        thread::Builder::new().name(name.clone()).spawn(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            if outcome.is_err() {
                log::error!("uncaught panic in thread '{name}'");
            }
        })
    }
}
