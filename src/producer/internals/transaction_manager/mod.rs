//! Producer id, epochs, sequences and transactions. Java: `TransactionManager`, `TxnPartitionMap`; KIP-98, KIP-360,
//! KIP-447, KIP-890.
//!
//! - [`states`] has the states, [`error_tables`] what each error code means, [`requests`] the order of the requests: data
//!   that a reader can hold against Kafka's documents.
//! - [`operations`] are the program's calls; [`next_request`] and [`bodies`] are what goes out for them, [`handlers`] what
//!   comes back.
//! - [`topic_ids`] has the ids by which an offset commit identifies its topics.
//! - [`batches`], [`partition_entry`] and [`sequence`] are the sequences of batches, which an idempotent producer has too; [`producer_id`] is for one
//!   without transactions.
//!
//! Threads: the I/O thread sends, takes answers and drains; callers begin and end transactions and append.
//! Locks: one mutex around everything, held for a few instructions. Order: it is taken inside the lock of a partition's
//! deque, by the drain and by an append that begins a batch; inside it only the mutex of a
//! [`TransactionalRequestResult`] is taken. Callers wait on that one, with nothing held.
//!
//! Differs from Java:
//! - It knows batches by their [`BatchSequence`] alone. It owns none, and rewrites none: renumbering is returned to the
//!   caller.
//! - A batch with an indefinite attempt is never renumbered. Java rewrites every batch in flight as soon as it sees a gap. A
//!   partition here awaits resolution: it gives out no new sequences, and its batches are sent again under their old ones
//!   until each is acknowledged, failed, or known not to be in the log. Only then does the epoch move, for this partition at
//!   once, for every other one when it has nothing unsettled. In a transaction the epoch moves when that has been aborted,
//!   and the batches behind a gap fail with it.
//! - A batch that was sent even once and then given up leaves its partition unresolved (Java: that was *retried* once).
//! - No more than `max.in.flight` batches, five at most, are given sequences from the first unsettled one on, be the later
//!   ones acknowledged or not. Java counts those without an answer, and can run ahead of what a broker remembers.
//! - One batch of a partition is in flight until the broker has acknowledged one, and whenever it may have forgotten the
//!   producer; see [`partition_entry`].
//! - See [`handlers`] for what differs in transactions.

mod batches;
mod bodies;
mod error_tables;
mod handlers;
mod next_request;
mod operations;
mod partition_entry;
mod producer_id;
mod requests;
mod result;
mod sequence;
mod states;
mod topic_ids;
mod transaction;

#[cfg(test)]
mod tests;

use std::time::Instant;

use hashbrown::HashMap;

use self::partition_entry::PartitionEntry;
use self::states::State;
use self::transaction::Transaction;
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::ErrorCode;
use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering};
use crate::utils::{ExponentialBackoff, LogLimiter, log};

pub(crate) use self::batches::{NextBatch, Resolved, ResolvedOutcome};
pub(crate) use self::bodies::{usable_versions, usable_versions_of};
pub(crate) use self::handlers::CONCURRENT_TRANSACTIONS_BACKOFF;
pub(crate) use self::next_request::{ClusterFacts, NextRequest};
pub(crate) use self::operations::transaction_aborted;
pub(crate) use self::partition_entry::{Attempt, LogView};
pub(crate) use self::requests::TxnRequest;
pub(crate) use self::result::TransactionalRequestResult;
pub(crate) use self::sequence::{BatchSequence, ProducerIdAndEpoch, compare as compare_sequences};
pub(crate) use self::transaction::{TransactionConfig, TransactionVersion};

/// A broker remembers this many batches of a producer in each partition, and can tell a duplicate among them alone.
const MAX_IN_FLIGHT_WITH_IDEMPOTENCE: u64 = 5;

/// What an answer to InitProducerId means for the batches that wait for it.
#[derive(Debug)]
pub(crate) enum InitOutcome {
    /// Batches can be drained.
    Ready,
    /// It is asked for again after a wait.
    Retry,
    /// Every batch fails with this error, and the producer asks again: rights that are granted later need no new one.
    AbortBatches(Error),
    /// The producer is finished.
    Fatal(Error),
}

