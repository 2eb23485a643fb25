//! Records sent by many threads are in the log once each, in order, where their keys belong.

use std::thread;
use std::time::Duration;

use kafka_producer::testing::FakeBroker;
use kafka_producer::{KafkaProducer, ProducerRecord};

#[test]
fn a_record_is_sent_and_acknowledged() {
    let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
    let producer = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .build()
        .unwrap();
    let metadata = producer
        .send(ProducerRecord::new("orders", "value").key("k"))
        .unwrap()
        .get()
        .unwrap();
    assert_eq!(
        (metadata.topic(), metadata.partition(), metadata.offset()),
        ("orders", 0, 0)
    );
    producer.close(Duration::from_secs(10)).unwrap();
    let records = broker.records("orders", 0);
    assert_eq!(records.len(), 1);
}

#[test]
fn many_threads_share_a_producer() {
    const THREADS: usize = 4;
    const RECORDS: usize = 20_000;
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic("orders", 6)
        .start()
        .unwrap();
    let producer = KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .build()
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let producer = &producer;
            scope.spawn(move || {
                for record in 0..RECORDS {
                    let key = format!("{thread}-{}", record % 10);
                    let value = format!("{record}");
                    producer
                        .send_with_callback(
                            ProducerRecord::new("orders", value).key(key),
                            |result| {
                                result.unwrap();
                            },
                        )
                        .unwrap();
                }
            });
        }
    });
    producer.flush().unwrap();
    assert_eq!(broker.all_records("orders").len(), THREADS * RECORDS);
    producer.close(Duration::from_secs(10)).unwrap();
}
