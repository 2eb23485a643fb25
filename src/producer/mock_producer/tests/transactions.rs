//! The transactions of `MockProducerTest`.

use super::*;

fn initialized(auto_complete: bool) -> MockProducer {
    let producer = MockProducer::new(auto_complete);
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
    let producer = MockProducer::new(true);
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
fn should_publish_messages_only_after_commit() {
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
fn should_flush_on_commit() {
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
fn a_fenced_mock_refuses_everything_but_flush() {
    let producer = in_transaction(true);
    producer.fence_producer().unwrap();
    let fenced = ErrorKind::Fenced;
    assert_eq!(producer.send(record_1()).unwrap_err().kind(), fenced);
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
fn injected_errors_and_a_closed_mock() {
    let producer = MockProducer::new(true);
    let error = || Some(Error::from(ErrorKind::Timeout));
    producer.set_init_transactions_error(error());
    assert_eq!(kind(producer.init_transactions()), ErrorKind::Timeout);
    producer.set_init_transactions_error(None);
    producer.init_transactions().unwrap();
    producer.set_begin_transaction_error(error());
    assert_eq!(kind(producer.begin_transaction()), ErrorKind::Timeout);
    producer.set_begin_transaction_error(None);
    producer.begin_transaction().unwrap();
    producer.set_send_offsets_to_transaction_error(error());
    let refused = producer.send_offsets_to_transaction(&offsets(1), &group("g"));
    assert_eq!(kind(refused), ErrorKind::Timeout);
    producer.set_commit_transaction_error(error());
    assert_eq!(kind(producer.commit_transaction()), ErrorKind::Timeout);
    producer.set_abort_transaction_error(error());
    assert_eq!(kind(producer.abort_transaction()), ErrorKind::Timeout);
    assert!(producer.transaction_in_flight());
    producer.close(Duration::ZERO).unwrap();
    assert_eq!(kind(producer.begin_transaction()), ErrorKind::Closed);
    assert_eq!(kind(producer.commit_transaction()), ErrorKind::Closed);
}
