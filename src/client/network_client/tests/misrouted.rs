//! Connections that reach another broker than the intended one (KIP-1242).

use super::*;
use crate::protocol::ErrorCode;
use crate::protocol::messages::ApiVersionsRequest;

const CLUSTER: &str = "cluster-1";

/// Returns a client that knows nodes 0 to 2 of `CLUSTER`.
fn fixture(change: impl FnOnce(&mut NetworkClientConfig)) -> Fixture {
    let mut config = config();
    change(&mut config);
    let mut f = Fixture::bootstrapped(config);
    update(&f);
    assert!(f.poll().is_empty());
    f
}

fn update(f: &Fixture) {
    let (_, version) = f.metadata.new_request(f.now());
    let version = MetadataRequestVersion {
        is_partial: false,
        ..version
    };
    let response = MetadataResponse {
        cluster_id: Some(CLUSTER.to_owned()),
        ..metadata_response()
    };
    assert!(f.metadata.update_with(version, &response, 13, f.now()));
}

/// Connects to the node, and returns its first request.
fn connect(f: &mut Fixture, node: &Node) -> (RequestHeader, ApiVersionsRequest) {
    assert!(!f.client.ready(node, f.now()));
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    match f.sent() {
        (header, RequestBody::ApiVersions(body)) => (header, body),
        (_, other) => panic!("{other:?}"),
    }
}

fn meant(body: &ApiVersionsRequest) -> (Option<&str>, i32) {
    (body.cluster_id.as_deref(), body.node_id)
}

fn refused(error_code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code,
        ..ApiVersionsResponse::default()
    }
}

// Java: NetworkClientTest (4.4). ApiVersions contains the ids only if all of them are known and the
// check is on.
#[test]
fn a_connection_says_which_broker_it_is_meant_for() {
    let mut f = fixture(|_| {});
    let node = f.node(1);
    let (header, body) = connect(&mut f, &node);
    assert_eq!(meant(&body), (Some(CLUSTER), 1));
    // An older broker gets another request, in a version without the ids.
    let older = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        ..versions(&[(ApiKey::ApiVersions, 0, 4)])
    };
    f.answer(NodeId(1), &header, older);
    assert!(f.poll().is_empty());
    assert!(f.poll().is_empty());
    let (header, body) = f.sent();
    assert_eq!(header.api_version, 4);
    let RequestBody::ApiVersions(body) = body else {
        panic!("{body:?}");
    };
    assert_eq!(meant(&body), (None, -1));
}

#[test]
fn a_connection_says_nothing_of_the_broker_that_is_not_known_or_not_checked() {
    let unset = (None, -1);
    let mut bootstrapped = Fixture::bootstrapped(config());
    let server = bootstrapped.node(-1);
    assert_eq!(meant(&connect(&mut bootstrapped, &server).1), unset);

    let mut without_cluster = Fixture::new();
    let node = without_cluster.node(1);
    assert_eq!(meant(&connect(&mut without_cluster, &node).1), unset);

    let mut unchecked = fixture(|config| config.metadata_cluster_check = false);
    let node = unchecked.node(1);
    assert_eq!(meant(&connect(&mut unchecked, &node).1), unset);

    let mut without_recovery =
        fixture(|config| config.metadata_recovery_strategy = MetadataRecoveryStrategy::None);
    let node = without_recovery.node(1);
    assert_eq!(meant(&connect(&mut without_recovery, &node).1), unset);
}

// Java: NetworkClientTest (4.4): REBOOTSTRAP_REQUIRED in ApiVersions closes the connections and rebootstraps.
#[test]
fn a_misrouted_connection_makes_the_client_rebootstrap() {
    let mut f = fixture(|_| {});
    f.make_ready(0);
    let in_flight = f.send(NodeId(0));
    assert!(f.poll().is_empty());
    f.selector.take_sent();
    let node = f.node(1);
    let (header, _) = connect(&mut f, &node);
    f.answer(NodeId(1), &header, refused(ErrorCode::REBOOTSTRAP_REQUIRED));
    let responses = f.poll();
    assert_eq!(failures(&responses), [(in_flight.0, false, true)]);
    assert!(f.metadata.snapshot().is_bootstrap());
    assert_eq!(f.metadata.snapshot().cluster_id(), None);
    let mut closed = f.selector.take_closed();
    closed.sort_unstable();
    assert_eq!(closed, [NodeId(0), NodeId(1)]);
    let error = f.metadata.connection_failure_of(&node).unwrap();
    assert!(
        error
            .to_string()
            .contains("not node 1 of cluster cluster-1"),
        "{error}"
    );
    // The node is in its backoff, which limits the attempts if the address is permanently wrong.
    assert!(f.client.connection_delay(NodeId(1), f.now()) > ms(0));
}

#[test]
fn without_recovery_the_refusal_is_an_error_of_the_node() {
    let mut f =
        fixture(|config| config.metadata_recovery_strategy = MetadataRecoveryStrategy::None);
    let node = f.node(1);
    let (header, _) = connect(&mut f, &node);
    f.answer(NodeId(1), &header, refused(ErrorCode::REBOOTSTRAP_REQUIRED));
    assert!(f.poll().is_empty());
    assert!(!f.metadata.snapshot().is_bootstrap());
    assert!(f.client.connection_failed(NodeId(1)));
}
