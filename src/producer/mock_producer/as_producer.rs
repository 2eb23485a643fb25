//! The mock as any [`Producer`].

use std::collections::HashMap;
use std::time::Duration;

use super::MockProducer;
use crate::common::{PartitionInfo, TopicPartition};
use crate::error::Result;
use crate::metrics::MetricsSnapshot;
use crate::producer::producer::Producer;
use crate::producer::{
    ConsumerGroupMetadata, OffsetAndMetadata, ProducerRecord, RecordFuture, RecordMetadata,
    Serializer, TrySendError,
};

impl<KS: Serializer, VS: Serializer> Producer<KS::Input, VS::Input> for MockProducer<KS, VS> {
    fn send(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.send(record)
    }

    fn send_with_boxed_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()> {
        self.send_with_callback(record, callback)
    }

    fn try_send<'a>(
        &self,
        record: ProducerRecord<'a, KS::Input, VS::Input>,
    ) -> Result<RecordFuture, TrySendError<'a, KS::Input, VS::Input>> {
        self.try_send(record)
    }

    fn flush(&self) -> Result<()> {
        self.flush()
    }

    fn init_transactions(&self) -> Result<()> {
        self.init_transactions()
    }

    fn begin_transaction(&self) -> Result<()> {
        self.begin_transaction()
    }

    fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        self.send_offsets_to_transaction(offsets, group)
    }

    fn commit_transaction(&self) -> Result<()> {
        self.commit_transaction()
    }

    fn abort_transaction(&self) -> Result<()> {
        self.abort_transaction()
    }

    fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionInfo>> {
        self.partitions_for(topic)
    }

    fn metrics(&self) -> MetricsSnapshot {
        self.metrics()
    }

    fn close(&self, timeout: Duration) -> Result<()> {
        self.close(timeout)
    }

    fn check_may_block(&self, call: &str) -> Result<()> {
        self.io_thread.check_may_block(call)
    }
}
