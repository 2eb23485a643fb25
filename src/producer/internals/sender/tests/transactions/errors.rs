//! The effect of each API's error codes.

use super::*;

/// Sends the API's request, and responds with the code. Returns the result that waits for it.
fn refuse(
    fixture: &mut Fixture,
    key: ApiKey,
    code: ErrorCode,
) -> Option<Arc<TransactionalRequestResult>> {
    let manager = Arc::clone(fixture.ledger.transactions().unwrap());
    match key {
        ApiKey::InitProducerId => {
            let result = manager.initialize_transactions().unwrap();
            fixture.serve_coordinator();
            fixture.serve(key, init_response(code, ProducerIdAndEpoch::NONE));
            Some(result)
        }
        ApiKey::FindCoordinator => {
            let result = fixture.send_offsets(&[(0, 1)]);
            fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
            fixture.serve(key, coordinator(code, -1));
            Some(result)
        }
        ApiKey::AddPartitionsToTxn => {
            fixture.append(1);
            fixture.serve(key, added(&[(1, code)]));
            None
        }
        ApiKey::AddOffsetsToTxn => {
            let result = fixture.send_offsets(&[(0, 1)]);
            fixture.serve(key, offsets_added(code));
            Some(result)
        }
        ApiKey::TxnOffsetCommit => {
            let result = fixture.send_offsets(&[(0, 1)]);
            fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
            fixture.serve_coordinator();
            fixture.serve(key, offsets_committed(&[(0, code)]));
            Some(result)
        }
        ApiKey::EndTxn => {
            let result = manager.begin_commit().unwrap();
            fixture.serve(key, ended(code));
            Some(result)
        }
        other => panic!("{other} is not one of them"),
    }
}

const IN_TRANSACTION: [ApiKey; 5] = [
    ApiKey::FindCoordinator,
    ApiKey::AddPartitionsToTxn,
    ApiKey::AddOffsetsToTxn,
    ApiKey::TxnOffsetCommit,
    ApiKey::EndTxn,
];

fn error_of(fixture: &Fixture, result: Option<&Arc<TransactionalRequestResult>>) -> Error {
    match result {
        Some(result) => outcome(result).unwrap().unwrap_err(),
        None => fixture.error_state(),
    }
}

// Java: TransactionManagerTest.testProducerFencedException...,
// testInvalidProducerEpochConvertToProducerFenced in each API.
#[test]
fn fencing_is_fatal_whichever_api_tells_of_it() {
    for code in [
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_PRODUCER_EPOCH,
    ] {
        for key in IN_TRANSACTION
            .into_iter()
            .filter(|key| *key != ApiKey::FindCoordinator)
        {
            let mut fixture = with_record();
            let result = refuse(&mut fixture, key, code);
            let error = error_of(&fixture, result.as_ref());
            assert_eq!(error.kind(), ErrorKind::Fenced, "{key}: {error:?}");
            assert!(error.is_fatal());
            fixture.assert_fenced();
            for refused in [
                fixture.manager().begin_abort().map(drop),
                fixture.manager().begin_transaction(),
            ] {
                assert_eq!(refused.unwrap_err().kind(), ErrorKind::Fenced);
            }
        }
        let mut fixture = transactional(Setup::default());
        let result = refuse(&mut fixture, ApiKey::InitProducerId, code).unwrap();
        let error = outcome(&result).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced);
    }
}

// Java: TransactionManagerTest.testTransactionAbortableException... in all six APIs.
#[test]
fn transaction_abortable_aborts_in_each_api() {
    for key in IN_TRANSACTION {
        let mut fixture = with_record();
        let result = refuse(&mut fixture, key, ErrorCode::TRANSACTION_ABORTABLE);
        let error = error_of(&fixture, result.as_ref());
        assert!(
            error.is_abortable() && !error.is_fatal(),
            "{key}: {error:?}"
        );
        fixture.assert_abortable();
        fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
        fixture.begin();
    }
    let mut fixture = transactional(Setup::default());
    let code = ErrorCode::TRANSACTION_ABORTABLE;
    let result = refuse(&mut fixture, ApiKey::InitProducerId, code).unwrap();
    assert!(outcome(&result).unwrap().unwrap_err().is_abortable());
    let result = fixture.manager().begin_abort().unwrap();
    fixture.serve_producer_id(PRODUCER);
    outcome(&result).unwrap().unwrap();
    fixture.begin();
}

