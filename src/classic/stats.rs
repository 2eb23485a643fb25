//! Counts of what a producer did, under the names of Kafka 0.8. Java: `ProducerStats`, `ProducerTopicStats`,
//! `ProducerRequestStats`, and their registries by client id.
//!
//! Differs from Java: when two open producers share a client id, the close of one leaves the metrics of the other.
//!
//! Threads: every thread that sends, and the send thread. Locks: one around the registry, one around the topics, one
//! around the brokers, one in each distribution; none is held while another is taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::sync::{Arc, AtomicU64, Mutex, Ordering, Weak};
use crate::utils::{Time, millis};

/// Counts events and their rate. Java: `Meter`.
#[derive(Debug)]
pub(crate) struct Meter {
    count: AtomicU64,
    since: Instant,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self {
            count: AtomicU64::new(0),
            since: now,
        }
    }

    pub(crate) fn mark(&self, by: u64) {
        self.count.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn value(&self, now: Instant) -> MetricValue {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let count = self.count();
        let mean_rate = if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        };
        MetricValue::Meter { count, mean_rate }
    }
}

/// The distribution of a number. Java: `Histogram`, `Timer`.
#[derive(Debug, Default)]
pub(crate) struct Distribution(Mutex<Summary>);

#[derive(Clone, Copy, Debug, Default)]
struct Summary {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Distribution {
    pub(crate) fn update(&self, value: f64) {
        let mut summary = self.0.lock();
        let is_first = summary.count == 0;
        summary.min = if is_first {
            value
        } else {
            summary.min.min(value)
        };
        summary.max = if is_first {
            value
        } else {
            summary.max.max(value)
        };
        summary.sum += value;
        summary.count += 1;
    }

    fn value(&self) -> MetricValue {
        let Summary {
            count,
            sum,
            min,
            max,
        } = *self.0.lock();
        let mean = if count > 0 { sum / count as f64 } else { 0.0 };
        MetricValue::Distribution {
            count,
            min,
            max,
            mean,
        }
    }
}

/// Of one topic, or of all. Java: `ProducerTopicMetrics`.
#[derive(Debug)]
pub(crate) struct TopicStats {
    pub(crate) message_rate: Meter,
    pub(crate) byte_rate: Meter,
    pub(crate) dropped_message_rate: Meter,
}

impl TopicStats {
    fn new(now: Instant) -> Self {
        Self {
            message_rate: Meter::new(now),
            byte_rate: Meter::new(now),
            dropped_message_rate: Meter::new(now),
        }
    }
}

/// Of one broker, or of all. Java: `ProducerRequestMetrics`.
#[derive(Debug, Default)]
pub(crate) struct RequestStats {
    request_timer: Distribution,
    request_size_hist: Distribution,
}

/// Everything that is counted under one client id.
#[derive(Debug)]
pub(crate) struct ClientStats {
    client_id: String,
    time: Arc<dyn Time>,
    pub(crate) serialization_error_rate: Meter,
    pub(crate) resend_rate: Meter,
    pub(crate) failed_send_rate: Meter,
    all_topics: TopicStats,
    topics: Mutex<BTreeMap<String, Arc<TopicStats>>>,
    all_brokers: RequestStats,
    brokers: Mutex<BTreeMap<(String, u16), Arc<RequestStats>>>,
}

/// The counts of each client id, while a producer of it is open. Java: the three registries.
static REGISTRY: Mutex<BTreeMap<String, Weak<ClientStats>>> = Mutex::new(BTreeMap::new());

impl ClientStats {
    /// Returns the counts of a client id, which all its open producers share.
    pub(crate) fn of(client_id: &str, time: &Arc<dyn Time>) -> Arc<Self> {
        let mut registry = REGISTRY.lock();
        registry.retain(|_, stats| stats.strong_count() > 0);
        if let Some(stats) = registry.get(client_id).and_then(Weak::upgrade) {
            return stats;
        }
        let stats = Arc::new(Self::new(client_id, time));
        registry.insert(client_id.to_owned(), Arc::downgrade(&stats));
        stats
    }

