//! Failed records, and the producer's recovery.

use super::*;

/// Sends a record to partition 0, which already has one, and responds with the code.
fn refused(code: ErrorCode) -> (Fixture, Sent) {
    let mut fixture = with_record();
    let sent = fixture.append(0);
    fixture.run();
    fixture.answer(code, -1);
    fixture.run();
    (fixture, sent)
}

// Java: TransactionManagerTest.testDisallowCommitOnProduceFailure, testAllowAbortOnProduceFailure,
// testProducerEpochBumpOnAbortableError..., SenderTest.testInvalidTxnStateIsAnAbortableError,
// testTransactionAbortableExceptionIsAnAbortableError.
#[test]
fn a_refused_record_aborts_the_transaction_and_bumps_the_epoch() {
    for code in [
        ErrorCode::INVALID_RECORD,
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::INVALID_TXN_STATE,
        ErrorCode::TRANSACTION_ABORTABLE,
        // Java: TransactionManagerTest.testInvalidProducerEpochFromProduce: abortable, because the
        // abort shows whether the producer is fenced.
        ErrorCode::INVALID_PRODUCER_EPOCH,
        // Out of order within a transaction: the commit must fail, so that no loss goes unnoticed.
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::UNKNOWN_SERVER_ERROR,
    ] {
        let (mut fixture, sent) = refused(code);
        assert_eq!(sent.error().code(), Some(code));
        assert!(sent.error().is_abortable(), "{code}");
        fixture.assert_abortable();
        fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
        fixture.begin();
        fixture.send_added(0);
        assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)], "{code}");
        fixture.assert_state("InTransaction");
    }
}

// Java: SenderTest.testClusterAuthorizationExceptionInProduceRequest and its neighbours, with transactions.
#[test]
fn some_refusals_end_the_producer() {
    for code in [
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::INVALID_PRODUCER_ID_MAPPING,
        ErrorCode::UNSUPPORTED_VERSION,
    ] {
        let (fixture, sent) = refused(code);
        assert!(sent.error().is_fatal(), "{code}");
        fixture.assert_state("FatalError");
        assert!(fixture.manager().begin_abort().is_err());
    }
}

// As in librdkafka 1.8.2: a transaction never requests another producer id, so that no loss goes
// unnoticed.
#[test]
fn out_of_order_in_a_transaction_asks_for_nothing_before_the_abort() {
    let (mut fixture, _) = refused(OUT_OF_ORDER);
    let result = fixture.manager().begin_commit();
    assert!(result.is_err());
    fixture.back_off();
    assert_eq!(fixture.apis(), []);
    fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
}

// Java: TransactionManagerTest.testDropCommitOnBatchExpiry, testTransitionToAbortableErrorOnBatchExpiry.
#[test]
fn a_commit_fails_when_a_batch_expires() {
    let mut fixture = with_record();
    fixture.client().backoff(NodeId(0), Duration::from_secs(10));
    let sent = fixture.append(0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.run();
    fixture.advance(1500);
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::Timeout);
    let error = outcome(&result).unwrap().unwrap_err();
    assert!(error.is_abortable(), "{error:?}");
    assert_eq!(error.delivery(), Delivery::NotWritten);
    fixture.assert_abortable();
    assert_eq!(fixture.apis(), []);
    fixture.advance(10_000);
    let result = fixture.manager().begin_abort().unwrap();
    fixture.back_off();
    if fixture.apis() == [ApiKey::FindCoordinator] {
        fixture.serve_coordinator();
    }
    fixture.back_off();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    fixture.serve_producer_id(epoch(1));
    outcome(&result).unwrap().unwrap();
}

// Java: TransactionManagerTest.testBumpTransactionalEpochOnTimeout. A record expires in flight: the
// transaction does not end before its request has.
#[test]
fn an_expired_batch_in_flight_bumps_the_epoch_on_abort() {
    let mut fixture = initialized_with(expiring());
    fixture.begin();
    let sent = fixture.send_added(0);
    fixture.advance(900);
    fixture.run();
    assert_eq!(sent.error().kind(), ErrorKind::Timeout);
    assert_eq!(sent.error().delivery(), Delivery::MaybeWritten);
    fixture.assert_abortable();
    let result = fixture.manager().begin_abort().unwrap();
    fixture.run();
    assert_eq!(
        fixture.apis(),
        [ApiKey::Produce],
        "it may still be appended"
    );
    fixture.answer(NONE, 0);
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    fixture.serve_producer_id(epoch(1));
    outcome(&result).unwrap().unwrap();
}

