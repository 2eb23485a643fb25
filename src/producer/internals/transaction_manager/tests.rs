//! The idempotent part of `TransactionManagerTest`, and the mistakes of other clients (reliability.md 1.4).

use std::time::Duration;

use super::*;
use crate::producer::internals::ProduceRequestResult;
use crate::utils::{MockTime, Time};

const MAX_IN_FLIGHT: usize = 5;

fn id(producer_id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { producer_id, epoch }
}

fn sequence(producer: ProducerIdAndEpoch, base_sequence: i32, record_count: u32) -> BatchSequence {
    BatchSequence {
        producer,
        base_sequence,
        record_count,
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("test", number)
}

fn backoff() -> ExponentialBackoff {
    ExponentialBackoff::new(Duration::from_millis(100), Duration::from_millis(100))
}

fn receive_producer_id(manager: &TransactionManager, producer: ProducerIdAndEpoch) {
    manager.init_producer_id_sent();
    let now = MockTime::new().now();
    let outcome = manager.handle_init_producer_id_response(ErrorCode::NONE, producer, now);
    assert!(matches!(outcome, InitOutcome::Ready));
}

/// The manager's calls as the sender makes them: the batch's fate first.
impl TransactionManager {
    fn should_stop_drain(
        &self,
        topic_partition: &TopicPartition,
        head: Option<&BatchSequence>,
    ) -> bool {
        let (log, now) = (LogView::UNKNOWN, MockTime::new().now());
        match self.next_to_drain(topic_partition, head.is_some(), log, now) {
            NextBatch::None => true,
            NextBatch::Head => false,
            NextBatch::Retry(sequence) => head != Some(&sequence),
        }
    }

    fn assign(&self, topic_partition: &TopicPartition, count: u32) -> BatchSequence {
        let result = ProduceRequestResult::detached();
        self.assign_sequence(topic_partition, count, &result, LogView::UNKNOWN)
    }

    fn complete(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) -> bool {
        self.handle_completed_batch(topic_partition, sequence, MockTime::new().now())
    }

    fn retry(&self, topic_partition: &TopicPartition, sequence: &BatchSequence, attempt: Attempt) {
        let is_known = entry(self, topic_partition, |entry| {
            entry.unsettled().contains(sequence)
        });
        if is_known {
            let result = entry(self, topic_partition, |entry| entry.result(sequence));
            result.fate().end_attempt(attempt == Attempt::Indefinite);
        }
        self.handle_retry(topic_partition, sequence, attempt);
    }

    fn split(
        &self,
        topic_partition: &TopicPartition,
        whole: &BatchSequence,
        counts: &[u32],
    ) -> Vec<BatchSequence> {
        let result = entry(self, topic_partition, |entry| entry.result(whole));
        let parts: Vec<_> = counts
            .iter()
            .map(|count| {
                let part = ProduceRequestResult::detached();
                part.fate().inherit(result.fate());
                (*count, part)
            })
            .collect();
        self.replace_split_batch(topic_partition, whole, &parts)
    }
}

fn ready_manager() -> TransactionManager {
    let manager = TransactionManager::new(MAX_IN_FLIGHT, backoff(), None);
    receive_producer_id(&manager, id(13, 0));
    manager
}

/// A partition whose first batch, of one record, was acknowledged.
fn with_ack(manager: &TransactionManager, topic_partition: &TopicPartition) {
    let first = send(manager, topic_partition, 1);
    assert!(manager.complete(topic_partition, &first));
}

fn send(
    manager: &TransactionManager,
    topic_partition: &TopicPartition,
    count: u32,
) -> BatchSequence {
    assert!(
        !manager.should_stop_drain(topic_partition, None),
        "{manager:?}"
    );
    manager.assign(topic_partition, count)
}

fn resend(manager: &TransactionManager, topic_partition: &TopicPartition, batch: &BatchSequence) {
    assert!(
        !manager.should_stop_drain(topic_partition, Some(batch)),
        "{manager:?}"
    );
    manager.add_in_flight(topic_partition, batch);
}

fn resolved(
    topic_partition: &TopicPartition,
    renumbered: &[BatchSequence],
) -> Vec<(TopicPartition, Vec<BatchSequence>)> {
    vec![(topic_partition.clone(), renumbered.to_vec())]
}

/// The partitions that go on, and what their batches become.
fn resolve(manager: &TransactionManager) -> Vec<(TopicPartition, Vec<BatchSequence>)> {
    let resolved = manager.maybe_resolve_sequences().into_iter();
    resolved
        .map(|resolved| match resolved.outcome {
            ResolvedOutcome::Unchanged => (resolved.topic_partition, Vec::new()),
            ResolvedOutcome::Restarted { renumbered, .. } => (resolved.topic_partition, renumbered),
            ResolvedOutcome::Abandoned(error) => panic!("abandoned: {error}"),
        })
        .collect()
}

fn entry<T>(
    manager: &TransactionManager,
    topic_partition: &TopicPartition,
    read: impl FnOnce(&PartitionEntry) -> T,
) -> T {
    read(&manager.lock().partitions[topic_partition])
}

// Java: TransactionManagerTest.testDefaultSequenceNumber.
#[test]
fn default_sequence_number() {
    let (manager, tp) = (ready_manager(), partition(0));
    assert_eq!(send(&manager, &tp, 3), sequence(id(13, 0), 0, 3));
    assert_eq!(entry(&manager, &tp, PartitionEntry::next_sequence), 3);
    assert_eq!(
        entry(&manager, &tp, PartitionEntry::last_acked_sequence),
        -1
    );
}

// Java: TransactionManagerTest.testSequenceNumberOverflow. B15.
#[test]
fn sequences_wrap_to_zero_in_order() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    manager.set_next_sequence(&tp, i32::MAX - 1);
    let a = send(&manager, &tp, 1);
    let b = send(&manager, &tp, 3);
    let c = send(&manager, &tp, 1);
    assert_eq!((b.base_sequence, b.last_sequence()), (i32::MAX, 1));
    assert_eq!(c.base_sequence, 2);
    assert_eq!(entry(&manager, &tp, PartitionEntry::unsettled), [a, b, c]);

    for batch in [&c, &a, &b] {
        manager.retry(&tp, batch, Attempt::Refused);
    }
    for batch in [a, b, c] {
        resend(&manager, &tp, &batch);
        manager.complete(&tp, &batch);
        assert_eq!(
            entry(&manager, &tp, PartitionEntry::last_acked_sequence),
            batch.last_sequence()
        );
    }
    assert!(resolve(&manager).is_empty());
    assert_eq!(send(&manager, &tp, 1), sequence(id(13, 0), 3, 1));
}

