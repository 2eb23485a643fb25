//! Requests of one transaction must not arrive in the next one: after an indefinite outcome, no
//! transaction begins under the same epoch.

use super::*;

#[derive(Clone, Copy, Debug)]
enum Indefinite {
    /// The connection is lost after the request was written.
    Lost,
    /// The broker returns an error that does not tell the outcome.
    Code(ErrorCode),
}

/// Ends the request of this API without a definite outcome, and lets the next attempt succeed.
fn make_indefinite(
    fixture: &mut Fixture,
    key: ApiKey,
    how: Indefinite,
    good: impl Into<ResponseBody>,
) {
    fixture.request(key);
    match (how, key) {
        (Indefinite::Lost, _) => {
            fixture.client().lose(NodeId(0));
            fixture.run();
            fixture.back_off();
            if fixture.apis() == [ApiKey::FindCoordinator] {
                fixture.serve_coordinator();
            }
            fixture.back_off();
        }
        (Indefinite::Code(code), ApiKey::AddPartitionsToTxn) => {
            fixture.serve(key, added(&[(0, code)]));
        }
        (Indefinite::Code(code), ApiKey::AddOffsetsToTxn) => {
            fixture.serve(key, offsets_added(code))
        }
        (Indefinite::Code(code), _) => fixture.serve(key, ended(code)),
    }
    fixture.back_off();
    fixture.serve(key, good);
}

/// Commits. The commit waits for the next epoch, and succeeds because the transaction was
/// committed.
fn commit_with_bump(fixture: &mut Fixture) {
    let result = fixture.manager().begin_commit().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    bumped(fixture, &result);
}

fn bumped(fixture: &mut Fixture, result: &TransactionalRequestResult) {
    assert!(outcome(result).is_none(), "the epoch is not bumped");
    fixture.assert_state("Initializing");
    assert!(fixture.manager().begin_transaction().is_err());
    let RequestBody::InitProducerId(request) = fixture.request(ApiKey::InitProducerId) else {
        unreachable!()
    };
    assert_eq!((request.producer_id, request.producer_epoch), (343_434, 0));
    fixture.serve_producer_id(epoch(1));
    outcome(result).unwrap().unwrap();
    fixture.begin();
}

#[test]
fn after_an_indefinite_end_txn_the_epoch_is_bumped() {
    for how in [
        Indefinite::Lost,
        Indefinite::Code(ErrorCode::REQUEST_TIMED_OUT),
    ] {
        let mut fixture = with_record();
        let result = fixture.manager().begin_commit().unwrap();
        make_indefinite(&mut fixture, ApiKey::EndTxn, how, ended(NONE));
        bumped(&mut fixture, &result);
    }
}

#[test]
fn after_an_indefinite_add_partitions_the_epoch_is_bumped() {
    for how in [
        Indefinite::Lost,
        Indefinite::Code(ErrorCode::REQUEST_TIMED_OUT),
    ] {
        let mut fixture = in_transaction();
        fixture.append(0);
        let good = added(&[(0, NONE)]);
        make_indefinite(&mut fixture, ApiKey::AddPartitionsToTxn, how, good);
        fixture.back_off();
        fixture.answer(NONE, 0);
        commit_with_bump(&mut fixture);
    }
}

#[test]
fn after_an_indefinite_add_offsets_the_epoch_is_bumped() {
    let mut fixture = in_transaction();
    fixture.send_offsets(&[(0, 1)]);
    let good = offsets_added(NONE);
    make_indefinite(
        &mut fixture,
        ApiKey::AddOffsetsToTxn,
        Indefinite::Lost,
        good,
    );
    fixture.serve_coordinator();
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    commit_with_bump(&mut fixture);
}

