//! Transactions of version 2 (KIP-890, part 2), and the change between the versions.

use super::*;

pub(super) fn version_of(fixture: &Fixture, key: ApiKey) -> i16 {
    let mut requests = fixture.sender.client.requests().iter();
    let sent = requests.find(|sent| sent.request.body.api_key() == key);
    sent.expect("not in flight").api_version
}

// Java: TransactionManagerTest.testTransactionV2AddPartitionAndOffsets.
#[test]
fn a_v2_transaction_adds_partitions_and_offsets_without_requests() {
    let mut fixture = initialized_v2();
    fixture.begin();
    let sent = fixture.send(0);
    assert_eq!(
        fixture.apis(),
        [ApiKey::Produce],
        "brokers add the partition"
    );
    assert!(version_of(&fixture, ApiKey::Produce) >= 12);
    fixture.answer(NONE, 0);
    assert!(sent.is_done());
    let offsets = fixture.send_offsets(&[(0, 1)]);
    fixture.serve_coordinator();
    fixture.request(ApiKey::TxnOffsetCommit);
    assert_eq!(version_of(&fixture, ApiKey::TxnOffsetCommit), 6);
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    outcome(&offsets).unwrap().unwrap();
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    assert_eq!(version_of(&fixture, ApiKey::EndTxn), 5);
    fixture.serve(ApiKey::EndTxn, ended_with(epoch(1)));
    outcome(&result).unwrap().unwrap();
    assert_eq!(fixture.ledger.producer_id_and_epoch(), epoch(1));
    fixture.begin();
    fixture.send(0);
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
}

// Java: TransactionManagerTest.testTransactionV2... with a new producer id, where the epochs of the old one are used up.
#[test]
fn a_new_producer_id_is_taken_over() {
    let mut fixture = initialized_v2();
    fixture.begin();
    fixture.send(0);
    fixture.answer(NONE, 0);
    let next = ProducerIdAndEpoch {
        producer_id: 7,
        epoch: 0,
    };
    fixture.manager().begin_commit().unwrap();
    fixture.serve(ApiKey::EndTxn, ended_with(next));
    assert_eq!(fixture.ledger.producer_id_and_epoch(), next);
}

#[test]
fn an_abort_needs_no_bump_by_the_client() {
    let mut fixture = initialized_v2();
    fixture.begin();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::INVALID_RECORD, -1);
    assert!(sent.error().is_abortable());
    fixture.assert_abortable();
    let result = fixture.manager().begin_abort().unwrap();
    fixture.serve(ApiKey::EndTxn, ended_with(epoch(1)));
    outcome(&result).unwrap().unwrap();
    fixture.assert_state("Ready");
    assert_eq!(fixture.apis(), []);
}

#[test]
fn an_indefinite_end_is_only_asked_again() {
    let mut fixture = initialized_v2();
    fixture.begin();
    fixture.send(0);
    fixture.answer(NONE, 0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    fixture.lose_coordinator();
    fixture.serve_coordinator();
    fixture.back_off();
    fixture.serve(ApiKey::EndTxn, ended_with(epoch(1)));
    outcome(&result).unwrap().unwrap();
    fixture.assert_state("Ready");
    assert_eq!(fixture.apis(), [], "the epoch was bumped by the end itself");
}

#[test]
fn an_end_without_the_next_epoch_is_followed_by_a_bump() {
    let mut fixture = initialized_v2();
    fixture.begin();
    fixture.send(0);
    fixture.answer(NONE, 0);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    fixture.serve_producer_id(epoch(2));
    outcome(&result).unwrap().unwrap();
    fixture.begin();
}

// Java: TransactionManagerTest.testTransactionManagerEnablesV2, testUpgradeToTransactionV2...: the
// old transaction ends as it began, and the epoch is bumped before the first new one.
#[test]
fn an_upgrade_takes_effect_with_the_next_transaction() {
    let mut fixture = with_record();
    fixture.set_transaction_version(2);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    assert_eq!(version_of(&fixture, ApiKey::EndTxn), 4);
    fixture.serve(ApiKey::EndTxn, ended(NONE));
    fixture.serve_producer_id(epoch(1));
    outcome(&result).unwrap().unwrap();
    fixture.begin();
    fixture.send(0);
    assert_eq!(fixture.apis(), [ApiKey::Produce]);
    assert_eq!(fixture.sent_sequences(), [sequence(1, 0, 1)]);
}

#[test]
fn a_downgrade_takes_effect_with_the_next_transaction() {
    let mut fixture = initialized_v2();
    fixture.begin();
    fixture.send(0);
    fixture.answer(NONE, 0);
    fixture.set_transaction_version(1);
    let result = fixture.manager().begin_commit().unwrap();
    fixture.request(ApiKey::EndTxn);
    assert_eq!(version_of(&fixture, ApiKey::EndTxn), 5);
    fixture.serve(ApiKey::EndTxn, ended_with(epoch(1)));
    outcome(&result).unwrap().unwrap();
    fixture.begin();
    fixture.append(0);
    fixture.request(ApiKey::AddPartitionsToTxn);
    fixture.serve_added(0);
    assert_eq!(version_of(&fixture, ApiKey::Produce), 11);
    fixture.answer(NONE, 1);
    fixture.commit();
}

#[test]
fn version_one_keeps_to_its_versions() {
    for level in [0, 1] {
        let mut fixture = transactional(Setup::default());
        fixture.set_transaction_version(level);
        fixture.init_transactions();
        fixture.begin();
        fixture.send_added(0);
        assert_eq!(version_of(&fixture, ApiKey::Produce), 11);
        fixture.answer(NONE, 0);
        fixture.send_offsets(&[(0, 1)]);
        fixture.serve(ApiKey::AddOffsetsToTxn, offsets_added(NONE));
        fixture.serve_coordinator();
        fixture.request(ApiKey::TxnOffsetCommit);
        assert_eq!(version_of(&fixture, ApiKey::TxnOffsetCommit), 4);
    }
}

// The first record meets the end of the previous transaction. The wait is shorter than after an
// error.
#[test]
fn concurrent_transactions_are_waited_for_but_shortly() {
    let mut fixture = initialized_v2();
    fixture.begin();
    let sent = fixture.send(0);
    fixture.answer(ErrorCode::CONCURRENT_TRANSACTIONS, -1);
    fixture.advance(19);
    fixture.run();
    assert_eq!(fixture.apis(), []);
    fixture.advance(1);
    fixture.run();
    fixture.answer(NONE, 0);
    assert_eq!(sent.offset(), 0);
    let offsets = fixture.send_offsets(&[(0, 1)]);
    fixture.serve_coordinator();
    let concurrent = ErrorCode::CONCURRENT_TRANSACTIONS;
    let body = offsets_committed(&[(0, concurrent)]);
    fixture.serve(ApiKey::TxnOffsetCommit, body);
    fixture.advance(20);
    fixture.serve(ApiKey::TxnOffsetCommit, offsets_committed(&[(0, NONE)]));
    outcome(&offsets).unwrap().unwrap();
}
