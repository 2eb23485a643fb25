//! Detects panics in threads that nobody joins, those of the library and of the test broker, by
//! thread name.

use std::sync::{Mutex, Once};
use std::thread;

static HOOK: Once = Once::new();
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Installs the hook. Call it before the first thread of the library starts.
pub(crate) fn watch() {
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let current = thread::current();
            let name = current.name().unwrap_or_default();
            if name.starts_with("kafka-producer") || name.starts_with("fake-broker") {
                SEEN.lock().unwrap().push(format!("{name}: {info}"));
            }
            default(info);
        }));
    });
}

/// Checks that no thread of the library has panicked so far.
pub(crate) fn assert_none(name: &str) {
    let seen = SEEN.lock().unwrap();
    assert!(seen.is_empty(), "{name}: {seen:?}");
}
