//! The idempotent part of `TransactionManagerTest`, and the bugs of other clients.

use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::producer::internals::fate::{Certainty, detached};
use crate::protocol::ErrorCode;
use crate::utils::{ExponentialBackoff, MockTime, Time};

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

fn receive_producer_id(producer: &IdempotentProducer, id: ProducerIdAndEpoch) {
    producer.init_producer_id_sent();
    let now = MockTime::new().now();
    let outcome = producer.handle_init_producer_id_response(ErrorCode::NONE, id, now);
    assert!(matches!(outcome, InitOutcome::Ready));
}

/// The producer's calls in the sender's order: the batch's fate comes first.
impl IdempotentProducer {
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
        self.assign_sequence(topic_partition, count, detached(), LogView::UNKNOWN)
    }

    fn complete(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) -> bool {
        let now = MockTime::new().now();
        self.with_sequences(|sequences| sequences.completed(topic_partition, sequence, now))
    }

    fn retry(&self, topic_partition: &TopicPartition, sequence: &BatchSequence, attempt: Attempt) {
        let is_known = entry(self, topic_partition, |entry| {
            entry.unsettled().contains(sequence)
        });
        if is_known {
            let batch = entry(self, topic_partition, |entry| entry.batch(sequence));
            batch.fate().end_attempt(match attempt {
                Attempt::Indefinite => Certainty::Maybe,
                _ => Certainty::NotWritten,
            });
        }
        self.with_sequences(|sequences| sequences.retried(topic_partition, sequence, attempt));
    }

    fn fail(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        self.with_sequences(|sequences| sequences.failed(topic_partition, sequence));
    }

    fn expire_in_flight(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) {
        self.with_sequences(|sequences| sequences.expired_in_flight(topic_partition, sequence));
    }

    fn may_be_written(&self, topic_partition: &TopicPartition, sequence: &BatchSequence) -> bool {
        self.with_sequences(|sequences| sequences.may_be_written(topic_partition, sequence))
            .expect("the partition has a batch")
    }

    fn producer_id_and_epoch(&self) -> ProducerIdAndEpoch {
        self.with_sequences(|sequences| sequences.producer())
    }

    fn has_producer_id(&self) -> bool {
        self.producer_id_and_epoch().is_valid()
    }

    fn split(
        &self,
        topic_partition: &TopicPartition,
        whole: &BatchSequence,
        counts: &[u32],
    ) -> Vec<BatchSequence> {
        let batch = entry(self, topic_partition, |entry| entry.batch(whole));
        let parts: Vec<_> = counts
            .iter()
            .map(|count| {
                let part = detached();
                part.fate().inherit(batch.fate());
                (*count, part)
            })
            .collect();
        self.with_sequences(|sequences| sequences.split(topic_partition, whole, &parts))
    }
}

fn ready_producer() -> IdempotentProducer {
    let producer = IdempotentProducer::new(MAX_IN_FLIGHT, backoff());
    receive_producer_id(&producer, id(13, 0));
    producer
}

/// Creates a partition with an acknowledged first batch of one record.
fn with_ack(producer: &IdempotentProducer, topic_partition: &TopicPartition) {
    let first = send(producer, topic_partition, 1);
    assert!(producer.complete(topic_partition, &first));
}

fn send(
    producer: &IdempotentProducer,
    topic_partition: &TopicPartition,
    count: u32,
) -> BatchSequence {
    assert!(
        !producer.should_stop_drain(topic_partition, None),
        "{producer:?}"
    );
    producer.assign(topic_partition, count)
}

fn resend(producer: &IdempotentProducer, topic_partition: &TopicPartition, batch: &BatchSequence) {
    assert!(
        !producer.should_stop_drain(topic_partition, Some(batch)),
        "{producer:?}"
    );
    producer.add_in_flight(topic_partition, batch);
}

