//! Errors name the root cause and what to change, and repeat nothing.

use std::error::Error as StdError;
use std::time::Duration;

use kafka_producer::common::{Headers, NodeId};
use kafka_producer::producer::{Serialized, Serializer};
use kafka_producer::testing::{Action, Api, Failure, FakeBroker};
use kafka_producer::{
    Delivery, Error, ErrorCode, ErrorKind, KafkaProducer, KafkaProducerBuilder, ProducerConfig,
    ProducerRecord,
};

use crate::support::chain::chain;
use crate::support::dead_address;

const TOPIC: &str = "orders";
const SOON: Duration = Duration::from_secs(20);

fn start(nodes: i32) -> FakeBroker {
    let broker = FakeBroker::builder().nodes(nodes).topic(TOPIC, 2);
    broker.start().unwrap()
}

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .reconnect_backoff(Duration::from_millis(5))
        .request_timeout(Duration::from_millis(500))
        .delivery_timeout(Duration::from_secs(1))
        .max_block(SOON)
}

fn record() -> ProducerRecord<'static> {
    ProducerRecord::new(TOPIC, "value").partition(0)
}

/// Returns the texts of an error and its causes. Checks that no text repeats the next one.
#[track_caller]
fn texts_of(error: &Error) -> Vec<String> {
    let texts = chain(error);
    for (index, text) in texts.iter().enumerate() {
        for cause in &texts[index + 1..] {
            assert!(!text.contains(cause.as_str()), "{texts:#?}");
        }
    }
    texts
}

#[test]
fn an_expired_record_has_the_last_response_as_its_cause() {
    let broker = start(1);
    let failure = Failure::new(ErrorCode::NOT_ENOUGH_REPLICAS).message("1 of 2 in sync");
    broker.on(Api::Produce).always().then(Action::fail(failure));
    // The backoff outlasts the delivery timeout, so that no attempt is in flight then.
    let producer = producer(&broker)
        .retry_backoff(SOON)
        .retry_backoff_max(SOON)
        .delivery_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let error = producer.send(record()).unwrap().get().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.code(), Some(ErrorCode::NOT_ENOUGH_REPLICAS));
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert!(error.is_retriable());
    let texts = texts_of(&error);
    assert!(
        texts[0].starts_with("expired 1 record for orders-0"),
        "{texts:?}"
    );
    assert_eq!(
        texts[1],
        "the broker returned NOT_ENOUGH_REPLICAS (19): 1 of 2 in sync; \
         the topic's min.insync.replicas needs more replicas in sync than there are"
    );
    let debug = format!("{error:?}");
    assert!(debug.contains("delivery.timeout.ms"), "{debug}");
}

#[test]
fn an_expired_record_has_the_last_connection_failure_as_its_cause() {
    let broker = start(1);
    let producer = producer(&broker).build().unwrap();
    producer.send(record()).unwrap().get().unwrap();
    broker.stop_node(NodeId(1)).unwrap();
    let error = producer.send(record()).unwrap().get().unwrap_err();
    assert_eq!(error.code(), None);
    let texts = texts_of(&error);
    assert!(
        texts[1].contains(
            &broker
                .port(NodeId(1))
                .map_or_else(String::new, |port| port.to_string())
        ),
        "{texts:?}"
    );
    assert!(texts[1].contains("connection"), "{texts:?}");
}

