//! Hosts resolved by a thread, which must end and must wake who waits.

use std::sync::mpsc;

use super::*;
use crate::sync::Mutex;

/// Knows three hosts, and notes what it was asked.
#[derive(Debug, Default)]
struct FakeLookup {
    asked: Mutex<Vec<String>>,
}

impl HostLookup for FakeLookup {
    fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().push(host.to_owned());
        match host {
            "good" => Ok(vec!["10.0.0.1".parse().unwrap()]),
            "empty" => Ok(Vec::new()),
            _ => Err(io::Error::other("unknown host")),
        }
    }

    fn canonical_host_name(&self, address: IpAddr) -> String {
        address.to_string()
    }
}

fn resolver() -> (ThreadedHostResolver, Arc<FakeLookup>, mpsc::Receiver<()>) {
    let lookup = Arc::new(FakeLookup::default());
    let (woken, wakes) = mpsc::channel();
    let wake = move || woken.send(()).unwrap_or_default();
    let shared: Arc<dyn HostLookup> = Arc::clone(&lookup) as Arc<dyn HostLookup>;
    let resolver = ThreadedHostResolver::new("test-resolver".to_owned(), shared, wake);
    (resolver, lookup, wakes)
}

#[test]
fn answers_are_there_when_the_wake_up_comes() {
    let (mut resolver, _, wakes) = resolver();
    assert_eq!(resolver.poll_resolved(), None);
    resolver.resolve("good");
    wakes.recv().unwrap();
    let resolved = resolver.poll_resolved().unwrap();
    assert_eq!(&*resolved.host, "good");
    assert_eq!(resolved.addresses.unwrap().len(), 1);
    assert_eq!(resolver.poll_resolved(), None);
}

#[test]
fn failures_are_answers() {
    let (mut resolver, _, wakes) = resolver();
    for (host, reason) in [("bad", "unknown host"), ("empty", "no addresses")] {
        resolver.resolve(host);
        wakes.recv().unwrap();
        let resolved = resolver.poll_resolved().unwrap();
        assert!(resolved.addresses.unwrap_err().contains(reason));
    }
}

#[test]
fn a_host_is_asked_for_once_at_a_time() {
    let (mut resolver, lookup, wakes) = resolver();
    resolver.resolve("good");
    resolver.resolve("good");
    wakes.recv().unwrap();
    assert!(resolver.poll_resolved().is_some());
    resolver.resolve("good");
    wakes.recv().unwrap();
    assert!(resolver.poll_resolved().is_some());
    assert_eq!(*lookup.asked.lock(), ["good", "good"]);
}

#[test]
fn the_thread_starts_with_the_first_name_and_ends_with_the_resolver() {
    let (resolver, _, wakes) = resolver();
    drop(resolver);
    // The waker went with the thread that was never started.
    assert!(wakes.recv().is_err());

    let (mut resolver, _, wakes) = self::resolver();
    resolver.resolve("good");
    wakes.recv().unwrap();
    drop(resolver);
    assert!(wakes.recv().is_err(), "the thread has dropped its end");
}

#[test]
fn a_dead_thread_is_reported() {
    #[derive(Debug)]
    struct Panics;
    impl HostLookup for Panics {
        fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            panic!("as the test wants it")
        }
        fn canonical_host_name(&self, address: IpAddr) -> String {
            address.to_string()
        }
    }
    let (died, deaths) = mpsc::channel::<()>();
    let wake = move || died.send(()).unwrap_or_default();
    let mut resolver = ThreadedHostResolver::new("dies".to_owned(), Arc::new(Panics), wake);
    resolver.resolve("first");
    assert!(deaths.recv().is_err(), "the thread has dropped its end");
    resolver.resolve("second");
    let resolved = resolver.poll_resolved().unwrap();
    assert!(resolved.addresses.unwrap_err().contains("has died"));
}

#[test]
fn the_system_resolves_literals() {
    let addresses = SystemHostLookup.addresses("127.0.0.1").unwrap();
    assert_eq!(addresses, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(
        SystemHostLookup.canonical_host_name(addresses[0]),
        "127.0.0.1"
    );
}
