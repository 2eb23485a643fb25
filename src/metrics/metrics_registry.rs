//! Every metric of one producer. Java: `Metrics`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use hashbrown::HashSet;

use super::metric_set::Source;
use super::selection::Selection;
use super::snapshot::Metric;
use super::{
    KafkaMetric, MetricConfig, MetricSet, MetricTable, MetricValue, MetricsReporter,
    MetricsSnapshot, Selected, Tag, metric_table,
};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::utils::Time;

metric_table! {
    /// The metric that counts the metrics.
    enum CountGauge, COUNT_TABLE of "kafka-metrics-count" {
        Count Info { Gauge "count" "The number of metrics that this producer has." }
    }
}

/// Finds metrics when a snapshot is made. They are registered nowhere.
struct View {
    /// The groups and names that it may find.
    names: &'static [(&'static str, &'static str)],
    read: Box<ReadView>,
}

type ReadView = dyn Fn(&Metrics, Instant, &mut Vec<Metric>) + Send + Sync;

/// See the module's documentation.
pub(crate) struct Metrics {
    /// The client's tag, which all metrics have.
    client: Tag,
    config: MetricConfig,
    time: Arc<dyn Time>,
    start: Instant,
    sets: Mutex<Sets>,
    views: Mutex<Vec<View>>,
    /// The number of metrics in all sets.
    count: Arc<AtomicUsize>,
    reporters: Vec<Box<dyn MetricsReporter>>,
    is_closed: AtomicBool,
}

#[derive(Default)]
struct Sets {
    by_number: BTreeMap<u64, Arc<MetricSet>>,
    next_number: u64,
}

/// A set in the registry, and its number there.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    number: u64,
    set: Arc<MetricSet>,
}

impl std::ops::Deref for Registered {
    type Target = MetricSet;

    fn deref(&self) -> &MetricSet {
        &self.set
    }
}

impl Metrics {
    /// Creates the metrics of the producer with this name. The reporters receive every metric from
    /// the first on.
    pub(crate) fn new(
        client_id: Arc<str>,
        config: MetricConfig,
        reporters: Vec<Box<dyn MetricsReporter>>,
        time: Arc<dyn Time>,
    ) -> Arc<Self> {
        let client = (Cow::Borrowed("client-id"), client_id);
        let metrics = Self::empty(client, config, reporters, time);
        metrics.report(|reporter| reporter.init(&[]));
        let count = Arc::clone(&metrics.count);
        metrics.add_gauges(&COUNT_TABLE, &[], move |_, _| {
            MetricValue::Number(count.load(Ordering::Relaxed) as f64)
        });
        metrics
    }

    /// Creates the metrics of a Kafka 0.8 producer, whose tags have other names.
    #[cfg(feature = "classic")]
    pub(crate) fn classic(client_id: Arc<str>, time: &Arc<dyn Time>) -> Arc<Self> {
        let client = (Cow::Borrowed("clientId"), client_id);
        Self::empty(
            client,
            MetricConfig::default(),
            Vec::new(),
            Arc::clone(time),
        )
    }

