//! What the rivals on tokio have in common: a runtime as `#[tokio::main]` would start it, driven from plain threads.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Runtime};

use super::Work;
use crate::Failure;

/// A runtime with a worker per core.
pub(super) struct Tokio(Runtime);

impl Tokio {
    pub(super) fn start() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        Ok(Self(runtime))
    }

    /// Does a thread's work where the clients find the runtime.
    pub(super) fn entered(&self, work: impl FnOnce() -> Work) -> Work {
        let _guard = self.0.enter();
        work()
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(task));
    }

    /// Polls once by hand, because most sends are done then and `block_on` costs more than they do.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => output,
            Poll::Pending => self.0.block_on(future),
        }
    }
}
