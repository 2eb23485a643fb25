//! The mock's transactions: what was sent in one is kept apart until it is committed. Java: `MockProducer`.
//!
//! As in Java, a mock on which `init_transactions` was not called takes records without a transaction.

use std::collections::HashMap;

use super::{Completion, InjectedErrors, MockProducer, State};
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind, Result};
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata, ProducerRecord, Serializer};

/// The offsets of groups, by group id.
type GroupOffsets = HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>>;

/// Where the mock is with its transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    is_initialized: bool,
    is_in_flight: bool,
    is_committed: bool,
    is_aborted: bool,
    is_fenced: bool,
    sent_offsets: bool,
    commit_count: u64,
    pub(super) uncommitted_records: Vec<ProducerRecord<'static>>,
    uncommitted_offsets: GroupOffsets,
    /// The offsets of each committed transaction that had some.
    offsets_history: Vec<GroupOffsets>,
}

impl Transactions {
    pub(super) fn check_may_send(&self) -> Result<()> {
        if self.is_fenced {
            return Err(fenced());
        }
        if self.is_initialized && !self.is_in_flight {
            let text = "send cannot be called now: call begin_transaction first";
            return Err(Error::new(ErrorKind::IllegalState, text));
        }
        Ok(())
    }

    /// Whether a record goes into a transaction.
    pub(super) fn takes_record(&self) -> bool {
        self.is_in_flight
    }

    pub(super) fn clear(&mut self) {
        self.sent_offsets = false;
        self.uncommitted_records.clear();
        self.uncommitted_offsets.clear();
        self.offsets_history.clear();
    }

    fn check_initialized(&self, operation: &str) -> Result<()> {
        if self.is_fenced {
            return Err(fenced());
        }
        if !self.is_initialized {
            return Err(illegal_state(operation, "call init_transactions first"));
        }
        Ok(())
    }

    fn check_in_flight(&self, operation: &str) -> Result<()> {
        self.check_initialized(operation)?;
        if !self.is_in_flight {
            return Err(illegal_state(operation, "call begin_transaction first"));
        }
        Ok(())
    }
}

fn illegal_state(operation: &str, advice: &str) -> Error {
    let text = format!("{operation} cannot be called now: {advice}");
    Error::new(ErrorKind::IllegalState, text)
}

fn fenced() -> Error {
    Error::new(ErrorKind::Fenced, "the mock producer is fenced")
}

impl<KS: Serializer, VS: Serializer> MockProducer<KS, VS> {
    /// Begins with transactions.
    ///
    /// # Errors
    ///
    /// `IllegalState` the second time; `Fenced`; the error of
    /// [`set_init_transactions_error`](Self::set_init_transactions_error).
    pub fn init_transactions(&self) -> Result<()> {
        self.check_open(|errors| &errors.init_transactions)?;
        let transactions = &mut self.state.lock().transactions;
        if transactions.is_fenced {
            return Err(fenced());
        }
        if transactions.is_initialized {
            return Err(illegal_state("init_transactions", "it was called before"));
        }
        *transactions = Transactions {
            is_initialized: true,
            ..Transactions::default()
        };
        Ok(())
    }

    /// Opens a transaction.
    ///
    /// # Errors
    ///
    /// `IllegalState` before `init_transactions` and inside a transaction; `Fenced`; the error of
    /// [`set_begin_transaction_error`](Self::set_begin_transaction_error).
    pub fn begin_transaction(&self) -> Result<()> {
        self.check_open(|errors| &errors.begin_transaction)?;
        let transactions = &mut self.state.lock().transactions;
        transactions.check_initialized("begin_transaction")?;
        if transactions.is_in_flight {
            return Err(illegal_state("begin_transaction", "a transaction is open"));
        }
        transactions.is_in_flight = true;
        transactions.is_committed = false;
        transactions.is_aborted = false;
        transactions.sent_offsets = false;
        Ok(())
    }

