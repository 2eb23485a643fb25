//! Other releases than the current one. 2.8 has ZooKeeper, older versions of every message, and no
//! topic ids in Produce.

use kafka_producer::{KafkaProducer, ProducerRecord};

use crate::harness::{KafkaCluster, LegacyKafka, Release, dump_log, is_long_run, tell_ignored};
use crate::kafka_or_skip;
use crate::load::Load;
use crate::transactions::commit_abort_commit;

const RECORDS: u64 = 50_000;

#[test]
fn kafka_2_8_takes_idempotent_records_in_every_codec() {
    let _turn = kafka_or_skip!();
    let kafka = LegacyKafka::start();
    kafka.admin().create_topic("orders", 1);
    let producer = KafkaProducer::builder()
        .bootstrap_servers(kafka.bootstrap_servers())
        .build()
        .unwrap();
    let record = ProducerRecord::new("orders", "value").key("k");
    let metadata = producer.send(record).unwrap().get().unwrap();
    assert_eq!(metadata.to_string(), "orders-0@0");
    drop(producer);

    let mut codecs = vec!["none"];
    for (codec, is_built) in [
        ("gzip", cfg!(feature = "gzip")),
        ("snappy", cfg!(feature = "snappy")),
        ("lz4", cfg!(feature = "lz4")),
        ("zstd", cfg!(feature = "zstd")),
    ] {
        codecs.extend(Some(codec).filter(|_| is_built));
    }
    // Tested here so that the release is started only once.
    #[cfg(feature = "classic")]
    crate::classic::are_read_back(&kafka.bootstrap_servers(), kafka.admin());
    for codec in codecs {
        let topic = format!("old-{codec}");
        kafka.admin().create_topic(&topic, 3);
        let load = Load::new(&topic, RECORDS).set("compression.type", codec);
        let sent = load.send(&kafka.bootstrap_servers());
        sent.check(kafka.admin()).assert_all_acked();
        let dump = dump_log(&kafka.segments(&topic));
        assert_eq!((dump.records, dump.anomalies), (RECORDS, Vec::new()));
        for batch in &dump.batches {
            assert!(batch.producer_id >= 0 && batch.codec == codec, "{batch:?}");
            assert_eq!(i64::from(batch.base_sequence), batch.base_offset);
        }
    }
}

#[test]
fn kafka_4_3_takes_records_and_transactions() {
    let _turn = kafka_or_skip!();
    check(Release::V4_3);
}

#[test]
fn kafka_4_0_and_3_9_take_records_and_transactions() {
    let _turn = kafka_or_skip!();
    if !is_long_run() {
        tell_ignored("runs with KAFKA_PRODUCER_LONG=1");
        return;
    }
    check(Release::V4_0);
    check(Release::V3_9);
}

fn check(release: Release) {
    let cluster = KafkaCluster::start_release(release);
    let admin = cluster.admin();
    admin.create_topic("records", 3);
    let sent = Load::new("records", RECORDS).send(&cluster.bootstrap_servers());
    sent.check(admin).assert_all_acked();
    let dump = dump_log(&cluster.segments(1, "records"));
    assert_eq!((dump.records, dump.anomalies), (RECORDS, Vec::new()));
    drop(commit_abort_commit(admin, "transactions"));
}
