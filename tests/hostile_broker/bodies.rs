//! Valid frames with invalid bodies: nonsense, absurd counts, and topics, partitions and codes that
//! nobody asked for or that do not exist.

use kafka_producer::ErrorCode;
use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker};

use super::{APIS, PATIENCE, panics, quick, recovers, send_all, survives};

fn body(bytes: impl Into<Vec<u8>>) -> Action {
    Action::apply().reply_with_body(bytes)
}

#[test]
fn bodies_of_nonsense_are_survived() {
    panics::watch();
    for api in APIS {
        survives(api, 2, "nothing", &body([]));
        survives(api, 2, "a zero", &body([0]));
        survives(api, 2, "zeros", &body([0; 1000]));
        survives(api, 2, "ones", &body([0xff; 1000]));
        survives(api, 2, "sevens", &body([0x7f; 1000]));
        survives(api, 2, "text", &body(*b"no broker would say this"));
    }
}

/// Counts of up to four billion, at each place where the first count could be read.
#[test]
fn absurd_counts_are_survived() {
    panics::watch();
    for api in [Api::ApiVersions, Api::Metadata, Api::Produce] {
        for lead in 0..12 {
            let compact = [0xff, 0xff, 0xff, 0xff, 0x0f];
            let classic = [0x7f, 0xff, 0xff, 0xff];
            for count in [&compact[..], &classic] {
                let bytes = [&vec![0; lead], count, &[0; 64]].concat();
                survives(api, 1, &format!("a count at {lead}"), &body(bytes));
            }
        }
    }
}

/// A partition's number, error code and base offset.
type Answer = (i32, i16, i64);

/// A Produce response of version 3 with these topics.
fn produce_v3(topics: &[(&str, &[Answer])]) -> Vec<u8> {
    let mut bytes = (topics.len() as i32).to_be_bytes().to_vec();
    for (name, partitions) in topics {
        bytes.extend((name.len() as i16).to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend((partitions.len() as i32).to_be_bytes());
        for (index, code, offset) in *partitions {
            bytes.extend(index.to_be_bytes());
            bytes.extend(code.to_be_bytes());
            bytes.extend(offset.to_be_bytes());
            bytes.extend((-1_i64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

/// Sends a record and answers it with this Produce response of version 3. Returns the acknowledged
/// values.
fn produce_is_answered(name: &str, bytes: Vec<u8>) -> Vec<String> {
    panics::watch();
    let broker = FakeBroker::builder()
        .topic("orders", 1)
        .versions(Api::Produce, 3..=3)
        .start()
        .unwrap();
    let producer = quick(&broker.bootstrap_servers()).build().unwrap();
    broker.on(Api::Produce).then(body(bytes));
    let acked = send_all(&producer, name);
    recovers(&producer, PATIENCE).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    super::assert_in_log_once(&broker, &acked);
    producer.close(PATIENCE).unwrap();
    panics::assert_none(name);
    acked
}

#[test]
fn an_answer_that_names_a_partition_twice() {
    // The first one counts.
    let twice = produce_v3(&[("orders", &[(0, 0, 0), (0, 10, -1), (0, 0, 99)])]);
    assert_eq!(produce_is_answered("twice", twice).len(), super::RECORDS);
    let both = produce_v3(&[("orders", &[(0, 0, 0)]), ("orders", &[(0, 10, -1)])]);
    assert_eq!(produce_is_answered("both", both).len(), super::RECORDS);
}

#[test]
fn a_response_about_other_partitions_is_survived() {
    for (name, answer) in [
        ("no topic", produce_v3(&[])),
        ("no partition", produce_v3(&[("orders", &[])])),
        ("another topic", produce_v3(&[("other", &[(0, 0, 0)])])),
        ("another partition", produce_v3(&[("orders", &[(1, 0, 0)])])),
        (
            "impossible partitions",
            produce_v3(&[("orders", &[(-1, 0, 0), (i32::MIN, 0, 0), (i32::MAX, 0, 0)])]),
        ),
        ("a topic without a name", produce_v3(&[("", &[(0, 0, 0)])])),
    ] {
        // The batch is sent again, and the broker reports a duplicate.
        let acked = produce_is_answered(name, answer);
        assert_eq!(acked.len(), super::RECORDS, "{name}");
    }
}

#[test]
fn a_response_with_impossible_offsets_acknowledges_the_records() {
    for offset in [-1, -2, i64::MIN, i64::MAX, i64::MAX - 1] {
        let answer = produce_v3(&[("orders", &[(0, 0, offset)])]);
        let acked = produce_is_answered(&format!("offset {offset}"), answer);
        assert_eq!(acked.len(), super::RECORDS, "offset {offset}");
    }
}

#[test]
fn codes_that_nobody_knows() {
    panics::watch();
    for code in [-2, -1, 77, 999, i16::MAX, i16::MIN] {
        let failure = Action::fail(ErrorCode::from_i16(code));
        survives(Api::Produce, 2, &format!("code {code}"), &failure);
        survives(Api::Metadata, 2, &format!("code {code}"), &failure);
        survives(Api::ApiVersions, 2, &format!("code {code}"), &failure);
    }
}

/// Addresses that do not exist or that nobody listens on. The bootstrap address still works.
#[test]
fn brokers_at_impossible_addresses_are_survived() {
    panics::watch();
    for host in [
        "",
        "no such host",
        "\u{0}",
        "0.0.0.0",
        "::",
        "256.1.1.1",
        &"x".repeat(300),
    ] {
        let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
        let port = broker.port(NodeId(1)).unwrap();
        broker.advertise(NodeId(1), host, 1).unwrap();
        let producer = quick(&broker.bootstrap_servers()).build().unwrap();
        send_all(&producer, host);
        broker.advertise(NodeId(1), "127.0.0.1", port).unwrap();
        recovers(&producer, PATIENCE).unwrap_or_else(|error| panic!("{host}: {error:?}"));
        producer.close(PATIENCE).unwrap();
        panics::assert_none(host);
    }
}
