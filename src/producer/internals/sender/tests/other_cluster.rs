//! Another cluster behind the same addresses. Both assign the same producer ids.

use super::*;

fn of_cluster(id: &str) -> MetadataResponse {
    MetadataResponse {
        cluster_id: Some(id.to_owned()),
        ..metadata_response([0, 1], 0, TOPIC_ID)
    }
}

impl Fixture {
    fn enter_cluster(&mut self, id: &str) {
        self.client().update_metadata(&of_cluster(id));
        self.run();
    }
}

#[test]
fn another_cluster_gets_a_new_producer_id_before_the_next_batch() {
    let mut fixture = warm();
    fixture.enter_cluster("old");
    let refused = fixture.send(0);
    fixture.answer(ErrorCode::NOT_ENOUGH_REPLICAS, -1);
    let open = fixture.send(1);
    let old_request = fixture.sender.client.requests()[0].correlation_id;
    let unsent = fixture.append(0);

    fixture.enter_cluster("new");
    assert_eq!(open.error().delivery(), Delivery::MaybeWritten);
    assert_eq!(refused.error().delivery(), Delivery::NotWritten);
    assert!(!open.error().is_fatal());
    assert!(!unsent.is_done());
    let asks_for_id = |body: &RequestBody| matches!(body, RequestBody::InitProducerId(_));
    let mut requests = fixture.sender.client.requests().iter();
    let request = requests.find(|sent| asks_for_id(&sent.request.body));
    let request = request.expect("asks for a producer id").correlation_id;
    fixture
        .client()
        .respond_to(request, init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    let last = *fixture.sent_sequences().last().unwrap();
    assert_eq!(last, sequence(0, 0, 1), "from the start, with the same id");

    // A response of the old cluster does not count for the new one.
    fixture.client().respond_to(old_request, ok(1, 5));
    fixture.run();
    assert!(!unsent.is_done());
    fixture.send(0);
    assert_eq!(fixture.in_flight(), 1, "the first has no answer");
    fixture.answer(ErrorCode::NONE, 0);
    assert_eq!(unsent.offset(), 0);
}

#[test]
fn a_producer_id_of_the_old_cluster_is_not_taken() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        ..Setup::default()
    });
    fixture.enter_cluster("old");
    let old_request = fixture.sender.client.requests()[0].correlation_id;
    fixture.enter_cluster("new");
    fixture
        .client()
        .respond_to(old_request, init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    assert!(!fixture.ledger.has_producer_id());
    fixture
        .client()
        .respond(init_response(ErrorCode::NONE, PRODUCER));
    fixture.run();
    assert!(fixture.ledger.has_producer_id());
}

#[test]
fn the_same_cluster_after_a_rebootstrap_changes_nothing() {
    let mut fixture = warm();
    fixture.enter_cluster("same");
    fixture.metadata.bootstrap(Vec::new());
    fixture.run();
    fixture.enter_cluster("same");
    assert_eq!(fixture.in_flight(), 0);
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 1, 1)]);
}

#[test]
fn another_cluster_ends_a_transactional_producer() {
    let mut fixture = Fixture::new(&Setup {
        idempotent: true,
        transactional: true,
        ..Setup::default()
    });
    fixture.enter_cluster("old");
    fixture.enter_cluster("new");
    assert!(fixture.ledger.fatal_error().is_none(), "nothing is lost");
    fixture.manager().initialize_transactions().unwrap();
    fixture.run();
    fixture.enter_cluster("newer");
    let error = fixture.ledger.fatal_error().unwrap();
    assert!(error.is_fatal());
    assert!(error.to_string().contains("newer"), "{error}");
}

#[test]
fn another_cluster_is_nothing_to_a_producer_without_idempotence() {
    let mut fixture = Fixture::plain();
    fixture.enter_cluster("old");
    let sent = fixture.send(0);
    fixture.enter_cluster("new");
    fixture.answer(ErrorCode::NONE, 3);
    assert_eq!(sent.offset(), 3);
}
