//! The transactions of `MockProducerTest`.

use super::*;
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata};

fn transactional(auto_complete: bool) -> MockProducer {
    MockProducer::new(auto_complete).with_transactional_id("payments")
}

fn initialized(auto_complete: bool) -> MockProducer {
    let producer = transactional(auto_complete);
    producer.init_transactions().unwrap();
    producer
}

fn in_transaction(auto_complete: bool) -> MockProducer {
    let producer = initialized(auto_complete);
    producer.begin_transaction().unwrap();
    producer
}

fn offsets(offset: i64) -> HashMap<TopicPartition, OffsetAndMetadata> {
    HashMap::from([(TopicPartition::new("in", 0), offset.into())])
}

fn group(id: &str) -> ConsumerGroupMetadata {
    ConsumerGroupMetadata::new(id)
}

fn kind(result: Result<()>) -> ErrorKind {
    result.unwrap_err().kind()
}

// Java: MockProducerTest.shouldInitTransactions, shouldThrowIfTransactionAlreadyInitialized,
// shouldThrowOnBegin/Send/Commit/AbortIfTransactionsNotInitialized.
#[test]
fn calls_out_of_turn_are_refused() {
    let producer = transactional(true);
    assert!(!producer.transaction_initialized());
    let illegal = ErrorKind::IllegalState;
    assert_eq!(kind(producer.begin_transaction()), illegal);
    assert_eq!(kind(producer.commit_transaction()), illegal);
    assert_eq!(kind(producer.abort_transaction()), illegal);
    assert_eq!(kind(producer.fence_producer()), illegal);
    producer.init_transactions().unwrap();
    assert!(producer.transaction_initialized());
    assert_eq!(kind(producer.init_transactions()), illegal);
    assert_eq!(kind(producer.commit_transaction()), illegal);
    assert_eq!(kind(producer.abort_transaction()), illegal);
    assert_eq!(
        kind(producer.send_offsets_to_transaction(&offsets(1), &group("g"))),
        illegal
    );
    assert_eq!(producer.send(record_1()).unwrap_err().kind(), illegal);
    producer.begin_transaction().unwrap();
    assert_eq!(kind(producer.begin_transaction()), illegal);
}

// Java: MockProducerTest.shouldPublishMessagesOnlyAfterCommitIfTransactionsAreEnabled, shouldCommitEmptyTransaction.
#[test]
fn records_are_in_the_history_only_after_commit() {
    let producer = in_transaction(true);
    assert!(producer.transaction_in_flight());
    drop(producer.send(record_1()).unwrap());
    drop(producer.send(record_2()).unwrap());
    assert!(producer.history().is_empty());
    assert_eq!(producer.uncommitted_records(), [record_1(), record_2()]);
    producer.commit_transaction().unwrap();
    assert_eq!(producer.history(), [record_1(), record_2()]);
    assert!(producer.transaction_committed() && !producer.transaction_in_flight());
    assert_eq!(producer.commit_count(), 1);
    producer.begin_transaction().unwrap();
    assert!(!producer.transaction_committed());
    producer.commit_transaction().unwrap();
    assert_eq!(producer.commit_count(), 2);
}

// Java: MockProducerTest.shouldFlushOnCommitForNonAutoCompleteIfTransactionsAreEnabled.
#[test]
fn commit_completes_unfinished_sends() {
    let producer = in_transaction(false);
    let sent = producer.send(record_1()).unwrap();
    assert!(!sent.is_done());
    producer.commit_transaction().unwrap();
    assert!(sent.get().is_ok());
}

// Java: MockProducerTest.shouldDropMessagesOnAbortForNonAutoCompleteIfTransactionsAreEnabled, shouldAbortEmptyTransaction.
#[test]
fn should_drop_messages_on_abort() {
    let producer = in_transaction(false);
    let sent = producer.send(record_1()).unwrap();
    producer
        .send_offsets_to_transaction(&offsets(1), &group("g"))
        .unwrap();
    producer.abort_transaction().unwrap();
    assert!(producer.transaction_aborted() && !producer.transaction_in_flight());
    assert_eq!(sent.get().unwrap_err().kind(), ErrorKind::Transaction);
    producer.begin_transaction().unwrap();
    producer.commit_transaction().unwrap();
    assert!(producer.history().is_empty());
    assert!(producer.consumer_group_offsets_history().is_empty());
}