/// The state of an idempotent or transactional producer.
#[derive(Debug)]
pub(crate) struct TransactionManager {
    max_in_flight: u64,
    retry_backoff: ExponentialBackoff,
    is_transactional: bool,
    /// Whether a transaction is open for records. Written with the lock held.
    accepts_records: Arc<AtomicBool>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Why the state is an error.
    last_error: Option<Error>,
    accepts_records: Arc<AtomicBool>,
    /// What partitions start with from now on. A partition that has batches unsettled keeps its own until it has none.
    producer: ProducerIdAndEpoch,
    /// Of a producer without transactions: when InitProducerId may be sent again.
    retry_at: Option<Instant>,
    init_attempts: u32,
    /// Never shrinks while the epoch stays: forgetting a partition while its topic is missing from the metadata would start
    /// it at 0 again, and the broker would drop new records as duplicates.
    partitions: HashMap<TopicPartition, PartitionEntry>,
    /// The partitions that await resolution, so that looking for them costs nothing when there is none.
    unresolved: Vec<TopicPartition>,
    /// What each retry may say again.
    warnings: LogLimiter<String>,
    /// There for a transactional producer.
    transaction: Option<Box<Transaction>>,
}

impl TransactionManager {
    /// `max_in_flight` is `max.in.flight.requests.per.connection`; `retry_backoff` paces requests; `transaction` is there
    /// where `transactional.id` is set.
    pub(crate) fn new(
        max_in_flight: usize,
        retry_backoff: ExponentialBackoff,
        transaction: Option<TransactionConfig>,
    ) -> Self {
        let accepts_records = Arc::new(AtomicBool::new(false));
        Self {
            max_in_flight: u64::try_from(max_in_flight)
                .unwrap_or(u64::MAX)
                .clamp(1, MAX_IN_FLIGHT_WITH_IDEMPOTENCE),
            retry_backoff,
            is_transactional: transaction.is_some(),
            accepts_records: Arc::clone(&accepts_records),
            inner: Mutex::new(Inner {
                state: State::Uninitialized,
                last_error: None,
                accepts_records,
                producer: ProducerIdAndEpoch::NONE,
                retry_at: None,
                init_attempts: 0,
                partitions: HashMap::new(),
                unresolved: Vec::new(),
                warnings: LogLimiter::new(16),
                transaction: transaction.map(|config| Box::new(Transaction::new(config))),
            }),
        }
    }

    /// Whether the producer has a transactional id.
    pub(crate) fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    /// The transactional id, and the version of the open transaction; `None` without transactions.
    pub(crate) fn transactional_id(&self) -> Option<(Arc<str>, TransactionVersion)> {
        if !self.is_transactional {
            return None;
        }
        let mut inner = self.lock();
        let transaction = inner.transaction().ok()?;
        let id = Arc::clone(&transaction.config.transactional_id);
        Some((id, transaction.version))
    }

    /// The error, as one of the open transaction.
    pub(crate) fn in_transaction(&self, error: Error) -> Error {
        match &self.lock().transaction {
            Some(transaction) => error.in_transaction(&transaction.mark),
            None => error,
        }
    }

    /// The current producer id and epoch, or [`ProducerIdAndEpoch::NONE`].
    #[cfg(test)]
    pub(crate) fn producer_id_and_epoch(&self) -> ProducerIdAndEpoch {
        self.lock().producer
    }

