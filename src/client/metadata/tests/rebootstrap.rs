//! Starting again from the bootstrap nodes.

use super::*;

// KIP-899.
#[test]
fn starts_again_from_the_nodes_that_the_user_named() {
    let f = Fixture::new();
    f.metadata
        .bootstrap(vec![Node::new(NodeId(-1), "boot", 1, None)]);
    f.add(&["t"]);
    f.update_all(&response_with(&["t"]));
    f.time.advance_ms(BACKOFF_MS);
    let version = f.metadata.update_version();

    f.metadata.rebootstrap();
    let cluster = f.metadata.load();
    assert_eq!(cluster.nodes()[0].host(), "boot");
    assert_eq!(cluster.topics().count(), 0);
    assert_eq!((f.metadata.update_version(), f.due_ms()), (version + 1, 0));
    assert_eq!(f.request().0, ["t"], "what is sent to is not forgotten");

    f.metadata.rebootstrap();
    assert_eq!(
        f.metadata.update_version(),
        version + 1,
        "there is nothing to forget"
    );
}
