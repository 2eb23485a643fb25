//! The counts of a producer, under the names of Kafka 0.8. Java: `ProducerStats`,
//! `ProducerTopicStats`, `ProducerRequestStats`, and their registries by client id.
//!
//! A metric of Kafka 0.8 becomes several metrics of the [registry](crate::metrics): one for each
//! attribute that it had in JMX.
//!
//! Differs from Java: if two open producers share a client id, closing one keeps the metrics of the
//! other.
//!
//! Threads: every thread that sends, and the send thread.
//! Locks: one for the registry of client ids. One each for the topics and the brokers, held while a
//! new one gets its metrics. One for the queues. The locks of the metrics are taken after all of
//! these.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::histogram::{Histogram, Timer};
use super::meter::Meter;
use crate::metrics::{
    MetricTable, Metrics, MetricsSnapshot, RecordingLevel, Registered, SensorTemplate, Stat,
    StatTemplate,
};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::utils::Time;

/// Defines a table with a metric for each attribute.
macro_rules! table {
    ($table:ident, $group:literal, $name:literal; $($stat:ident $attribute:literal $description:expr;)+) => {
        static $table: MetricTable = MetricTable {
            group: $group,
            sensors: &[$(SensorTemplate {
                level: RecordingLevel::Info,
                stats: &[StatTemplate {
                    stat: Stat::$stat,
                    name: concat!($name, $attribute),
                    description: $description,
                }],
            }),+],
        };
    };
}

/// The attributes in the order of [`Meter::attribute`].
macro_rules! meter_table {
    ($table:ident, $group:literal, $name:literal, $what:literal) => {
        table! { $table, $group, $name;
            CountTotal ".Count" concat!("The number of ", $what, ".");
            Gauge ".MeanRate" concat!("The number of ", $what, " per second since the first.");
            Gauge ".OneMinuteRate" concat!("The number of ", $what, " per second, as an average over one minute.");
            Gauge ".FiveMinuteRate" concat!("The number of ", $what, " per second, as an average over 5 minutes.");
            Gauge ".FifteenMinuteRate" concat!("The number of ", $what, " per second, as an average over 15 minutes.");
        }
    };
}

meter_table!(
    SERIALIZATION_ERRORS,
    "ProducerStats",
    "SerializationErrorsPerSec",
    "messages that an encoder refused"
);
meter_table!(
    RESENDS,
    "ProducerStats",
    "ResendsPerSec",
    "failed attempts of a batch"
);
meter_table!(
    FAILED_SENDS,
    "ProducerStats",
    "FailedSendsPerSec",
    "batches that failed after all retries"
);
meter_table!(
    MESSAGES,
    "ProducerTopicMetrics",
    "MessagesPerSec",
    "messages given to send"
);
meter_table!(
    BYTES,
    "ProducerTopicMetrics",
    "BytesPerSec",
    "bytes of encoded values"
);
meter_table!(
    DROPPED_MESSAGES,
    "ProducerTopicMetrics",
    "DroppedMessagesPerSec",
    "messages that the full queue refused"
);

// In the order of [`Timer::attribute`].
table! { REQUEST_TIMER, "ProducerRequestMetrics", "ProducerRequestRateAndTimeMs";
    CountTotal ".Count" "The number of produce requests.";
    Gauge ".MeanRate" "The number of produce requests per second since the first.";
    Gauge ".OneMinuteRate" "The number of produce requests per second, as an average over one minute.";
    Gauge ".FiveMinuteRate" "The number of produce requests per second, as an average over 5 minutes.";
    Gauge ".FifteenMinuteRate" "The number of produce requests per second, as an average over 15 minutes.";
    Gauge ".Min" "The shortest time of a produce request in ms.";
    Gauge ".Max" "The longest time of a produce request in ms.";
    Gauge ".Mean" "The average time of a produce request in ms.";
    Gauge ".StdDev" "The standard deviation of the time of a produce request in ms.";
    Gauge ".50thPercentile" "The time in ms that half of the recent produce requests do not exceed.";
    Gauge ".75thPercentile" "The time in ms that 75 % of the recent produce requests do not exceed.";
    Gauge ".95thPercentile" "The time in ms that 95 % of the recent produce requests do not exceed.";
    Gauge ".98thPercentile" "The time in ms that 98 % of the recent produce requests do not exceed.";
    Gauge ".99thPercentile" "The time in ms that 99 % of the recent produce requests do not exceed.";
    Gauge ".999thPercentile" "The time in ms that 99.9 % of the recent produce requests do not exceed.";
}

