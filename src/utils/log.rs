//! The library's log macros. Every line begins with its producer. Java: `LogContext`.
//!
//! A file that logs imports this module as `log`, so that no line lacks the prefix. `tests/tidy.rs`
//! enforces the import.
//!
//! Differs from Java: threads carry the context, and not objects. The I/O thread works for one
//! producer, and [`KafkaThread`](super::KafkaThread) passes the context on to the threads that it
//! starts. A caller's thread enters the context on the cold paths that can log.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use crate::sync::Arc;

thread_local! {
    static CURRENT: RefCell<Option<LogContext>> = const { RefCell::new(None) };
}

/// The prefix of a producer's log lines: `[Producer clientId=..., transactionalId=...] `.
#[derive(Clone, Debug)]
pub(crate) struct LogContext(Arc<str>);

impl LogContext {
    pub(crate) fn of_producer(client_id: &str, transactional_id: Option<&str>) -> Self {
        Self(Arc::from(match transactional_id {
            Some(id) => format!("[Producer clientId={client_id}, transactionalId={id}] "),
            None => format!("[Producer clientId={client_id}] "),
        }))
    }

    /// Returns the context of this thread.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes this the context of the thread until the guard is dropped.
    #[must_use = "the context ends with the guard"]
    pub(crate) fn enter(&self) -> EnteredLogContext {
        EnteredLogContext {
            previous: CURRENT.replace(Some(self.clone())),
            of_this_thread: PhantomData,
        }
    }
}

/// Restores the previous context when dropped. A callback of one producer may call another one.
#[derive(Debug)]
pub(crate) struct EnteredLogContext {
    previous: Option<LogContext>,
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for EnteredLogContext {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}

/// Returns the prefix of this thread's lines. It is empty without a producer, as in a
/// `MockProducer`.
pub(crate) fn prefix() -> Prefix {
    Prefix(LogContext::current())
}

/// Returns whether the log shows the trace lines of a dependency, given the name of its target.
#[cfg(feature = "oauth-oidc")]
pub(crate) fn is_traced(target: &str) -> bool {
    ::log::log_enabled!(target: target, ::log::Level::Trace)
}

/// See [`prefix`].
#[derive(Debug)]
pub(crate) struct Prefix(Option<LogContext>);

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |context| f.write_str(&context.0))
    }
}

/// Begins to capture the lines of this thread, for a unit test.
#[cfg(test)]
pub(crate) fn test_lines() -> TestLines {
    TESTED.set(Some(Vec::new()));
    TestLines(PhantomData)
}

#[cfg(test)]
thread_local! {
    static TESTED: RefCell<Option<Vec<(Level, String)>>> = const { RefCell::new(None) };
}

/// As [`test_lines`]. Each line calls `observer` too, as the program's logger would be called.
#[cfg(all(test, feature = "sasl"))]
pub(crate) fn observed_test_lines(observer: impl Fn() + 'static) -> TestLines {
    OBSERVER.set(Some(Box::new(observer)));
    test_lines()
}

#[cfg(test)]
type Observer = Box<dyn Fn()>;

#[cfg(test)]
thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

/// The lines of this thread since [`test_lines`] was called; the capture ends when it is dropped.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct TestLines(PhantomData<*const ()>);

#[cfg(test)]
impl TestLines {
    /// Returns the lines since the last call.
    #[expect(
        clippy::unused_self,
        reason = "without a capture there is nothing to take"
    )]
    pub(crate) fn take(&self) -> Vec<(Level, String)> {
        TESTED.with_borrow_mut(|lines| lines.as_mut().map(std::mem::take).unwrap_or_default())
    }
}

#[cfg(test)]
impl Drop for TestLines {
    fn drop(&mut self) {
        TESTED.set(None);
        OBSERVER.set(None);
    }
}

/// Passes a line to the test that captures this thread's lines.
#[cfg(test)]
pub(crate) fn note_for_test(level: Level, line: fmt::Arguments<'_>) {
    TESTED.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            lines.push((level, line.to_string()));
        }
    });
    OBSERVER.with_borrow(|observer| {
        if let Some(observer) = observer {
            observer();
        }
    });
}

/// Logs at a level that is known only at run time.
macro_rules! at_level {
    ($level:expr, $($text:tt)+) => {{
        #[cfg(test)]
        $crate::utils::log::note_for_test($level, format_args!($($text)+));
        ::log::log!($level, "{}{}", $crate::utils::log::prefix(), format_args!($($text)+));
    }};
}

macro_rules! at_error {
    ($($text:tt)+) => { $crate::utils::log::log!(::log::Level::Error, $($text)+) };
}

macro_rules! at_warn {
    ($($text:tt)+) => { $crate::utils::log::log!(::log::Level::Warn, $($text)+) };
}

macro_rules! at_info {
    ($($text:tt)+) => { $crate::utils::log::log!(::log::Level::Info, $($text)+) };
}

macro_rules! at_debug {
    ($($text:tt)+) => { $crate::utils::log::log!(::log::Level::Debug, $($text)+) };
}

macro_rules! at_trace {
    ($($text:tt)+) => { $crate::utils::log::log!(::log::Level::Trace, $($text)+) };
}

pub(crate) use {
    at_debug as debug, at_error as error, at_info as info, at_level as log, at_trace as trace,
    at_warn as warn,
};

pub(crate) use ::log::Level;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::utils::KafkaThread;

    #[test]
    fn a_prefix_names_client_and_transaction() {
        assert_eq!(prefix().to_string(), "");
        let outer = LogContext::of_producer("a", Some("t")).enter();
        assert_eq!(
            prefix().to_string(),
            "[Producer clientId=a, transactionalId=t] "
        );
        {
            let _inner = LogContext::of_producer("b", None).enter();
            assert_eq!(prefix().to_string(), "[Producer clientId=b] ");
        }
        assert!(prefix().to_string().contains("clientId=a"));
        drop(outer);
        assert_eq!(prefix().to_string(), "");
    }

    #[test]
    fn a_thread_inherits_the_context_of_its_parent() {
        let _context = LogContext::of_producer("parent", None).enter();
        let (sender, receiver) = mpsc::channel();
        let thread = KafkaThread::spawn("child".to_owned(), move || {
            sender.send(prefix().to_string()).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), "[Producer clientId=parent] ");
        thread.unwrap().join().unwrap();
    }
}
