//! Estimates how well the next batch of a topic compresses, from its earlier batches. Java:
//! `CompressionRatioEstimator`.
//!
//! Threads: every appending thread reads it once per batch. The thread that closes or splits a
//! batch updates it.
//! Locks: the map, shared, then the ratios of one topic.
//!
//! Differs from Java: each producer has its own instance, while Java's producers in a process share
//! one.

use hashbrown::HashMap;

use super::compression::CompressionType;
use crate::sync::{Arc, Mutex, RwLock};

/// A ratio of compressed to uncompressed size for every codec, by its id.
type Ratios = [f32; CompressionType::ALL.len()];

const INITIAL_RATIO: f32 = 1.0;
/// The estimate follows a worse ratio immediately, because a low estimate overfills batches.
const WORSENING_STEP: f32 = 0.05;
/// The estimate follows a better ratio slowly.
const IMPROVING_STEP: f32 = 0.005;

/// Compression ratios by topic and codec. Topics are never removed.
#[derive(Debug, Default)]
pub(crate) struct CompressionRatioEstimator {
    topics: RwLock<HashMap<Arc<str>, Mutex<Ratios>>>,
}

impl CompressionRatioEstimator {
    /// Creates an estimator whose ratios are all 1.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Returns the expected ratio. Always 1 without compression.
    #[inline]
    pub(crate) fn estimation(&self, topic: &str, kind: CompressionType) -> f32 {
        if kind == CompressionType::None {
            return INITIAL_RATIO;
        }
        match self.topics.read().get(topic) {
            Some(ratios) => *ratio_mut(&mut ratios.lock(), kind),
            None => INITIAL_RATIO,
        }
    }

    /// Updates the estimate after a closed batch: immediately for a worse ratio, and in steps for a
    /// better one.
    #[inline]
    pub(crate) fn update_estimation(&self, topic: &str, kind: CompressionType, observed: f32) {
        self.update(topic, kind, |current| {
            if observed > current {
                observed.max(current + WORSENING_STEP)
            } else if observed < current {
                observed.max(current - IMPROVING_STEP)
            } else {
                current
            }
        });
    }

    /// Replaces an estimate. A split sets the larger of 1 and the too large batch's ratio.
    pub(crate) fn set_estimation(&self, topic: &str, kind: CompressionType, ratio: f32) {
        self.update(topic, kind, |_| ratio);
    }

    #[inline]
    fn update(&self, topic: &str, kind: CompressionType, change: impl Fn(f32) -> f32) {
        if kind != CompressionType::None {
            self.update_known(topic, kind, change);
        }
    }

    #[inline(never)]
    fn update_known(&self, topic: &str, kind: CompressionType, change: impl Fn(f32) -> f32) {
        let apply = |ratios: &Mutex<Ratios>| {
            let mut ratios = ratios.lock();
            let ratio = ratio_mut(&mut ratios, kind);
            *ratio = change(*ratio);
        };
        // A separate statement, so that the shared lock is released before the exclusive one is
        // taken.
        let updated = self.topics.read().get(topic).map(apply);
        if updated.is_some() {
            return;
        }
        // Another thread may have added the topic meanwhile, and its ratios must stay.
        let mut topics = self.topics.write();
        let ratios = topics
            .entry(Arc::from(topic))
            .or_insert_with(|| Mutex::new([INITIAL_RATIO; CompressionType::ALL.len()]));
        apply(ratios);
    }
}

fn ratio_mut(ratios: &mut Ratios, kind: CompressionType) -> &mut f32 {
    let [none, gzip, snappy, lz4, zstd] = ratios;
    match kind {
        CompressionType::None => none,
        CompressionType::Gzip => gzip,
        CompressionType::Snappy => snappy,
        CompressionType::Lz4 => lz4,
        CompressionType::Zstd => zstd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZSTD: CompressionType = CompressionType::Zstd;

    #[test]
    fn an_estimate_worsens_at_once_and_improves_in_steps() {
        // Java: CompressionRatioEstimatorTest.testUpdateEstimation.
        for (current, observed, expected) in [
            (0.8, 0.84, 0.85),
            (0.6, 0.7, 0.7),
            (0.6, 0.4, 0.595),
            (0.004, 0.001, 0.001),
        ] {
            let estimator = CompressionRatioEstimator::new();
            estimator.set_estimation("topic", ZSTD, current);
            estimator.update_estimation("topic", ZSTD, observed);
            let updated = estimator.estimation("topic", ZSTD);
            assert!((updated - expected).abs() < 1e-6, "{updated} {expected}");
        }
    }

    #[test]
    fn topics_and_codecs_are_apart_and_start_at_one() {
        let estimator = CompressionRatioEstimator::new();
        estimator.set_estimation("topic", ZSTD, 0.5);
        assert_eq!(estimator.estimation("topic", ZSTD), 0.5);
        assert_eq!(estimator.estimation("topic", CompressionType::Gzip), 1.0);
        assert_eq!(estimator.estimation("other", ZSTD), 1.0);
        estimator.update_estimation("third", ZSTD, 0.2);
        assert_eq!(estimator.estimation("third", ZSTD), 0.995);
    }

    #[test]
    fn a_new_topic_keeps_the_updates_of_every_thread() {
        let estimator = CompressionRatioEstimator::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        estimator.update_estimation("topic", ZSTD, 0.1);
                    }
                });
            }
        });
        let ratio = estimator.estimation("topic", ZSTD);
        assert!((ratio - 0.8).abs() < 1e-4, "{ratio}");
    }
}
