//! The copier example on librdkafka's mock cluster, whose parser reads each of our transactional
//! requests. The mock cluster keeps no offsets of transactions and hides no aborted records:
//! `tests/transactional_copier.rs` runs on a real cluster.

#[path = "../examples/transactional_copier.rs"]
#[allow(dead_code, reason = "a test calls what main calls")]
mod transactional_copier;

use std::collections::BTreeMap;

use kafka_producer::{KafkaProducer, ProducerRecord};
use rdkafka::message::Message;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use self::transactional_copier::{Copied, Options, run};
use crate::brokers::{BROKERS, Brokers, PARTITIONS, TOPIC};

const INPUT: &str = "input";
const EACH: i32 = 100;

type Values = BTreeMap<i32, Vec<String>>;

/// A cluster with records in the topic that is to be copied, and these.
fn with_input() -> (Brokers, Values) {
    let brokers = Brokers::start();
    let created = brokers.cluster.create_topic(INPUT, PARTITIONS, BROKERS);
    created.expect("the topic is new");
    let producer = KafkaProducer::builder().bootstrap_servers(brokers.bootstrap_servers());
    let producer = producer.build().expect("the settings agree");
    let mut values = Values::new();
    for number in 0..PARTITIONS * EACH {
        let (partition, value) = (number % PARTITIONS, number.to_string());
        let record = ProducerRecord::new(INPUT, &value).partition(partition);
        let sent = producer.send_with_callback(record, |result| drop(result.expect("delivered")));
        sent.expect("the record can be sent");
        values.entry(partition).or_default().push(value);
    }
    producer.flush().expect("this is no callback");
    (brokers, values)
}

fn copy(brokers: &Brokers) -> Copied {
    let servers = brokers.bootstrap_servers();
    let line = format!(
        "--bootstrap-server {servers} --input-topic {INPUT} --output-topic {TOPIC} --transaction-size 100 --until-end"
    );
    let options = Options::parse(line.split_whitespace().map(str::to_owned));
    run(&options.expect("these are options")).expect("the mock cluster does as Kafka does")
}

fn copies(brokers: &Brokers) -> Values {
    let mut values = Values::new();
    brokers.read_each(|message| {
        let value = String::from_utf8_lossy(message.payload().expect("each has a value"));
        let of_partition = values.entry(message.partition()).or_default();
        of_partition.push(value.into_owned());
    });
    values
}

#[test]
fn every_record_is_copied_once() {
    let (brokers, values) = with_input();
    let copied = copy(&brokers);
    assert_eq!((copied.records, copied.aborted), (1_200, 0));
    assert!(copied.transactions >= 12, "{copied:?}");
    assert_eq!(copies(&brokers), values);
}

/// Coordinators refuse for a moment, and connections break, before and after a transaction has
/// begun.
#[test]
fn coordinators_may_fail_for_a_moment() {
    let (brokers, values) = with_input();
    for api in [
        RDKafkaApiKey::FindCoordinator,
        RDKafkaApiKey::InitProducerId,
        RDKafkaApiKey::AddPartitionsToTxn,
        RDKafkaApiKey::AddOffsetsToTxn,
        RDKafkaApiKey::TxnOffsetCommit,
        RDKafkaApiKey::EndTxn,
    ] {
        let errors = [
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        ];
        brokers.cluster.request_errors(api, &errors);
    }
    let copied = copy(&brokers);
    assert_eq!((copied.records, copied.aborted), (1_200, 0));
    assert_eq!(copies(&brokers), values);
}