// Java: MockProducerTest.shouldAccumulateConsumerGroupOffsets..., shouldAddOffsetsWhenSendOffsetsToTransaction...,
// shouldPreserveOffsetsFromCommitByGroupIdOnAbort..., shouldResetSentOffsetsFlagOnlyWhenBeginningNewTransaction.
#[test]
fn offsets_are_committed_with_the_transaction() {
    let producer = in_transaction(true);
    assert!(!producer.sent_offsets());
    let send = |offset, id: &str| {
        producer
            .send_offsets_to_transaction(&offsets(offset), &group(id))
            .unwrap();
    };
    producer
        .send_offsets_to_transaction(&HashMap::new(), &group("g"))
        .unwrap();
    assert!(!producer.sent_offsets(), "nothing was sent");
    send(42, "g");
    send(43, "g");
    send(7, "h");
    assert!(producer.sent_offsets());
    assert_eq!(producer.uncommitted_offsets()["g"], offsets(43));
    producer.commit_transaction().unwrap();
    assert!(producer.sent_offsets());
    producer.begin_transaction().unwrap();
    assert!(!producer.sent_offsets());
    send(44, "g");
    producer.abort_transaction().unwrap();
    let history = producer.consumer_group_offsets_history();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["g"], offsets(43));
    assert_eq!(history[0]["h"], offsets(7));
    let no_member = group("g").generation(2, "");
    let refused = producer.send_offsets_to_transaction(&offsets(1), &no_member);
    assert_eq!(kind(refused), ErrorKind::IllegalArgument);
}

// Java: MockProducerTest.shouldThrow...IfProducerGotFenced, shouldNotThrowOnFlushProducerIfProducerIsFenced.
#[test]
fn a_fenced_mock_refuses_everything_but_flush_once_it_knows() {
    let producer = in_transaction(true);
    let before = producer.send(record_1()).unwrap();
    assert!(before.get().is_ok());
    producer.fence_producer().unwrap();
    let refused = producer.send(record_1()).unwrap().get().unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert!(producer.commit_transaction().unwrap_err().is_abortable());
    let fenced = ErrorKind::Fenced;
    assert_eq!(kind(producer.abort_transaction()), fenced);
    let refused = producer.send(record_1()).unwrap().get().unwrap_err();
    assert_eq!(refused.kind(), fenced, "where a real producer says so");
    assert_eq!(kind(producer.init_transactions()), fenced);
    assert_eq!(kind(producer.begin_transaction()), fenced);
    assert_eq!(kind(producer.commit_transaction()), fenced);
    assert_eq!(kind(producer.abort_transaction()), fenced);
    let refused = producer.send_offsets_to_transaction(&offsets(1), &group("g"));
    assert_eq!(kind(refused), fenced);
    producer.flush().unwrap();
    producer.close(Duration::ZERO).unwrap();
}

// Java: MockProducerTest.shouldThrow...WhenClosed and the injected errors of each method.
#[test]
fn each_transactional_method_returns_its_injected_error() {
    let producer = transactional(true);
    let error = |kind| Some(Error::from(kind));
    producer.set_init_transactions_error(error(ErrorKind::Timeout));
    assert_eq!(kind(producer.init_transactions()), ErrorKind::Timeout);
    producer.set_init_transactions_error(None);
    assert_eq!(kind(producer.begin_transaction()), ErrorKind::IllegalState);
    producer.init_transactions().unwrap();
    producer.set_begin_transaction_error(error(ErrorKind::Timeout));
    assert_eq!(kind(producer.begin_transaction()), ErrorKind::Timeout);
    producer.set_begin_transaction_error(None);
    producer.begin_transaction().unwrap();
    producer.set_send_offsets_to_transaction_error(error(ErrorKind::Timeout));
    let refused = producer.send_offsets_to_transaction(&offsets(1), &group("g"));
    assert_eq!(kind(refused), ErrorKind::Timeout);
    producer.set_commit_transaction_error(error(ErrorKind::Timeout));
    assert_eq!(kind(producer.commit_transaction()), ErrorKind::Timeout);
    assert!(producer.transaction_in_flight());
    producer.close(Duration::ZERO).unwrap();
    assert_eq!(kind(producer.begin_transaction()), ErrorKind::Closed);
    assert_eq!(kind(producer.commit_transaction()), ErrorKind::Closed);
}

