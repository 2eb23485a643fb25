//! Tickets that end while a producer runs. Sessions end every two seconds, so that each ticket has
//! to prove itself.

use std::process::Command;
use std::thread;

use kafka_producer::RecordFuture;

use super::*;

/// Has a keytab.
pub(super) const KEYTAB: &str = "carol";
/// Has tickets that cannot be renewed.
pub(super) const CACHE: &str = "dave";
/// Has tickets that can be renewed.
pub(super) const RENEWED: &str = "erin";
pub(super) const PRINCIPALS: [&str; 3] = [KEYTAB, CACHE, RENEWED];
/// The life of each ticket but the last of [`CACHE`].
pub(super) const LIFE: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3_600);
const PAUSE: Duration = Duration::from_millis(50);

/// The three wait at the same time.
#[test]
#[ignore = "a process of the test of kerberos.rs"]
fn client_process() {
    let orders = std::env::var(ORDERS).unwrap();
    let [address, carol, dave, erin] = orders.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{orders}");
    };
    // One after the other, because two programs that find the cache empty use the same file of it.
    let of_keytab = of_keytab(KEYTAB, carol).producer(address);
    kinit(RENEWED, erin, LIFE, &["-r", "1h"]);
    let renewed = of_tickets(RENEWED).producer(address);
    kinit(CACHE, dave, LIFE, &[]);
    let of_cache = of_tickets(CACHE).producer(address);
    thread::scope(|scope| {
        scope.spawn(|| assert_outlives_its_ticket(&of_keytab, KEYTAB));
        scope.spawn(|| assert_outlives_its_ticket(&renewed, RENEWED));
        scope.spawn(|| assert_waits_for_a_ticket(&of_cache, dave, address));
    });
    say("done");
}

/// Does what a user does at the terminal, with a keytab in place of the password.
fn kinit(principal: &str, keytab: &str, life: Duration, options: &[&str]) {
    let life = format!("{}s", life.as_secs());
    let status = Command::new("kinit")
        .args(["-k", "-t", keytab, "-l", &life])
        .args(options)
        .arg(format!("{principal}@EXAMPLE.COM"))
        .status();
    assert!(status.unwrap().success());
}

fn of_tickets(principal: &str) -> Client {
    of_module(&format!(
        "useTicketCache=true principal=\"{principal}@EXAMPLE.COM\""
    ))
}

fn number(producer: &KafkaProducer, metric: &str) -> f64 {
    let metrics = producer.metrics();
    metrics.number("producer-metrics", metric).unwrap()
}

/// Sends until two sessions began after the first ticket had ended.
fn assert_outlives_its_ticket(producer: &KafkaProducer, topic: &str) {
    let started = Instant::now();
    let renewals = || number(producer, "successful-reauthentication-total");
    let mut renewals_before = 0.0;
    for count in 0.. {
        let sent = producer.send(ProducerRecord::new(topic, "value"));
        sent.and_then(|sent| sent.get_timeout(LIMIT)).unwrap();
        say(&format!("sent {topic} {count}"));
        // The first of the two may have begun before the end.
        match started.elapsed() < LIFE {
            true => renewals_before = renewals(),
            false if renewals() >= renewals_before + 2.0 => return,
            false => assert!(started.elapsed() < LIMIT, "no session was renewed"),
        }
        thread::sleep(PAUSE);
    }
}

/// A ticket ends, and nothing can renew it. Records wait until the user has a new one.
fn assert_waits_for_a_ticket(producer: &KafkaProducer, keytab: &str, address: &str) {
    let started = Instant::now();
    for count in 0.. {
        assert!(
            started.elapsed() < LIMIT,
            "the broker accepts an old ticket"
        );
        let sent = producer.send(ProducerRecord::new(CACHE, "value")).unwrap();
        let is_held_up = is_held_up(producer, &sent, started);
        if is_held_up {
            // A new producer does not start.
            let error = of_tickets(CACHE).build(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
            assert!(!sent.is_done());
            kinit(CACHE, keytab, HOUR, &[]);
        }
        sent.get_timeout(LIMIT).unwrap();
        say(&format!("sent {CACHE} {count}"));
        if is_held_up {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until the record is acknowledged, or three connections failed after the ticket's end.
fn is_held_up(producer: &KafkaProducer, sent: &RecordFuture, started: Instant) -> bool {
    let connections = || number(producer, "connection-creation-total");
    let mut before = connections();
    while !sent.is_done() {
        let elapsed = started.elapsed();
        assert!(elapsed < LIMIT, "no connection is tried");
        if elapsed <= LIFE {
            before = connections();
        } else if connections() >= before + 3.0 {
            return true;
        }
        thread::sleep(PAUSE);
    }
    false
}
