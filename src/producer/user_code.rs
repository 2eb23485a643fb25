//! Calls the user's code, and turns a panic into an error.
//!
//! Needs `panic = "unwind"`, the default. A program built with `panic = "abort"` ends with the
//! first panic, as requested.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Result};

/// Runs `call`. After a panic, the library does not use the state that `call` may have left.
///
/// # Errors
///
/// [`ErrorKind::Panic`], with the message and the place of the panic. `what` names the code in the
/// text.
pub(crate) fn contain<T>(what: &str, call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = format!("{what} panicked: {}", panic_message(payload.as_ref()));
        drop_contained(payload);
        Error::new(ErrorKind::Panic, message)
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(message), _) => message,
        (_, Some(message)) => message,
        _ => "it does not say why",
    }
}

/// Drops the payload of a panic. Its drop may panic too; the payload of that panic is leaked,
/// because this could otherwise go on forever.
fn drop_contained(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(another);
    }
}

/// Returns an error of the kind `kind` for an error of the user's code.
pub(crate) fn user_error(
    kind: ErrorKind,
    message: impl Into<String>,
    cause: Box<dyn StdError + Send + Sync>,
) -> Error {
    Error::new(kind, message).caused_by(UserError(cause))
}

/// An error of the user's code. The box itself does not implement `Error`.
struct UserError(Box<dyn StdError + Send + Sync>);

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for UserError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_says_why() {
        let text = |error: Result<()>| error.unwrap_err().to_string();
        assert_eq!(
            text(contain("the hook", || panic!("because"))),
            "the hook panicked: because"
        );
        assert_eq!(
            text(contain("the hook", || panic!("because {}", 7))),
            "the hook panicked: because 7"
        );
        let silent = contain("the hook", || std::panic::panic_any(7));
        assert_eq!(silent.unwrap_err().kind(), ErrorKind::Panic);
        assert_eq!(contain("the hook", || 7).unwrap(), 7);
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(Self);
            }
        }
        let hook = || -> () { std::panic::panic_any(Bomb) };
        contain("the hook", hook).unwrap_err();
    }

    #[test]
    fn the_cause_is_what_the_user_said() {
        let error = user_error(ErrorKind::Serialization, "no bytes", "bad schema".into());
        assert_eq!(error.to_string(), "no bytes");
        assert_eq!(error.source().unwrap().to_string(), "bad schema");
    }
}