    fn new(client_id: &str, time: &Arc<dyn Time>) -> Self {
        let now = time.now();
        Self {
            client_id: client_id.to_owned(),
            time: Arc::clone(time),
            serialization_error_rate: Meter::new(now),
            resend_rate: Meter::new(now),
            failed_send_rate: Meter::new(now),
            all_topics: TopicStats::new(now),
            topics: Mutex::default(),
            all_brokers: RequestStats::default(),
            brokers: Mutex::default(),
        }
    }

    /// Counts for one topic and for all.
    pub(crate) fn mark(&self, topic: &str, meter: fn(&TopicStats) -> &Meter, by: u64) {
        meter(&self.all_topics).mark(by);
        let stats = {
            let mut topics = self.topics.lock();
            match topics.get(topic) {
                Some(stats) => Arc::clone(stats),
                None => {
                    let stats = Arc::new(TopicStats::new(self.time.now()));
                    topics.insert(topic.to_owned(), Arc::clone(&stats));
                    stats
                }
            }
        };
        meter(&stats).mark(by);
    }

    /// Counts a produce request, for one broker and for all.
    pub(crate) fn note_request(&self, host: &str, port: u16, bytes: usize, took: Duration) {
        let stats = {
            let mut brokers = self.brokers.lock();
            Arc::clone(brokers.entry((host.to_owned(), port)).or_default())
        };
        for stats in [&*stats, &self.all_brokers] {
            stats.request_size_hist.update(bytes as f64);
            stats.request_timer.update(millis(took));
        }
    }
}

/// The name of a metric, and the tags that tell it from others of the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Metric<V = MetricValue> {
    /// Kafka's name, such as `MessagesPerSec`.
    pub name: &'static str,
    /// `clientId` first; then `topic`, or `brokerHost` and `brokerPort`, for those of one topic or broker.
    pub tags: Vec<(&'static str, String)>,
    /// What was measured.
    pub value: V,
}

/// What a [`Metric`] measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// A number as it is now.
    Gauge(u64),
    /// Events since the producer was created.
    Meter {
        /// How many there were.
        count: u64,
        /// How many there were in a second, on average.
        mean_rate: f64,
    },
    /// Bytes of a request, or milliseconds that it took.
    Distribution {
        /// How many were measured.
        count: u64,
        /// The smallest; 0 if there was none.
        min: f64,
        /// The largest; 0 if there was none.
        max: f64,
        /// The average; 0 if there was none.
        mean: f64,
    },
}

/// The counts of a producer, which stay readable when it is closed. Clones share them.
///
/// Producers that are open at the same time under one `client.id` share their counts.
#[derive(Clone, Debug)]
pub struct ProducerStats(pub(crate) Arc<ClientStats>);

impl ProducerStats {
    /// Messages that an encoder refused: `SerializationErrorsPerSec`.
    pub fn serialization_errors(&self) -> u64 {
        self.0.serialization_error_rate.count()
    }

    /// Retries of a batch: `ResendsPerSec`. As in Kafka 0.8, the last failed attempt counts as one too.
    pub fn resends(&self) -> u64 {
        self.0.resend_rate.count()
    }

    /// Batches of which messages were given up after the last retry: `FailedSendsPerSec`.
    pub fn failed_sends(&self) -> u64 {
        self.0.failed_send_rate.count()
    }

    /// Messages given to `send`: `MessagesPerSec`.
    pub fn messages(&self) -> u64 {
        self.0.all_topics.message_rate.count()
    }

    /// Bytes of encoded values: `BytesPerSec`.
    pub fn bytes(&self) -> u64 {
        self.0.all_topics.byte_rate.count()
    }

    /// Messages that the full queue refused: `DroppedMessagesPerSec`.
    pub fn dropped_messages(&self) -> u64 {
        self.0.all_topics.dropped_message_rate.count()
    }

