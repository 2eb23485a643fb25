//! A transaction from its beginning to its end.

use super::*;

// Java: TransactionManagerTest.testBasicTransaction.
#[test]
fn a_transaction_adds_partitions_and_offsets_and_commits() {
    let mut fixture = in_transaction();
    let sent = fixture.append(0);
    let RequestBody::AddPartitionsToTxn(request) = fixture.request(ApiKey::AddPartitionsToTxn)
    else {
        unreachable!()
    };
    assert_eq!(&*request.transactional_id, "transactional-id");
    assert_eq!((request.producer_id, request.producer_epoch), (343_434, 0));
    assert_eq!(
        fixture.apis(),
        [ApiKey::AddPartitionsToTxn],
        "no record before its partition is added"
    );
    fixture.serve_added(0);
    let produce = fixture.client().produce_request().clone();
    assert_eq!(
        produce.transactional_id.as_deref(),
        Some("transactional-id")
    );
    let bytes = fixture.bytes();
    let (batch, _) = RecordBatch::parse(&bytes).unwrap();
    assert!(batch.is_transactional());
    fixture.answer(NONE, 7);
    assert_eq!(sent.offset(), 7);

    let offsets = fixture.send_offsets(&[(1, 17)]);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    assert!(outcome(&offsets).is_none());
    fixture.serve_coordinator();
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(1, NONE)]));
    outcome(&offsets).unwrap().unwrap();

    let result = fixture.manager().begin_commit().unwrap();
    let RequestBody::EndTxn(request) = fixture.request(ApiKey::EndTxn) else {
        unreachable!()
    };
    assert!(request.committed);
    fixture.assert_state("CommittingTransaction");
    assert!(outcome(&result).is_none(), "success is what EndTxn says");
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
    fixture.assert_state("Ready");
    assert_eq!(fixture.apis(), []);
}

#[test]
fn init_producer_id_carries_the_id_and_the_time_out() {
    let mut fixture = transactional(Setup::default());
    fixture.run();
    assert_eq!(fixture.apis(), [], "nothing goes out unasked");
    fixture.manager().initialize_transactions().unwrap();
    let RequestBody::FindCoordinator(request) = fixture.request(ApiKey::FindCoordinator) else {
        unreachable!()
    };
    assert_eq!(request.key_type, 1);
    assert_eq!(&*request.coordinator_keys[0], "transactional-id");
    fixture.serve_coordinator();
    let RequestBody::InitProducerId(request) = fixture.request(ApiKey::InitProducerId) else {
        unreachable!()
    };
    assert_eq!(
        request.transactional_id.as_deref(),
        Some("transactional-id")
    );
    assert_eq!(request.transaction_timeout_ms, 60_000);
    assert_eq!((request.producer_id, request.producer_epoch), (-1, -1));
}

#[test]
fn sequences_go_on_in_the_next_transaction() {
    let mut fixture = with_record();
    fixture.commit();
    fixture.begin();
    fixture.send_added(0);
    assert_eq!(fixture.sent_sequences(), [sequence(0, 1, 1)]);
}

// Java: TransactionManagerTest.testPartitionsAreAddedOnce..., testIsSendToPartitionAllowedWithPendingPartitionAfter...
#[test]
fn each_partition_is_added_once() {
    let mut fixture = in_transaction();
    let first = [fixture.append(0), fixture.append(1)];
    let RequestBody::AddPartitionsToTxn(request) = fixture.request(ApiKey::AddPartitionsToTxn)
    else {
        unreachable!()
    };
    assert_eq!(request.topics[0].partitions, [0, 1], "one request for both");
    fixture.serve(ApiKey::AddPartitionsToTxn, added(&[(0, NONE), (1, NONE)]));
    assert_eq!(fixture.apis(), [ApiKey::Produce, ApiKey::Produce]);
    for (node, partition) in [(0, 0), (1, 1)] {
        fixture
            .client()
            .respond_from(NodeId(node), ok(partition, 0));
    }
    fixture.run();
    assert!(first.iter().all(Sent::is_done));
    fixture.append(0);
    fixture.run();
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
}

// Java: TransactionManagerTest.testRaiseErrorWhenNoPartitionsPendingOnDrain, testAllowDrainInAbortableErrorState.
#[test]
fn partitions_of_the_transaction_are_drained_while_another_one_is_pending() {
    let mut fixture = with_record();
    fixture.append(1);
    fixture.run();
    fixture.append(0);
    fixture.run();
    assert_eq!(
        fixture.apis(),
        [ApiKey::AddPartitionsToTxn, ApiKey::Produce]
    );
    assert_eq!(fixture.sent_sequences(), [sequence(0, 1, 1)]);
}

