//! Helpers for tests on the test broker: producers with short backoffs, and ways to wait for
//! results and to read back what was sent.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use kafka_producer::testing::{Api, BatchHeader, FakeBroker};
use kafka_producer::{
    KafkaProducer, KafkaProducerBuilder, ProducerRecord, RecordFuture, RecordMetadata, Result,
};

/// A limit for waits that end much earlier unless something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// How long a test waits for something that must not happen. A correct producer never fails because
/// of it.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(50);

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A producer without linger and with short backoffs.
pub(crate) fn quick(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(millis(1))
        .retry_backoff_max(millis(10))
        .reconnect_backoff(millis(1))
        .reconnect_backoff_max(millis(10))
}

/// Like [`quick`], with a batch for each record.
pub(crate) fn record_by_record(broker: &FakeBroker) -> KafkaProducerBuilder {
    quick(broker).batch_size(0)
}

/// Sends to a partition.
pub(crate) fn send(
    producer: &KafkaProducer,
    (topic, partition): (&str, i32),
    value: &str,
) -> RecordFuture {
    let record = ProducerRecord::new(topic, value).partition(partition);
    producer.send(record).unwrap()
}

/// Sends values in one request each: the next one is sent after the broker has read the previous
/// one.
pub(crate) fn send_one_by_one<'a>(
    broker: &FakeBroker,
    producer: &KafkaProducer,
    to: (&str, i32),
    values: impl IntoIterator<Item = &'a str>,
) -> Vec<RecordFuture> {
    let mut futures = Vec::new();
    for value in values {
        let before = broker.request_count(Api::Produce);
        futures.push(send(producer, to, value));
        assert!(broker.await_requests(Api::Produce, before + 1, LONG));
    }
    futures
}

/// Returns the offsets of the records, all of which must be acknowledged.
pub(crate) fn offsets(futures: &[RecordFuture]) -> Vec<i64> {
    let acked = futures.iter().map(|future| future.get_timeout(LONG));
    acked.map(|acked| acked.unwrap().offset()).collect()
}

/// Returns the values in a partition, in the order of the log.
pub(crate) fn values(broker: &FakeBroker, (topic, partition): (&str, i32)) -> Vec<String> {
    let records = broker.records(topic, partition).into_iter();
    records
        .map(|record| String::from_utf8(record.value.unwrap_or_default()).unwrap())
        .collect()
}

/// Returns the headers of all batches that were sent to a partition, in the order of arrival.
pub(crate) fn attempts(broker: &FakeBroker, (topic, partition): (&str, i32)) -> Vec<BatchHeader> {
    let batches = broker
        .requests()
        .into_iter()
        .flat_map(|request| request.batches);
    batches
        .filter(|batch| {
            batch.topic_partition.topic() == topic && batch.topic_partition.partition() == partition
        })
        .map(|batch| batch.header)
        .collect()
}

/// Collects the results that callbacks get, in order.
#[derive(Clone, Default)]
pub(crate) struct Outcomes(Arc<(Mutex<Vec<Outcome>>, Condvar)>);

pub(crate) type Outcome = (String, Result<RecordMetadata>);

impl Outcomes {
    /// Returns a callback that adds its result with `label`.
    pub(crate) fn callback(
        &self,
        label: impl Into<String>,
    ) -> impl FnOnce(Result<RecordMetadata>) + Send + 'static {
        let (outcomes, label) = (self.clone(), label.into());
        move |result| outcomes.add(label, result)
    }

    pub(crate) fn add(&self, label: impl Into<String>, result: Result<RecordMetadata>) {
        let (outcomes, added) = &*self.0;
        outcomes.lock().unwrap().push((label.into(), result));
        added.notify_all();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.0.lock().unwrap().len()
    }

    pub(crate) fn labels(&self) -> Vec<String> {
        let outcomes = self.0.0.lock().unwrap();
        outcomes.iter().map(|(label, _)| label.clone()).collect()
    }

    /// Waits until there are `count` results, and returns them. Fails the test if there are more.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Outcome> {
        let (outcomes, added) = &*self.0;
        let waited =
            added.wait_timeout_while(outcomes.lock().unwrap(), LONG, |all| all.len() < count);
        let (all, _) = waited.unwrap();
        assert_eq!(all.len(), count, "{all:?}");
        all.clone()
    }
}