#[test]
fn a_call_that_timed_out_must_be_made_again() {
    let producer = in_transaction(true);
    drop(producer.send(record_1()).unwrap());
    producer.set_commit_transaction_error(Some(ErrorKind::Timeout.into()));
    assert_eq!(kind(producer.commit_transaction()), ErrorKind::Timeout);
    let illegal = ErrorKind::IllegalState;
    assert_eq!(kind(producer.abort_transaction()), illegal);
    assert_eq!(producer.send(record_2()).unwrap_err().kind(), illegal);
    producer.set_commit_transaction_error(None);
    producer.commit_transaction().unwrap();
    assert_eq!(producer.history(), [record_1()]);
}

#[test]
fn a_failed_record_makes_the_commit_refuse() {
    let producer = in_transaction(false);
    let failed = producer.send(record_1()).unwrap();
    producer.error_next((ErrorCode::REQUEST_TIMED_OUT, Delivery::MaybeWritten));
    let error = failed.get().unwrap_err();
    assert!(error.is_abortable(), "{error:?}");
    assert_eq!(
        producer.send(record_2()).unwrap_err().kind(),
        ErrorKind::Transaction
    );
    let refused = producer.commit_transaction().unwrap_err();
    assert!(refused.is_abortable() && !producer.transaction_committed());
    producer.abort_transaction().unwrap();
    assert!(error.is_aborted() && refused.is_aborted());
    assert!(producer.history().is_empty());
    producer.begin_transaction().unwrap();
    drop(producer.send(record_2()).unwrap());
    producer.commit_transaction().unwrap();
    assert_eq!(producer.history(), [record_2()]);
}

#[test]
fn what_the_coordinator_refuses_can_only_be_aborted() {
    let producer = in_transaction(true);
    producer.set_send_offsets_to_transaction_error(Some(ErrorCode::ILLEGAL_GENERATION.into()));
    let refused = producer.send_offsets_to_transaction(&offsets(1), &group("g"));
    assert!(refused.unwrap_err().is_abortable());
    assert!(producer.commit_transaction().unwrap_err().is_abortable());
    producer.abort_transaction().unwrap();

    producer.begin_transaction().unwrap();
    producer.set_commit_transaction_error(Some(ErrorCode::TRANSACTION_ABORTABLE.into()));
    assert!(producer.commit_transaction().unwrap_err().is_abortable());
    producer.abort_transaction().unwrap();

    producer.begin_transaction().unwrap();
    producer.set_commit_transaction_error(Some(ErrorKind::Fenced.into()));
    assert!(producer.commit_transaction().unwrap_err().is_fatal());
    assert_eq!(kind(producer.abort_transaction()), ErrorKind::Fenced);
}

#[test]
fn the_closure_form_commits_and_aborts() {
    let mock = Arc::new(initialized(true));
    let producer: Arc<dyn Producer> = Arc::<MockProducer>::clone(&mock);
    producer
        .transaction(|transaction| transaction.send(record_1()))
        .unwrap();
    mock.transaction(|transaction| {
        transaction.send_offsets(&offsets(1), &group("g"))?;
        transaction.send(record_2())
    })
    .unwrap();
    assert_eq!(mock.history(), [record_1(), record_2()]);
    assert_eq!(mock.commit_count(), 2);
    assert_eq!(mock.consumer_group_offsets_history().len(), 1);
    let failed = producer.transaction(|transaction| {
        transaction.send(record_1())?;
        Err::<(), _>(Error::from(ErrorKind::Serialization))
    });
    assert_eq!(kind(failed), ErrorKind::Serialization);
    assert!(mock.transaction_aborted() && !mock.transaction_in_flight());
    // A topic without a name fails in the future, which fails the transaction.
    let refused =
        producer.transaction(|transaction| transaction.send(ProducerRecord::new("", "value")));
    assert!(refused.unwrap_err().is_aborted());
    assert_eq!(mock.history().len(), 2);
}

#[test]
fn a_mock_without_a_transactional_id_has_no_transactions() {
    let producer = MockProducer::new(true);
    let error = producer.init_transactions().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert!(error.to_string().contains("transactional.id"), "{error}");
    assert_eq!(kind(producer.begin_transaction()), ErrorKind::IllegalState);
}

#[test]
fn the_epochs_of_a_mock_do_not_end() {
    let producer = initialized(true);
    for _ in 0..70_000 {
        producer.begin_transaction().unwrap();
        drop(producer.send(record_1()).unwrap());
        producer.abort_transaction().unwrap();
    }
}
