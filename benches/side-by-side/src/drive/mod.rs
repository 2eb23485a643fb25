//! One client in its own process: connects, warms up, runs one workload, and prints its cost.

#[cfg(feature = "rivals")]
mod confluent;
mod floor;
mod gathering;
#[cfg(feature = "rivals")]
mod kacrab;
#[cfg(feature = "rivals")]
mod krafka;
mod latencies;
mod librdkafka;
mod open_loop;
mod ours;
#[cfg(feature = "rivals")]
mod tokio_clients;
mod workload;

use std::thread;
use std::time::{Duration, Instant};

use self::latencies::{Due, quantile};
use self::workload::{Options, Record, Source};
use crate::Failure;
use crate::arguments::Arguments;
use crate::usage::{Usage, max_rss_kb};

/// A producer. Records that nobody waits for are counted in [`workload::DELIVERIES`].
trait Client: Sync + Sized + 'static {
    type Delivery;

    fn connect(options: &Options) -> Result<Self, Failure>;

    /// Sends with a callback; waits while the buffer is full.
    fn send(&self, record: Record);

    /// Like `send`, but the record's result ends `due`. A client without callbacks waits for it.
    fn send_due(&self, record: Record, due: Due) {
        due.end(self.send_and_wait(record));
    }

    /// Sends, and returns something to wait on.
    fn send_for_delivery(&self, record: Record) -> Self::Delivery;

    /// Whether the record was delivered.
    fn wait(&self, delivery: Self::Delivery) -> bool;

    /// Sends and waits, in the client's best way.
    fn send_and_wait(&self, record: Record) -> bool {
        let delivery = self.send_for_delivery(record);
        self.wait(delivery)
    }

    /// Waits for everything that was sent.
    fn flush(&self);

    /// Does the work of a thread, where the client may have something of its own around it.
    fn on_thread(&self, work: impl FnOnce() -> Work) -> Work {
        work()
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let options = Box::leak(Box::new(Options::parse(arguments)?));
    drive_client(arguments.text("client"), options)?;
    // Records for a stalled broker are not waited for, and no client's shutdown is measured.
    std::process::exit(0)
}

fn drive_client(client: Option<&str>, options: &'static Options) -> Result<(), Failure> {
    match client {
        Some("floor") => drive_floor(options),
        Some("ours") => drive::<ours::Ours>(options),
        Some("incremental") => drive::<ours::Incremental>(options),
        Some("librdkafka") if options.mode == Mode::Future => {
            drive::<librdkafka::WithFutures>(options)
        }
        Some("librdkafka") => drive::<librdkafka::WithCallbacks>(options),
        #[cfg(feature = "rivals")]
        Some("confluent") => drive::<confluent::Confluent>(options),
        #[cfg(feature = "rivals")]
        Some("kacrab") => drive::<kacrab::Kacrab>(options),
        #[cfg(feature = "rivals")]
        Some("krafka") => drive::<krafka::Krafka>(options),
        _ => Err(format!("client {client:?} is not built in").into()),
    }
}

/// What the threads do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Send as fast as the client takes records; a callback counts the deliveries.
    Callback,
    /// As `Callback`, with a future for each record; the oldest of many is waited for.
    Future,
    /// Send a record when the one before was delivered.
    Blocking,
    /// Send at a fixed rate; a callback takes the latency since the record was due.
    OpenLoop,
    /// Nothing, after the warm-up.
    Idle,
    /// Send to a broker that does not answer, with a buffer that stays full.
    Stalled,
}

/// What one thread did.
#[derive(Default)]
struct Work {
    sent: u64,
    failed: u64,
    latencies_ns: Vec<u32>,
}

fn drive<C: Client>(options: &'static Options) -> Result<(), Failure> {
    let client: &'static C = Box::leak(Box::new(C::connect(options)?));
    match options.mode {
        Mode::Callback | Mode::Future | Mode::Blocking => {
            run_threads(client, options, options.warm_up);
            client.flush();
            measure(options.mode, || {
                let work = run_threads(client, options, options.duration);
                client.flush();
                work
            })
        }
        Mode::OpenLoop => {
            open_loop::run(client, options, options.warm_up);
            measure(options.mode, || {
                open_loop::run(client, options, options.duration)
            })
        }
        Mode::Idle => {
            let source = Source::new(options, 0);
            let deadline = Instant::now() + options.warm_up;
            client.on_thread(|| blocking(|record| client.send_and_wait(record), source, deadline));
            measure(options.mode, || {
                thread::sleep(options.duration);
                Work::default()
            })
        }
        Mode::Stalled => {
            for thread in 0..options.threads {
                let mut source = Source::new(options, thread);
                thread::spawn(move || {
                    client.on_thread(|| {
                        loop {
                            client.send(source.next());
                        }
                    })
                });
            }
            thread::sleep(options.warm_up);
            measure(options.mode, || {
                thread::sleep(options.duration);
                Work::default()
            })
        }
    }
}