// In the order of [`Histogram::attribute`].
table! { REQUEST_SIZE, "ProducerRequestMetrics", "ProducerRequestSize";
    CountTotal ".Count" "The number of produce requests.";
    Gauge ".Min" "The smallest produce request in bytes.";
    Gauge ".Max" "The largest produce request in bytes.";
    Gauge ".Mean" "The average size of a produce request in bytes.";
    Gauge ".StdDev" "The standard deviation of the size of a produce request in bytes.";
    Gauge ".50thPercentile" "The bytes that half of the recent produce requests do not exceed.";
    Gauge ".75thPercentile" "The bytes that 75 % of the recent produce requests do not exceed.";
    Gauge ".95thPercentile" "The bytes that 95 % of the recent produce requests do not exceed.";
    Gauge ".98thPercentile" "The bytes that 98 % of the recent produce requests do not exceed.";
    Gauge ".99thPercentile" "The bytes that 99 % of the recent produce requests do not exceed.";
    Gauge ".999thPercentile" "The bytes that 99.9 % of the recent produce requests do not exceed.";
}

table! { QUEUE_SIZE, "ProducerSendThread", "ProducerQueueSize";
    Gauge "" "The number of messages in the queue.";
}

type Tags<'a> = &'a [(&'static str, &'a str)];

/// Creates a meter, and registers its attributes.
fn meter(
    metrics: &Metrics,
    time: &Arc<dyn Time>,
    table: &'static MetricTable,
    tags: Tags<'_>,
) -> Arc<Meter> {
    let meter = Arc::new(Meter::new(time));
    let read = Arc::clone(&meter);
    metrics.add_gauges(table, tags, move |index, now| {
        read.attribute(index, now).into()
    });
    meter
}

/// The meters of one topic, or of all topics. Java: `ProducerTopicMetrics`.
#[derive(Debug)]
pub(crate) struct TopicStats {
    pub(crate) message_rate: Arc<Meter>,
    pub(crate) byte_rate: Arc<Meter>,
    pub(crate) dropped_message_rate: Arc<Meter>,
}

impl TopicStats {
    fn new(metrics: &Metrics, time: &Arc<dyn Time>, tags: Tags<'_>) -> Self {
        Self {
            message_rate: meter(metrics, time, &MESSAGES, tags),
            byte_rate: meter(metrics, time, &BYTES, tags),
            dropped_message_rate: meter(metrics, time, &DROPPED_MESSAGES, tags),
        }
    }
}

/// The metrics of one broker, or of all brokers. Java: `ProducerRequestMetrics`.
#[derive(Debug)]
pub(crate) struct RequestStats {
    request_timer: Arc<Timer>,
    request_size_hist: Arc<Histogram>,
}

impl RequestStats {
    fn new(metrics: &Metrics, time: &Arc<dyn Time>, tags: Tags<'_>) -> Self {
        let request_timer = Arc::new(Timer::new(time));
        let timer = Arc::clone(&request_timer);
        metrics.add_gauges(&REQUEST_TIMER, tags, move |index, now| {
            timer.attribute(index, now).into()
        });
        let request_size_hist = Arc::new(Histogram::new(time));
        let histogram = Arc::clone(&request_size_hist);
        metrics.add_gauges(&REQUEST_SIZE, tags, move |index, _| {
            histogram.attribute(index).into()
        });
        Self {
            request_timer,
            request_size_hist,
        }
    }
}

/// A function that returns the length of a queue.
type QueueSize = Box<dyn Fn() -> usize + Send>;