// Java: TransactionManagerTest.testFailIfNotReadyForSendNoProducerId.
#[test]
fn nothing_is_drained_without_a_producer_id() {
    let (manager, tp) = (TransactionManager::new(5, backoff(), None), partition(0));
    assert!(manager.should_stop_drain(&tp, None));
    manager.init_producer_id_sent();
    assert!(manager.should_stop_drain(&tp, None));
    receive_producer_id(&manager, id(1, 0));
    assert!(!manager.should_stop_drain(&tp, None));
    manager.transition_to_fatal_error(Error::new(ErrorKind::Fenced, "fenced"));
    assert!(manager.should_stop_drain(&tp, None));
}

#[test]
fn init_producer_id_backs_off_and_recovers_from_missing_rights() {
    let (manager, time) = (TransactionManager::new(5, backoff(), None), MockTime::new());
    let delay = |now| manager.init_producer_id_delay(now);
    assert_eq!(delay(time.now()), Some(Duration::ZERO));
    manager.init_producer_id_sent();
    assert_eq!(delay(time.now()), None);
    let answer =
        |code, now| manager.handle_init_producer_id_response(code, ProducerIdAndEpoch::NONE, now);
    let outcome = answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, time.now());
    assert!(matches!(outcome, InitOutcome::Retry));
    assert_eq!(delay(time.now()), Some(Duration::from_millis(100)));
    time.advance_ms(100);
    assert_eq!(delay(time.now()), Some(Duration::ZERO));

    manager.init_producer_id_sent();
    let outcome = answer(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, time.now());
    assert!(matches!(outcome, InitOutcome::AbortBatches(_)));
    assert!(manager.fatal_error().is_none());
    receive_producer_id(&manager, id(5, 0));
    assert_eq!(manager.producer_id_and_epoch(), id(5, 0));
}