fn drive_floor(options: &Options) -> Result<(), Failure> {
    let mut floor = floor::Floor::connect(options)?;
    let mut run = |duration| {
        let (source, deadline) = (Source::new(options, 0), Instant::now() + duration);
        match (options.mode, options.threads) {
            (Mode::Callback, 1) => floor.throughput(options, source, deadline),
            (Mode::Blocking, 1) => floor.ping_pong(source, deadline),
            (Mode::Blocking, _) => gathering::run(&mut floor, options, deadline),
            _ => Err("the floor is of one thread's throughput and of blocking sends".into()),
        }
    };
    run(options.warm_up)?;
    let mut failure = None;
    measure(options.mode, || {
        run(options.duration).unwrap_or_else(|error| {
            failure = Some(error);
            Work::default()
        })
    })?;
    failure.map_or(Ok(()), Err)
}

/// Does the work, and prints what it cost.
fn measure(mode: Mode, work: impl FnOnce() -> Work) -> Result<(), Failure> {
    let failed_before = workload::DELIVERIES.failed();
    let usage = Usage::now()?;
    let start = Instant::now();
    let mut work = work();
    let elapsed = start.elapsed();
    let usage = Usage::now()? - usage;
    let failed = work.failed + workload::DELIVERIES.failed() - failed_before;
    print!(
        "records={} failed={failed} elapsed_ns={} user_us={} sys_us={} voluntary={} involuntary={} rss_kb={}",
        work.sent,
        elapsed.as_nanos(),
        usage.user_us,
        usage.sys_us,
        usage.voluntary,
        usage.involuntary,
        max_rss_kb()?
    );
    if matches!(mode, Mode::Blocking | Mode::OpenLoop) {
        work.latencies_ns.sort_unstable();
        for (name, share) in [("p50_ns", 0.5), ("p99_ns", 0.99), ("p999_ns", 0.999)] {
            print!(" {name}={}", quantile(&work.latencies_ns, share));
        }
    }
    println!();
    Ok(())
}

fn run_threads<C: Client>(client: &C, options: &Options, duration: Duration) -> Work {
    let deadline = Instant::now() + duration;
    on_threads(options, |source| {
        client.on_thread(|| match options.mode {
            Mode::Future => with_futures(client, source, deadline),
            Mode::Blocking => blocking(|record| client.send_and_wait(record), source, deadline),
            _ => with_callbacks(client, source, deadline),
        })
    })
}

/// Does the work on each of the threads, and gives the sum.
fn on_threads<'a>(options: &'a Options, work: impl Fn(Source<'a>) -> Work + Sync) -> Work {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|thread| {
                let work = &work;
                scope.spawn(move || work(Source::new(options, thread)))
            })
            .collect();
        let mut all = Work::default();
        for thread in threads {
            match thread.join() {
                Ok(work) => {
                    all.sent += work.sent;
                    all.failed += work.failed;
                    all.latencies_ns.extend(work.latencies_ns);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

/// How many records are sent between two looks at the clock.
const ROUND: u64 = 128;

fn with_callbacks<C: Client>(client: &C, mut source: Source<'_>, deadline: Instant) -> Work {
    let mut work = Work::default();
    while Instant::now() < deadline {
        for _ in 0..ROUND {
            client.send(source.next());
        }
        work.sent += ROUND;
    }
    work
}

fn with_futures<C: Client>(client: &C, mut source: Source<'_>, deadline: Instant) -> Work {
    /// How many futures a thread holds.
    const HELD: usize = 100_000;
    let mut work = Work::default();
    let mut held = std::collections::VecDeque::with_capacity(HELD + ROUND as usize);
    while Instant::now() < deadline {
        for _ in 0..ROUND {
            held.push_back(client.send_for_delivery(source.next()));
        }
        work.sent += ROUND;
        let surplus = held.len().saturating_sub(HELD);
        let oldest = held.drain(..surplus);
        work.failed += oldest
            .map(|delivery| u64::from(!client.wait(delivery)))
            .sum::<u64>();
    }
    // Not one linger for each partition in turn.
    client.flush();
    for delivery in held {
        work.failed += u64::from(!client.wait(delivery));
    }
    work
}

/// Sends a record when the one before was delivered, which `send_and_wait` says.
fn blocking<'a>(
    mut send_and_wait: impl FnMut(Record) -> bool,
    mut source: Source<'a>,
    deadline: Instant,
) -> Work {
    let mut work = Work::default();
    let mut start = Instant::now();
    while start < deadline {
        let delivered = send_and_wait(source.next());
        let end = Instant::now();
        let latency = (end - start).as_nanos().try_into();
        work.latencies_ns.push(latency.unwrap_or(u32::MAX));
        work.sent += 1;
        work.failed += u64::from(!delivered);
        start = end;
    }
    work
}