/// The queues of the open producers, and their gauge while there is a queue. Java: the gauge of
/// `ProducerSendThread`.
#[derive(Default)]
struct Queues {
    sizes: BTreeMap<u64, QueueSize>,
    next: u64,
    gauge: Option<Registered>,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queues").field(&self.sizes.len()).finish()
    }
}

/// All counts under one client id.
#[derive(Debug)]
pub(crate) struct ClientStats {
    time: Arc<dyn Time>,
    metrics: Arc<Metrics>,
    pub(crate) serialization_error_rate: Arc<Meter>,
    pub(crate) resend_rate: Arc<Meter>,
    pub(crate) failed_send_rate: Arc<Meter>,
    all_topics: TopicStats,
    topics: Mutex<BTreeMap<String, Arc<TopicStats>>>,
    all_brokers: RequestStats,
    brokers: Mutex<BTreeMap<(String, u16), Arc<RequestStats>>>,
    queues: Arc<Mutex<Queues>>,
}

/// The counts of each client id, and the number of its leases. Java: the three registries.
static REGISTRY: Mutex<BTreeMap<String, (Arc<ClientStats>, usize)>> = Mutex::new(BTreeMap::new());

/// The counts of a client id, shared by all its open producers and handlers. The registry drops
/// them with the last lease, so that the next producer starts anew.
#[derive(Debug)]
pub(crate) struct Lease {
    client_id: String,
    stats: Arc<ClientStats>,
    is_open: AtomicBool,
}

impl Lease {
    pub(crate) fn of(client_id: &str, time: &Arc<dyn Time>) -> Self {
        let mut registry = REGISTRY.lock();
        let (stats, leases) = registry
            .entry(client_id.to_owned())
            .or_insert_with(|| (Arc::new(ClientStats::new(client_id, time)), 0));
        *leases += 1;
        Self {
            client_id: client_id.to_owned(),
            stats: Arc::clone(stats),
            is_open: AtomicBool::new(true),
        }
    }

    /// Returns the lease. The counts can still be read and increased.
    pub(crate) fn close(&self) {
        if !self.is_open.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut registry = REGISTRY.lock();
        if let Some((_, leases)) = registry.get_mut(&self.client_id) {
            *leases -= 1;
            if *leases == 0 {
                registry.remove(&self.client_id);
            }
        }
    }

    /// Reads every metric. Returns none after the close.
    pub(crate) fn snapshot(&self) -> MetricsSnapshot {
        match self.is_open.load(Ordering::Acquire) {
            true => self.stats.metrics.snapshot(),
            false => MetricsSnapshot::default(),
        }
    }

    pub(crate) fn producer_stats(&self) -> ProducerStats {
        ProducerStats(Arc::clone(&self.stats))
    }
}

impl Deref for Lease {
    type Target = ClientStats;

    fn deref(&self) -> &ClientStats {
        &self.stats
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close();
    }
}

impl ClientStats {
    fn new(client_id: &str, time: &Arc<dyn Time>) -> Self {
        let metrics = Metrics::classic(Arc::from(client_id), time);
        Self {
            serialization_error_rate: meter(&metrics, time, &SERIALIZATION_ERRORS, &[]),
            resend_rate: meter(&metrics, time, &RESENDS, &[]),
            failed_send_rate: meter(&metrics, time, &FAILED_SENDS, &[]),
            all_topics: TopicStats::new(&metrics, time, &[]),
            topics: Mutex::default(),
            all_brokers: RequestStats::new(&metrics, time, &[]),
            brokers: Mutex::default(),
            queues: Arc::default(),
            time: Arc::clone(time),
            metrics,
        }
    }

    /// Counts `by` events, both for one topic and for all topics.
    pub(crate) fn mark(&self, topic: &str, meter: fn(&TopicStats) -> &Meter, by: u64) {
        meter(&self.all_topics).mark(by);
        let stats = {
            let mut topics = self.topics.lock();
            match topics.get(topic) {
                Some(stats) => Arc::clone(stats),
                None => {
                    let tags = [("topic", topic)];
                    let stats = Arc::new(TopicStats::new(&self.metrics, &self.time, &tags));
                    topics.insert(topic.to_owned(), Arc::clone(&stats));
                    stats
                }
            }
        };
        meter(&stats).mark(by);
    }

