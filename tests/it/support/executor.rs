//! An executor on the current thread for tests that await: awaiting a record needs no runtime.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::producing::LONG;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(LONG),
        }
    }
}

/// Puts its task into the queue of tasks to poll.
struct Requeue {
    task: usize,
    queue: Mutex<Sender<usize>>,
    wakes: Arc<AtomicUsize>,
}

impl Wake for Requeue {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        // The receiver may be gone after the tasks are done.
        let _ = self.queue.lock().unwrap().send(self.task);
    }
}

/// Runs many futures to completion, polling each only when it was woken. Returns their results and
/// the number of wakes.
pub(crate) fn run_all<F: Future>(futures: Vec<F>) -> (Vec<F::Output>, usize) {
    let (sender, queue) = mpsc::channel();
    let wakes = Arc::new(AtomicUsize::new(0));
    let mut tasks: Vec<Option<Pin<Box<F>>>> = Vec::new();
    let outputs: RefCell<Vec<Option<F::Output>>> = RefCell::default();
    for (task, future) in futures.into_iter().enumerate() {
        tasks.push(Some(Box::pin(future)));
        outputs.borrow_mut().push(None);
        sender.send(task).unwrap();
    }
    let mut left = tasks.len();
    while left > 0 {
        let task = queue.recv_timeout(LONG).unwrap();
        let Some(future) = &mut tasks[task] else {
            continue;
        };
        let waker = Waker::from(Arc::new(Requeue {
            task,
            queue: Mutex::new(sender.clone()),
            wakes: Arc::clone(&wakes),
        }));
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            outputs.borrow_mut()[task] = Some(output);
            tasks[task] = None;
            left -= 1;
        }
    }
    let outputs = outputs.into_inner().into_iter().flatten().collect();
    (outputs, wakes.load(Ordering::SeqCst))
}

/// Counts its wakes, and runs a test's closures on a wake and on drop.
#[derive(Default)]
pub(crate) struct Probe {
    wakes: AtomicUsize,
    on_wake: Option<Box<dyn Fn() + Send + Sync>>,
    on_drop: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        if let Some(on_wake) = &self.on_wake {
            on_wake();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(on_drop) = &self.on_drop {
            on_drop();
        }
    }
}

impl Probe {
    pub(crate) fn on_wake(action: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            wakes: AtomicUsize::default(),
            on_wake: Some(Box::new(action)),
            on_drop: None,
        })
    }

    pub(crate) fn on_drop(action: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            wakes: AtomicUsize::default(),
            on_wake: None,
            on_drop: Some(Box::new(action)),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }
}

/// Polls once with this waker.
pub(crate) fn poll_for<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}