fn resolved(
    topic_partition: &TopicPartition,
    renumbered: &[BatchSequence],
) -> Vec<(TopicPartition, Vec<BatchSequence>)> {
    vec![(topic_partition.clone(), renumbered.to_vec())]
}

/// Returns the partitions that continue, and the new sequences of their batches.
fn resolve(producer: &IdempotentProducer) -> Vec<(TopicPartition, Vec<BatchSequence>)> {
    let resolved = producer.maybe_resolve_sequences().into_iter();
    resolved
        .map(|resolved| match resolved.outcome {
            ResolvedOutcome::Unchanged => (resolved.topic_partition, Vec::new()),
            ResolvedOutcome::Restarted(restart) => (resolved.topic_partition, restart.renumbered),
            ResolvedOutcome::Abandoned(error) => panic!("abandoned: {error}"),
        })
        .collect()
}

fn entry<T>(
    producer: &IdempotentProducer,
    topic_partition: &TopicPartition,
    read: impl FnOnce(&PartitionEntry) -> T,
) -> T {
    producer.with_sequences(|sequences| read(&sequences.partitions[topic_partition]))
}

// Java: TransactionManagerTest.testDefaultSequenceNumber.
#[test]
fn sequences_begin_at_zero() {
    let (producer, tp) = (ready_producer(), partition(0));
    assert_eq!(send(&producer, &tp, 3), sequence(id(13, 0), 0, 3));
    assert_eq!(entry(&producer, &tp, PartitionEntry::next_sequence), 3);
    assert_eq!(
        entry(&producer, &tp, PartitionEntry::last_acked_sequence),
        -1
    );
}

// Java: TransactionManagerTest.testSequenceNumberOverflow. Sequences that wrap at 2^31.
#[test]
fn sequences_wrap_to_zero_in_order() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    producer.with_sequences(|sequences| sequences.set_next_sequence(&tp, i32::MAX - 1));
    let a = send(&producer, &tp, 1);
    let b = send(&producer, &tp, 3);
    let c = send(&producer, &tp, 1);
    assert_eq!((b.base_sequence, b.last_sequence()), (i32::MAX, 1));
    assert_eq!(c.base_sequence, 2);
    assert_eq!(entry(&producer, &tp, PartitionEntry::unsettled), [a, b, c]);

    for batch in [&c, &a, &b] {
        producer.retry(&tp, batch, Attempt::Refused);
    }
    for batch in [a, b, c] {
        resend(&producer, &tp, &batch);
        producer.complete(&tp, &batch);
        assert_eq!(
            entry(&producer, &tp, PartitionEntry::last_acked_sequence),
            batch.last_sequence()
        );
    }
    assert!(resolve(&producer).is_empty());
    assert_eq!(send(&producer, &tp, 1), sequence(id(13, 0), 3, 1));
}

// Java: TransactionManagerTest.testFailIfNotReadyForSendNoProducerId.
#[test]
fn nothing_is_drained_without_a_producer_id() {
    let (producer, tp) = (IdempotentProducer::new(5, backoff()), partition(0));
    assert!(producer.should_stop_drain(&tp, None));
    producer.init_producer_id_sent();
    assert!(producer.should_stop_drain(&tp, None));
    receive_producer_id(&producer, id(1, 0));
    assert!(!producer.should_stop_drain(&tp, None));
    producer.transition_to_fatal_error(Error::new(ErrorKind::Fenced, "fenced"));
    assert!(producer.should_stop_drain(&tp, None));
}

#[test]
fn init_producer_id_backs_off_and_recovers_from_missing_rights() {
    let (producer, time) = (IdempotentProducer::new(5, backoff()), MockTime::new());
    let delay = |now| producer.init_producer_id_delay(now);
    assert_eq!(delay(time.now()), Some(Duration::ZERO));
    producer.init_producer_id_sent();
    assert_eq!(delay(time.now()), None);
    let answer =
        |code, now| producer.handle_init_producer_id_response(code, ProducerIdAndEpoch::NONE, now);
    let outcome = answer(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, time.now());
    assert!(matches!(outcome, InitOutcome::Retry));
    assert_eq!(delay(time.now()), Some(Duration::from_millis(100)));
    time.advance_ms(100);
    assert_eq!(delay(time.now()), Some(Duration::ZERO));

    producer.init_producer_id_sent();
    let outcome = answer(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, time.now());
    assert!(matches!(outcome, InitOutcome::AbortBatches(_)));
    assert!(producer.fatal_error().is_none());
    receive_producer_id(&producer, id(5, 0));
    assert_eq!(producer.producer_id_and_epoch(), id(5, 0));
}