    /// Counts a Produce request, both for one broker and for all brokers.
    pub(crate) fn note_request(&self, host: &str, port: u16, bytes: usize, took: Duration) {
        let stats = {
            let mut brokers = self.brokers.lock();
            let stats = brokers.entry((host.to_owned(), port)).or_insert_with(|| {
                let tags = [("brokerHost", host), ("brokerPort", &port.to_string())];
                Arc::new(RequestStats::new(&self.metrics, &self.time, &tags))
            });
            Arc::clone(stats)
        };
        for stats in [&*stats, &self.all_brokers] {
            stats.request_size_hist.update(bytes as f64);
            stats.request_timer.update(took);
        }
    }

    /// Adds a queue to the gauge of the queues. Returns its number.
    pub(crate) fn add_queue(&self, size: impl Fn() -> usize + Send + 'static) -> u64 {
        let mut queues = self.queues.lock();
        let number = queues.next;
        queues.next += 1;
        queues.sizes.insert(number, Box::new(size));
        if queues.gauge.is_none() {
            let read = Arc::clone(&self.queues);
            let total = move |_, _: Instant| {
                let size: usize = read.lock().sizes.values().map(|size| size()).sum();
                (size as f64).into()
            };
            queues.gauge = Some(self.metrics.add_gauges(&QUEUE_SIZE, &[], total));
        }
        number
    }

    /// Removes a queue. Removes the gauge with the last one.
    pub(crate) fn remove_queue(&self, number: u64) {
        let mut queues = self.queues.lock();
        queues.sizes.remove(&number);
        if queues.sizes.is_empty() {
            if let Some(gauge) = queues.gauge.take() {
                self.metrics.remove(&gauge);
            }
        }
    }
}

/// The counts of a producer, which stay readable after its close. Clones share them.
///
/// Producers that are open at the same time with the same `client.id` share their counts.
#[derive(Clone, Debug)]
pub struct ProducerStats(Arc<ClientStats>);

impl ProducerStats {
    /// Returns the number of messages that an encoder refused: `SerializationErrorsPerSec`.
    pub fn serialization_errors(&self) -> u64 {
        self.0.serialization_error_rate.count()
    }

    /// Returns the number of retries of batches: `ResendsPerSec`. As in Kafka 0.8, the last failed
    /// attempt counts too.
    pub fn resends(&self) -> u64 {
        self.0.resend_rate.count()
    }

    /// Returns the number of batches with messages that failed after the last retry:
    /// `FailedSendsPerSec`.
    pub fn failed_sends(&self) -> u64 {
        self.0.failed_send_rate.count()
    }

    /// Returns the number of messages passed to `send`: `MessagesPerSec`.
    pub fn messages(&self) -> u64 {
        self.0.all_topics.message_rate.count()
    }

    /// Returns the number of bytes of encoded values: `BytesPerSec`.
    pub fn bytes(&self) -> u64 {
        self.0.all_topics.byte_rate.count()
    }

    /// Returns the number of messages that a full queue refused: `DroppedMessagesPerSec`.
    pub fn dropped_messages(&self) -> u64 {
        self.0.all_topics.dropped_message_rate.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::MockTime;

    type Expected = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        f64,
    );

