//! What the batches of a request are together, for the metrics.

use super::ProducerBatch;

/// Whole numbers, because adding them up costs less than adding floats: a request has a sum for each topic and one for all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchSum {
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Of the largest batch.
    pub(crate) most_bytes: u64,
    /// Of compressed to plain bytes.
    pub(crate) ratios: f64,
    /// Of the largest record of each batch.
    pub(crate) record_sizes: u64,
    pub(crate) largest_record: u64,
}

impl BatchSum {
    /// Adds a batch that is frozen.
    #[inline]
    pub(crate) fn add(&mut self, batch: &ProducerBatch) {
        let bytes = batch.estimated_size_in_bytes() as u64;
        let record_size = batch.max_record_size() as u64;
        self.batches += 1;
        self.records += u64::from(batch.record_count());
        self.bytes += bytes;
        self.most_bytes = self.most_bytes.max(bytes);
        self.ratios += f64::from(batch.compression_ratio());
        self.record_sizes += record_size;
        self.largest_record = self.largest_record.max(record_size);
    }

    #[inline]
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.batches += other.batches;
        self.records += other.records;
        self.bytes += other.bytes;
        self.most_bytes = self.most_bytes.max(other.most_bytes);
        self.ratios += other.ratios;
        self.record_sizes += other.record_sizes;
        self.largest_record = self.largest_record.max(other.largest_record);
    }
}
