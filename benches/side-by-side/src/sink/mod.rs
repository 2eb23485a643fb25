//! A broker that accepts everything and keeps nothing, so that only the client is measured.
//!
//! One thread per connection reads, skips the records of a batch without copying them, and answers
//! at once or after a delay. Every topic exists. It counts what it received and prints the counts
//! for each line on stdin. It ends with stdin.

mod apis;
mod check;
mod connection;
mod input;
mod output;
mod stream;
mod tls;

use std::io::{self, BufRead, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;

use self::check::Check;
use crate::arguments::Arguments;

/// Where the certificates of this repository's tests are.
pub(crate) const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/tls");

/// What the connections share.
struct Sink {
    ports: Vec<u16>,
    partitions: i32,
    /// How long after the request a Produce is answered.
    delay: Duration,
    tls: Option<Arc<ServerConfig>>,
    check: Option<Check>,
    next_producer_id: AtomicI64,
    counters: Counters,
}

/// What came in since the sink started.
#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    batches: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
}

impl Sink {
    fn next_producer_id(&self) -> i64 {
        self.next_producer_id.fetch_add(1, Ordering::Relaxed)
    }

    fn report(&self) -> String {
        let Counters {
            requests,
            batches,
            records,
            bytes,
            errors,
        } = &self.counters;
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "requests={} batches={} records={} bytes={} errors={}",
            value(requests),
            value(batches),
            value(records),
            value(bytes),
            value(errors)
        )
    }
}

/// Serves until stdin ends. The first line on stdout is the bootstrap servers.
pub(crate) fn run(arguments: &Arguments) -> Result<(), crate::Failure> {
    let nodes = arguments.number("nodes", 1)?;
    let listeners = (0..nodes)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<io::Result<Vec<_>>>()?;
    let ports = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<io::Result<Vec<_>>>()?;
    let sink = Arc::new(Sink {
        partitions: i32::try_from(arguments.number("partitions", 16)?)?,
        delay: Duration::from_millis(arguments.number("delay", 0)?),
        tls: match arguments.flag("tls") {
            true => Some(tls::config()?),
            false => None,
        },
        check: arguments.flag("check").then(Check::default),
        next_producer_id: AtomicI64::new(1),
        counters: Counters::default(),
        ports,
    });
    for listener in listeners {
        let sink = Arc::clone(&sink);
        thread::spawn(move || accept(&sink, &listener));
    }
    let servers = sink.ports.iter().map(|port| format!("127.0.0.1:{port}"));
    println!("{}", servers.collect::<Vec<_>>().join(","));
    for line in io::stdin().lock().lines() {
        line?;
        println!("{}", sink.report());
        io::stdout().flush()?;
    }
    Ok(())
}

fn accept(sink: &Arc<Sink>, listener: &TcpListener) {
    for stream in listener.incoming() {
        let sink = Arc::clone(sink);
        thread::spawn(move || match stream {
            Ok(stream) => connection::serve(&sink, stream),
            Err(error) => eprintln!("sink: accept: {error}"),
        });
    }
}