    /// After ten messages to `orders`, two requests to `b:9092`, and five seconds.
    const EXPECTED: &[Expected] = &[
        ("ProducerTopicMetrics", "MessagesPerSec.Count", &[], 10.0),
        ("ProducerTopicMetrics", "MessagesPerSec.MeanRate", &[], 2.0),
        (
            "ProducerTopicMetrics",
            "MessagesPerSec.OneMinuteRate",
            &[("topic", "orders")],
            2.0,
        ),
        (
            "ProducerTopicMetrics",
            "BytesPerSec.FiveMinuteRate",
            &[],
            0.0,
        ),
        (
            "ProducerTopicMetrics",
            "DroppedMessagesPerSec.FifteenMinuteRate",
            &[("topic", "orders")],
            0.0,
        ),
        ("ProducerStats", "SerializationErrorsPerSec.Count", &[], 0.0),
        ("ProducerStats", "ResendsPerSec.Count", &[], 0.0),
        ("ProducerStats", "FailedSendsPerSec.Count", &[], 0.0),
        (
            "ProducerRequestMetrics",
            "ProducerRequestSize.Count",
            &[],
            2.0,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestSize.Min",
            &[],
            100.0,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestSize.Max",
            &[("brokerHost", "b"), ("brokerPort", "9092")],
            300.0,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestSize.999thPercentile",
            &[],
            300.0,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestRateAndTimeMs.Count",
            &[("brokerHost", "b")],
            2.0,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestRateAndTimeMs.MeanRate",
            &[],
            0.4,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestRateAndTimeMs.Mean",
            &[],
            3.0,
        ),
        (
            "ProducerRequestMetrics",
            "ProducerRequestRateAndTimeMs.50thPercentile",
            &[],
            3.0,
        ),
        ("ProducerSendThread", "ProducerQueueSize", &[], 7.0),
    ];

    #[test]
    fn metrics_have_the_old_names_tags_and_attributes() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let stats = Lease::of("stats-names", &time);
        stats.mark("orders", |topic| &topic.message_rate, 10);
        stats.note_request("b", 9092, 100, Duration::from_millis(4));
        stats.note_request("b", 9092, 300, Duration::from_millis(2));
        let queue = stats.add_queue(|| 7);
        clock.advance_ms(5000);
        let metrics = stats.snapshot();
        for (group, name, tags, expected) in EXPECTED.iter().copied() {
            let metric = metrics
                .find(group, name, tags)
                .unwrap_or_else(|| panic!("{name}"));
            assert_eq!(metric.value().as_number(), Some(expected), "{name}");
            let mut have = metric.name().tags();
            // The tag of the client comes first, and nothing else is there for all topics or all brokers.
            assert_eq!(have.next(), Some(("clientId", "stats-names")));
            assert_eq!(have.next().is_some(), !tags.is_empty(), "{name}");
            assert_eq!(metric.is_cumulative(), name.ends_with(".Count"), "{name}");
        }
        // 3 meters, a timer and a histogram for the client, 3 meters for all topics and for one, and the same for brokers.
        assert_eq!(metrics.len(), 3 * 5 + 2 * 3 * 5 + 2 * (15 + 11) + 1);
        stats.remove_queue(queue);
        assert_eq!(stats.snapshot().len(), metrics.len() - 1);
        stats.close();
        assert!(stats.snapshot().is_empty());
    }

    #[test]
    fn queues_of_one_client_id_add_up() {
        let time: Arc<dyn Time> = Arc::new(MockTime::new());
        let stats = Lease::of("stats-queues", &time);
        let size = || {
            stats
                .snapshot()
                .number("ProducerSendThread", "ProducerQueueSize")
        };
        assert_eq!(size(), None);
        let (first, second) = (stats.add_queue(|| 3), stats.add_queue(|| 4));
        assert_eq!(size(), Some(7.0));
        stats.remove_queue(first);
        assert_eq!(size(), Some(4.0));
        stats.remove_queue(second);
        assert_eq!(size(), None);
    }

    #[test]
    fn producers_of_one_client_id_share_counts_until_the_last_is_closed() {
        let time: Arc<dyn Time> = Arc::new(MockTime::new());
        let first = Lease::of("stats-shared", &time);
        let second = Lease::of("stats-shared", &time);
        first.resend_rate.mark(1);
        first.close();
        first.close();
        assert_eq!(second.resend_rate.count(), 1);
        // The closed producers still hold the counts, and the next producer has its own.
        second.close();
        let third = Lease::of("stats-shared", &time);
        assert_eq!(third.resend_rate.count(), 0);
        drop((first, second));
        third.resend_rate.mark(1);
        assert_eq!(Lease::of("stats-shared", &time).resend_rate.count(), 1);
    }
}
