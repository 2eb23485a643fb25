//! The effect of each request in each state. Java (broker): `TransactionCoordinatorTest`,
//! `TransactionMetadataTest`.

use super::*;

const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
const CONCURRENT: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;
const INVALID: ErrorCode = ErrorCode::INVALID_TXN_STATE;
const MAPPING: ErrorCode = ErrorCode::INVALID_PRODUCER_ID_MAPPING;

fn at(epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch::new(7, epoch)
}

/// The generator of producer ids, for tests that must not need one.
fn none() -> i64 {
    panic!("no new producer id is needed")
}

/// Returns producer 7 with epoch 0, whose transaction is in this state.
fn transaction(state: TransactionState) -> TransactionMetadata {
    let mut transaction = TransactionMetadata::new(7);
    assert_eq!(transaction.init(None, 5, Fence::Final, none), Ok(at(0)));
    let ended = match state {
        TransactionState::Empty => None,
        TransactionState::Ongoing => {
            transaction.begin_or_go_on(at(0)).unwrap();
            None
        }
        TransactionState::PrepareCommit | TransactionState::CompleteCommit => Some(true),
        TransactionState::PrepareAbort | TransactionState::CompleteAbort => Some(false),
    };
    if let Some(is_commit) = ended {
        transaction.begin_or_go_on(at(0)).unwrap();
        transaction.end(at(0), is_commit).unwrap();
    }
    if matches!(
        state,
        TransactionState::CompleteCommit | TransactionState::CompleteAbort
    ) {
        transaction.complete();
    }
    assert_eq!(transaction.describe().state, state);
    transaction
}

#[test]
fn init_gives_the_next_epoch_once_nothing_is_open() {
    use TransactionState::*;
    for (state, expected) in [
        (Empty, Ok(at(1))),
        (Ongoing, Err(CONCURRENT)),
        (PrepareCommit, Err(CONCURRENT)),
        (PrepareAbort, Err(CONCURRENT)),
        (CompleteCommit, Ok(at(1))),
        (CompleteAbort, Ok(at(1))),
    ] {
        let initialized = transaction(state).init(None, 5, Fence::Final, none);
        assert_eq!(initialized, expected, "{state:?}");
    }
    let mut fenced = transaction(Ongoing);
    fenced.init(None, 5, Fence::Final, none).unwrap_err();
    let marker = fenced.marker().unwrap();
    assert_eq!((marker.producer, marker.is_commit), (at(1), false));
    assert_eq!(fenced.begin_or_go_on(at(0)), Err(FENCED));
    fenced.complete();
    assert_eq!(fenced.init(None, 5, Fence::Final, none), Ok(at(2)));
}

// KIP-360.
#[test]
fn a_producer_asks_for_the_next_epoch_of_its_own() {
    let mut transaction = transaction(TransactionState::CompleteAbort);
    assert_eq!(
        transaction.init(Some(at(0)), 5, Fence::Final, none),
        Ok(at(1))
    );
    assert_eq!(
        transaction.init(Some(at(0)), 5, Fence::Final, none),
        Ok(at(1)),
        "the answer got lost"
    );
    assert_eq!(
        transaction.init(Some(at(1)), 5, Fence::Final, none),
        Ok(at(2))
    );
    assert_eq!(
        transaction.init(Some(at(0)), 5, Fence::Final, none),
        Err(FENCED)
    );
    let other = ProducerIdAndEpoch::new(8, 2);
    assert_eq!(
        transaction.init(Some(other), 5, Fence::Final, none),
        Err(FENCED)
    );
    assert_eq!(transaction.init(None, 5, Fence::Final, none), Ok(at(3)));
    assert_eq!(
        transaction.init(Some(at(2)), 5, Fence::Final, none),
        Err(FENCED),
        "somebody else came between"
    );
}

#[test]
fn an_exhausted_epoch_makes_a_new_producer_id() {
    const LAST: i16 = i16::MAX - 1;
    let fresh = ProducerIdAndEpoch::new(8, 0);
    let mut one = transaction(TransactionState::Empty);
    one.set_epoch(LAST);
    assert_eq!(one.init(None, 5, Fence::Final, || 8), Ok(fresh));
    assert_eq!(one.init(Some(at(LAST)), 5, Fence::Final, none), Err(FENCED));

    let mut own = transaction(TransactionState::Empty);
    own.set_epoch(LAST);
    assert_eq!(own.init(Some(at(LAST)), 5, Fence::Final, || 8), Ok(fresh));
    assert_eq!(own.init(Some(at(LAST)), 5, Fence::Final, none), Ok(fresh));

    let mut ended = transaction(TransactionState::Ongoing);
    ended.set_epoch(LAST);
    assert_eq!(ended.end_and_bump(at(LAST), true, || 8), Ok(fresh));
    assert_eq!(ended.marker().unwrap().producer, at(i16::MAX));
    ended.complete();
    assert_eq!(ended.end_and_bump(at(LAST), true, none), Ok(fresh));
    assert_eq!(ended.begin_or_go_on(fresh), Ok(()));
}