    /// Returns all metrics under their old names, but the gauge of the queue, which belongs to one producer.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let stats = &*self.0;
        let now = stats.time.now();
        let client = ("clientId", stats.client_id.clone());
        let mut metrics = Vec::new();
        let mut add = |name, more: &[(&'static str, String)], value| {
            let tags = [std::slice::from_ref(&client), more].concat();
            metrics.push(Metric { name, tags, value });
        };
        for (name, meter) in [
            ("SerializationErrorsPerSec", &stats.serialization_error_rate),
            ("ResendsPerSec", &stats.resend_rate),
            ("FailedSendsPerSec", &stats.failed_send_rate),
        ] {
            add(name, &[], meter.value(now));
        }
        let mut add_topic = |tags: &[_], topic: &TopicStats| {
            add("MessagesPerSec", tags, topic.message_rate.value(now));
            add("BytesPerSec", tags, topic.byte_rate.value(now));
            add(
                "DroppedMessagesPerSec",
                tags,
                topic.dropped_message_rate.value(now),
            );
        };
        add_topic(&[], &stats.all_topics);
        let topics = stats.topics.lock().clone();
        for (topic, topic_stats) in topics {
            add_topic(&[("topic", topic)], &topic_stats);
        }
        let mut add_broker = |tags: &[_], broker: &RequestStats| {
            add(
                "ProducerRequestRateAndTimeMs",
                tags,
                broker.request_timer.value(),
            );
            add(
                "ProducerRequestSize",
                tags,
                broker.request_size_hist.value(),
            );
        };
        add_broker(&[], &stats.all_brokers);
        let brokers = stats.brokers.lock().clone();
        for ((host, port), broker_stats) in brokers {
            let tags = [("brokerHost", host), ("brokerPort", port.to_string())];
            add_broker(&tags, &broker_stats);
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utils::MockTime;

    #[test]
    fn metrics_have_the_old_names_and_tags() {
        let clock = MockTime::new();
        let time: Arc<dyn Time> = Arc::new(clock.clone());
        let stats = ClientStats::of("stats-names", &time);
        stats.mark("orders", |topic| &topic.message_rate, 10);
        stats.note_request("b", 9092, 100, Duration::from_millis(4));
        stats.note_request("b", 9092, 300, Duration::from_millis(2));
        clock.advance_ms(2000);
        let metrics = ProducerStats(stats).metrics();
        let find = |name, tags: &[(&'static str, &str)]| {
            let client = ("clientId", "stats-names");
            let tags = [&[client], tags].concat();
            let is_it = |metric: &&Metric| {
                let have = metric
                    .tags
                    .iter()
                    .map(|(key, value)| (*key, value.as_str()));
                metric.name == name && have.eq(tags.iter().copied())
            };
            metrics.iter().find(is_it).map(|metric| metric.value)
        };
        let ten = MetricValue::Meter {
            count: 10,
            mean_rate: 5.0,
        };
        assert_eq!(find("MessagesPerSec", &[]), Some(ten));
        // The meter of the topic is as old as its first message.
        assert_eq!(find("MessagesPerSec", &[("topic", "orders")]), Some(ten));
        let broker = [("brokerHost", "b"), ("brokerPort", "9092")];
        let size = MetricValue::Distribution {
            count: 2,
            min: 100.0,
            max: 300.0,
            mean: 200.0,
        };
        assert_eq!(find("ProducerRequestSize", &broker), Some(size));
        assert_eq!(find("ProducerRequestSize", &[]), Some(size));
        let took = MetricValue::Distribution {
            count: 2,
            min: 2.0,
            max: 4.0,
            mean: 3.0,
        };
        assert_eq!(find("ProducerRequestRateAndTimeMs", &broker), Some(took));
        for name in [
            "SerializationErrorsPerSec",
            "ResendsPerSec",
            "FailedSendsPerSec",
            "BytesPerSec",
            "DroppedMessagesPerSec",
        ] {
            let none = MetricValue::Meter {
                count: 0,
                mean_rate: 0.0,
            };
            assert_eq!(find(name, &[]), Some(none), "{name}");
        }
    }

    #[test]
    fn producers_of_one_client_id_share_counts_until_the_last_is_gone() {
        let time: Arc<dyn Time> = Arc::new(MockTime::new());
        let first = ClientStats::of("stats-shared", &time);
        let second = ClientStats::of("stats-shared", &time);
        first.resend_rate.mark(1);
        drop(first);
        assert_eq!(second.resend_rate.count(), 1);
        drop(second);
        assert_eq!(
            ClientStats::of("stats-shared", &time).resend_rate.count(),
            0
        );
    }
}