// Java: TransactionManagerTest.testUnsupportedInitTransactions.
#[test]
fn unsupported_init_producer_id_is_fatal() {
    for code in [ErrorCode::UNSUPPORTED_VERSION, ErrorCode::from_i16(9999)] {
        let producer = IdempotentProducer::new(5, backoff());
        producer.init_producer_id_sent();
        let now = MockTime::new().now();
        let outcome =
            producer.handle_init_producer_id_response(code, ProducerIdAndEpoch::NONE, now);
        assert!(matches!(outcome, InitOutcome::Fatal));
        assert_eq!(producer.fatal_error().unwrap().code(), Some(code));
    }
}

#[test]
fn an_invalid_producer_id_from_the_broker_is_fatal() {
    let producer = IdempotentProducer::new(5, backoff());
    producer.init_producer_id_sent();
    let now = MockTime::new().now();
    let outcome = producer.handle_init_producer_id_response(ErrorCode::NONE, id(-1, 0), now);
    assert!(matches!(outcome, InitOutcome::Fatal));
    assert!(!producer.has_producer_id());
}

#[test]
fn one_batch_is_in_flight_until_the_first_ack_then_five() {
    let (producer, tp) = (ready_producer(), partition(0));
    let first = send(&producer, &tp, 1);
    assert!(producer.should_stop_drain(&tp, None));
    producer.complete(&tp, &first);
    for _ in 0..MAX_IN_FLIGHT {
        send(&producer, &tp, 1);
    }
    assert!(producer.should_stop_drain(&tp, None));
    assert!(!producer.should_stop_drain(&partition(1), None));
}

// Found by the simulation: six later batches overtook one that was retried, and the broker forgot
// it.
#[test]
fn no_batch_runs_ahead_of_what_the_broker_remembers() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let first = send(&producer, &tp, 1);
    producer.retry(&tp, &first, Attempt::Refused);
    resend(&producer, &tp, &first);
    for _ in 1..MAX_IN_FLIGHT {
        let later = send(&producer, &tp, 1);
        producer.complete(&tp, &later);
    }
    assert!(
        producer.should_stop_drain(&tp, None),
        "the only one in flight is the fifth from the end"
    );
    producer.complete(&tp, &first);
    assert!(!producer.should_stop_drain(&tp, None));
}

#[test]
fn max_in_flight_below_five_bounds_a_partition_too() {
    let (producer, tp) = (IdempotentProducer::new(2, backoff()), partition(0));
    receive_producer_id(&producer, id(1, 0));
    with_ack(&producer, &tp);
    send(&producer, &tp, 1);
    send(&producer, &tp, 1);
    assert!(producer.should_stop_drain(&tp, None));
}

// Java: SenderTest.testIdempotenceWithMultipleInflightsRetriedInOrder. Reordering by a retry.
#[test]
fn retries_go_out_in_order_one_at_a_time() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let batches: Vec<_> = (0..4).map(|_| send(&producer, &tp, 2)).collect();
    producer.retry(&tp, &batches[0], Attempt::Refused);
    for batch in &batches[1..] {
        producer.retry(&tp, batch, Attempt::OutOfSequence);
    }
    assert!(resolve(&producer).is_empty(), "no real gap");
    for (index, batch) in batches.iter().enumerate() {
        for later in &batches[index + 1..] {
            assert!(producer.should_stop_drain(&tp, Some(later)));
        }
        resend(&producer, &tp, batch);
        assert!(
            producer.should_stop_drain(&tp, Some(batch)),
            "twice on the wire"
        );
        producer.complete(&tp, batch);
    }
    assert_eq!(producer.producer_id_and_epoch(), id(13, 0));
}

