//! Serves the producer's metrics to Prometheus, and a readiness probe, over HTTP.
//!
//! ```text
//! cargo run --example metrics -- localhost:9092 orders 127.0.0.1:9400
//! curl http://127.0.0.1:9400/metrics
//! curl http://127.0.0.1:9400/ready
//! ```
//!
//! Sends one record a second.

#![allow(
    clippy::disallowed_methods,
    reason = "one record a second is what the example is to send"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use kafka_producer::{KafkaProducer, ProducerRecord};

/// How long a client may take to send its request, and to take the response.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a request is read, in bytes.
const MAX_REQUEST: u64 = 8192;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [servers, topic, address] = &arguments[..] else {
        return Err("usage: metrics <bootstrap servers> <topic> <address to listen on>".into());
    };
    let producer = KafkaProducer::builder()
        .bootstrap_servers(servers)
        .build()?;
    let producer = Arc::new(producer);
    let listener = TcpListener::bind(address)?;
    eprintln!("http://{}/metrics", listener.local_addr()?);
    let served = Arc::clone(&producer);
    thread::spawn(move || serve(&listener, &served));
    loop {
        producer.send_with_callback(ProducerRecord::new(topic, "tick"), |result| {
            if let Err(error) = result {
                eprintln!("{error}");
            }
        })?;
        thread::sleep(Duration::from_secs(1));
    }
}

/// Answers one request after another until the listener fails.
pub(crate) fn serve(listener: &TcpListener, producer: &KafkaProducer) {
    for stream in listener.incoming() {
        // A client that disconnects does not stop the server.
        if let Err(error) = stream.and_then(|stream| answer(stream, producer)) {
            eprintln!("a scrape failed: {error}");
        }
    }
}

/// Reads the first line of a request and answers it.
pub(crate) fn answer(mut stream: TcpStream, producer: &KafkaProducer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = String::new();
    for line in BufReader::new((&stream).take(MAX_REQUEST)).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if request.is_empty() {
            request = line;
        }
    }
    let health = producer.health();
    let (status, body) = match request.split(' ').nth(1) {
        Some("/metrics") => ("200 OK", producer.metrics().to_prometheus()),
        Some("/ready") if health.is_healthy() => ("200 OK", "ready\n".to_owned()),
        Some("/ready") => ("503 Service Unavailable", format!("{health:#?}\n")),
        _ => ("404 Not Found", "try /metrics or /ready\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
