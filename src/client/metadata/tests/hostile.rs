//! Responses of a hostile broker.

use super::*;

#[test]
fn odd_partition_numbers_are_harmless() {
    let f = Fixture::new();
    f.add(&["t"]);
    f.update_all(&response(vec![topic(
        "t",
        vec![
            partition(i32::MAX, 0, 1),
            partition(-1, 0, 1),
            partition(i32::MIN, 0, 1),
            partition(7, 1, 1),
            partition(7, 2, 1),
            partition(0, 1, 1),
        ],
    )]));
    let cluster = f.metadata.load();
    let info = cluster.topic("t").unwrap();
    let numbers: Vec<_> = info.partitions().iter().map(|p| p.partition()).collect();
    // There is a queue for each number up to the largest.
    assert_eq!(numbers, [0, 7]);
    assert_eq!(f.leader("t", -1), None);
}

#[test]
fn brokers_that_cannot_be_connected_to_are_ignored() {
    let with = |node_id, host: &str, port| MetadataBroker {
        node_id,
        host: host.to_owned(),
        port,
        rack: None,
    };
    let long = "h".repeat(32_767);
    let bad = [
        with(5, "", 9092),
        with(6, "h", 0),
        with(7, "h", -1),
        with(8, "h", 70_000),
        with(-5, "h", 9092),
        with(9, &long, 9092),
        with(10, "a\nb", 9092),
        with(11, "a b", 9092),
    ];
    let f = Fixture::new();
    f.add(&["t"]);
    let mut answer = response(vec![topic("t", vec![partition(0, 7, 1)])]);
    answer.brokers.extend(bad.clone());
    answer.brokers.push(with(0, "second", 1));
    f.update_all(&answer);
    let cluster = f.metadata.load();
    let hosts: Vec<_> = cluster.nodes().iter().map(Node::host).collect();
    assert_eq!(hosts, ["host0", "host1", "host2"]);
    assert_eq!(f.leader("t", 0), None);

    // Metadata without a usable broker are refused.
    let (_, version) = f.request();
    answer.brokers = bad.to_vec();
    let now = f.time.now();
    assert!(!f.metadata.update_with(version, &answer, VERSION, now));
    assert_eq!(f.metadata.load().nodes().len(), 3);
    let cause = f.metadata.connection_failure().unwrap().to_string();
    assert_eq!(
        cause,
        "node 5 advertises the host '': the host is missing; \
         node 6 advertises the port 0, which is not between 1 and 65535; \
         node 7 advertises the port -1, which is not between 1 and 65535; and 5 more"
    );
    answer.brokers = vec![with(0, "h", 1), with(8, "h", 65_536)];
    f.update_all(&answer);
    let cause = f.metadata.unusable_nodes().unwrap().to_string();
    assert_eq!(
        cause,
        "node 8 advertises the port 65536, which is not between 1 and 65535"
    );
    answer.brokers.pop();
    f.update_all(&answer);
    assert!(f.metadata.connection_failure().is_none(), "it is mended");
    assert!(node_from_wire(9, &long, 1, None).unwrap_err().len() < 400);
}

#[test]
fn an_ipv6_address_may_have_brackets_and_a_scope() {
    let f = Fixture::new();
    let mut answer = response(Vec::new());
    answer.brokers = vec![broker(1), broker(2)];
    answer.brokers[0].host = "[::1]".to_owned();
    answer.brokers[1].host = "[fe80::1%eth0]".to_owned();
    f.update_all(&answer);
    let cluster = f.metadata.load();
    let hosts: Vec<_> = cluster.nodes().iter().map(Node::host).collect();
    assert_eq!(hosts, ["::1", "fe80::1%eth0"]);
}

#[test]
fn many_partitions_and_brokers_are_kept() {
    let f = Fixture::new();
    f.add(&["t"]);
    let partitions = (0..100_000).map(|index| partition(index, index % 1000, 1));
    let mut answer = response(vec![topic("t", partitions.collect())]);
    answer.brokers = (0..1000).map(broker).collect();
    f.update_all(&answer);
    assert_eq!(f.metadata.load().partition_count("t"), Some(100_000));
    assert_eq!(f.leader("t", 99_999), Some(999));
}

#[test]
fn a_nameless_topic_is_ignored_and_the_last_of_two_is_kept() {
    let f = Fixture::new();
    f.add(&["t"]);
    let nameless = MetadataTopic {
        name: None,
        ..topic("", vec![partition(0, 0, 1)])
    };
    f.update_all(&response(vec![
        nameless,
        topic("t", vec![partition(0, 0, 1)]),
        topic("t", vec![partition(0, 1, 2), partition(1, 1, 2)]),
    ]));
    assert_eq!(f.metadata.load().topics().count(), 1);
    assert_eq!(f.metadata.load().partition_count("t"), Some(2));
}