// Java: SenderTest.testCorrectHandlingOfOutOfOrderResponses: the second is acknowledged before the first.
#[test]
fn an_early_ack_of_a_later_batch_does_not_move_last_acked_back() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let (first, second) = (send(&producer, &tp, 1), send(&producer, &tp, 1));
    producer.complete(&tp, &second);
    producer.retry(&tp, &first, Attempt::Indefinite);
    resend(&producer, &tp, &first);
    producer.complete(&tp, &first);
    assert_eq!(
        entry(&producer, &tp, PartitionEntry::last_acked_sequence),
        2
    );
}

// Java: TransactionManagerTest.testBumpEpochAndResetSequenceNumbersAfterUnknownProducerId,
// SenderTest.testUnresolvedSequencesAreNotFatal.
#[test]
fn a_lost_log_bumps_the_epoch_and_renumbers_what_was_refused() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let batches = [send(&producer, &tp, 2), send(&producer, &tp, 3)];
    producer.retry(&tp, &batches[0], Attempt::OutOfSequence);
    assert!(resolve(&producer).is_empty(), "one is on the wire");
    assert!(producer.should_stop_drain(&tp, None));
    assert!(
        producer.should_stop_drain(&tp, Some(&batches[0])),
        "refused already"
    );
    producer.retry(&tp, &batches[1], Attempt::OutOfSequence);

    let renumbered = [sequence(id(13, 1), 0, 2), sequence(id(13, 1), 2, 3)];
    assert_eq!(resolve(&producer), resolved(&tp, &renumbered));
    resend(&producer, &tp, &renumbered[0]);
    assert!(
        producer.should_stop_drain(&tp, Some(&renumbered[1])),
        "first ack first"
    );
    producer.complete(&tp, &renumbered[0]);
    resend(&producer, &tp, &renumbered[1]);
    producer.complete(&tp, &renumbered[1]);
    assert_eq!(send(&producer, &tp, 1), sequence(id(13, 1), 5, 1));
}

// KAFKA-12152, librdkafka #4953: an epoch bump must not affect other partitions.
#[test]
fn an_epoch_bump_leaves_other_partitions_alone_until_they_are_empty() {
    let (producer, sick, healthy) = (ready_producer(), partition(5), partition(12));
    with_ack(&producer, &sick);
    with_ack(&producer, &healthy);
    let written = send(&producer, &healthy, 1);
    let refused = send(&producer, &sick, 1);
    producer.retry(&sick, &refused, Attempt::OutOfSequence);
    assert_eq!(
        resolve(&producer),
        resolved(&sick, &[sequence(id(13, 1), 0, 1)])
    );

    producer.retry(&healthy, &written, Attempt::Indefinite);
    assert!(
        producer.should_stop_drain(&healthy, None),
        "old epoch, not empty"
    );
    assert!(resolve(&producer).is_empty());
    resend(&producer, &healthy, &written);
    assert_eq!(
        entry(&producer, &healthy, PartitionEntry::unsettled),
        [written]
    );
    producer.complete(&healthy, &written);
    assert_eq!(send(&producer, &healthy, 1), sequence(id(13, 1), 0, 1));
}

#[test]
fn a_second_gap_uses_the_epoch_that_the_first_made() {
    let (producer, a, b) = (ready_producer(), partition(0), partition(1));
    for tp in [&a, &b] {
        let batch = send(&producer, tp, 1);
        producer.fail(tp, &batch);
    }
    assert_eq!(resolve(&producer).len(), 2);
    assert_eq!(producer.producer_id_and_epoch(), id(13, 1));
}