// Java: TransactionManagerTest.testUnsupportedInitTransactions.
#[test]
fn unsupported_init_producer_id_is_fatal() {
    for code in [ErrorCode::UNSUPPORTED_VERSION, ErrorCode::from_i16(9999)] {
        let manager = TransactionManager::new(5, backoff(), None);
        manager.init_producer_id_sent();
        let now = MockTime::new().now();
        let outcome = manager.handle_init_producer_id_response(code, ProducerIdAndEpoch::NONE, now);
        assert!(matches!(outcome, InitOutcome::Fatal(_)));
        assert_eq!(manager.fatal_error().unwrap().code(), Some(code));
    }
}

#[test]
fn an_invalid_producer_id_from_the_broker_is_fatal() {
    let manager = TransactionManager::new(5, backoff(), None);
    manager.init_producer_id_sent();
    let now = MockTime::new().now();
    let outcome = manager.handle_init_producer_id_response(ErrorCode::NONE, id(-1, 0), now);
    assert!(matches!(outcome, InitOutcome::Fatal(_)));
    assert!(!manager.has_producer_id());
}

#[test]
fn one_batch_in_flight_until_the_first_ack_then_five() {
    let (manager, tp) = (ready_manager(), partition(0));
    let first = send(&manager, &tp, 1);
    assert!(manager.should_stop_drain(&tp, None));
    manager.complete(&tp, &first);
    for _ in 0..MAX_IN_FLIGHT {
        send(&manager, &tp, 1);
    }
    assert!(manager.should_stop_drain(&tp, None));
    assert!(!manager.should_stop_drain(&partition(1), None));
}

// Found by the simulation (seed 95): six later batches went past one that was retried, and the broker forgot it.
#[test]
fn no_batch_runs_ahead_of_what_the_broker_remembers() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let first = send(&manager, &tp, 1);
    manager.retry(&tp, &first, Attempt::Refused);
    resend(&manager, &tp, &first);
    for _ in 1..MAX_IN_FLIGHT {
        let later = send(&manager, &tp, 1);
        manager.complete(&tp, &later);
    }
    assert!(
        manager.should_stop_drain(&tp, None),
        "the only one in flight is the fifth from the end"
    );
    manager.complete(&tp, &first);
    assert!(!manager.should_stop_drain(&tp, None));
}

#[test]
fn max_in_flight_below_five_bounds_a_partition_too() {
    let (manager, tp) = (TransactionManager::new(2, backoff(), None), partition(0));
    receive_producer_id(&manager, id(1, 0));
    with_ack(&manager, &tp);
    send(&manager, &tp, 1);
    send(&manager, &tp, 1);
    assert!(manager.should_stop_drain(&tp, None));
}

// Java: SenderTest.testIdempotenceWithMultipleInflightsRetriedInOrder. B7.
#[test]
fn retries_go_out_in_order_one_at_a_time() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let batches: Vec<_> = (0..4).map(|_| send(&manager, &tp, 2)).collect();
    manager.retry(&tp, &batches[0], Attempt::Refused);
    for batch in &batches[1..] {
        manager.retry(&tp, batch, Attempt::OutOfSequence);
    }
    assert!(resolve(&manager).is_empty(), "no real gap");
    for (index, batch) in batches.iter().enumerate() {
        for later in &batches[index + 1..] {
            assert!(manager.should_stop_drain(&tp, Some(later)));
        }
        resend(&manager, &tp, batch);
        assert!(
            manager.should_stop_drain(&tp, Some(batch)),
            "twice on the wire"
        );
        manager.complete(&tp, batch);
    }
    assert_eq!(manager.producer_id_and_epoch(), id(13, 0));
}