    #[cfg(test)]
    pub(crate) fn has_producer_id(&self) -> bool {
        self.lock().producer.is_valid()
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// Why nothing can be sent any more, if that is so.
    pub(crate) fn fatal_error(&self) -> Option<Error> {
        self.lock().fatal_error()
    }

    /// Ends all sending. The first error stays.
    pub(crate) fn transition_to_fatal_error(&self, error: Error) {
        self.lock().transition_to_fatal_error(error);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

/// The open transaction, as the sender sees it.
impl TransactionManager {
    /// Whether a transaction is being ended: nothing is added to it any more.
    pub(crate) fn is_completing(&self) -> bool {
        self.is_transactional && self.lock().state.is_completing()
    }

    /// Java: `hasOngoingTransaction`.
    pub(crate) fn has_ongoing_transaction(&self) -> bool {
        self.is_transactional && self.lock().state.has_ongoing_transaction()
    }

    /// Why batches that were never sent are to be failed now; `None` if they are not.
    pub(crate) fn reason_to_abort_batches(&self) -> Option<Error> {
        if !self.is_transactional {
            return None;
        }
        let inner = self.lock();
        match inner.state {
            State::AbortingTransaction => Some(transaction_aborted()),
            State::AbortableError => {
                let aborted = inner.abortable(transaction_aborted());
                Some(match &inner.last_error {
                    Some(cause) => aborted.caused_by(cause.clone()),
                    None => aborted,
                })
            }
            _ => None,
        }
    }

    /// What a batch's failure means for the transaction that it is in, and the error as its records are to have it. Java:
    /// `maybeTransitionToErrorState`.
    pub(crate) fn handle_error_in_transaction(&self, error: Error) -> Error {
        if !self.is_transactional {
            return error;
        }
        let mut inner = self.lock();
        if ends_producer(&error) {
            inner.transition_to_fatal_error(error.clone());
            return error.into_fatal();
        }
        let is_open = inner.state.has_ongoing_transaction();
        match inner.transaction() {
            // What fails once the end is asked for was not taken for this transaction, which may be committed by now.
            Ok(transaction) if is_open && !transaction.is_end_sent => {
                transaction.require_bump_if_possible();
                let error = inner.abortable(error);
                inner.transition_to_abortable_error(error.clone());
                error
            }
            _ => error,
        }
    }

    /// The I/O thread ends: nobody will do what was asked for, or is asked for from now on.
    pub(crate) fn close(&self, reason: &Error) {
        let mut inner = self.lock();
        if inner.fatal_error().is_none() {
            inner.last_error = Some(reason.clone());
            inner.set_state(State::FatalError);
        }
        if let Ok(transaction) = inner.transaction() {
            transaction.fail_all(reason);
        }
    }
}

impl Inner {
    fn set_state(&mut self, state: State) {
        log::debug!("the producer is {state}, it was {}", self.state);
        self.state = state;
        self.accepts_records
            .store(state == State::InTransaction, Ordering::Relaxed);
        if let (State::Ready, Some(transaction)) = (state, &mut self.transaction) {
            transaction.renew_mark();
        }
    }

    /// The error, as one after which the open transaction can only be aborted.
    fn abortable(&self, error: Error) -> Error {
        match &self.transaction {
            Some(transaction) => error.into_abortable(&transaction.mark),
            None => error,
        }
    }

    /// # Errors
    ///
    /// `IllegalState`, with nothing changed, where the state does not allow it.
    fn transition_to(&mut self, target: State, operation: &str) -> Result<()> {
        if !target.may_follow(self.state) {
            return Err(operations::illegal_state(operation, self.state));
        }
        self.last_error = None;
        self.set_state(target);
        Ok(())
    }

    /// A transition on the I/O thread, where an impossible one is a bug after which nothing can be relied on.
    fn transition_or_fail(&mut self, target: State) {
        if !target.may_follow(self.state) {
            let text = format!(
                "the producer cannot become {target}, as it is {}",
                self.state
            );
            return self.transition_to_fatal_error(Error::new(ErrorKind::Internal, text));
        }
        self.last_error = None;
        self.set_state(target);
    }

    /// The first error stays. A transaction that is being aborted already goes on being aborted.
    fn transition_to_abortable_error(&mut self, error: Error) {
        match self.state {
            State::AbortableError | State::AbortingTransaction | State::FatalError => {
                log::debug!("the transaction is aborted already, another error: {error}");
            }
            state if State::AbortableError.may_follow(state) => {
                log::warn!("the transaction can only be aborted: {error}");
                self.last_error = Some(error);
                self.set_state(State::AbortableError);
            }
            state => {
                let text = format!("a transaction failed while the producer was {state}");
                let error = Error::new(ErrorKind::Internal, text).caused_by(error);
                self.transition_to_fatal_error(error);
            }
        }
    }

    fn transition_to_fatal_error(&mut self, error: Error) {
        if self.state == State::FatalError {
            return;
        }
        log::error!("transiting to fatal error state: {error}");
        let error = error.into_fatal();
        self.last_error = Some(error.clone());
        self.set_state(State::FatalError);
        if let Ok(transaction) = self.transaction() {
            transaction.fail_all(&error);
        }
    }

    fn fatal_error(&self) -> Option<Error> {
        match self.state {
            State::FatalError => self.last_error.clone(),
            _ => None,
        }
    }

    /// Starts every partition anew with a producer id and epoch of a coordinator: what was sent under an older one is
    /// settled, or refused by the brokers from now on.
    fn set_producer(&mut self, producer: ProducerIdAndEpoch) {
        self.producer = producer;
        self.partitions.clear();
        self.unresolved.clear();
    }

    /// Whether the state lets batches of the partition be sent.
    fn may_send_to(&self, topic_partition: &TopicPartition) -> bool {
        match &self.transaction {
            None => self.state == State::Ready,
            Some(transaction) => {
                self.state.has_ongoing_transaction()
                    && transaction.partitions.contains(topic_partition)
            }
        }
    }
}

/// The errors after which a transactional producer cannot go on. Java: `maybeTransitionToErrorState`.
fn ends_producer(error: &Error) -> bool {
    let fatal_code = matches!(
        error.code(),
        Some(
            ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                | ErrorCode::PRODUCER_FENCED
                | ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        )
    );
    fatal_code || error.is_fatal() || error.kind() == ErrorKind::UnsupportedVersion
}
