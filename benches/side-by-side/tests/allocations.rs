//! A send into an open batch allocates nothing on the caller's thread.

use allocation_counter::measure;
use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerConfig, ProducerRecord};

const RECORDS: u64 = 2_000;

/// A producer whose batches stay open until a flush, after as many records as will be counted.
struct Producer {
    producer: KafkaProducer,
    _broker: FakeBroker,
}

impl Producer {
    fn warm() -> Self {
        let broker = FakeBroker::builder().topic("orders", 1).start();
        let broker = broker.expect("a broker");
        let mut config = ProducerConfig::new();
        for (key, value) in [
            ("bootstrap.servers", &*broker.bootstrap_servers()),
            ("batch.size", "1048576"),
            ("linger.ms", "60000"),
        ] {
            config.set(key, value).expect("a valid value");
        }
        Self {
            producer: KafkaProducer::new(config).expect("a producer"),
            _broker: broker,
        }
    }

    /// Returns the allocations of the sends after the first one in a batch, when other batches have
    /// been sent before.
    fn allocations(&self, send: impl Fn(&KafkaProducer)) -> u64 {
        for _ in 0..3 {
            (0..=RECORDS).for_each(|_| send(&self.producer));
            self.producer.flush().expect("not in a callback");
        }
        send(&self.producer);
        measure(|| (0..RECORDS).for_each(|_| send(&self.producer))).count_total
    }
}

fn record() -> ProducerRecord<'static> {
    const VALUE: &[u8] = &[b'v'; 100];
    ProducerRecord::new("orders", VALUE)
}

#[test]
fn a_callback_without_captures_allocates_nothing() {
    let count = Producer::warm().allocations(|producer| {
        producer
            .send_with_callback(record(), |result| assert!(result.is_ok()))
            .expect("sent");
    });
    assert_eq!(count, 0);
}

#[test]
fn a_future_allocates_nothing() {
    let count = Producer::warm().allocations(|producer| {
        drop(producer.send(record()).expect("sent"));
    });
    assert_eq!(count, 0);
}

#[test]
fn a_key_allocates_nothing() {
    let count = Producer::warm().allocations(|producer| {
        drop(producer.send(record().key("customer")).expect("sent"));
    });
    assert_eq!(count, 0);
}

/// Shows that the counter counts: a callback with captures is boxed.
#[test]
fn a_callback_with_captures_allocates_once() {
    let count = Producer::warm().allocations(|producer| {
        let captured = std::sync::Arc::new(7);
        producer
            .send_with_callback(record(), move |_| assert_eq!(*captured, 7))
            .expect("sent");
    });
    assert!(count >= 2 * RECORDS, "{count} allocations");
}