    /// Makes the offsets part of the transaction. An empty map changes nothing.
    ///
    /// # Errors
    ///
    /// `IllegalArgument` for a generation without a member; `IllegalState` outside of a transaction; `Fenced`; the error of
    /// [`set_send_offsets_to_transaction_error`](Self::set_send_offsets_to_transaction_error).
    pub fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        group.validate()?;
        self.check_open(|errors| &errors.send_offsets_to_transaction)?;
        let transactions = &mut self.state.lock().transactions;
        transactions.check_in_flight("send_offsets_to_transaction")?;
        if offsets.is_empty() {
            return Ok(());
        }
        let of_group = transactions
            .uncommitted_offsets
            .entry(group.group_id().to_owned())
            .or_default();
        for (topic_partition, offset) in offsets {
            of_group.insert(topic_partition.clone(), offset.clone());
        }
        transactions.sent_offsets = true;
        Ok(())
    }

    /// Completes every open send, and commits the transaction.
    ///
    /// # Errors
    ///
    /// `IllegalState` outside of a transaction; `Fenced`; the error of
    /// [`set_commit_transaction_error`](Self::set_commit_transaction_error).
    pub fn commit_transaction(&self) -> Result<()> {
        self.check_open(|errors| &errors.commit_transaction)?;
        self.check_in_flight("commit_transaction")?;
        self.flush()?;
        let state = &mut *self.state.lock();
        let transactions = &mut state.transactions;
        state.history.append(&mut transactions.uncommitted_records);
        let offsets = std::mem::take(&mut transactions.uncommitted_offsets);
        if !offsets.is_empty() {
            transactions.offsets_history.push(offsets);
        }
        transactions.is_in_flight = false;
        transactions.is_committed = true;
        transactions.commit_count += 1;
        Ok(())
    }

    /// Aborts the transaction: its records and offsets are forgotten, and its open sends fail.
    ///
    /// # Errors
    ///
    /// `IllegalState` outside of a transaction; `Fenced`; the error of
    /// [`set_abort_transaction_error`](Self::set_abort_transaction_error).
    pub fn abort_transaction(&self) -> Result<()> {
        self.check_open(|errors| &errors.abort_transaction)?;
        self.check_in_flight("abort_transaction")?;
        let open = {
            let State {
                open, transactions, ..
            } = &mut *self.state.lock();
            transactions.uncommitted_records.clear();
            transactions.uncommitted_offsets.clear();
            transactions.is_in_flight = false;
            transactions.is_aborted = true;
            std::mem::take(open)
        };
        for completion in open {
            let text = "the transaction was aborted before the fate of this send was decided";
            Completion::complete(completion, Some(Error::new(ErrorKind::Transaction, text)));
        }
        Ok(())
    }

    fn check_in_flight(&self, operation: &str) -> Result<()> {
        self.state.lock().transactions.check_in_flight(operation)
    }
}

/// What a test does with the mock's transactions.
impl<KS, VS> MockProducer<KS, VS> {
    /// Lets everything fail from now on as if another producer had taken over.
    ///
    /// # Errors
    ///
    /// `IllegalState` before `init_transactions`.
    pub fn fence_producer(&self) -> Result<()> {
        let transactions = &mut self.state.lock().transactions;
        transactions.check_initialized("fence_producer")?;
        transactions.is_fenced = true;
        Ok(())
    }

    /// Whether `init_transactions` was called.
    pub fn transaction_initialized(&self) -> bool {
        self.state.lock().transactions.is_initialized
    }

    /// Whether a transaction is open.
    pub fn transaction_in_flight(&self) -> bool {
        self.state.lock().transactions.is_in_flight
    }

    /// Whether the last transaction was committed.
    pub fn transaction_committed(&self) -> bool {
        self.state.lock().transactions.is_committed
    }

    /// Whether the last transaction was aborted.
    pub fn transaction_aborted(&self) -> bool {
        self.state.lock().transactions.is_aborted
    }

    /// Whether offsets were sent in the open or the last transaction.
    pub fn sent_offsets(&self) -> bool {
        self.state.lock().transactions.sent_offsets
    }

    /// How many transactions were committed.
    pub fn commit_count(&self) -> u64 {
        self.state.lock().transactions.commit_count
    }

    /// The records of the open transaction, in order.
    pub fn uncommitted_records(&self) -> Vec<ProducerRecord<'static>> {
        self.state.lock().transactions.uncommitted_records.clone()
    }

    /// The offsets of the open transaction, by group id.
    pub fn uncommitted_offsets(
        &self,
    ) -> HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>> {
        self.state.lock().transactions.uncommitted_offsets.clone()
    }

    /// The offsets of each transaction that was committed with some, by group id.
    pub fn consumer_group_offsets_history(
        &self,
    ) -> Vec<HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>>> {
        self.state.lock().transactions.offsets_history.clone()
    }

    /// Lets every `init_transactions` fail with this error, until it is set to `None`.
    pub fn set_init_transactions_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.init_transactions, error);
    }

    /// Lets every `begin_transaction` fail with this error, until it is set to `None`.
    pub fn set_begin_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.begin_transaction, error);
    }

    /// Lets every `send_offsets_to_transaction` fail with this error, until it is set to `None`.
    pub fn set_send_offsets_to_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.send_offsets_to_transaction, error);
    }

    /// Lets every `commit_transaction` fail with this error, until it is set to `None`.
    pub fn set_commit_transaction_error(&self, error: Option<Error>) {
        self.inject(|errors| &mut errors.commit_transaction, error);
    }

    /// Lets every `abort_transaction` fail with this error, until it is set to `None`.
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
