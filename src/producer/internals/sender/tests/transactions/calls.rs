//! Calls that do not fit the state, and calls that time out.

use super::*;
use crate::common::Cluster;

// Java: TransactionManagerTest.testFailIfNotReadyForSendNoProducerId, ...NoOngoingTransaction, ...AfterAbortableError,
// ...AfterFatalError.
#[test]
fn fail_if_not_ready_for_send() {
    let mut fixture = transactional(Setup::default());
    let refused = |fixture: &Fixture, hint: &str| {
        let error = fixture.try_append(0, b"value", None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::IllegalState);
        assert!(error.to_string().contains(hint), "{error}");
    };
    refused(&fixture, "init_transactions");
    fixture.init_transactions();
    refused(&fixture, "begin_transaction");
    fixture.begin();
    fixture.append(0);
    fixture.manager().begin_commit().unwrap();
    refused(&fixture, "commit_transaction");
}

#[test]
fn calls_out_of_turn_are_refused_and_change_nothing() {
    let mut fixture = transactional(Setup::default());
    let is_illegal = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IllegalState, "{error}");
        assert!(!error.is_fatal() && !error.is_abortable());
    };
    let manager = Arc::clone(fixture.ledger.transactions().unwrap());
    is_illegal(manager.begin_transaction());
    is_illegal(manager.begin_commit().map(drop));
    is_illegal(manager.begin_abort().map(drop));
    fixture.init_transactions();
    // Java: TransactionManagerTest.testInitializeTransactionsTwiceRaisesError.
    is_illegal(manager.initialize_transactions().map(drop));
    is_illegal(manager.begin_commit().map(drop));
    is_illegal(manager.begin_abort().map(drop));
    let group = ConsumerGroupMetadata::new(GROUP);
    let send_offsets =
        || manager.send_offsets_to_transaction(Vec::new(), &group, &Cluster::default());
    is_illegal(send_offsets().map(drop));
    fixture.begin();
    is_illegal(manager.begin_transaction());
    is_illegal(manager.initialize_transactions().map(drop));
    fixture.assert_state("InTransaction");
    fixture.abort(&[]);
}

fn times_out(result: &TransactionalRequestResult) {
    let error = result.wait(Duration::ZERO).unwrap_err();
    assert!(error.is_timeout() && error.is_retriable(), "{error:?}");
    assert!(!error.is_fatal() && !error.is_abortable());
}

// Java: TransactionManagerTest.testRetryInitTransactionsAfterTimeout.
#[test]
fn init_transactions_can_be_called_again_after_a_timeout() {
    let mut fixture = transactional(Setup::default());
    let first = fixture.manager().initialize_transactions().unwrap();
    fixture.run();
    times_out(&first);
    for refused in [
        fixture.manager().begin_transaction(),
        fixture.manager().begin_commit().map(drop),
        fixture.manager().begin_abort().map(drop),
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("init_transactions"), "{text}");
    }
    let again = fixture.manager().initialize_transactions().unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    fixture.serve_coordinator();
    fixture.serve_producer_id(PRODUCER);
    assert!(
        fixture.manager().begin_transaction().is_err(),
        "nobody has seen the outcome"
    );
    again.wait(Duration::ZERO).unwrap();
    fixture.begin();
}

// Java: TransactionManagerTest.testRetryCommitTransactionAfterTimeout, testRetryAbortTransactionAfterCommitTimeout.
#[test]
fn commit_transaction_can_be_called_again_after_a_timeout() {
    let mut fixture = with_record();
    let first = fixture.manager().begin_commit().unwrap();
    times_out(&first);
    assert_eq!(
        first.wait(Duration::ZERO).unwrap_err().delivery(),
        Delivery::NotWritten,
        "nothing was asked yet"
    );
    fixture.request(ApiKey::EndTxn);
    assert_eq!(
        first.wait(Duration::ZERO).unwrap_err().delivery(),
        Delivery::MaybeWritten
    );
    let text = fixture.manager().begin_abort().unwrap_err().to_string();
    assert!(text.contains("commit_transaction"), "{text}");
    assert!(fixture.manager().begin_transaction().is_err());
    let again = fixture.manager().begin_commit().unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    again.wait(Duration::ZERO).unwrap();
    fixture.begin();
}

// Java: TransactionManagerTest.testRetryAbortTransactionAfterTimeout, testRetryCommitTransactionAfterAbortTimeout.
#[test]
fn abort_transaction_can_be_called_again_after_a_timeout() {
    let mut fixture = with_record();
    let first = fixture.manager().begin_abort().unwrap();
    fixture.run();
    times_out(&first);
    assert!(fixture.manager().begin_commit().is_err());
    let again = fixture.manager().begin_abort().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    again.wait(Duration::ZERO).unwrap();
    fixture.begin();
}

// A send on another thread fails while the commit is running. It was not part of the transaction.
#[test]
fn a_send_that_fails_late_does_not_touch_the_commit() {
    let mut fixture = with_record();
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    let late = Error::new(ErrorKind::Timeout, "no metadata");
    let told = fixture.manager().handle_error_in_transaction(late);
    assert!(!told.is_abortable());
    fixture.assert_state("CommittingTransaction");
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
}

#[test]
fn offsets_can_be_sent_again_after_a_time_out() {
    let mut fixture = in_transaction();
    let first = fixture.send_offsets(&[(0, 1)]);
    fixture.run();
    times_out(&first);
    let again = fixture.send_offsets(&[(0, 1)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    fixture.serve_coordinator();
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    first.wait(Duration::ZERO).unwrap();
    again.wait(Duration::ZERO).unwrap();
    fixture.commit();
}
