//! Closing with a transaction open.

use super::*;

fn close(fixture: &Fixture) {
    fixture.accumulator.close();
    fixture.sender.control().initiate_close();
}

// Java: SenderTest.testIncompleteTransactionAbortOnShutdown.
#[test]
fn close_aborts_an_incomplete_transaction() {
    let mut fixture = with_record();
    close(&fixture);
    assert!(fixture.sender.should_run());
    let RequestBody::EndTxn(request) = fixture.request(ApiKey::EndTxn) else {
        unreachable!()
    };
    assert!(!request.committed);
    assert!(fixture.sender.should_run());
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    assert!(!fixture.sender.should_run());
}

// Java: SenderTest.testTransactionalRequestsSentOnShutdown.
#[test]
fn close_sends_the_end_of_the_transaction() {
    let mut fixture = with_record();
    let result = fixture.manager().begin_commit().unwrap();
    close(&fixture);
    assert!(fixture.sender.should_run());
    let RequestBody::EndTxn(request) = fixture.request(ApiKey::EndTxn) else {
        unreachable!()
    };
    assert!(request.committed, "what was asked for is done");
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
    assert!(!fixture.sender.should_run());
}

// Java: SenderTest.testForceShutdownWithIncompleteTransaction,
// TransactionManagerTest.testFailPendingRequestsOnClose...
#[test]
fn a_forced_close_fails_the_pending_commit() {
    let mut fixture = with_record();
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    fixture.sender.control().force_close();
    assert!(!fixture.sender.should_run());
    let reason = Error::new(ErrorKind::Closed, "closed");
    fixture.sender.shut_down(&reason, |_, _, _| true);
    let error = outcome(&result).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.delivery(), Delivery::MaybeWritten);
    let manager = fixture.manager();
    let closed = manager.begin_abort().unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
}

// Java: SenderTest.testSenderShouldCloseWhenTransactionManagerInErrorState.
#[test]
fn the_sender_closes_after_a_fatal_error() {
    let mut fixture = in_transaction();
    fixture.append(0);
    fixture.serve(
        ApiKey::AddPartitionsToTxn,
        added(&[(0, ErrorCode::PRODUCER_FENCED)]),
    );
    fixture.assert_fenced();
    close(&fixture);
    assert!(!fixture.sender.should_run());
}
