//! The producer of Kafka 0.8 on current brokers and on 2.8: Kafka's console consumer reads what it
//! sends.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_producer::classic::{
    DefaultPartitioner, KeyedMessage, Partitioner, Producer, ProducerConfig,
};

use crate::classic_account::{Account, LOSSY};
use crate::harness::{Admin, ConsoleConsumer, KafkaCluster, NewTopic, is_long_run, wait_until};
use crate::kafka_or_skip;

const PARTITIONS: i32 = 3;
/// The number of messages for each mode and codec.
const MESSAGES: usize = 500;
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn both_modes_are_read_back_in_every_codec() {
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::lease();
    are_read_back(&cluster.bootstrap_servers(), cluster.admin());
}

/// Sends in both modes with each codec, and reads everything back.
pub(crate) fn are_read_back(brokers: &str, admin: &Admin) {
    let codecs = [
        ("none", true),
        ("gzip", cfg!(feature = "gzip")),
        ("snappy", cfg!(feature = "snappy")),
        ("lz4", cfg!(feature = "lz4")),
    ];
    let topic = "classic";
    admin.create_topic(topic, PARTITIONS);
    let mut sent = BTreeMap::new();
    for (codec, _) in codecs.into_iter().filter(|(_, is_built)| *is_built) {
        for (mode, acks) in [("sync", "-1"), ("async", "1")] {
            let config = ProducerConfig::new([
                ("metadata.broker.list", brokers),
                ("client.id", "classic"),
                ("producer.type", mode),
                ("request.required.acks", acks),
                ("compression.codec", codec),
                ("serializer.class", "kafka.serializer.StringEncoder"),
            ]);
            let producer = Producer::<String, String>::new(config.unwrap()).unwrap();
            let messages = (0..MESSAGES).map(|number| {
                let value = format!("{codec} {mode} {number}");
                let key = format!("key-{}", number % 17);
                sent.insert(value.clone(), key.clone());
                KeyedMessage::new(topic, value).key(key)
            });
            producer.send_all(messages).unwrap();
            producer.close().unwrap();
            assert_eq!(producer.stats().failed_sends(), 0);
        }
    }
    let read = ConsoleConsumer::new(brokers.to_owned(), topic).read(sent.len() as u64);
    for record in read {
        let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap()).unwrap();
        let (key, value) = (text(record.key), text(record.value));
        assert_eq!(sent.remove(&value).as_ref(), Some(&key), "{value}");
        let home = Partitioner::partition(&mut DefaultPartitioner, &key, PARTITIONS);
        assert_eq!(record.partition, home, "{key}");
    }
    assert_eq!(sent, BTreeMap::new());
    admin.delete_topic(topic);
}

/// A million messages in a long run.
#[test]
fn what_is_lost_while_a_node_is_killed_and_restarted_is_what_the_counts_say() {
    const VICTIM: i32 = 1;
    let _turn = kafka_or_skip!();
    let cluster = KafkaCluster::start(3);
    let topic = "classic-accounts";
    let new = NewTopic::new(topic, PARTITIONS).replication_factor(1);
    cluster.admin().create_topics(&[new]);
    let brokers = cluster.bootstrap_servers();
    let settings = [
        ("metadata.broker.list", &*brokers),
        ("client.id", topic),
        ("request.required.acks", "1"),
    ];
    let config = ProducerConfig::new([&settings, LOSSY].concat()).unwrap();
    let count = if is_long_run() { 1_000_000 } else { 30_000 };
    let partitions = PARTITIONS.unsigned_abs() as usize;
    let account = Account::send(config, topic, partitions, count, |producer, number| {
        if number == count / 4 {
            cluster.kill(VICTIM);
        }
        if number == count / 2 {
            wait_until("failed batch", LIMIT, || {
                (producer.stats().failed_sends() > 0).then_some(())
            });
            cluster.restart(VICTIM);
            cluster.admin().await_in_sync(topic);
        }
    });
    let stored = cluster.admin().end_offsets(topic).iter().sum::<i64>();
    let read = ConsoleConsumer::new(brokers, topic).read(stored.unsigned_abs());
    account.check(read.into_iter().map(|record| record.value.unwrap()));
}
