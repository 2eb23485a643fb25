//! Metadata: descriptions, creations and refusals of topics.

use super::*;
use crate::protocol::messages::{
    MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use crate::testing::TopicConfig;

fn by_name(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic {
        topic_id: Uuid::ZERO,
        name: Some(Arc::from(*name)),
    });
    MetadataRequest {
        topics: Some(topics.collect()),
        allow_auto_topic_creation: true,
        include_cluster_authorized_operations: false,
        include_topic_authorized_operations: false,
    }
}

fn ask(client: &mut Client, version: i16, request: MetadataRequest) -> MetadataResponse {
    match client.call(version, request) {
        ResponseBody::Metadata(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_version_describes_the_cluster() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .racks(["a", "b"])
        .cluster_id("c1");
    let broker = broker.topic("t", 2).replication_factor(2).start().unwrap();
    broker.move_leader("t", 1, NodeId(1)).unwrap();
    broker.stop_node(NodeId(3)).unwrap();
    let mut client = Client::connect(&broker, 1);
    for version in ApiKey::Metadata.versions() {
        let response = ask(&mut client, version, by_name(&["t"]));
        assert_eq!(response.cluster_id.as_deref(), Some("c1"));
        assert_eq!(response.controller_id, 1);
        let nodes: Vec<_> = response
            .brokers
            .iter()
            .map(|b| (b.node_id, b.port, b.rack.as_deref()))
            .collect();
        let port = |node| i32::from(broker.port(NodeId(node)).unwrap());
        assert_eq!(nodes, [(1, port(1), Some("a")), (2, port(2), Some("b"))]);
        let topic = &response.topics[0];
        let id = if version >= 10 {
            broker.topic_id("t").unwrap()
        } else {
            Uuid::ZERO
        };
        assert_eq!((topic.name.as_deref(), topic.topic_id), (Some("t"), id));
        assert_eq!(topic.partitions[0].leader_id, 1);
        let expected = MetadataPartition {
            error_code: ErrorCode::NONE,
            partition_index: 1,
            leader_id: 1,
            leader_epoch: if version >= 7 { 1 } else { -1 },
            replica_nodes: vec![2, 3, 1],
            isr_nodes: vec![2, 1],
            offline_replicas: if version >= 5 { vec![3] } else { vec![] },
        };
        assert_eq!(topic.partitions[1], expected, "v{version}");
    }
}

#[test]
fn topics_are_created_on_demand_where_both_sides_allow_it() {
    let defaults = TopicConfig::new(4);
    let broker = FakeBroker::builder()
        .default_topic(defaults)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let mut request = by_name(&["new", "a/b"]);
    request.allow_auto_topic_creation = false;
    let response = ask(&mut client, 9, request);
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(
        response.topics[1].error_code,
        ErrorCode::INVALID_TOPIC_EXCEPTION
    );
    assert_eq!(broker.topic_id("new"), None);
    let response = ask(&mut client, 9, by_name(&["new", "a/b"]));
    let codes: Vec<_> = response.topics.iter().map(|t| t.error_code).collect();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(codes, [unknown, ErrorCode::INVALID_TOPIC_EXCEPTION]);
    let response = ask(&mut client, 9, by_name(&["new"]));
    assert_eq!(response.topics[0].partitions.len(), 4);

    let broker = FakeBroker::builder()
        .auto_create_topics(false)
        .start()
        .unwrap();
    let response = ask(&mut Client::connect(&broker, 1), 9, by_name(&["new"]));
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn the_leader_of_a_topic_created_on_demand_refuses_the_first_batch() {
    let broker = FakeBroker::builder().nodes(2).start().unwrap();
    let mut clients = [1, 2].map(|node| Client::connect(&broker, node));
    ask(&mut clients[0], 9, by_name(&["new"]));
    let response = ask(&mut clients[0], 9, by_name(&["new"]));
    assert_eq!(response.topics[0].partitions[0].leader_id, 1);
    let mut codes = |node: usize| clients[node - 1].produce_code("new", 0, plain(&["a"]));
    let not_leader = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let codes = [2, 1, 1, 1].map(&mut codes);
    assert_eq!(
        codes,
        [not_leader, not_leader, ErrorCode::NONE, ErrorCode::NONE]
    );
    assert_eq!(broker.record_count("new"), 2);
}

#[test]
fn a_topic_is_created_at_once_where_the_builder_says_so() {
    let broker = FakeBroker::builder()
        .instant_auto_creation(true)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let response = ask(&mut client, 9, by_name(&["new"]));
    assert_eq!(response.topics[0].partitions[0].leader_id, 1);
    let code = client.produce_code("new", 0, plain(&["a"]));
    assert_eq!(code, ErrorCode::NONE);
}

// Java (broker): the controller refuses the name, and Metadata does not report that.
#[test]
fn a_topic_whose_name_collides_is_not_created() {
    for is_instant in [false, true] {
        let broker = FakeBroker::builder()
            .topic("coll.a", 1)
            .instant_auto_creation(is_instant)
            .start()
            .unwrap();
        let mut client = Client::connect(&broker, 1);
        for _ in 0..2 {
            let response = ask(&mut client, 9, by_name(&["coll_a"]));
            let code = response.topics[0].error_code;
            assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let error = broker.create_topic("coll_a", TopicConfig::new(1));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("INVALID_TOPIC_EXCEPTION"), "{text}");
    }
}

#[test]
fn internal_topics_are_marked() {
    let broker = FakeBroker::builder()
        .topic("__consumer_offsets", 1)
        .topic("t", 1)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let names = ["__consumer_offsets", "__transaction_state", "t"];
    let response = ask(&mut client, 9, by_name(&names));
    let internal: Vec<_> = response.topics.iter().map(|t| t.is_internal).collect();
    assert_eq!(internal, [true, true, false]);
}

#[test]
fn metadata_lists_all_topics_or_none() {
    let broker = FakeBroker::builder()
        .topic("a", 1)
        .topic("b", 1)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let names = |response: MetadataResponse| {
        let topics = response.topics.into_iter();
        topics.filter_map(|topic| topic.name).collect::<Vec<_>>()
    };
    let mut all = by_name(&[]);
    assert!(names(ask(&mut client, 9, all.clone())).is_empty());
    all.topics = None;
    assert_eq!(
        names(ask(&mut client, 9, all)),
        [Arc::from("a"), Arc::from("b")]
    );
    assert!(broker.requests()[1].is_for_all_topics);
}

#[test]
fn topics_can_be_asked_for_by_id() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let mut client = Client::connect(&broker, 1);
    let mut request = by_name(&["t"]);
    request.topics.as_mut().unwrap()[0] = MetadataRequestTopic {
        topic_id: broker.topic_id("t").unwrap(),
        name: None,
    };
    let known = ask(&mut client, 12, request.clone());
    assert_eq!(known.topics[0].name.as_deref(), Some("t"));
    assert_eq!(broker.requests()[0].topics, ["t"]);
    broker.recreate_topic("t").unwrap();
    let unknown = ask(&mut client, 12, request);
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(unknown.topics[0].name, None);
}

#[test]
fn a_recreated_topic_is_empty_with_a_new_id() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("t", 1)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    client.produce("t", 0, sequenced(0, 0, &["a"]));
    broker.move_leader("t", 0, NodeId(2)).unwrap();
    let old = broker.topic_id("t");
    broker.recreate_topic("t").unwrap();
    assert_ne!(broker.topic_id("t"), old);
    assert_eq!(
        (broker.log_end_offset("t", 0), broker.leader_epoch("t", 0)),
        (0, Some(0))
    );
    let answer = client.produce("t", 0, sequenced(0, 9, &["b"]));
    assert_eq!(
        answer.error_code,
        ErrorCode::NONE,
        "no producer is known any more"
    );

    broker.delete_topic("t").unwrap();
    assert!(broker.delete_topic("t").is_err());
    assert_eq!(broker.topic_id("t"), None);
    let code = client.produce_code("t", 0, plain(&["c"]));
    assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_topic_can_grow() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let mut client = Client::connect(&broker, 1);
    broker.add_partitions("t", 3).unwrap();
    assert_eq!(
        ask(&mut client, 9, by_name(&["t"])).topics[0]
            .partitions
            .len(),
        3
    );
    assert_eq!(client.produce_code("t", 2, plain(&["a"])), ErrorCode::NONE);
    assert!(broker.add_partitions("t", 3).is_err());
}

#[test]
fn a_partition_can_be_without_a_leader() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let mut client = Client::connect(&broker, 1);
    broker.remove_leader("t", 0).unwrap();
    let partition = ask(&mut client, 9, by_name(&["t"])).topics[0].partitions[0].clone();
    assert_eq!(partition.error_code, ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!((partition.leader_id, partition.leader_epoch), (-1, 1));
}

#[test]
fn another_address_can_be_advertised() {
    let broker = FakeBroker::builder().start().unwrap();
    broker.advertise(NodeId(1), "elsewhere", 1).unwrap();
    let response = ask(&mut Client::connect(&broker, 1), 9, by_name(&[]));
    let node = &response.brokers[0];
    assert_eq!((node.host.as_str(), node.port), ("elsewhere", 1));
}

#[test]
fn a_scripted_error_fails_a_topic_or_a_partition() {
    use crate::testing::{Action, Api};
    let broker = FakeBroker::builder()
        .topic("a", 2)
        .topic("b", 1)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    broker.on(Api::Metadata).topic("a").then(Action::fail(code));
    let response = ask(&mut client, 9, by_name(&["a", "b"]));
    assert_eq!(response.topics[0].error_code, code);
    assert!(response.topics[0].partitions.is_empty());
    assert_eq!(response.topics[1].error_code, ErrorCode::NONE);

    let code = ErrorCode::LEADER_NOT_AVAILABLE;
    broker
        .on(Api::Metadata)
        .partition("a", 1)
        .then(Action::fail(code));
    let response = ask(&mut client, 9, by_name(&["a"]));
    let codes: Vec<_> = response.topics[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [ErrorCode::NONE, code]);

    let code = ErrorCode::REBOOTSTRAP_REQUIRED;
    broker.on(Api::Metadata).then(Action::fail(code));
    assert_eq!(ask(&mut client, 13, by_name(&["a"])).error_code, code);
    assert_eq!(broker.unspent_rules(), 0);
}