// Java: SenderTest.testCorrectHandlingOfOutOfOrderResponses: the second is acknowledged before the first.
#[test]
fn an_early_ack_of_a_later_batch_does_not_move_last_acked_back() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let (first, second) = (send(&manager, &tp, 1), send(&manager, &tp, 1));
    manager.complete(&tp, &second);
    manager.retry(&tp, &first, Attempt::Indefinite);
    resend(&manager, &tp, &first);
    manager.complete(&tp, &first);
    assert_eq!(entry(&manager, &tp, PartitionEntry::last_acked_sequence), 2);
}

// Java: TransactionManagerTest.testBumpEpochAndResetSequenceNumbersAfterUnknownProducerId,
// SenderTest.testUnresolvedSequencesAreNotFatal.
#[test]
fn a_lost_log_bumps_the_epoch_and_renumbers_what_was_refused() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let batches = [send(&manager, &tp, 2), send(&manager, &tp, 3)];
    manager.retry(&tp, &batches[0], Attempt::OutOfSequence);
    assert!(resolve(&manager).is_empty(), "one is on the wire");
    assert!(manager.should_stop_drain(&tp, None));
    assert!(
        manager.should_stop_drain(&tp, Some(&batches[0])),
        "refused already"
    );
    manager.retry(&tp, &batches[1], Attempt::OutOfSequence);

    let renumbered = [sequence(id(13, 1), 0, 2), sequence(id(13, 1), 2, 3)];
    assert_eq!(resolve(&manager), resolved(&tp, &renumbered));
    resend(&manager, &tp, &renumbered[0]);
    assert!(
        manager.should_stop_drain(&tp, Some(&renumbered[1])),
        "first ack first"
    );
    manager.complete(&tp, &renumbered[0]);
    resend(&manager, &tp, &renumbered[1]);
    manager.complete(&tp, &renumbered[1]);
    assert_eq!(send(&manager, &tp, 1), sequence(id(13, 1), 5, 1));
}

// B10: KAFKA-12152, librdkafka #4953.
#[test]
fn an_epoch_bump_leaves_other_partitions_alone_until_they_are_empty() {
    let (manager, sick, healthy) = (ready_manager(), partition(5), partition(12));
    with_ack(&manager, &sick);
    with_ack(&manager, &healthy);
    let written = send(&manager, &healthy, 1);
    let refused = send(&manager, &sick, 1);
    manager.retry(&sick, &refused, Attempt::OutOfSequence);
    assert_eq!(
        resolve(&manager),
        resolved(&sick, &[sequence(id(13, 1), 0, 1)])
    );

    manager.retry(&healthy, &written, Attempt::Indefinite);
    assert!(
        manager.should_stop_drain(&healthy, None),
        "old epoch, not empty"
    );
    assert!(resolve(&manager).is_empty());
    resend(&manager, &healthy, &written);
    assert_eq!(
        entry(&manager, &healthy, PartitionEntry::unsettled),
        [written]
    );
    manager.complete(&healthy, &written);
    assert_eq!(send(&manager, &healthy, 1), sequence(id(13, 1), 0, 1));
}

#[test]
fn a_second_gap_uses_the_epoch_that_the_first_made() {
    let (manager, a, b) = (ready_manager(), partition(0), partition(1));
    for tp in [&a, &b] {
        let batch = send(&manager, tp, 1);
        manager.handle_failed_batch(tp, &batch);
    }
    assert_eq!(resolve(&manager).len(), 2);
    assert_eq!(manager.producer_id_and_epoch(), id(13, 1));
}