// Java: TransactionManagerTest.testNoFailedBatchHandlingWhenTxnManagerIsInFatalError.
#[test]
fn everything_fails_after_a_fatal_error() {
    let mut fixture = with_record();
    let in_flight = fixture.append(0);
    fixture.run();
    let waiting = fixture.append(1);
    fixture.serve(
        ApiKey::AddPartitionsToTxn,
        added(&[(1, ErrorCode::PRODUCER_FENCED)]),
    );
    for sent in [in_flight, waiting] {
        assert_eq!(sent.error().kind(), ErrorKind::Fenced);
    }
    fixture.client().respond(ok(0, 1));
    fixture.run();
    fixture.assert_fenced();
}

// Java: TransactionManagerTest.testAbortableErrorWhileAbortInProgress.
#[test]
fn a_record_that_fails_during_an_abort_lets_the_abort_complete() {
    let mut fixture = with_record();
    let sent = fixture.append(0);
    fixture.run();
    let result = fixture.manager().begin_abort().unwrap();
    fixture.run();
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
    fixture.answer(ErrorCode::INVALID_RECORD, -1);
    assert!(sent.is_done());
    fixture.assert_state("AbortingTransaction");
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    fixture.serve_producer_id(epoch(1));
    outcome(&result).unwrap().unwrap();
}

// If the coordinator refuses an abort, a new epoch aborts the transaction instead.
#[test]
fn an_abort_that_is_refused_is_made_by_a_bump() {
    let mut fixture = with_record();
    let result = fixture.manager().begin_abort().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(ErrorCode::TRANSACTION_ABORTABLE));
    fixture.serve_producer_id(epoch(1));
    outcome(&result).unwrap().unwrap();
    fixture.begin();
}

