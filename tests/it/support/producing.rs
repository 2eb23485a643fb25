//! What the tests on the test broker share: producers that try again soon, and ways to wait for outcomes and to read back
//! what was sent.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use kafka_producer::testing::{Api, BatchHeader, FakeBroker};
use kafka_producer::{
    KafkaProducer, KafkaProducerBuilder, ProducerRecord, RecordFuture, RecordMetadata, Result,
};

/// Bounds waits that end long before, unless something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// How long something that must not happen is given to happen. A test that is right never fails by it.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(50);

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A producer that lingers not at all and tries again at once.
pub(crate) fn quick(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(millis(1))
        .retry_backoff_max(millis(10))
        .reconnect_backoff(millis(1))
        .reconnect_backoff_max(millis(10))
}

/// As [`quick`], with a batch for each record.
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

/// Sends values in a request of each: the next one is sent when the broker has read the one before.
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

/// The offsets of what was sent, all of which must be acknowledged.
pub(crate) fn offsets(futures: &[RecordFuture]) -> Vec<i64> {
    let acked = futures.iter().map(|future| future.get_timeout(LONG));
    acked.map(|acked| acked.unwrap().offset()).collect()
}

/// The values of a partition, in the order of the log.
pub(crate) fn values(broker: &FakeBroker, (topic, partition): (&str, i32)) -> Vec<String> {
    let records = broker.records(topic, partition).into_iter();
    records
        .map(|record| String::from_utf8(record.value.unwrap_or_default()).unwrap())
        .collect()
}

/// The headers of all batches that were sent to a partition, in the order they came.
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

/// Gathers the outcomes that callbacks get, in the order they get them.
#[derive(Clone, Default)]
pub(crate) struct Outcomes(Arc<(Mutex<Vec<Outcome>>, Condvar)>);

pub(crate) type Outcome = (String, Result<RecordMetadata>);

impl Outcomes {
    /// A callback that adds its outcome under `label`.
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

    /// Waits until there are `count`, and gives them. More than that fail the test here.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Outcome> {
        let (outcomes, added) = &*self.0;
        let waited =
            added.wait_timeout_while(outcomes.lock().unwrap(), LONG, |all| all.len() < count);
        let (all, _) = waited.unwrap();
        assert_eq!(all.len(), count, "{all:?}");
        all.clone()
    }
}
