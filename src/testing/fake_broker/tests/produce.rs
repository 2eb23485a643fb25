//! Produce: appends, refusals, and requests without a response.

use super::*;
use crate::protocol::messages::LeaderIdAndEpoch;
use crate::testing::{Api, TopicConfig};
use crate::utils::{SystemTime, Time};

fn one_node() -> (FakeBroker, Client) {
    let broker = FakeBroker::builder().topic("t", 2).start().unwrap();
    let client = Client::connect(&broker, 1);
    (broker, client)
}

/// Changes a batch and corrects its CRC.
fn patched(mut batch: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    batch[offset..offset + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn every_version_of_produce_appends() {
    let (broker, mut client) = one_node();
    for version in ApiKey::Produce.versions() {
        let mut request = request("t", 0, plain(&["a", "b"]));
        request.topics[0].topic_id = match version {
            13.. => broker.topic_id("t").unwrap(),
            _ => Uuid::ZERO,
        };
        client.send(version, request);
        let answer = only_partition(client.receive_produce(version).1);
        assert_eq!(answer.error_code, ErrorCode::NONE, "v{version}");
        assert_eq!(answer.base_offset, i64::from(version - 3) * 2);
        assert_eq!(answer.log_append_time_ms, -1);
        assert_eq!(answer.log_start_offset, if version < 5 { -1 } else { 0 });
    }
    assert_eq!(broker.log_end_offset("t", 0), 22);
    assert_eq!(broker.record_count("t"), 22);
    assert_eq!(broker.count_requests(|request| request.version == 13), 1);
    assert_eq!(broker.requests()[0].client_id.as_deref(), Some("test"));
    assert_eq!(broker.protocol_violations(), Vec::<String>::new());
}

#[test]
fn reads_back_what_was_written_in_every_codec() {
    let (broker, mut client) = one_node();
    let state = ProducerState {
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 5,
        is_transactional: false,
    };
    let mut headers = Headers::new();
    headers.add("h", "1").add_null("h");
    let kinds = [
        (CompressionType::None, "none"),
        #[cfg(feature = "gzip")]
        (CompressionType::Gzip, "gzip"),
        #[cfg(feature = "snappy")]
        (CompressionType::Snappy, "snappy"),
        #[cfg(feature = "lz4")]
        (CompressionType::Lz4, "lz4"),
        #[cfg(feature = "zstd")]
        (CompressionType::Zstd, "zstd"),
    ];
    for (kind, name) in kinds {
        broker.recreate_topic("t").unwrap();
        let compression = Compression::new(kind, None).unwrap();
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
        builder
            .append(1000, Some(b"k"), Some(b"v"), &headers)
            .unwrap();
        builder.append(999, None, None, &Headers::new()).unwrap();
        client.produce("t", 0, plain(&["x"]));
        let answer = client.produce("t", 0, builder.close(state).unwrap().bytes.to_vec());
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (ErrorCode::NONE, 1),
            "{name}"
        );

        let records = broker.records("t", 0);
        assert_eq!(records, broker.all_records("t"));
        let [_, first, second] = records.as_slice() else {
            panic!("{records:?}");
        };
        assert_eq!(
            (first.offset, first.timestamp, first.sequence),
            (1, 1000, 5)
        );
        assert_eq!(
            (first.key.as_deref(), first.value.as_deref()),
            (Some(&b"k"[..]), Some(&b"v"[..]))
        );
        assert_eq!(first.headers, headers);
        assert_eq!(
            (second.offset, second.timestamp, second.sequence),
            (2, 999, 6)
        );
        assert_eq!((&second.key, &second.value), (&None, &None));
        assert_eq!((second.producer_id, second.producer_epoch), (7, 1));

        let stored = &broker.batches("t", 0)[1];
        assert_eq!((stored.base_offset, stored.last_offset()), (1, 2));
        assert_eq!(
            (stored.header.compression, stored.header.record_count),
            (name, 2)
        );
        assert_eq!(
            (stored.header.base_sequence, stored.header.max_timestamp),
            (5, 1000)
        );
        let sent = broker.requests().pop().unwrap().batches.pop().unwrap();
        assert_eq!(sent.header, stored.header);
    }
}

fn assert_refused(cases: &[(&str, Vec<u8>)], expected: ErrorCode) {
    let (broker, mut client) = one_node();
    for (name, batch) in cases {
        let answer = client.produce("t", 0, batch.clone());
        assert_eq!(answer.error_code, expected, "{name}");
        assert_eq!(answer.base_offset, -1, "{name}");
        assert!(answer.error_message.is_some(), "{name}");
    }
    assert_eq!(broker.log_end_offset("t", 0), 0);
    let answer = client.produce("t", 0, plain(&["a"]));
    assert_eq!(answer.base_offset, 0, "the connection is still good");
}

#[test]
fn produce_refuses_damaged_batches() {
    let whole = plain(&["a", "b"]);
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases = [
        ("flipped bit", flipped),
        ("truncated", whole[..whole.len() - 1].to_vec()),
        ("shorter than a header", whole[..30].to_vec()),
        ("shorter than a length", whole[..5].to_vec()),
    ];
    assert_refused(&cases, ErrorCode::CORRUPT_MESSAGE);
}

// Java (broker): LogValidatorTest, and ProduceRequestTest of the clients.
#[test]
fn refuses_batches_that_no_producer_makes() {
    let two = || plain(&["a", "b"]);
    let with_count = |batch, count: i32| patched(batch, 57, &count.to_be_bytes());
    let with_last_delta = |batch, delta: i32| patched(batch, 23, &delta.to_be_bytes());
    let sequence_gone = patched(sequenced(0, 0, &["a"]), 53, &(-1i32).to_be_bytes());
    let epoch_gone = patched(sequenced(0, 0, &["a"]), 51, &(-1i16).to_be_bytes());
    // A record of this size has a length of one byte, zig-zag encoded. The first record is followed
    // by the second one's length, attributes, timestamp delta, and offset delta.
    let second_record = 62 + usize::from(two()[61] >> 1);
    let delta_repeated = patched(two(), second_record + 3, &[0]);
    let cases = [
        ("nothing", Vec::new()),
        ("two batches", [two(), two()].concat()),
        ("magic 1", patched(two(), 16, &[1])),
        ("base offset", patched(two(), 7, &[1])),
        ("count too small", with_count(two(), 1)),
        ("count too large", with_count(two(), 3)),
        ("no records", with_last_delta(with_count(two(), 0), -1)),
        ("negative count", with_last_delta(with_count(two(), -1), -2)),
        ("last offset delta", with_last_delta(two(), 7)),
        ("three declared", with_last_delta(with_count(two(), 3), 2)),
        ("one declared", with_last_delta(with_count(two(), 1), 0)),
        (
            "billions declared",
            with_last_delta(with_count(two(), i32::MAX), i32::MAX - 1),
        ),
        ("offset delta repeated", delta_repeated),
        ("garbage as gzip", patched(two(), 22, &[1])),
        ("codec 7", patched(two(), 22, &[7])),
        ("control batch", patched(two(), 22, &[0x20])),
        ("no base sequence", sequence_gone),
        ("no epoch", epoch_gone),
    ];
    assert_refused(&cases, ErrorCode::INVALID_RECORD);
}

/// Returns a batch of records with these timestamps, with or without keys.
fn timed(timestamps: &[i64], key: Option<&[u8]>) -> Vec<u8> {
    let compression = Compression::new(CompressionType::None, None).unwrap();
    let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
    for timestamp in timestamps {
        let appended = builder.append(*timestamp, key, Some(b"v"), &Headers::new());
        appended.unwrap();
    }
    builder.close(ProducerState::NONE).unwrap().bytes.to_vec()
}

/// Returns the code of a response, and the records that it names.
fn blamed(client: &mut Client, topic: &str, batch: Vec<u8>) -> (ErrorCode, Vec<i32>) {
    let response = client.produce(topic, 0, batch);
    let errors = response.record_errors.iter();
    assert!(
        errors
            .clone()
            .all(|error| error.batch_index_error_message.is_some())
    );
    let indices = errors.map(|error| error.batch_index).collect();
    (response.error_code, indices)
}

// Java (broker): LogValidatorTest.testInvalidCreateTimeNonCompressedV2 and its neighbors.
#[test]
fn produce_refuses_timestamps_outside_of_the_topics_range() {
    const HOUR_MS: i64 = 3_600_000;
    let ranged = TopicConfig::new(1)
        .message_timestamp_before_max_ms(2 * HOUR_MS)
        .message_timestamp_after_max_ms(HOUR_MS / 2);
    let broker = FakeBroker::builder()
        .topic("default", 1)
        .topic_with("ranged", ranged)
        .topic_with("appended", TopicConfig::new(1).log_append_time())
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let now = SystemTime.unix_millis();
    let wrong = |indices: &[i32]| (ErrorCode::INVALID_TIMESTAMP, indices.to_vec());
    let right = (ErrorCode::NONE, Vec::new());
    let ahead = now + HOUR_MS + HOUR_MS / 2;
    let table: &[(&[i64], _, _)] = &[
        (&[now], right.clone(), right.clone()),
        (&[now - HOUR_MS], right.clone(), right.clone()),
        // A record without a timestamp.
        (&[-1], right.clone(), right.clone()),
        (&[0], right.clone(), wrong(&[0])),
        (&[now + HOUR_MS - HOUR_MS / 4], right.clone(), wrong(&[0])),
        (&[ahead], wrong(&[0]), wrong(&[0])),
        (&[now * 1000], wrong(&[0]), wrong(&[0])),
        (&[i64::MAX], wrong(&[0]), wrong(&[0])),
        (
            &[now, ahead, 0, i64::MAX],
            wrong(&[1, 3]),
            wrong(&[1, 2, 3]),
        ),
    ];
    for (timestamps, by_default, in_range) in table {
        let batch = || timed(timestamps, None);
        let default = blamed(&mut client, "default", batch());
        assert_eq!(&default, by_default, "{timestamps:?}");
        let ranged = blamed(&mut client, "ranged", batch());
        assert_eq!(&ranged, in_range, "{timestamps:?}");
        let appended = blamed(&mut client, "appended", batch());
        assert_eq!(appended, right, "{timestamps:?}");
    }
    assert_eq!(broker.record_count("default"), 5);
}

#[test]
fn a_wrong_timestamp_decides_the_code_of_a_batch_with_other_faults() {
    let broker = FakeBroker::builder()
        .topic_with("compacted", TopicConfig::new(1).compacted())
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let keyless = timed(&[0, i64::MAX], None);
    let no_keys = (ErrorCode::INVALID_RECORD, vec![0, 1]);
    assert_eq!(blamed(&mut client, "compacted", keyless), no_keys);

    let compression = Compression::new(CompressionType::None, None).unwrap();
    let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
    for (timestamp, key) in [(0, None), (0, Some(&b"k"[..])), (i64::MAX, Some(b"k"))] {
        let appended = builder.append(timestamp, key, None, &Headers::new());
        appended.unwrap();
    }
    let mixed = builder.close(ProducerState::NONE).unwrap().bytes.to_vec();
    let both = (ErrorCode::INVALID_TIMESTAMP, vec![0, 2]);
    assert_eq!(blamed(&mut client, "compacted", mixed), both);
}

/// Kafka replaces the producer's timestamp type by its own, but refuses the broker's type if that
/// would keep it.
#[test]
fn refuses_timestamps_of_the_brokers_type_where_the_broker_sets_them() {
    let broker = FakeBroker::builder()
        .topic("created", 1)
        .topic_with("appended", TopicConfig::new(1).log_append_time())
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let batch = || patched(timed(&[0, 0], None), 22, &[0x08]);
    let refused = (ErrorCode::INVALID_TIMESTAMP, vec![0, 1]);
    assert_eq!(blamed(&mut client, "appended", batch()), refused);
    let taken = (ErrorCode::NONE, Vec::new());
    assert_eq!(blamed(&mut client, "created", batch()), taken);
    // All its records have the time of the batch.
    let ahead = patched(timed(&[0, i64::MAX], None), 22, &[0x08]);
    assert_eq!(blamed(&mut client, "created", ahead), refused);
}

#[test]
fn internal_topics_take_no_records() {
    let broker = FakeBroker::builder()
        .topic("__consumer_offsets", 1)
        .topic("__transaction_state", 1)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    for topic in ["__consumer_offsets", "__transaction_state"] {
        let code = client.produce_code(topic, 0, plain(&["a"]));
        assert_eq!(code, ErrorCode::INVALID_TOPIC_EXCEPTION, "{topic}");
        assert_eq!(broker.record_count(topic), 0);
    }
}

#[test]
fn produce_refuses_transactional_batches_without_a_transactional_id() {
    let state = ProducerState {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence: 0,
        is_transactional: true,
    };
    let batch = batch(state, &["a"]);
    let (broker, mut client) = one_node();
    // A broker checks it before it looks for the partition.
    for partition in [0, 9] {
        let code = client.produce_code("t", partition, batch.clone());
        assert_eq!(code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    assert_eq!(broker.log_end_offset("t", 0), 0);
}

#[test]
fn zstd_needs_version_7() {
    let (_broker, mut client) = one_node();
    let zstd = patched(plain(&["a"]), 22, &[4]);
    client.send(6, request("t", 0, zstd));
    let answer = only_partition(client.receive_produce(6).1);
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
}

#[test]
fn refuses_null_records_and_unknown_partitions() {
    let (_broker, mut client) = one_node();
    let mut null = request("t", 0, Vec::new());
    null.topics[0].partitions[0].records = None;
    client.send(9, null);
    let answer = only_partition(client.receive_produce(9).1);
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
    for (topic, partition) in [("t", 2), ("t", -1), ("t", i32::MAX), ("nope", 0), ("", 0)] {
        let code = client.produce_code(topic, partition, plain(&["a"]));
        assert_eq!(
            code,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "{topic} {partition}"
        );
    }
}

#[test]
fn produce_refuses_unknown_topic_ids() {
    let (broker, mut client) = one_node();
    let mut by_id = request("", 0, plain(&["a"]));
    by_id.topics[0].topic_id = broker.topic_id("t").unwrap();
    broker.recreate_topic("t").unwrap();
    client.send(13, by_id.clone());
    let response = client.receive_produce(13).1;
    assert_eq!(response.topics[0].topic_id, by_id.topics[0].topic_id);
    assert_eq!(
        only_partition(response).error_code,
        ErrorCode::UNKNOWN_TOPIC_ID
    );
    by_id.topics[0].topic_id = broker.topic_id("t").unwrap();
    client.send(13, by_id);
    let answer = only_partition(client.receive_produce(13).1);
    assert_eq!(answer.error_code, ErrorCode::NONE);
}

#[test]
fn refuses_batches_over_the_limit_of_the_topic() {
    let size = plain(&["abc"]).len();
    let config = TopicConfig::new(1).max_message_bytes(size);
    let broker = FakeBroker::builder()
        .topic_with("t", config)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    assert_eq!(
        client.produce_code("t", 0, plain(&["abc"])),
        ErrorCode::NONE
    );
    let code = client.produce_code("t", 0, plain(&["abcd"]));
    assert_eq!(code, ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn a_compacted_topic_blames_the_records_without_a_key() {
    let config = TopicConfig::new(1).compacted();
    let broker = FakeBroker::builder()
        .topic_with("t", config)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let compression = Compression::new(CompressionType::None, None).unwrap();
    let mut builder = MemoryRecordsBuilder::new(Vec::new(), &compression, 1 << 20, 1.0);
    for key in [Some(&b"k"[..]), None, None] {
        builder.append(0, key, Some(b"v"), &Headers::new()).unwrap();
    }
    let answer = client.produce(
        "t",
        0,
        builder.close(ProducerState::NONE).unwrap().bytes.to_vec(),
    );
    assert_eq!(answer.error_code, ErrorCode::INVALID_RECORD);
    let blamed: Vec<_> = answer
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(blamed, [1, 2]);
    assert_eq!(broker.log_end_offset("t", 0), 0);
}

#[test]
fn a_topic_can_keep_the_brokers_time() {
    let config = TopicConfig::new(1).log_append_time();
    let broker = FakeBroker::builder()
        .topic_with("t", config)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let answer = client.produce("t", 0, plain(&["a"]));
    assert!(answer.log_append_time_ms > 1_600_000_000_000);
    assert_eq!(
        broker.records("t", 0)[0].timestamp,
        answer.log_append_time_ms
    );
    assert_eq!(
        broker.batches("t", 0)[0].log_append_time,
        Some(answer.log_append_time_ms)
    );
}

// Java (broker): UnifiedLogTest.testDuplicateAppends, ProducerStateManagerTest.testProducerSequenceWrapAround.
#[test]
fn sequences_are_checked_per_partition() {
    let (broker, mut client) = one_node();
    client.produce("t", 0, plain(&["x"]));
    let mut send = |partition, epoch, sequence, values: &[&str]| {
        let answer = client.produce("t", partition, sequenced(epoch, sequence, values));
        (
            answer.error_code,
            answer.base_offset,
            answer.log_append_time_ms,
        )
    };
    let refused = |code| (code, -1, -1);
    assert_eq!(send(0, 0, 0, &["a", "b"]), (ErrorCode::NONE, 1, -1));
    // The response to a duplicate has the batch's largest timestamp as the time of the append.
    assert_eq!(send(0, 0, 0, &["a", "b"]), (ErrorCode::NONE, 1, 1001));
    assert_eq!(
        send(0, 0, 3, &["d"]),
        refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
    );
    assert_eq!(send(0, 0, 2, &["c"]), (ErrorCode::NONE, 3, -1));
    assert_eq!(
        send(1, 0, 2, &["c"]),
        (ErrorCode::NONE, 0, -1),
        "another partition"
    );
    assert_eq!(
        send(0, 1, 3, &["d"]),
        refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
    );
    assert_eq!(send(0, 1, 0, &["d"]), (ErrorCode::NONE, 4, -1));
    assert_eq!(
        send(0, 0, 3, &["e"]),
        refused(ErrorCode::INVALID_PRODUCER_EPOCH)
    );
    broker.forget_producers("t", 0).unwrap();
    assert_eq!(send(0, 0, 42, &["e"]), (ErrorCode::NONE, 5, -1));
    assert_eq!(values(&broker, "t", 0), ["x", "a", "b", "c", "d", "e"]);
}

#[test]
fn an_old_broker_does_not_know_a_producer_whose_records_are_gone() {
    let broker = FakeBroker::builder()
        .topic("t", 1)
        .unknown_producer_id(true);
    let broker = broker.start().unwrap();
    let mut client = Client::connect(&broker, 1);
    client.produce("t", 0, sequenced(0, 0, &["a"]));
    client.produce("t", 0, sequenced(0, 1, &["b", "c"]));
    broker.delete_records("t", 0, 2).unwrap();
    assert_eq!(values(&broker, "t", 0), ["c"]);
    assert_eq!(
        (broker.log_start_offset("t", 0), broker.record_count("t")),
        (2, 1)
    );
    broker.delete_records("t", 0, 99).unwrap();
    let answer = client.produce("t", 0, sequenced(0, 3, &["d"]));
    assert_eq!(answer.error_code, ErrorCode::UNKNOWN_PRODUCER_ID);
    assert_eq!(
        answer.log_start_offset, 3,
        "which tells the producer that it was retention"
    );
}

#[test]
fn acks_0_is_not_answered() {
    let (broker, mut client) = one_node();
    let mut silent = request("t", 0, plain(&["a"]));
    silent.acks = 0;
    client.send(9, silent);
    // The next reply belongs to the next request.
    assert_eq!(client.produce("t", 0, plain(&["b"])).base_offset, 1);
    assert_eq!(values(&broker, "t", 0), ["a", "b"]);
}

#[test]
fn acks_0_with_an_error_ends_the_connection() {
    let (_broker, mut client) = one_node();
    let mut silent = request("t", 5, plain(&["a"]));
    silent.acks = 0;
    client.send(9, silent);
    assert!(client.is_at_end());
}

#[test]
fn other_acks_are_refused() {
    let (_broker, mut client) = one_node();
    for (acks, expected) in [
        (1, ErrorCode::NONE),
        (2, ErrorCode::INVALID_REQUIRED_ACKS),
        (-2, ErrorCode::INVALID_REQUIRED_ACKS),
    ] {
        let mut request = request("t", 0, plain(&["a"]));
        request.acks = acks;
        client.send(9, request);
        let answer = only_partition(client.receive_produce(9).1);
        assert_eq!(answer.error_code, expected, "acks={acks}");
    }
}

// KIP-951.
#[test]
fn another_node_says_who_leads() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .racks(["a", "b", "c"])
        .topic("t", 2);
    let broker = broker.start().unwrap();
    let mut client = Client::connect(&broker, 3);
    broker.move_leader("t", 0, NodeId(2)).unwrap();
    let both = || request_of_batches("t", vec![(0, plain(&["a"])), (1, plain(&["b"]))]);

    client.send(10, both());
    let response = client.receive_produce(10).1;
    let hints: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|p| {
            (
                p.error_code,
                p.current_leader.leader_id,
                p.current_leader.leader_epoch,
            )
        })
        .collect();
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    assert_eq!(hints, [(code, 2, 1), (code, 2, 0)]);
    let [endpoint] = response.node_endpoints.as_slice() else {
        panic!("{:?}", response.node_endpoints);
    };
    assert_eq!((endpoint.node_id, endpoint.rack.as_deref()), (2, Some("b")));
    assert_eq!(Some(endpoint.port), broker.port(NodeId(2)).map(i32::from));

    client.send(9, both());
    let response = client.receive_produce(9).1;
    assert!(response.node_endpoints.is_empty());
    assert_eq!(
        response.topics[0].partitions[0].current_leader,
        LeaderIdAndEpoch::default()
    );
    assert_eq!(broker.record_count("t"), 0);
}

#[test]
fn acks_all_needs_enough_replicas_in_sync() {
    let config = TopicConfig::new(1).min_insync_replicas(2);
    let broker = FakeBroker::builder().nodes(2).topic_with("t", config);
    let broker = broker.start().unwrap();
    let mut client = Client::connect(&broker, 1);
    assert_eq!(client.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
    broker.stop_node(NodeId(2)).unwrap();
    assert_eq!(
        client.produce_code("t", 0, plain(&["b"])),
        ErrorCode::NOT_ENOUGH_REPLICAS
    );
    let mut leader_only = request("t", 0, plain(&["c"]));
    leader_only.acks = 1;
    client.send(9, leader_only);
    let answer = only_partition(client.receive_produce(9).1);
    assert_eq!(answer.error_code, ErrorCode::NONE);
}

#[test]
fn the_journal_tells_attempts_that_were_refused() {
    let (broker, mut client) = one_node();
    broker.remove_leader("t", 0).unwrap();
    let bytes = sequenced(3, 4, &["a"]);
    for _ in 0..2 {
        let code = client.produce_code("t", 0, bytes.clone());
        assert_eq!(code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    let requests = broker.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].batches, requests[1].batches);
    let header = &requests[0].batches[0].header;
    assert_eq!(
        (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence
        ),
        (7, 3, 4)
    );
    assert_eq!(requests[0].partitions[0].to_string(), "t-0");
    assert_eq!(
        (requests[0].acks, requests[0].api),
        (Some(-1), Api::Produce)
    );
}
