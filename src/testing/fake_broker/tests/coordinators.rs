//! FindCoordinator, and nodes that are not the coordinator.

use super::transactional_client::TransactionalClient;
use super::*;
use crate::protocol::messages::{Coordinator, FindCoordinatorRequest};
use crate::testing::{Action, Api, Failure};

const GROUP: i8 = FindCoordinatorRequest::GROUP;
const TRANSACTION: i8 = FindCoordinatorRequest::TRANSACTION;

fn find(client: &mut Client, version: i16, key_type: i8, keys: &[&str]) -> Vec<Coordinator> {
    let request = FindCoordinatorRequest {
        key_type,
        coordinator_keys: keys.iter().map(|key| Arc::from(*key)).collect(),
    };
    match client.call(version, request) {
        ResponseBody::FindCoordinator(response) => response.coordinators,
        other => panic!("{other:?}"),
    }
}

fn three_nodes() -> FakeBroker {
    FakeBroker::builder()
        .nodes(3)
        .topic("t", 1)
        .start()
        .unwrap()
}

#[test]
fn every_version_finds_the_coordinator() {
    let broker = three_nodes();
    let mut client = Client::connect(&broker, 2);
    for version in ApiKey::FindCoordinator.versions() {
        for (key_type, node) in [
            (GROUP, broker.group_coordinator("k")),
            (TRANSACTION, broker.transaction_coordinator("k")),
        ] {
            let found = find(&mut client, version, key_type, &["k"]);
            let expected = Coordinator {
                key: Arc::from(if version >= 4 { "k" } else { "" }),
                node_id: node.unwrap().0,
                host: "127.0.0.1".into(),
                port: i32::from(broker.port(node.unwrap()).unwrap()),
                error_code: ErrorCode::NONE,
                error_message: None,
            };
            assert_eq!(found, [expected], "v{version}");
        }
    }
    let found = find(&mut client, 4, TRANSACTION, &["a", "b", "c"]);
    let keys: Vec<_> = found.iter().map(|found| &*found.key).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    let refused = find(&mut client, 6, 2, &["k"]);
    assert_eq!(refused[0].error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn keys_are_spread_over_the_nodes() {
    let broker = three_nodes();
    for node in broker.nodes() {
        let has_some = |find: &dyn Fn(&str) -> Option<NodeId>| {
            (0..100).any(|number| find(&number.to_string()) == Some(node))
        };
        assert!(has_some(&|key| broker.transaction_coordinator(key)));
        assert!(has_some(&|key| broker.group_coordinator(key)));
    }
}

#[test]
fn the_lookup_can_fail() {
    let broker = three_nodes();
    let mut client = Client::connect(&broker, 1);
    let code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let failure = Failure::new(code).message("later");
    broker
        .on(Api::FindCoordinator)
        .times(2)
        .then(Action::fail(failure));
    for version in [3, 4] {
        let found = &find(&mut client, version, TRANSACTION, &["k"])[0];
        assert_eq!((found.error_code, found.node_id), (code, -1));
        assert_eq!(found.error_message.as_deref(), Some("later"));
    }
    let found = &find(&mut client, 4, TRANSACTION, &["k"])[0];
    assert_eq!(found.error_code, ErrorCode::NONE);
}

#[test]
fn only_the_coordinator_answers() {
    let broker = three_nodes();
    let code = ErrorCode::NOT_COORDINATOR;
    broker.move_transaction_coordinator("x", NodeId(1)).unwrap();
    broker.move_group_coordinator("g", NodeId(1)).unwrap();
    let mut producer = TransactionalClient::start(&broker, "x", false);
    producer.produce("a");
    assert_eq!(producer.add_offsets(3, "g"), ErrorCode::NONE);

    broker.move_transaction_coordinator("x", NodeId(2)).unwrap();
    assert_eq!(producer.init(), code);
    assert_eq!(producer.add_partitions(3, "t", &[0]), [code]);
    assert_eq!(producer.add_offsets(3, "g"), code);
    assert_eq!(producer.end(true), code);
    let offsets = producer.offsets("g", &[(0, 1)]);
    assert_eq!(producer.commit_offsets(3, offsets), [ErrorCode::NONE]);
    broker.move_group_coordinator("g", NodeId(2)).unwrap();
    let offsets = producer.offsets("g", &[(0, 1)]);
    assert_eq!(producer.commit_offsets(3, offsets), [code]);

    // The transaction continues on its new coordinator.
    producer.client = Client::connect(&broker, 2);
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(broker.committed_records("t").len(), 1);
    assert_eq!(broker.committed_offsets("g").len(), 1);
}

#[test]
fn another_node_coordinates_while_one_is_stopped() {
    let broker = three_nodes();
    let node = broker.transaction_coordinator("x").unwrap();
    broker.stop_node(node).unwrap();
    let next = broker.transaction_coordinator("x").unwrap();
    assert_ne!(next, node);
    assert!(broker.move_transaction_coordinator("x", node).is_err());
    assert!(broker.move_group_coordinator("x", NodeId(9)).is_err());
    let found = find(
        &mut Client::connect(&broker, next.0),
        4,
        TRANSACTION,
        &["x"],
    );
    assert_eq!(found[0].node_id, next.0);
    broker.start_node(node).unwrap();
    assert_eq!(broker.transaction_coordinator("x"), Some(node));
    for node in broker.nodes() {
        broker.stop_node(node).unwrap();
    }
    assert_eq!(broker.group_coordinator("g"), None);
}