#[test]
fn errors_that_end_the_producer() {
    let id = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    let mapping = ErrorCode::INVALID_PRODUCER_ID_MAPPING;
    let state = ErrorCode::INVALID_TXN_STATE;
    for (key, code) in [
        (ApiKey::AddPartitionsToTxn, id),
        (ApiKey::AddPartitionsToTxn, mapping),
        (ApiKey::AddPartitionsToTxn, state),
        (ApiKey::AddOffsetsToTxn, id),
        (ApiKey::AddOffsetsToTxn, state),
        (ApiKey::AddOffsetsToTxn, ErrorCode::UNKNOWN_SERVER_ERROR),
        (ApiKey::FindCoordinator, ErrorCode::INVALID_GROUP_ID),
        (ApiKey::TxnOffsetCommit, id),
        (
            ApiKey::TxnOffsetCommit,
            ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ),
        (ApiKey::EndTxn, id),
        (ApiKey::EndTxn, state),
        (ApiKey::EndTxn, mapping),
    ] {
        let mut fixture = with_record();
        let result = refuse(&mut fixture, key, code);
        let error = error_of(&fixture, result.as_ref());
        assert!(error.is_fatal(), "{key} {code}: {error:?}");
        fixture.assert_state("FatalError");
    }
    let code = ErrorCode::INVALID_TRANSACTION_TIMEOUT;
    let mut fixture = transactional(Setup::default());
    let result = refuse(&mut fixture, ApiKey::InitProducerId, code).unwrap();
    assert!(outcome(&result).unwrap().unwrap_err().is_fatal());
}

// Java: TransactionManagerTest.testTopicAuthorizationFailureInAddPartitions, testGroupAuthorizationFailureIn...,
// testFencedInstanceIdInTxnOffsetCommitByGroupMetadata, testUnknownMemberId..., testIllegalGeneration...
#[test]
fn errors_that_abort_the_transaction() {
    for (key, code) in [
        (
            ApiKey::AddPartitionsToTxn,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ),
        (
            ApiKey::AddPartitionsToTxn,
            ErrorCode::OPERATION_NOT_ATTEMPTED,
        ),
        (ApiKey::AddPartitionsToTxn, ErrorCode::UNKNOWN_SERVER_ERROR),
        (ApiKey::AddPartitionsToTxn, ErrorCode::UNKNOWN_PRODUCER_ID),
        (
            ApiKey::FindCoordinator,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ),
        (
            ApiKey::AddOffsetsToTxn,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ),
        (ApiKey::AddOffsetsToTxn, ErrorCode::UNKNOWN_PRODUCER_ID),
        (
            ApiKey::TxnOffsetCommit,
            ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ),
        (ApiKey::TxnOffsetCommit, ErrorCode::FENCED_INSTANCE_ID),
        (ApiKey::TxnOffsetCommit, ErrorCode::UNKNOWN_MEMBER_ID),
        (ApiKey::TxnOffsetCommit, ErrorCode::ILLEGAL_GENERATION),
        (ApiKey::EndTxn, ErrorCode::UNKNOWN_PRODUCER_ID),
    ] {
        let mut fixture = with_record();
        let result = refuse(&mut fixture, key, code);
        if let Some(result) = &result {
            let error = outcome(result).unwrap().unwrap_err();
            assert_eq!(error.code(), Some(code), "{key} {code}");
        }
        fixture.assert_abortable();
        fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
    }
}

// Java: TransactionManagerTest.testNoEndTxnRequestIfOnlyFailedAddPartitions..., testFailedAddOffsets...
#[test]
fn no_end_txn_if_nothing_joined_the_transaction() {
    let mut fixture = in_transaction();
    let sent = fixture.append(0);
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    fixture.serve(ApiKey::AddPartitionsToTxn, added(&[(0, code)]));
    assert_eq!(sent.error().kind(), ErrorKind::Transaction);
    assert!(sent.error().is_abortable());
    fixture.assert_abortable();
    let cause = std::error::Error::source(&fixture.error_state())
        .unwrap()
        .to_string();
    let text = "the partition cannot join the transaction: TOPIC_AUTHORIZATION_FAILED";
    assert!(cause.starts_with(&format!("{TOPIC}-0: {text}")), "{cause}");
    fixture.abort(&[ApiKey::InitProducerId]);
    fixture.begin();
    fixture.send_added(0);
}

