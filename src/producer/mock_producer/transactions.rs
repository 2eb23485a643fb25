//! The mock's transactions. Their records are kept apart until the commit. Java: `MockProducer`.
//!
//! Differs from Java: the states are those of a real producer, because the mock uses the same
//! [`TransactionManager`].

use std::collections::HashMap;

use super::coordinator::Coordinator;
use super::{InjectedErrors, Injection, MockProducer, State};
use crate::common::{Cluster, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::internals::transactions::{TransactionManager, TransactionalRequestResult};
use crate::producer::producer::Producer;
use crate::producer::{
    ConsumerGroupMetadata, OffsetAndMetadata, ProducerRecord, Serializer, Transaction,
    is_api_error, needs_transactional_id,
};
use crate::sync::Arc;

/// The offsets of groups, by group id.
type GroupOffsets = HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>>;

/// The mock's data about its transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    is_initialized: bool,
    last_end: Option<End>,
    sent_offsets: bool,
    commit_count: u64,
    pub(super) uncommitted_records: Vec<ProducerRecord<'static>>,
    uncommitted_offsets: GroupOffsets,
    /// The offsets of each committed transaction with offsets.
    offsets_history: Vec<GroupOffsets>,
}

/// The way in which a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
}

impl Transactions {
    pub(super) fn clear(&mut self) {
        self.sent_offsets = false;
        self.uncommitted_records.clear();
        self.uncommitted_offsets.clear();
        self.offsets_history.clear();
    }

    /// A close aborts the open transaction.
    pub(super) fn abort_if_any(&mut self) {
        if !self.uncommitted_records.is_empty() || !self.uncommitted_offsets.is_empty() {
            self.abort();
        }
    }

    pub(super) fn abort(&mut self) {
        self.uncommitted_records.clear();
        self.uncommitted_offsets.clear();
        self.last_end = Some(End::Aborted);
    }

    fn add_offsets(
        &mut self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) {
        let group_id = group.group_id().to_owned();
        let of_group = self.uncommitted_offsets.entry(group_id).or_default();
        for (topic_partition, offset) in offsets {
            of_group.insert(topic_partition.clone(), offset.clone());
        }
        self.sent_offsets = true;
    }
}

impl State {
    fn commit(&mut self) {
        let transactions = &mut self.transactions;
        self.history.append(&mut transactions.uncommitted_records);
        let offsets = std::mem::take(&mut transactions.uncommitted_offsets);
        if !offsets.is_empty() {
            transactions.offsets_history.push(offsets);
        }
        transactions.last_end = Some(End::Committed);
        transactions.commit_count += 1;
    }
}

impl<KS: Serializer, VS: Serializer> MockProducer<KS, VS> {
    /// Prepares the mock for transactions.
    ///
    /// # Errors
    ///
    /// `IllegalState` without [`with_transactional_id`](Self::with_transactional_id) and on the
    /// second call; `Fenced`; the error of
    /// [`set_init_transactions_error`](Self::set_init_transactions_error).
    pub fn init_transactions(&self) -> Result<()> {
        let coordinator = self.open_transactions("init_transactions")?;
        self.io_thread.check_may_block("init_transactions")?;
        let result = self.begun(
            coordinator,
            |errors| &errors.init_transactions,
            TransactionManager::initialize_transactions,
        )?;
        coordinator.finish(&result)?;
        self.state.lock().transactions.is_initialized = true;
        Ok(())
    }

    /// Opens a transaction.
    ///
    /// # Errors
    ///
    /// `IllegalState` before `init_transactions` and inside a transaction; `Transaction` after one
    /// that failed without an abort; `Fenced`; the error of
    /// [`set_begin_transaction_error`](Self::set_begin_transaction_error).
    pub fn begin_transaction(&self) -> Result<()> {
        let coordinator = self.open_transactions("begin_transaction")?;
        self.injected(|errors| &errors.begin_transaction)?;
        coordinator.manager().begin_transaction()?;
        let transactions = &mut self.state.lock().transactions;
        transactions.last_end = None;
        transactions.sent_offsets = false;
        Ok(())
    }