    fn empty(
        client: Tag,
        config: MetricConfig,
        reporters: Vec<Box<dyn MetricsReporter>>,
        time: Arc<dyn Time>,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            config,
            start: time.now(),
            time,
            sets: Mutex::default(),
            views: Mutex::default(),
            count: Arc::default(),
            reporters,
            is_closed: AtomicBool::new(false),
        })
    }

    /// Creates metrics for unit tests that do not read them.
    #[cfg(test)]
    pub(crate) fn unread(time: &Arc<dyn Time>) -> Arc<Self> {
        let client_id = Arc::from("producer-1");
        Self::new(
            client_id,
            MetricConfig::default(),
            Vec::new(),
            Arc::clone(time),
        )
    }

    /// Adds sensors. `tags` come after that of the client.
    pub(crate) fn add_sensors(
        &self,
        table: &'static MetricTable,
        tags: &[(&'static str, &str)],
    ) -> Registered {
        self.add(
            table,
            tags,
            Source::sensors(table, &self.config, self.start),
        )
    }

    /// Adds metrics that `read` computes, given the index in the table. `read` must not call the
    /// registry.
    pub(crate) fn add_gauges(
        &self,
        table: &'static MetricTable,
        tags: &[(&'static str, &str)],
        read: impl Fn(usize, Instant) -> MetricValue + Send + Sync + 'static,
    ) -> Registered {
        self.add(table, tags, Source::Gauges(Box::new(read)))
    }

    /// Adds metrics of these groups and names that come and go by themselves: `read` finds those that there are.
    pub(crate) fn add_view(
        &self,
        names: &'static [(&'static str, &'static str)],
        read: impl Fn(&Self, Instant, &mut Vec<Metric>) + Send + Sync + 'static,
    ) {
        let read = Box::new(read);
        self.views.lock().push(View { names, read });
    }

    /// Returns the client's tag, followed by these.
    pub(crate) fn tags(&self, tags: &[(&'static str, &str)]) -> Arc<[Tag]> {
        let others = tags
            .iter()
            .map(|(name, value)| (Cow::Borrowed(*name), Arc::from(*value)));
        std::iter::once(self.client.clone()).chain(others).collect()
    }

    fn add(
        &self,
        table: &'static MetricTable,
        tags: &[(&'static str, &str)],
        source: Source,
    ) -> Registered {
        let (tags, time) = (self.tags(tags), Arc::clone(&self.time));
        let set = MetricSet::new(table, tags, &self.config, time, source);
        let set = Arc::new(set);
        let number = {
            let mut sets = self.sets.lock();
            let number = sets.next_number;
            sets.next_number += 1;
            sets.by_number.insert(number, Arc::clone(&set));
            number
        };
        self.count.fetch_add(set.len(), Ordering::Relaxed);
        self.report_each(&set, |reporter, metric| reporter.metric_change(metric));
        Registered { number, set }
    }

    /// Removes a set.
    pub(crate) fn remove(&self, registered: &Registered) {
        let removed = self.sets.lock().by_number.remove(&registered.number);
        if let Some(set) = removed {
            self.count.fetch_sub(set.len(), Ordering::Relaxed);
            self.report_each(&set, |reporter, metric| reporter.metric_removal(metric));
        }
    }

    /// Reads every metric. Reads one set after the other, so that no set is locked for long.
    pub(crate) fn snapshot(&self) -> MetricsSnapshot {
        let now = self.time.now();
        let sets: Vec<_> = self.sets.lock().by_number.values().cloned().collect();
        let mut metrics = Vec::with_capacity(self.count.load(Ordering::Relaxed));
        for set in sets {
            set.read_all(now, &mut metrics);
        }
        for view in &*self.views.lock() {
            (view.read)(self, now, &mut metrics);
        }
        MetricsSnapshot::new(metrics)
    }

    /// Reads the metrics whose group and name are wanted, in the order of their names.
    pub(crate) fn select(&self, wants: impl FnMut(&str, &str) -> bool) -> Vec<Selected> {
        let now = self.time.now();
        let sets: Vec<_> = {
            let sets = self.sets.lock();
            let sets = sets.by_number.iter();
            sets.map(|(number, set)| (*number, Arc::clone(set)))
                .collect()
        };
        let mut selection = Selection::new(wants, now);
        for (number, set) in sets {
            selection.add(number, &set);
        }
        for view in &*self.views.lock() {
            selection.look_up(view.names, |into| (view.read)(self, now, into));
        }
        selection.finish()
    }

    /// Returns the numbers of the sets that there are.
    pub(crate) fn set_numbers(&self) -> HashSet<u64> {
        self.sets.lock().by_number.keys().copied().collect()
    }

    /// Tells the reporters that every metric goes, and that there will be no more. The values stay readable.
    pub(crate) fn close(&self) {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        if !self.reporters.is_empty() {
            let sets: Vec<_> = self.sets.lock().by_number.values().cloned().collect();
            for set in sets {
                self.report_each(&set, |reporter, metric| reporter.metric_removal(metric));
            }
        }
        self.report(|reporter| reporter.close());
    }

    fn report_each(&self, set: &Arc<MetricSet>, call: impl Fn(&dyn MetricsReporter, &KafkaMetric)) {
        if self.reporters.is_empty() {
            return;
        }
        for metric in KafkaMetric::all_of(set) {
            self.report(|reporter| call(reporter, &metric));
        }
    }

    /// Calls every reporter. No lock is held, because a reporter may read metrics, or all metrics
    /// of the producer. The layer that wraps a user's reporter contains its panics.
    fn report(&self, call: impl Fn(&dyn MetricsReporter)) {
        for reporter in &self.reporters {
            call(&**reporter);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("client", &self.client)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
