//! Hosts resolved on other threads, which must end and must wake the waiting thread.

use std::sync::mpsc;

use super::*;
use crate::utils::{MockTime, Time};

const PATIENCE: Duration = Duration::from_secs(10);

/// Knows some hosts, and records its calls. Look-ups of hosts that begin with `slow` end when the
/// test says so.
#[derive(Debug)]
struct FakeLookup {
    asked: Mutex<Vec<String>>,
    held: Mutex<mpsc::Receiver<()>>,
}

impl HostLookup for FakeLookup {
    fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().push(host.to_owned());
        if host.starts_with("slow") {
            self.held.lock().recv().unwrap_or_default();
        }
        match host {
            "empty" => Ok(Vec::new()),
            "bad" => Err(io::Error::other("unknown host")),
            "panic" => panic!("as the test wants it"),
            _ => Ok(vec!["10.0.0.1:0".parse().unwrap()]),
        }
    }

    fn canonical_host_name(&self, address: SocketAddr) -> String {
        address.ip().to_string()
    }
}

struct Fixture {
    resolver: ThreadedHostResolver,
    lookup: Arc<FakeLookup>,
    release: mpsc::Sender<()>,
    wakes: mpsc::Receiver<()>,
    time: MockTime,
}

impl Fixture {
    fn new() -> Self {
        let (release, held) = mpsc::channel();
        let lookup = Arc::new(FakeLookup {
            asked: Mutex::default(),
            held: Mutex::new(held),
        });
        let (woken, wakes) = mpsc::channel();
        let wake = move || woken.send(()).unwrap_or_default();
        let shared: Arc<dyn HostLookup> = Arc::clone(&lookup) as Arc<dyn HostLookup>;
        let name = "test-resolver".to_owned();
        Self {
            resolver: ThreadedHostResolver::new(name, shared, PATIENCE, wake),
            lookup,
            release,
            wakes,
            time: MockTime::new(),
        }
    }

    fn resolve(&mut self, host: &str) {
        self.resolver.resolve(host, self.time.now());
    }

    fn poll(&mut self) -> Option<ResolvedHost> {
        self.resolver.poll_resolved(self.time.now())
    }

    /// Waits for the next result.
    fn answer(&mut self) -> ResolvedHost {
        self.wakes.recv().unwrap();
        self.poll().unwrap()
    }
}

#[test]
fn answers_are_there_when_the_wake_up_comes() {
    let mut f = Fixture::new();
    assert_eq!(f.poll(), None);
    f.resolve("good");
    let resolved = f.answer();
    assert_eq!(&*resolved.host, "good");
    assert_eq!(resolved.addresses.unwrap().len(), 1);
    assert_eq!(f.poll(), None);
}

#[test]
fn a_failed_lookup_returns_its_reason() {
    let mut f = Fixture::new();
    for (host, reason) in [
        ("bad", "unknown host"),
        ("empty", "no addresses"),
        ("panic", "panicked"),
        ("bad", "unknown host"),
    ] {
        f.resolve(host);
        let resolved = f.answer();
        assert!(resolved.addresses.unwrap_err().contains(reason));
    }
}

#[test]
fn a_host_is_asked_for_once_at_a_time() {
    let mut f = Fixture::new();
    f.resolve("slow");
    f.resolve("slow");
    f.release.send(()).unwrap();
    f.answer();
    f.resolve("good");
    f.answer();
    f.resolve("good");
    f.answer();
    assert_eq!(*f.lookup.asked.lock(), ["slow", "good", "good"]);
}

#[test]
fn the_thread_starts_with_the_first_name_and_ends_with_the_resolver() {
    let f = Fixture::new();
    drop(f.resolver);
    // The waker was dropped with the thread that was never started.
    assert!(f.wakes.recv().is_err());

    let mut f = Fixture::new();
    f.resolve("good");
    f.answer();
    drop(f.resolver);
    assert!(f.wakes.recv().is_err(), "the thread has dropped its end");
}

/// Nobody asks for the names that still wait.
#[test]
fn a_thread_ends_with_its_look_up_once_the_resolver_is_gone() {
    let mut f = Fixture::new();
    f.resolve("slow");
    f.resolve("good");
    while f.lookup.asked.lock().is_empty() {
        std::thread::yield_now();
    }
    drop(f.resolver);
    f.release.send(()).unwrap();
    // Until the thread has dropped its end.
    f.wakes.iter().for_each(drop);
    assert_eq!(*f.lookup.asked.lock(), ["slow"]);
}

#[test]
fn a_look_up_that_hangs_holds_up_another_name_for_the_setup_timeout_at_most() {
    let mut f = Fixture::new();
    f.resolve("slow");
    assert_eq!(f.resolver.next_poll(), None, "no name waits");
    f.time.advance_ms(1_000);
    f.resolve("good");
    assert_eq!(f.poll(), None);
    let due = f.resolver.next_poll().unwrap();
    assert_eq!(due, f.time.now() + Duration::from_secs(9));
    f.time.advance_ms(8_999);
    assert_eq!(f.poll(), None);
    assert_eq!(f.resolver.threads, 1, "the look-up is not late yet");

    f.time.advance_ms(1);
    assert_eq!(f.poll(), None);
    assert_eq!(f.resolver.threads, 2);
    assert_eq!(&*f.answer().host, "good");
    assert_eq!(f.resolver.next_poll(), None);

    // The hanging name gets a result in the end.
    f.release.send(()).unwrap();
    assert_eq!(&*f.answer().host, "slow");
}

#[test]
fn a_name_that_comes_when_a_look_up_hangs_already_does_not_wait() {
    let mut f = Fixture::new();
    f.resolve("slow");
    f.time.advance(PATIENCE);
    f.resolve("good");
    assert_eq!(&*f.answer().host, "good");
    assert_eq!(f.resolver.threads, 2);
}

#[test]
fn a_queue_that_moves_needs_no_further_thread() {
    let mut f = Fixture::new();
    f.resolve("slow");
    f.time.advance(PATIENCE);
    f.resolve("good");
    f.answer();
    // The second thread is idle and takes the next name, which has its full time too.
    f.time.advance(PATIENCE);
    f.resolve("slow-2");
    f.resolve("good");
    assert_eq!(f.resolver.threads, 2);
    f.release.send(()).unwrap();
    f.release.send(()).unwrap();
    let mut answered = [f.answer(), f.answer(), f.answer()].map(|answer| answer.host);
    answered.sort();
    assert_eq!(
        answered.each_ref().map(|host| &**host),
        ["good", "slow", "slow-2"]
    );
    assert_eq!(f.resolver.threads, 2);
}

#[test]
fn no_more_than_four_threads_hang() {
    let mut f = Fixture::new();
    for number in 0..10 {
        f.resolve(&format!("slow-{number}"));
        f.time.advance(PATIENCE);
        f.poll();
    }
    assert_eq!(f.resolver.threads, MAX_THREADS);
    assert_eq!(f.resolver.next_poll(), None, "there is nothing to do");
    for _ in 0..10 {
        f.release.send(()).unwrap();
        f.answer();
    }
    drop(f.resolver);
    assert!(f.wakes.recv().is_err(), "every thread has ended");
}