#[test]
fn additions_begin_a_transaction_or_go_on_with_it() {
    use TransactionState::*;
    for (state, expected) in [
        (Empty, Ok(())),
        (Ongoing, Ok(())),
        (PrepareCommit, Err(CONCURRENT)),
        (PrepareAbort, Err(CONCURRENT)),
        (CompleteCommit, Ok(())),
        (CompleteAbort, Ok(())),
    ] {
        let mut transaction = transaction(state);
        assert_eq!(transaction.begin_or_go_on(at(0)), expected, "{state:?}");
        assert_eq!(transaction.begin_or_go_on(at(1)), Err(FENCED));
        let other = ProducerIdAndEpoch::new(8, 0);
        assert_eq!(transaction.begin_or_go_on(other), Err(MAPPING));
    }
}

#[test]
fn a_write_must_be_to_what_was_added() {
    let ongoing = transaction(TransactionState::Ongoing);
    assert_eq!(ongoing.verify(at(0), |_| true), Ok(()));
    let abortable = Err(ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(ongoing.verify(at(0), |_| false), abortable);
    assert_eq!(ongoing.verify(at(1), |_| true), Err(FENCED));
    let over = transaction(TransactionState::CompleteCommit);
    assert_eq!(over.verify(at(0), |_| true), abortable);
    let prepared = transaction(TransactionState::PrepareCommit);
    assert_eq!(prepared.verify(at(0), |_| true), Err(CONCURRENT));
}

#[test]
fn end_keeps_the_epoch_in_version_1() {
    use TransactionState::*;
    for (state, commit, abort) in [
        (Empty, Err(INVALID), Err(INVALID)),
        (Ongoing, Ok(()), Ok(())),
        (PrepareCommit, Err(CONCURRENT), Err(CONCURRENT)),
        (PrepareAbort, Err(CONCURRENT), Err(CONCURRENT)),
        (CompleteCommit, Ok(()), Err(INVALID)),
        (CompleteAbort, Err(INVALID), Ok(())),
    ] {
        assert_eq!(transaction(state).end(at(0), true), commit, "{state:?}");
        assert_eq!(transaction(state).end(at(0), false), abort, "{state:?}");
        assert_eq!(transaction(state).end(at(1), true), Err(FENCED));
        let other = ProducerIdAndEpoch::new(8, 0);
        assert_eq!(transaction(state).end(other, true), Err(MAPPING));
    }
}

// KIP-890.
#[test]
fn end_bumps_the_epoch_in_version_2() {
    use TransactionState::*;
    for (state, commit, abort) in [
        (Empty, Err(INVALID), Ok(at(1))),
        (Ongoing, Ok(at(1)), Ok(at(1))),
        (PrepareCommit, Err(CONCURRENT), Err(CONCURRENT)),
        (CompleteCommit, Err(INVALID), Ok(at(1))),
        (CompleteAbort, Err(INVALID), Ok(at(1))),
    ] {
        let end = |is_commit| transaction(state).end_and_bump(at(0), is_commit, none);
        assert_eq!(end(true), commit, "{state:?}");
        assert_eq!(end(false), abort, "{state:?}");
    }
    let mut transaction = transaction(Ongoing);
    transaction.end_and_bump(at(0), true, none).unwrap();
    assert_eq!(transaction.marker().unwrap().producer, at(1));
    assert_eq!(
        transaction.end_and_bump(at(0), true, none),
        Err(CONCURRENT),
        "the answer got lost, the markers are on their way"
    );
    transaction.complete();
    let again = transaction.end_and_bump(at(0), true, none);
    assert_eq!(again, Ok(at(1)), "the answer got lost");
    assert_eq!(transaction.end_and_bump(at(0), false, none), Err(INVALID));
    transaction.begin_or_go_on(at(1)).unwrap();
    assert_eq!(
        transaction.end_and_bump(at(0), true, none),
        Err(FENCED),
        "what was late does not end the next transaction"
    );
    assert_eq!(transaction.describe().state, Ongoing);
}

/// KIP-890: the transaction's producer continues as if it had aborted the transaction. One that did
/// not request the epoch is fenced.
#[test]
fn from_version_2_an_abort_of_the_coordinator_is_as_one_of_the_producer() {
    let aborted = || {
        let mut transaction = transaction(TransactionState::Ongoing);
        assert!(transaction.expire(Fence::Bump));
        transaction.complete();
        transaction
    };
    let mut asks = aborted();
    assert_eq!(asks.init(Some(at(0)), 5, Fence::Bump, none), Ok(at(1)));
    assert_eq!(aborted().end_and_bump(at(0), false, none), Ok(at(1)));
    assert_eq!(aborted().end_and_bump(at(0), true, none), Err(INVALID));
    assert_eq!(aborted().begin_or_go_on(at(0)), Err(FENCED));
    let mut taken_over = aborted();
    assert_eq!(taken_over.init(None, 5, Fence::Bump, none), Ok(at(2)));
    assert_eq!(taken_over.end_and_bump(at(0), false, none), Err(FENCED));
}

#[test]
fn expiry_aborts_under_the_next_epoch() {
    let mut transaction = transaction(TransactionState::Ongoing);
    assert!(transaction.expire(Fence::Final));
    assert!(!transaction.expire(Fence::Final));
    assert_eq!(transaction.marker().unwrap().producer, at(1));
    transaction.complete();
    assert_eq!(transaction.end(at(0), true), Err(FENCED));
    assert_eq!(
        transaction.init(Some(at(0)), 5, Fence::Final, none),
        Err(FENCED)
    );
    assert_eq!(transaction.init(None, 5, Fence::Final, none), Ok(at(2)));
}