// B11: librdkafka #4438, franz-go #1217.
#[test]
fn a_batch_of_unknown_fate_is_never_renumbered() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let (expired, unknown) = (send(&manager, &tp, 1), send(&manager, &tp, 1));
    manager.handle_expired_in_flight(&tp, &expired);
    manager.retry(&tp, &unknown, Attempt::Indefinite);
    assert!(resolve(&manager).is_empty());
    assert!(
        manager.should_stop_drain(&tp, Some(&unknown)),
        "the first is unanswered"
    );
    manager.handle_failed_batch(&tp, &expired);
    assert!(resolve(&manager).is_empty(), "its fate is unknown");
    assert!(manager.should_stop_drain(&tp, None));
    resend(&manager, &tp, &unknown);
    manager.complete(&tp, &unknown);
    // Its success proves that the expired one is in the log: no gap, no bump.
    assert_eq!(resolve(&manager), resolved(&tp, &[]));
    assert_eq!(send(&manager, &tp, 1), sequence(id(13, 0), 3, 1));
}

// Java: SenderTest.testExpiryOfFirstBatchShouldCauseEpochBumpIfFutureBatchesFail. B9.
#[test]
fn an_expired_batch_bumps_the_epoch_once_the_later_ones_are_refused() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let (expired, later) = (send(&manager, &tp, 1), send(&manager, &tp, 1));
    manager.handle_expired_in_flight(&tp, &expired);
    manager.handle_failed_batch(&tp, &expired);
    assert!(resolve(&manager).is_empty());
    manager.retry(&tp, &later, Attempt::OutOfSequence);
    assert_eq!(
        resolve(&manager),
        resolved(&tp, &[sequence(id(13, 1), 0, 1)])
    );
}

// B9: KAFKA-13843.
#[test]
fn the_late_success_of_an_expired_batch_closes_the_gap() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let (expired, later) = (send(&manager, &tp, 1), send(&manager, &tp, 1));
    manager.handle_expired_in_flight(&tp, &expired);
    manager.retry(&tp, &later, Attempt::OutOfSequence);
    assert!(resolve(&manager).is_empty());
    assert!(manager.complete(&tp, &expired));
    assert_eq!(resolve(&manager), resolved(&tp, &[]));
    resend(&manager, &tp, &later);
}

// B9: every order in which three answers can come after the first of three batches expired on the wire.
#[test]
fn no_order_of_answers_leaves_a_partition_stuck() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        for fates in 0..27 {
            let (manager, tp) = (ready_manager(), partition(0));
            with_ack(&manager, &tp);
            let batches = [(); 3].map(|()| send(&manager, &tp, 1));
            manager.handle_expired_in_flight(&tp, &batches[0]);
            for index in order {
                let batch = &batches[index];
                match (fates / 3_i32.pow(u32::try_from(index).unwrap()) % 3, index) {
                    (0, _) => assert!(manager.complete(&tp, batch)),
                    (_, 0) => manager.handle_failed_batch(&tp, batch),
                    (1, _) => manager.retry(&tp, batch, Attempt::OutOfSequence),
                    _ => manager.retry(&tp, batch, Attempt::Indefinite),
                }
                let _ = resolve(&manager);
            }
            drain_until_empty(&manager, &tp);
        }
    }
}

/// Acknowledges whatever the manager lets pass; fails if it lets nothing pass.
fn drain_until_empty(manager: &TransactionManager, tp: &TopicPartition) {
    for _ in 0..10 {
        let _ = resolve(manager);
        if entry(manager, tp, |entry| !entry.has_unsettled()) {
            send(manager, tp, 1);
            return;
        }
        if let Some(next) = entry(manager, tp, PartitionEntry::next_retry) {
            resend(manager, tp, &next);
            manager.complete(tp, &next);
        }
    }
    panic!("stuck: {manager:?}");
}

#[test]
fn a_gap_in_the_middle_waits_for_the_batch_before_it() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let [unknown, failed, refused] = [(); 3].map(|()| send(&manager, &tp, 1));
    manager.retry(&tp, &unknown, Attempt::Indefinite);
    manager.handle_failed_batch(&tp, &failed);
    manager.retry(&tp, &refused, Attempt::OutOfSequence);
    assert!(resolve(&manager).is_empty());
    resend(&manager, &tp, &unknown);
    manager.complete(&tp, &unknown);
    assert_eq!(
        resolve(&manager),
        resolved(&tp, &[sequence(id(13, 1), 0, 1)])
    );
}

