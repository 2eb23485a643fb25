//! One connection: handles its requests one after another.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::input::Input;
use super::output::Output;
use super::stream::Stream;
use super::{Sink, apis};

/// Base offset, batch length, leader epoch, magic, CRC, attributes, last offset delta, two timestamps, producer id and epoch,
/// base sequence, record count.
const BATCH_HEADER: usize = 61;

/// Answers until the client disconnects or sends something that cannot be parsed.
pub(super) fn serve(sink: &Arc<Sink>, tcp: TcpStream) {
    let served = Stream::new(tcp, sink.tls.as_ref()).and_then(|stream| {
        let served = serve_requests(sink, &stream);
        // A thread that delays responses has the stream too.
        stream.shutdown();
        served
    });
    if let Err(error) = served {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        if !matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) {
            eprintln!("sink: {error}");
            sink.counters.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn serve_requests(sink: &Arc<Sink>, stream: &Stream) -> io::Result<()> {
    let mut connection = Connection {
        sink,
        input: Input::new(stream.clone()),
        answers: Answers::new(stream.clone(), sink.delay),
        batch: Vec::new(),
        answer: Vec::new(),
    };
    loop {
        connection.serve_request()?;
    }
}

struct Connection<'a> {
    sink: &'a Sink,
    input: Input,
    answers: Answers,
    /// The batch that is being checked.
    batch: Vec<u8>,
    /// Memory for the next answer.
    answer: Vec<u8>,
}

impl Connection<'_> {
    fn serve_request(&mut self) -> io::Result<()> {
        let size = self.input.i32()?;
        let end = self.input.position() + size as u64;
        let key = self.input.i16()?;
        let version = self.input.i16()?;
        let correlation_id = self.input.i32()?;
        let flexible = match apis::is_flexible(key, version) {
            Err(_) if key == apis::API_VERSIONS => false,
            known => known?,
        };
        let mut output = Output::new(std::mem::take(&mut self.answer), flexible);
        output.i32(correlation_id);
        if key == apis::API_VERSIONS {
            apis::api_versions(&mut output, version);
        } else {
            // The client id is never compact.
            self.input.string(false)?;
            self.input.skip_tagged_fields(flexible)?;
            output.no_tagged_fields();
        }
        let mut answered = true;
        match key {
            apis::PRODUCE => answered = self.produce(&mut output, version, flexible)?,
            apis::METADATA => {
                apis::metadata(self.sink, &mut self.input, &mut output, version, flexible)?;
            }
            apis::INIT_PRODUCER_ID => apis::init_producer_id(self.sink, &mut output),
            apis::API_VERSIONS => {}
            _ => return Err(io::Error::other(format!("API {key} is only named"))),
        }
        let rest = end.checked_sub(self.input.position());
        self.input
            .skip(rest.ok_or_else(|| io::Error::other("a request is longer than its frame"))?)?;
        let delayed = key == apis::PRODUCE;
        self.answer = if answered {
            self.answers.send(output.finish(), delayed)?
        } else {
            output.finish()
        };
        Ok(())
    }

    /// Whether there is an answer: not with `acks=0`.
    fn produce(&mut self, output: &mut Output, version: i16, flexible: bool) -> io::Result<bool> {
        self.input.string(flexible)?;
        let acks = self.input.i16()?;
        self.input.i32()?;
        let topics = self.input.length(flexible, false)?.unwrap_or(0);
        output.count(topics);
        for _ in 0..topics {
            let topic = if version >= 13 {
                let id = self.input.uuid()?;
                output.raw(&id);
                id.to_vec()
            } else {
                let name = self.input.string(flexible)?;
                output.string(&name);
                name
            };
            self.partitions(output, &topic, version, flexible)?;
            self.input.skip_tagged_fields(flexible)?;
            output.no_tagged_fields();
        }
        output.i32(0);
        output.no_tagged_fields();
        self.sink.counters.requests.fetch_add(1, Ordering::Relaxed);
        Ok(acks != 0)
    }

    fn partitions(
        &mut self,
        output: &mut Output,
        topic: &[u8],
        version: i16,
        flexible: bool,
    ) -> io::Result<()> {
        let partitions = self.input.length(flexible, false)?.unwrap_or(0);
        output.count(partitions);
        for _ in 0..partitions {
            let partition = self.input.i32()?;
            let base_offset = self.batch(topic, partition, flexible)?;
            self.input.skip_tagged_fields(flexible)?;
            output.i32(partition);
            output.i16(0);
            output.i64(base_offset);
            output.i64(-1);
            if version >= 5 {
                output.i64(0);
            }
            if version >= 8 {
                output.count(0);
                output.null_string();
            }
            output.no_tagged_fields();
        }
        Ok(())
    }

    /// Counts the batch. Returns its base offset, which grows over all partitions.
    fn batch(&mut self, topic: &[u8], partition: i32, flexible: bool) -> io::Result<i64> {
        let length = self.input.length(flexible, false)?.unwrap_or(0);
        if length < BATCH_HEADER {
            return Err(io::Error::other("a batch without a header"));
        }
        let records = if let Some(check) = &self.sink.check {
            self.input.read_into(&mut self.batch, length)?;
            if let Err(wrong) = check.batch(topic, partition, &self.batch) {
                eprintln!("sink: partition {partition}: {wrong}");
                self.sink.counters.errors.fetch_add(1, Ordering::Relaxed);
            }
            record_count(&self.batch)
        } else {
            let records = record_count(self.input.take(BATCH_HEADER)?);
            self.input.skip((length - BATCH_HEADER) as u64)?;
            records
        };
        let counters = &self.sink.counters;
        counters.batches.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(length as u64, Ordering::Relaxed);
        let before = counters
            .records
            .fetch_add(u64::from(records), Ordering::Relaxed);
        Ok(before as i64)
    }
}

fn record_count(header: &[u8]) -> u32 {
    let count = [header[57], header[58], header[59], header[60]];
    u32::from_be_bytes(count)
}

/// Sends responses to the client, at once or through a thread that delays them.
struct Answers {
    stream: Stream,
    later: Option<mpsc::Sender<(Instant, Vec<u8>)>>,
    delay: Duration,
}

impl Answers {
    fn new(stream: Stream, delay: Duration) -> Self {
        Self {
            stream,
            later: None,
            delay,
        }
    }

    /// Sends a response. Returns memory for the next one.
    fn send(&mut self, answer: Vec<u8>, delayed: bool) -> io::Result<Vec<u8>> {
        if !delayed || self.delay.is_zero() {
            self.stream.write_all(&answer)?;
            return Ok(answer);
        }
        let later = match &self.later {
            Some(later) => later,
            None => {
                let (sender, receiver) = mpsc::channel();
                let tcp = self.stream.plain();
                let stream = tcp
                    .ok_or_else(|| io::Error::other("a delay through TLS"))?
                    .try_clone()?;
                thread::spawn(move || send_when_due(stream, &receiver));
                self.later.insert(sender)
            }
        };
        _ = later.send((Instant::now() + self.delay, answer));
        Ok(Vec::new())
    }
}

fn send_when_due(mut stream: TcpStream, answers: &mpsc::Receiver<(Instant, Vec<u8>)>) {
    for (due, answer) in answers {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}