#[test]
fn after_an_indefinite_offset_commit_the_epoch_is_bumped() {
    let mut fixture = in_transaction();
    fixture.send_offsets(&[(0, 1)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.serve_coordinator();
    let good = offsets_committed(&[(0, NONE)]);
    make_indefinite(
        &mut fixture,
        ApiKey::TxnOffsetCommit,
        Indefinite::Lost,
        good,
    );
    let result = fixture.manager().begin_commit().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    bumped(&mut fixture, &result);
}

#[test]
fn after_an_indefinite_produce_the_epoch_is_bumped() {
    let mut fixture = with_record();
    let sent = fixture.append(0);
    fixture.run();
    fixture.answer(ErrorCode::REQUEST_TIMED_OUT, -1);
    fixture.back_off();
    fixture.answer(NONE, 1);
    assert!(sent.is_done());
    commit_with_bump(&mut fixture);
}

// A request that was never passed to a socket cannot arrive late, so it needs no bump.
#[test]
fn a_request_that_never_left_costs_no_bump() {
    let mut fixture = with_record();
    fixture.client().set_written(false);
    let result = fixture.manager().begin_commit().unwrap();
    let good = ended(NONE);
    make_indefinite(&mut fixture, ApiKey::EndTxn, Indefinite::Lost, good);
    outcome(&result).unwrap().unwrap();
    fixture.assert_state("Ready");
}

// No commit succeeds after an error: only a response to EndTxn means success.
#[test]
fn a_commit_that_fails_after_an_indefinite_attempt_may_have_happened() {
    let mut fixture = with_record();
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    fixture.client().lose(NodeId(0));
    fixture.run();
    fixture.back_off();
    fixture.serve_coordinator();
    fixture.back_off();
    fixture.serve(ApiKey::EndTxn, ended(ErrorCode::PRODUCER_FENCED));
    let error = outcome(&result).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);

    for (code, delivery) in [
        (ErrorCode::PRODUCER_FENCED, Delivery::NotWritten),
        (ErrorCode::INVALID_TXN_STATE, Delivery::NotWritten),
        (ErrorCode::UNKNOWN_SERVER_ERROR, Delivery::MaybeWritten),
        (ErrorCode::from_i16(9999), Delivery::MaybeWritten),
    ] {
        let mut fixture = with_record();
        let result = fixture.manager().begin_commit().unwrap();
        fixture.serve(ApiKey::EndTxn, ended(code));
        let error = outcome(&result).unwrap().unwrap_err();
        assert_eq!(error.delivery(), delivery, "{code}");
    }
}

// The transaction was committed, and then another producer took over. The commit succeeds, and
// later calls fail.
#[test]
fn a_bump_that_fails_does_not_undo_the_commit() {
    let mut fixture = with_record();
    let result = fixture.manager().begin_commit().unwrap();
    make_indefinite(&mut fixture, ApiKey::EndTxn, Indefinite::Lost, ended(NONE));
    let fenced = init_response(ErrorCode::PRODUCER_FENCED, ProducerIdAndEpoch::NONE);
    fixture.serve(ApiKey::InitProducerId, fenced);
    outcome(&result).unwrap().unwrap();
    fixture.assert_fenced();
}

// Before Kafka 2.5 a producer cannot bump its own epoch, and InitProducerId would fence a producer
// that has taken over since.
#[test]
fn without_bump_support_the_producer_ends_after_an_indefinite_end() {
    let mut fixture = transactional(Setup::default());
    fixture
        .client()
        .set_node_api_versions(NodeId(0), &OLD_COORDINATOR);
    fixture.init_transactions();
    fixture.begin();
    fixture.send_offsets(&[(0, 1)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.serve_coordinator();
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    let result = fixture.manager().begin_commit().unwrap();
    make_indefinite(&mut fixture, ApiKey::EndTxn, Indefinite::Lost, ended(NONE));
    outcome(&result).unwrap().unwrap();
    let error = fixture.manager().begin_transaction().unwrap_err();
    assert!(error.is_fatal(), "{error:?}");
}

/// A coordinator whose log was written, but not by enough followers in time, returns such a code.
/// The next coordinator reads the log and has the transaction. It would fence a producer that
/// requests a bump before the end of it.
#[test]
fn an_abort_ends_a_transaction_that_a_coordinator_may_have_logged() {
    for code in [
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_COORDINATOR,
    ] {
        let mut fixture = initialized_with(expiring());
        fixture.begin();
        let sent = fixture.append(0);
        fixture.serve(ApiKey::AddPartitionsToTxn, added(&[(0, code)]));
        fixture.advance(900);
        fixture.run();
        assert_eq!(sent.error().kind(), ErrorKind::Timeout);
        fixture.assert_abortable();
        let result = fixture.manager().begin_abort().unwrap();
        fixture.serve_coordinator();
        fixture.back_off();
        fixture.serve_added(0);
        fixture.serve(ApiKey::EndTxn, ended(NONE));
        fixture.serve_producer_id(epoch(1));
        outcome(&result).unwrap().unwrap();
    }
}

const OLD_COORDINATOR: [(ApiKey, i16, i16); 6] = [
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::InitProducerId, 0, 1),
    (ApiKey::AddPartitionsToTxn, 0, 1),
    (ApiKey::AddOffsetsToTxn, 0, 1),
    (ApiKey::TxnOffsetCommit, 0, 2),
    (ApiKey::EndTxn, 0, 1),
];