// librdkafka #4438, franz-go #1217: a batch that may be written must not count as unwritten.
#[test]
fn a_batch_of_unknown_fate_is_never_renumbered() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let (expired, unknown) = (send(&producer, &tp, 1), send(&producer, &tp, 1));
    producer.expire_in_flight(&tp, &expired);
    producer.retry(&tp, &unknown, Attempt::Indefinite);
    assert!(resolve(&producer).is_empty());
    assert!(
        producer.should_stop_drain(&tp, Some(&unknown)),
        "the first is unanswered"
    );
    producer.fail(&tp, &expired);
    assert!(resolve(&producer).is_empty(), "its fate is unknown");
    assert!(producer.should_stop_drain(&tp, None));
    resend(&producer, &tp, &unknown);
    producer.complete(&tp, &unknown);
    // Its success proves that the expired one is in the log: no gap, no bump.
    assert_eq!(resolve(&producer), resolved(&tp, &[]));
    assert_eq!(send(&producer, &tp, 1), sequence(id(13, 0), 3, 1));
}

// Java: SenderTest.testExpiryOfFirstBatchShouldCauseEpochBumpIfFutureBatchesFail. Gaps in the sequences after an expiry.
#[test]
fn an_expired_batch_bumps_the_epoch_once_the_later_ones_are_refused() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let (expired, later) = (send(&producer, &tp, 1), send(&producer, &tp, 1));
    producer.expire_in_flight(&tp, &expired);
    producer.fail(&tp, &expired);
    assert!(resolve(&producer).is_empty());
    producer.retry(&tp, &later, Attempt::OutOfSequence);
    assert_eq!(
        resolve(&producer),
        resolved(&tp, &[sequence(id(13, 1), 0, 1)])
    );
}

// Gaps in the sequences after an expiry: KAFKA-13843.
#[test]
fn the_late_success_of_an_expired_batch_closes_the_gap() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let (expired, later) = (send(&producer, &tp, 1), send(&producer, &tp, 1));
    producer.expire_in_flight(&tp, &expired);
    producer.retry(&tp, &later, Attempt::OutOfSequence);
    assert!(resolve(&producer).is_empty());
    assert!(producer.complete(&tp, &expired));
    assert_eq!(resolve(&producer), resolved(&tp, &[]));
    resend(&producer, &tp, &later);
}

// Every order of three responses after the first of three batches has expired in flight.
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
            let (producer, tp) = (ready_producer(), partition(0));
            with_ack(&producer, &tp);
            let batches = [(); 3].map(|()| send(&producer, &tp, 1));
            producer.expire_in_flight(&tp, &batches[0]);
            for index in order {
                let batch = &batches[index];
                match (fates / 3_i32.pow(u32::try_from(index).unwrap()) % 3, index) {
                    (0, _) => assert!(producer.complete(&tp, batch)),
                    (_, 0) => producer.fail(&tp, batch),
                    (1, _) => producer.retry(&tp, batch, Attempt::OutOfSequence),
                    _ => producer.retry(&tp, batch, Attempt::Indefinite),
                }
                let _ = resolve(&producer);
            }
            drain_until_empty(&producer, &tp);
        }
    }
}

/// Acknowledges every batch that the producer allows. Fails if it allows none.
fn drain_until_empty(producer: &IdempotentProducer, tp: &TopicPartition) {
    for _ in 0..10 {
        let _ = resolve(producer);
        if entry(producer, tp, |entry| !entry.has_unsettled()) {
            send(producer, tp, 1);
            return;
        }
        if let Some(next) = entry(producer, tp, PartitionEntry::next_retry) {
            resend(producer, tp, &next);
            producer.complete(tp, &next);
        }
    }
    panic!("stuck: {producer:?}");
}

