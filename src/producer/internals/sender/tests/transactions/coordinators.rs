//! Coordinators that move, vanish and come back.

use super::*;

// Java: TransactionManagerTest.testDisconnectAndRetry, testLookupCoordinatorOnDisconnectAfterSend.
#[test]
fn a_disconnect_after_a_request_looks_up_the_coordinator_again() {
    let mut fixture = transactional(Setup::default());
    let result = fixture.manager().initialize_transactions().unwrap();
    fixture.run();
    fixture.lose_coordinator();
    fixture.serve_coordinator();
    fixture.request(ApiKey::InitProducerId);
    fixture.lose_coordinator();
    fixture.serve(ApiKey::FindCoordinator, coordinator(NONE, 1));
    fixture.back_off();
    fixture.request(ApiKey::InitProducerId);
    let destination = fixture.client().requests()[0].request.destination;
    assert_eq!(destination, NodeId(1));
    fixture.serve_producer_id(PRODUCER);
    outcome(&result).unwrap().unwrap();
}

// Java: TransactionManagerTest.testLookupCoordinatorOnDisconnectBeforeSend.
#[test]
fn a_disconnect_before_a_request_looks_up_the_coordinator_again() {
    let mut fixture = transactional(Setup::default());
    fixture.manager().initialize_transactions().unwrap();
    fixture.request(ApiKey::FindCoordinator);
    fixture.client().backoff(NodeId(1), Duration::from_secs(1));
    fixture.serve(ApiKey::FindCoordinator, coordinator(NONE, 1));
    assert_eq!(fixture.apis(), [], "node 1 cannot be reached");
    fixture.back_off();
    fixture.serve_coordinator();
    fixture.serve_producer_id(PRODUCER);
}

// Java: TransactionManagerTest.testLookupCoordinatorOnNotCoordinatorError.
#[test]
fn not_coordinator_looks_up_the_coordinator_again() {
    for code in [
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
    ] {
        let mut fixture = with_record();
        let offsets = fixture.send_offsets(&[(0, 1)]);
        let moved = |fixture: &mut Fixture, key, body: ResponseBody| {
            fixture.serve(key, body);
            fixture.back_off();
            fixture.serve_coordinator();
            fixture.back_off();
        };
        moved(
            &mut fixture,
            ApiKey::AddOffsetsToTxn,
            offsets_added(code).into(),
        );
        fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
        fixture.serve_coordinator();
        moved(
            &mut fixture,
            ApiKey::TxnOffsetCommit,
            offsets_committed(&[(0, code)]).into(),
        );
        fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
        outcome(&offsets).unwrap().unwrap();
        fixture.append(1);
        moved(
            &mut fixture,
            ApiKey::AddPartitionsToTxn,
            added(&[(1, code)]).into(),
        );
        fixture.serve_added(1);
        fixture.client().respond(ok(1, 0));
        fixture.run();
        let result = fixture.manager().begin_commit().unwrap();
        moved(&mut fixture, ApiKey::EndTxn, ended(code).into());
        fixture.serve(ApiKey::EndTxn, ended(NONE));
        outcome(&result).unwrap().unwrap();
        fixture.assert_state("Ready");
    }
}

// Java: TransactionManagerTest.testUnsupportedFindCoordinator, testUnsupportedInitTransactions.
#[test]
fn brokers_without_transactions_are_fatal() {
    for served in 0..2 {
        let mut fixture = transactional(Setup::default());
        let result = fixture.manager().initialize_transactions().unwrap();
        if served > 0 {
            fixture.client().prepare_response(coordinator(NONE, 0));
        }
        fixture.client().prepare_unsupported_version(|_| true);
        fixture.run();
        let error = outcome(&result).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
        assert!(error.is_fatal());
        fixture.assert_state("FatalError");
    }
}

// Java: TransactionManagerTest.testGroupMetadata...Downgrade: a broker that cannot carry the member.
#[test]
fn a_broker_that_cannot_carry_group_metadata_is_fatal() {
    let mut fixture = in_transaction();
    let group = ConsumerGroupMetadata::new(GROUP).generation(1, "member");
    let result = fixture.send_offsets_of(&[(0, 3)], &group);
    fixture.request(ApiKey::AddOffsetsToTxn);
    fixture.client().prepare_response(coordinator(NONE, 0));
    fixture.client().prepare_unsupported_version(|_| true);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    assert!(outcome(&result).unwrap().unwrap_err().is_fatal());
}

// Java: TransactionManagerTest.testFindCoordinatorAllowedInAbortableErrorState.
#[test]
fn find_coordinator_completes_in_the_abortable_state() {
    let mut fixture = with_record();
    fixture.send_offsets(&[(0, 1)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.request(ApiKey::FindCoordinator);
    fixture
        .manager()
        .handle_error_in_transaction(Error::new(ErrorKind::RecordTooLarge, "too large"));
    fixture.assert_abortable();
    fixture.serve_coordinator();
    assert_eq!(fixture.apis(), [], "the offsets are not committed any more");
    fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
}

// Repeated look-ups of a coordinator that does nothing must not flood the brokers.
#[test]
fn repeated_lookups_of_a_coordinator_back_off() {
    let mut fixture = transactional(Setup::default());
    fixture.manager().initialize_transactions().unwrap();
    let mut lookups = 0;
    for _ in 0..1000 {
        fixture.run();
        match fixture.apis().first() {
            Some(ApiKey::FindCoordinator) => {
                lookups += 1;
                fixture.client().respond(coordinator(NONE, 0));
            }
            Some(ApiKey::InitProducerId) => {
                let body = init_response(ErrorCode::NOT_COORDINATOR, ProducerIdAndEpoch::NONE);
                fixture.client().respond(body);
            }
            _ => fixture.advance(1),
        }
    }
    assert!(lookups > 5, "{lookups}");
    assert!(lookups <= 2 + 1000 / 50, "{lookups} in a second");
}

// Java: TransactionManagerTest.testGroupCoordinator...: every group has its own.
#[test]
fn another_group_has_another_coordinator() {
    let mut fixture = in_transaction();
    for (group, node) in [("a", 0), ("b", 1), ("b", 1)] {
        let is_known = fixture.client().requests().is_empty() && node == 1;
        fixture.send_offsets_of(&[(0, 1)], &ConsumerGroupMetadata::new(group));
        fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
        if fixture.apis() == [ApiKey::FindCoordinator] {
            fixture.serve(ApiKey::FindCoordinator, coordinator(NONE, node));
        } else {
            assert!(is_known);
        }
        let sent = fixture.client().requests()[0].request.destination;
        assert_eq!(sent, NodeId(node));
        fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    }
}