#[test]
fn a_gap_holds_new_batches_back_until_the_old_ones_are_answered() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let [failed, on_wire] = [(); 2].map(|()| send(&manager, &tp, 1));
    manager.handle_failed_batch(&tp, &failed);
    assert!(resolve(&manager).is_empty());
    assert!(manager.should_stop_drain(&tp, None));
    manager.retry(&tp, &on_wire, Attempt::OutOfSequence);
    assert_eq!(resolve(&manager).len(), 1);
}

#[test]
fn used_up_epochs_ask_for_another_producer_id() {
    let (manager, tp) = (TransactionManager::new(5, backoff(), None), partition(0));
    receive_producer_id(&manager, id(13, i16::MAX));
    let (failed, time) = (send(&manager, &tp, 1), MockTime::new());
    manager.handle_failed_batch(&tp, &failed);
    assert!(resolve(&manager).is_empty());
    assert!(!manager.has_producer_id());
    assert_eq!(
        manager.init_producer_id_delay(time.now()),
        Some(Duration::ZERO)
    );
    receive_producer_id(&manager, id(14, 0));
    assert_eq!(resolve(&manager), resolved(&tp, &[]));
    assert_eq!(send(&manager, &tp, 1), sequence(id(14, 0), 0, 1));
}

// Java: TransactionManagerTest.testProducerIdReset... late failures, successes and duplicates after a reset are ignored.
#[test]
fn late_answers_after_a_reset_are_ignored() {
    let (manager, tp) = (ready_manager(), partition(0));
    let old = send(&manager, &tp, 1);
    manager.handle_failed_batch(&tp, &old);
    assert_eq!(resolve(&manager).len(), 1);
    let new = send(&manager, &tp, 1);
    assert!(!manager.complete(&tp, &old), "same sequence, old epoch");
    manager.handle_failed_batch(&tp, &old);
    manager.retry(&tp, &old, Attempt::OutOfSequence);
    assert_eq!(entry(&manager, &tp, PartitionEntry::unsettled), [new]);
    assert_eq!(
        entry(&manager, &tp, PartitionEntry::last_acked_sequence),
        -1
    );
    assert!(resolve(&manager).is_empty());
}

// Java: SenderTest.testIdempotentSplitBatchAndSend.
#[test]
fn parts_of_a_split_batch_take_its_sequences_in_order() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let (large, later) = (send(&manager, &tp, 5), send(&manager, &tp, 1));
    manager.retry(&tp, &later, Attempt::OutOfSequence);
    let parts = manager.split(&tp, &large, &[2, 3]);
    assert_eq!(
        parts,
        [sequence(id(13, 0), 1, 2), sequence(id(13, 0), 3, 3)]
    );
    for batch in [parts[0], parts[1], later] {
        resend(&manager, &tp, &batch);
        assert!(manager.can_retry_out_of_sequence(&tp, &batch, Attempt::OutOfSequence));
        manager.complete(&tp, &batch);
    }
    assert_eq!(send(&manager, &tp, 1).base_sequence, 7);
}

#[test]
fn a_part_is_not_renumbered_where_the_whole_may_be_in_the_log() {
    let (manager, tp) = (ready_manager(), partition(0));
    with_ack(&manager, &tp);
    let large = send(&manager, &tp, 4);
    manager.retry(&tp, &large, Attempt::Indefinite);
    resend(&manager, &tp, &large);
    let parts = manager.split(&tp, &large, &[2, 2]);
    resend(&manager, &tp, &parts[0]);
    assert!(!manager.can_retry_out_of_sequence(&tp, &parts[0], Attempt::OutOfSequence));
    manager.retry(&tp, &parts[0], Attempt::OutOfSequence);
    assert!(resolve(&manager).is_empty());
}
