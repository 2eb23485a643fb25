//! The metrics of some names, without reading the others. Java: the predicate that `MetricsCollector.collect` is given.

use std::ptr;
use std::time::Instant;

use super::snapshot::Metric;
use super::{MetricSet, MetricTable};

/// A metric that was selected.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) metric: Metric,
    /// `None` for a metric that was looked up.
    pub(crate) id: Option<MetricId>,
    /// When it was added, in milliseconds since 1970.
    pub(crate) added_ms: i64,
}

/// Names a metric without its tags: the number of its set, which no later set has, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MetricId {
    pub(crate) set: u64,
    place: usize,
}

/// Selects metrics by group and name. It asks for each of them once, however many topics have it.
pub(super) struct Selection<W> {
    wants: W,
    tables: Vec<(&'static MetricTable, Vec<bool>)>,
    now: Instant,
    selected: Vec<Selected>,
}

impl<W: FnMut(&str, &str) -> bool> Selection<W> {
    pub(super) fn new(wants: W, now: Instant) -> Self {
        Self {
            wants,
            tables: Vec::new(),
            now,
            selected: Vec::new(),
        }
    }

    /// Reads what is wanted of a set.
    pub(super) fn add(&mut self, number: u64, set: &MetricSet) {
        let mut tables = self.tables.iter();
        let index = match tables.position(|(table, _)| ptr::eq(*table, set.table())) {
            Some(index) => index,
            None => {
                let group = set.table().group;
                let templates = set.templates();
                let wanted = templates.map(|(_, template)| (self.wants)(group, template.name));
                self.tables.push((set.table(), wanted.collect()));
                self.tables.len() - 1
            }
        };
        let Some((_, wanted)) = self.tables.get(index) else {
            return;
        };
        let (selected, added_ms) = (&mut self.selected, set.added_ms());
        let is_wanted = |place: usize| wanted.get(place).is_some_and(|wanted| *wanted);
        if !wanted.contains(&true) {
            return;
        }
        set.read_some(self.now, is_wanted, |place, metric| {
            let id = Some(MetricId { set: number, place });
            selected.push(Selected {
                metric,
                id,
                added_ms,
            });
        });
    }

    /// Has metrics of these groups and names looked up, if one of them is wanted, and keeps those that are.
    pub(super) fn look_up(
        &mut self,
        names: &[(&'static str, &'static str)],
        read: impl FnOnce(&mut Vec<Metric>),
    ) {
        let names = names.iter().copied();
        let wanted: Vec<_> = names
            .filter(|(group, name)| (self.wants)(group, name))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let mut metrics = Vec::new();
        read(&mut metrics);
        metrics.retain(|metric| wanted.contains(&(metric.name().group(), metric.name().name())));
        self.selected
            .extend(metrics.into_iter().map(|metric| Selected {
                metric,
                id: None,
                added_ms: 0,
            }));
    }

    /// Returns what was selected, in the order of the names.
    pub(super) fn finish(mut self) -> Vec<Selected> {
        self.selected
            .sort_by(|a, b| a.metric.name().cmp(b.metric.name()));
        self.selected
    }
}