// Java: TransactionManagerTest.testHealthyPartitionRetriesDuringEpochBump.
#[test]
fn a_healthy_partition_retries_while_another_bumps_the_epoch() {
    let mut fixture = with_record();
    fixture.send_added(1);
    fixture.client().respond(ok(1, 0));
    fixture.run();
    let sick = fixture.append(0);
    let healthy = fixture.append(1);
    fixture.run();
    let retriable = produce_response(1, ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    fixture.client().respond_from(NodeId(1), retriable);
    let refusal = produce_response(0, ErrorCode::INVALID_RECORD, -1);
    fixture.client().respond_from(NodeId(0), refusal);
    fixture.run();
    assert!(sick.is_done() && !healthy.is_done());
    let result = fixture.manager().begin_abort().unwrap();
    fixture.back_off();
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
    fixture.client().respond(ok(1, 1));
    fixture.run();
    assert!(healthy.is_done());
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    fixture.serve_producer_id(epoch(1));
    outcome(&result).unwrap().unwrap();
}

// Java: TransactionManagerTest.testRetryAbortTransaction..., testFailedInflightBatchAfterEpochBump:
// records behind a refused one fail too, and block nothing.
#[test]
fn what_follows_a_refused_record_fails_with_it() {
    let mut fixture = with_record();
    let sent = [fixture.send(0), fixture.send(0), fixture.send(0)];
    assert_eq!(fixture.base_sequences(), [1, 2, 3]);
    fixture.answer_sequence(1, ErrorCode::INVALID_RECORD, -1);
    fixture.answer_sequence(2, OUT_OF_ORDER, -1);
    fixture.answer_sequence(3, OUT_OF_ORDER, -1);
    fixture.run();
    assert!(sent.iter().all(Sent::is_done));
    fixture.assert_abortable();
    fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
    fixture.assert_all_memory_is_back();
}

// A refused part of a split batch aborts its transaction, and none of it is renumbered.
#[test]
fn a_part_of_a_split_batch_that_is_refused_aborts_the_transaction() {
    let mut fixture = with_record();
    let value = [1; 500];
    let sent = [(); 2].map(|()| fixture.append_value(0, &value));
    fixture.run();
    fixture.answer(ErrorCode::MESSAGE_TOO_LARGE, -1);
    fixture.run();
    fixture.answer(NONE, 1);
    fixture.run();
    assert_eq!(fixture.base_sequences(), [2]);
    fixture.answer(OUT_OF_ORDER, -1);
    fixture.run();
    assert_eq!(sent[0].offset(), 1);
    assert!(sent[1].error().is_abortable());
    fixture.assert_abortable();
    fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
    fixture.begin();
    fixture.send_added(0);
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
}

// The abort comes between the parts. The end waits for all of them, because brokers may have the
// one in flight.
#[test]
fn an_abort_waits_for_the_parts_of_a_split_batch() {
    let mut fixture = with_record();
    let value = [1; 500];
    let sent = [(); 2].map(|()| fixture.append_value(0, &value));
    fixture.run();
    fixture.answer(ErrorCode::MESSAGE_TOO_LARGE, -1);
    fixture.run();
    let result = fixture.manager().begin_abort().unwrap();
    fixture.run();
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
    fixture.answer(NONE, 1);
    fixture.run();
    assert_eq!(fixture.base_sequences(), [2]);
    fixture.answer(NONE, 2);
    fixture.run();
    assert!(sent.iter().all(Sent::is_done));
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
    fixture.assert_all_memory_is_back();
}

// If a producer's epochs are used up, the coordinator responds to the bump with another producer
// id.
#[test]
fn a_bump_may_bring_another_producer_id() {
    let (mut fixture, _) = refused(ErrorCode::INVALID_RECORD);
    let result = fixture.manager().begin_abort().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    let next = ProducerIdAndEpoch {
        producer_id: 7,
        epoch: 0,
    };
    fixture.serve_producer_id(next);
    outcome(&result).unwrap().unwrap();
    assert_eq!(fixture.ledger.producer_id_and_epoch(), next);
    fixture.begin();
    let sent = fixture.send_added(0);
    let expected = BatchSequence {
        producer: next,
        ..sequence(0, 0, 1)
    };
    assert_eq!(fixture.sent_sequences(), [expected]);
    fixture.answer(NONE, 2);
    assert_eq!(sent.offset(), 2);
    fixture.commit();
}

// Responses in another order: the later batches are retried until the outcome of the first is
// known, and then fail.
#[test]
fn batches_behind_a_gap_are_abandoned() {
    let mut fixture = with_record();
    let sent = [fixture.send(0), fixture.send(0), fixture.send(0)];
    fixture.answer_sequence(2, OUT_OF_ORDER, -1);
    fixture.answer_sequence(3, OUT_OF_ORDER, -1);
    fixture.answer_sequence(1, ErrorCode::INVALID_RECORD, -1);
    fixture.run();
    assert!(sent.iter().all(Sent::is_done));
    fixture.assert_abortable();
    fixture.abort(&[ApiKey::EndTxn, ApiKey::InitProducerId]);
}

// Java: TransactionManagerTest.testAbortTransactionAndReuseSequenceNumberOnError, for brokers that cannot bump epochs.
#[test]
fn a_refused_record_without_bump_support() {
    let mut fixture = transactional(Setup::default());
    fixture.client().set_api_versions(&OLD_BROKER);
    fixture.init_transactions();
    fixture.begin();
    fixture.send_added(0);
    fixture.answer(NONE, 0);
    let sent = fixture.append(0);
    fixture.run();
    fixture.answer(ErrorCode::INVALID_RECORD, -1);
    fixture.run();
    assert!(sent.is_done());
    fixture.assert_abortable();
    fixture.abort(&[ApiKey::EndTxn]);
    fixture.begin();
    fixture.send_added(0);
    assert_eq!(
        fixture.sent_sequences(),
        [sequence(0, 1, 1)],
        "the sequence that was not used"
    );
}

// Java: TransactionManagerTest.testTransitionToFatalErrorWhenRetriedBatchIsExpired.
#[test]
fn an_unknown_fate_without_bump_support_is_fatal() {
    let mut fixture = transactional(expiring());
    fixture.client().set_api_versions(&OLD_BROKER);
    fixture.init_transactions();
    fixture.begin();
    let sent = fixture.send_added(0);
    fixture.advance(900);
    fixture.run();
    assert!(sent.is_done());
    fixture.answer(ErrorCode::REQUEST_TIMED_OUT, -1);
    fixture.run();
    fixture.assert_state("FatalError");
    assert!(fixture.error_state().is_fatal());
}

/// Kafka 2.1: no epoch bumps.
const OLD_BROKER: [(ApiKey, i16, i16); 7] = [
    (ApiKey::Produce, 0, 7),
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::InitProducerId, 0, 1),
    (ApiKey::AddPartitionsToTxn, 0, 1),
    (ApiKey::AddOffsetsToTxn, 0, 1),
    (ApiKey::TxnOffsetCommit, 0, 2),
    (ApiKey::EndTxn, 0, 1),
];