#[test]
fn an_expired_record_without_a_leader_says_so() {
    let broker = start(1);
    let producer = producer(&broker)
        .metadata_max_age(Duration::from_millis(100))
        .build()
        .unwrap();
    producer.send(record()).unwrap().get().unwrap();
    broker.remove_leader(TOPIC, 0).unwrap();
    let error = producer.send(record()).unwrap().get().unwrap_err();
    let texts = texts_of(&error);
    assert!(texts.len() > 1, "{texts:?}");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn a_record_after_a_fatal_error_does_not_claim_to_be_answered() {
    let broker = start(1);
    let producer = producer(&broker).build().unwrap();
    let refusal = Action::fail(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    broker.on(Api::Produce).then(refusal);
    let first = producer.send(record()).unwrap().get().unwrap_err();
    assert_eq!(first.code(), Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
    assert!(first.to_string().contains("IdempotentWrite"), "{first}");

    let later = producer.send(record()).unwrap().get().unwrap_err();
    assert!(later.is_fatal());
    assert_eq!(later.kind(), ErrorKind::Authorization);
    assert_eq!(later.code(), None);
    let texts = texts_of(&later);
    assert!(!texts[0].contains("answered"), "{texts:?}");
    assert!(
        texts[1].contains("CLUSTER_AUTHORIZATION_FAILED"),
        "{texts:?}"
    );
    assert_eq!(broker.request_count(Api::Produce), 1);
}

#[test]
fn broker_errors_name_the_limit_or_the_right() {
    let broker = start(1);
    let producer = producer(&broker)
        .set("enable.idempotence", "false")
        .unwrap()
        .build()
        .unwrap();
    for (code, part) in [
        (ErrorCode::MESSAGE_TOO_LARGE, "message.max.bytes"),
        (ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Write on the topic"),
        (
            ErrorCode::INVALID_TIMESTAMP,
            "message.timestamp.before.max.ms",
        ),
    ] {
        broker.on(Api::Produce).then(Action::fail(code));
        let error = producer.send(record()).unwrap().get().unwrap_err();
        let texts = texts_of(&error);
        assert!(texts[0].contains(part), "{texts:?}");
    }
}

#[test]
fn a_transaction_that_failed_says_why_once() {
    let broker = start(1);
    let producer = producer(&broker).transactional_id("t").build().unwrap();
    producer.init_transactions().unwrap();
    producer.begin_transaction().unwrap();
    let refusal = Action::fail(ErrorCode::INVALID_TIMESTAMP);
    broker.on(Api::Produce).then(refusal);
    let refused = producer.send(record()).unwrap().get().unwrap_err();
    texts_of(&refused);
    for error in [
        producer.send(record()).unwrap_err(),
        producer.commit_transaction().unwrap_err(),
    ] {
        let texts = texts_of(&error);
        assert!(
            texts.last().unwrap().contains("INVALID_TIMESTAMP"),
            "{texts:?}"
        );
    }
    producer.abort_transaction().unwrap();
}

#[test]
fn calls_after_the_close_are_closed() {
    let broker = start(1);
    let producer = producer(&broker).build().unwrap();
    assert_eq!(producer.partitions_for(TOPIC).unwrap().len(), 2);
    producer.close(SOON).unwrap();
    for topic in [TOPIC, "another"] {
        let error = producer.partitions_for(topic).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
    }
}

/// Fails with a cause of its own.
struct Failing;

impl Serializer for Failing {
    type Input = str;

    fn serialize<'a>(
        &self,
        _: &str,
        _: &mut Headers,
        _: &'a str,
    ) -> Result<Serialized<'a>, Box<dyn StdError + Send + Sync>> {
        Err(Box::new("1.5".parse::<i32>().unwrap_err()))
    }
}

#[test]
fn errors_before_the_send_repeat_nothing() {
    let broker = start(1);
    let failing = producer(&broker).value_serializer(Failing).build().unwrap();
    let unserialized = failing.send(ProducerRecord::<[u8], str>::new(TOPIC, "x"));
    assert_eq!(texts_of(&unserialized.unwrap_err()).len(), 2);

    let late = producer(&broker).build().unwrap();
    let negative = late.send(record().timestamp(-1)).unwrap_err();
    texts_of(&negative);

    let lonely = KafkaProducer::builder()
        .bootstrap_servers(dead_address())
        .max_block(Duration::from_secs(2))
        .build()
        .unwrap();
    let unknown = lonely.send(record()).unwrap().get().unwrap_err();
    assert!(texts_of(&unknown).len() > 1);

    let missing = ProducerConfig::from_properties_file("/no/such/file").unwrap_err();
    assert_eq!(texts_of(&missing).len(), 2);
}