// Java: TransactionManagerTest.testTransactionalIdAuthorizationFailureInInitProducerId,
// testRecoveryFromAbortableAuthorizationError...: rights that are granted later do not require a
// new producer.
#[test]
fn initialization_can_be_tried_again_when_rights_are_granted() {
    for code in [
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    ] {
        let mut fixture = transactional(Setup::default());
        let result = refuse(&mut fixture, ApiKey::InitProducerId, code).unwrap();
        let error = outcome(&result).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authorization);
        assert!(!error.is_fatal());
        fixture.assert_state("Uninitialized");
        let result = fixture.manager().initialize_transactions().unwrap();
        fixture.serve_producer_id(PRODUCER);
        outcome(&result).unwrap().unwrap();
        fixture.begin();
    }
}

// Java: TransactionManagerTest.testRetriableErrors..., testUnknownTopicOrPartition/testCoordinatorLoadInProgress in offset commits.
#[test]
fn retriable_errors_are_retried_in_each_api() {
    let loading = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    let mut fixture = transactional(Setup::default());
    let result = fixture.manager().initialize_transactions().unwrap();
    fixture.serve(ApiKey::FindCoordinator, coordinator(loading, -1));
    assert_eq!(fixture.apis(), []);
    fixture.back_off();
    fixture.serve_coordinator();
    let body = init_response(ErrorCode::CONCURRENT_TRANSACTIONS, ProducerIdAndEpoch::NONE);
    fixture.serve(ApiKey::InitProducerId, body);
    fixture.back_off();
    fixture.serve_producer_id(PRODUCER);
    outcome(&result).unwrap().unwrap();
    fixture.begin();
    fixture.append(0);
    fixture.serve(ApiKey::AddPartitionsToTxn, added(&[(0, loading)]));
    fixture.back_off();
    fixture.serve_added(0);
    fixture.answer(NONE, 0);
    let result = fixture.send_offsets(&[(0, 1), (1, 2)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(loading));
    fixture.back_off();
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.serve_coordinator();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    fixture.serve(
        ApiKey::TxnOffsetCommit,
        offsets_committed(&[(0, NONE), (1, unknown)]),
    );
    fixture.back_off();
    let RequestBody::TxnOffsetCommit(request) = fixture.request(ApiKey::TxnOffsetCommit) else {
        unreachable!()
    };
    let left: Vec<_> = request.topics[0].partitions.iter().collect();
    assert_eq!(left.len(), 1, "what is committed is not committed again");
    assert_eq!(left[0].partition_index, 1);
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(1, NONE)]));
    outcome(&result).unwrap().unwrap();
    let result = fixture.manager().begin_commit().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert!(outcome(&result).is_none());
    fixture.back_off();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
    fixture.assert_state("Ready");
}

// Java: TransactionManagerTest.testRetriableErrorHandlingWhenConcurrentTransactions..., "20 ms only for first partition".
#[test]
fn concurrent_transactions_backs_off_less_for_the_first_partition() {
    let concurrent = ErrorCode::CONCURRENT_TRANSACTIONS;
    let mut fixture = in_transaction();
    fixture.append(0);
    fixture.serve(ApiKey::AddPartitionsToTxn, added(&[(0, concurrent)]));
    fixture.advance(19);
    fixture.run();
    assert_eq!(fixture.apis(), []);
    fixture.advance(1);
    fixture.serve_added(0);
    fixture.answer(NONE, 0);
    fixture.append(1);
    fixture.serve(ApiKey::AddPartitionsToTxn, added(&[(1, concurrent)]));
    fixture.advance(20);
    fixture.run();
    assert_eq!(
        fixture.apis(),
        [],
        "a partition is in the transaction already"
    );
    fixture.back_off();
    fixture.serve_added(1);
}

// Java fails the transaction for UNKNOWN_PRODUCER_ID. A broker that returns it for sequence 0 would
// return it for the next epoch too.
#[test]
fn a_producer_id_that_no_broker_knows_ends_the_producer() {
    for code in [
        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ErrorCode::UNKNOWN_PRODUCER_ID,
    ] {
        let mut fixture = in_transaction();
        let sent = fixture.send_added(0);
        fixture.answer(code, -1);
        assert!(sent.error().is_fatal(), "{code}");
        assert_eq!(sent.error().delivery(), Delivery::NotWritten);
        assert_eq!(fixture.ledger.fatal_error().unwrap().code(), Some(code));
    }
}