// Java: TransactionManagerTest.testEndTxnNotSentIfIncompleteBatches, SenderTest.testTransactionalRequestsSentOnShutdown.
#[test]
fn end_txn_waits_for_incomplete_batches() {
    let mut fixture = with_record();
    let sent = fixture.append(0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.run();
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
    fixture.answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    fixture.run();
    assert_eq!(fixture.apis(), [], "it is to be sent again");
    fixture.back_off();
    fixture.answer(NONE, 1);
    assert_eq!(sent.offset(), 1);
    assert!(outcome(&result).is_none());
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
}

// Java: TransactionManagerTest.testCommitTransactionWithUnsentProduceRequest.
#[test]
fn a_commit_sends_unsent_records_first() {
    let mut fixture = in_transaction();
    let sent = fixture.append(0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.serve_added(0);
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
    fixture.answer(NONE, 0);
    assert!(sent.is_done());
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
}

// An empty commit is not an error, and sends no request.
// Java: TransactionManagerTest.testEmptyTransaction...
#[test]
fn an_empty_transaction_ends_without_a_request() {
    let mut fixture = in_transaction();
    let result = fixture.manager().begin_commit().unwrap();
    fixture.run();
    outcome(&result).unwrap().unwrap();
    assert_eq!(fixture.apis(), []);
    fixture.begin();
    fixture.abort(&[]);
}

// Java: TransactionManagerTest.testCancelUnsentAddPartitionsAndProduceOnAbort, SenderTest.testTransactionAbortedExceptionOnAbortWithoutError.
#[test]
fn an_abort_cancels_unsent_partitions_and_records() {
    let mut fixture = in_transaction();
    let sent = fixture.append(0);
    fixture.abort(&[]);
    assert_eq!(sent.error().kind(), ErrorKind::Transaction);
    assert_eq!(sent.error().delivery(), Delivery::NotWritten);
    fixture.begin();
    let sent = fixture.send_added(0);
    fixture.answer(NONE, 0);
    assert_eq!(sent.offset(), 0, "the partition was added again");
    fixture.assert_all_memory_is_back();
}

// Java: TransactionManagerTest.testAbortResendsProduceRequestIfRetried. KAFKA-5251.
#[test]
fn an_abort_sends_a_retried_batch_first() {
    let mut fixture = with_record();
    let sent = fixture.append(0);
    fixture.run();
    fixture.answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);
    let result = fixture.manager().begin_abort().unwrap();
    fixture.back_off();
    assert_eq!(fixture.apis(), [ApiKey::Produce], "its fate is unknown");
    fixture.answer(NONE, 1);
    assert!(sent.is_done());
    let RequestBody::EndTxn(request) = fixture.request(ApiKey::EndTxn) else {
        unreachable!()
    };
    assert!(!request.committed);
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    outcome(&result).unwrap().unwrap();
}

// Java: TransactionManagerTest.testSendingOffsetsToTransaction with group metadata.
#[test]
fn txn_offset_commit_has_the_group_metadata() {
    let mut fixture = in_transaction();
    let group = ConsumerGroupMetadata::new(GROUP)
        .generation(5, "member")
        .group_instance_id("instance");
    fixture.send_offsets_of(&[(0, 3)], &group);
    fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
    let RequestBody::FindCoordinator(request) = fixture.request(ApiKey::FindCoordinator) else {
        unreachable!()
    };
    assert_eq!(
        (request.key_type, &*request.coordinator_keys[0]),
        (0, GROUP)
    );
    fixture.serve_coordinator();
    let RequestBody::TxnOffsetCommit(request) = fixture.request(ApiKey::TxnOffsetCommit) else {
        unreachable!()
    };
    assert_eq!(
        (request.generation_id_or_member_epoch, &*request.member_id),
        (5, "member")
    );
    assert_eq!(request.group_instance_id.as_deref(), Some("instance"));
    assert_eq!(request.topics[0].partitions[0].committed_offset, 3);
}

// Java: SenderTest.testTransactionalSplitBatchAndSend. The parts belong to the transaction too.
#[test]
fn the_parts_of_a_split_batch_are_transactional() {
    let mut fixture = with_record();
    let value = [1; 500];
    let sent = [(); 2].map(|()| fixture.append_value(0, &value));
    fixture.run();
    fixture.answer(ErrorCode::MESSAGE_TOO_LARGE, -1);
    for (base_sequence, offset) in [(1, 1), (2, 2)] {
        fixture.run();
        assert_eq!(fixture.base_sequences(), [base_sequence]);
        let bytes = fixture.bytes();
        assert!(RecordBatch::parse(&bytes).unwrap().0.is_transactional());
        fixture.answer(NONE, offset);
    }
    assert_eq!(sent.map(|sent| sent.offset()), [1, 2]);
    fixture.commit();
}

// Java: TransactionsWithMaxInFlightOneTest, in a smaller form.
#[test]
fn one_request_in_flight_is_enough() {
    let mut fixture = initialized_with(Setup {
        max_in_flight: 1,
        ..Setup::default()
    });
    for round in 0..3 {
        fixture.begin();
        let sent = fixture.send_added(0);
        fixture.answer(NONE, round);
        assert_eq!(sent.offset(), round);
        fixture.commit();
    }
}