#[test]
fn a_gap_in_the_middle_waits_for_the_batch_before_it() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let [unknown, failed, refused] = [(); 3].map(|()| send(&producer, &tp, 1));
    producer.retry(&tp, &unknown, Attempt::Indefinite);
    producer.fail(&tp, &failed);
    producer.retry(&tp, &refused, Attempt::OutOfSequence);
    assert!(resolve(&producer).is_empty());
    resend(&producer, &tp, &unknown);
    producer.complete(&tp, &unknown);
    assert_eq!(
        resolve(&producer),
        resolved(&tp, &[sequence(id(13, 1), 0, 1)])
    );
}

#[test]
fn a_gap_holds_new_batches_back_until_the_old_ones_are_answered() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let [failed, on_wire] = [(); 2].map(|()| send(&producer, &tp, 1));
    producer.fail(&tp, &failed);
    assert!(resolve(&producer).is_empty());
    assert!(producer.should_stop_drain(&tp, None));
    producer.retry(&tp, &on_wire, Attempt::OutOfSequence);
    assert_eq!(resolve(&producer).len(), 1);
}

#[test]
fn used_up_epochs_ask_for_another_producer_id() {
    let (producer, tp) = (IdempotentProducer::new(5, backoff()), partition(0));
    receive_producer_id(&producer, id(13, i16::MAX));
    let (failed, time) = (send(&producer, &tp, 1), MockTime::new());
    producer.fail(&tp, &failed);
    assert!(resolve(&producer).is_empty());
    assert!(!producer.has_producer_id());
    assert_eq!(
        producer.init_producer_id_delay(time.now()),
        Some(Duration::ZERO)
    );
    receive_producer_id(&producer, id(14, 0));
    assert_eq!(resolve(&producer), resolved(&tp, &[]));
    assert_eq!(send(&producer, &tp, 1), sequence(id(14, 0), 0, 1));
}

// Java: TransactionManagerTest.testProducerIdReset... late failures, successes and duplicates after a reset are ignored.
#[test]
fn late_answers_after_a_reset_are_ignored() {
    let (producer, tp) = (ready_producer(), partition(0));
    let old = send(&producer, &tp, 1);
    producer.fail(&tp, &old);
    assert_eq!(resolve(&producer).len(), 1);
    let new = send(&producer, &tp, 1);
    assert!(!producer.complete(&tp, &old), "same sequence, old epoch");
    producer.fail(&tp, &old);
    producer.retry(&tp, &old, Attempt::OutOfSequence);
    assert_eq!(entry(&producer, &tp, PartitionEntry::unsettled), [new]);
    assert_eq!(
        entry(&producer, &tp, PartitionEntry::last_acked_sequence),
        -1
    );
    assert!(resolve(&producer).is_empty());
}

// Java: SenderTest.testIdempotentSplitBatchAndSend.
#[test]
fn parts_of_a_split_batch_take_its_sequences_in_order() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let (large, later) = (send(&producer, &tp, 5), send(&producer, &tp, 1));
    producer.retry(&tp, &later, Attempt::OutOfSequence);
    let parts = producer.split(&tp, &large, &[2, 3]);
    assert_eq!(
        parts,
        [sequence(id(13, 0), 1, 2), sequence(id(13, 0), 3, 3)]
    );
    for batch in [parts[0], parts[1], later] {
        resend(&producer, &tp, &batch);
        assert!(!producer.may_be_written(&tp, &batch));
        producer.complete(&tp, &batch);
    }
    assert_eq!(send(&producer, &tp, 1).base_sequence, 7);
}

#[test]
fn a_part_is_not_renumbered_where_the_whole_may_be_in_the_log() {
    let (producer, tp) = (ready_producer(), partition(0));
    with_ack(&producer, &tp);
    let large = send(&producer, &tp, 4);
    producer.retry(&tp, &large, Attempt::Indefinite);
    resend(&producer, &tp, &large);
    let parts = producer.split(&tp, &large, &[2, 2]);
    resend(&producer, &tp, &parts[0]);
    assert!(producer.may_be_written(&tp, &parts[0]));
    producer.retry(&tp, &parts[0], Attempt::OutOfSequence);
    assert!(resolve(&producer).is_empty());
}