    /// Adds the offsets to the transaction. An empty map changes nothing.
    ///
    /// # Errors
    ///
    /// `IllegalArgument` for an empty group id and for a generation without a member;
    /// `IllegalState` outside of a transaction; `Transaction` in one that failed; `Fenced`; the
    /// error of
    /// [`set_send_offsets_to_transaction_error`](Self::set_send_offsets_to_transaction_error).
    /// Unless that is a timeout, the transaction can then only be aborted.
    pub fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        const OPERATION: &str = "send_offsets_to_transaction";
        group.validate()?;
        let coordinator = self.open_transactions(OPERATION)?;
        if offsets.is_empty() {
            return Ok(());
        }
        self.io_thread.check_may_block(OPERATION)?;
        self.injected_by_coordinator(coordinator, |errors| &errors.send_offsets_to_transaction)?;
        let all = offsets
            .iter()
            .map(|(topic_partition, offset)| (topic_partition.clone(), offset.clone()));
        let manager = coordinator.manager();
        let result =
            manager.send_offsets_to_transaction(all.collect(), group, &Cluster::default())?;
        coordinator.finish(&result)?;
        self.state.lock().transactions.add_offsets(offsets, group);
        Ok(())
    }

    /// Completes every open send, and commits the transaction if none of its records failed.
    ///
    /// # Errors
    ///
    /// `Transaction` if a record failed, after which the transaction must be aborted;
    /// `IllegalState` outside of a transaction; `Fenced`; the error of
    /// [`set_commit_transaction_error`](Self::set_commit_transaction_error). Unless that is a
    /// timeout, the transaction can then only be aborted.
    pub fn commit_transaction(&self) -> Result<()> {
        let injected: Injection = |errors| &errors.commit_transaction;
        let begin = TransactionManager::begin_commit;
        self.end_transaction("commit_transaction", injected, begin, || {
            while self.complete_next() {}
        })?;
        self.state.lock().commit();
        Ok(())
    }

    /// Aborts the transaction: discards its records and offsets, and fails its open sends.
    ///
    /// # Errors
    ///
    /// `IllegalState` outside of a transaction; `Fenced`; the error of
    /// [`set_abort_transaction_error`](Self::set_abort_transaction_error).
    pub fn abort_transaction(&self) -> Result<()> {
        let injected: Injection = |errors| &errors.abort_transaction;
        let begin = TransactionManager::begin_abort;
        self.end_transaction("abort_transaction", injected, begin, || {
            let coordinator = self.coordinator.as_ref();
            let reason = coordinator.and_then(|it| it.manager().reason_to_abort_batches());
            while self.decide_next(reason.clone()) {}
        })?;
        self.state.lock().transactions.abort();
        Ok(())
    }

    /// Runs `body` in a transaction; see [`KafkaProducer::transaction`](crate::KafkaProducer::transaction).
    ///
    /// # Errors
    ///
    /// The error of `body`, of [`begin_transaction`](Self::begin_transaction) or of
    /// [`commit_transaction`](Self::commit_transaction).
    pub fn transaction<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Transaction<'_, KS::Input, VS::Input>) -> Result<T, E>,
    ) -> Result<T, E> {
        let producer: &dyn Producer<KS::Input, VS::Input> = self;
        producer.transaction(body)
    }

    /// Ends the transaction, after `settle` has set the outcome of every open send.
    fn end_transaction(
        &self,
        operation: &str,
        injected: Injection,
        begin: impl FnOnce(&TransactionManager) -> Result<Arc<TransactionalRequestResult>>,
        settle: impl FnOnce(),
    ) -> Result<()> {
        let coordinator = self.open_transactions(operation)?;
        self.io_thread.check_may_block(operation)?;
        let result = self.begun(coordinator, injected, begin)?;
        settle();
        coordinator.finish(&result)
    }

    /// Returns the transactions of an open mock.
    fn open_transactions(&self, operation: &str) -> Result<&Coordinator> {
        let coordinator = self.coordinator.as_ref();
        let coordinator = coordinator.ok_or_else(|| needs_transactional_id(operation))?;
        self.check_open()?;
        Ok(coordinator)
    }

    /// Makes a call that changes the state. After an injected timeout the call stays pending, and
    /// only the same call may follow, as with a real producer.
    fn begun(
        &self,
        coordinator: &Coordinator,
        injected: Injection,
        begin: impl FnOnce(&TransactionManager) -> Result<Arc<TransactionalRequestResult>>,
    ) -> Result<Arc<TransactionalRequestResult>> {
        match self.injected_by_coordinator(coordinator, injected) {
            Ok(()) => begin(coordinator.manager()),
            Err(error) if error.is_timeout() => begin(coordinator.manager()).and(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// Returns the injected error as if it were the coordinator's response. An open transaction can
    /// then only be aborted. A timeout changes nothing.
    fn injected_by_coordinator(&self, coordinator: &Coordinator, place: Injection) -> Result<()> {
        self.injected(place)
            .map_err(|error| match is_api_error(&error) && !error.is_timeout() {
                true => coordinator.manager().handle_error_in_transaction(error),
                false => error,
            })
    }
}

/// The test's access to the mock's transactions.
impl<KS, VS> MockProducer<KS, VS> {
    /// Fences the mock, as if another producer had been initialized with its transactional id. As
    /// with a real producer, the next transactional call that needs the coordinator fails with
    /// `Fenced`, and so does everything after it. Until then, records fail with
    /// `INVALID_PRODUCER_EPOCH`.
    ///
    /// # Errors
    ///
    /// `IllegalState` before `init_transactions`.
    pub fn fence_producer(&self) -> Result<()> {
        match &self.coordinator {
            Some(coordinator) if self.transaction_initialized() => {
                coordinator.fence();
                Ok(())
            }
            _ => {
                let text = "fence_producer cannot be called before init_transactions: nothing is there to be fenced";
                Err(Error::new(ErrorKind::IllegalState, text))
            }
        }
    }

    /// Returns `true` if `init_transactions` was called.
    pub fn transaction_initialized(&self) -> bool {
        self.state.lock().transactions.is_initialized
    }

    /// Returns `true` if a transaction is open, even if it can only be aborted.
    pub fn transaction_in_flight(&self) -> bool {
        let coordinator = self.coordinator.as_ref();
        coordinator.is_some_and(|it| it.manager().has_ongoing_transaction())
    }

    /// Returns `true` if the last transaction was committed.
    pub fn transaction_committed(&self) -> bool {
        self.state.lock().transactions.last_end == Some(End::Committed)
    }

    /// Returns `true` if the last transaction was aborted.
    pub fn transaction_aborted(&self) -> bool {
        self.state.lock().transactions.last_end == Some(End::Aborted)
    }

    /// Returns `true` if offsets were sent in the open or the last transaction.
    pub fn sent_offsets(&self) -> bool {
        self.state.lock().transactions.sent_offsets
    }

    /// Returns the number of committed transactions.
    pub fn commit_count(&self) -> u64 {
        self.state.lock().transactions.commit_count
    }

    /// Returns the records of the open transaction, in order.
    pub fn uncommitted_records(&self) -> Vec<ProducerRecord<'static>> {
        self.state.lock().transactions.uncommitted_records.clone()
    }

    /// Returns the offsets of the open transaction, by group id.
    pub fn uncommitted_offsets(
        &self,
    ) -> HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>> {
        self.state.lock().transactions.uncommitted_offsets.clone()
    }

    /// Returns the offsets of each committed transaction with offsets, by group id.
    pub fn consumer_group_offsets_history(
        &self,
    ) -> Vec<HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>>> {
        self.state.lock().transactions.offsets_history.clone()
    }

    /// Makes every `init_transactions` fail with this error, until it is set to `None`.
    pub fn set_init_transactions_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.init_transactions, error);
    }

    /// Makes every `begin_transaction` fail with this error, until it is set to `None`.
    pub fn set_begin_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.begin_transaction, error);
    }

    /// Makes every `send_offsets_to_transaction` fail with this error, until it is set to `None`.
    pub fn set_send_offsets_to_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.send_offsets_to_transaction, error);
    }

    /// Makes every `commit_transaction` fail with this error, until it is set to `None`.
    pub fn set_commit_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.commit_transaction, error);
    }

    /// Makes every `abort_transaction` fail with this error, until it is set to `None`.
    pub fn set_abort_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.abort_transaction, error);
    }

    fn inject(
        &self,
        place: impl FnOnce(&mut InjectedErrors) -> &mut Option<Error>,
        error: Option<Error>,
    ) {
        *place(&mut self.state.lock().errors) = error;
    }
}
