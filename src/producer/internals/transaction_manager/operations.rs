//! What the program asks of a transactional producer, on its own threads. Java: `initializeTransactions`,
//! `beginTransaction`, `sendOffsetsToTransaction`, `beginCommit`, `beginAbort`, `maybeAddPartition`.
//!
//! A call that does not fit the state is refused and changes nothing.

use super::requests::{GroupOffsets, RequestKind, TxnRequest};
use super::result::TransactionalRequestResult;
use super::sequence::ProducerIdAndEpoch;
use super::states::State;
use super::topic_ids::TopicIds;
use super::transaction::{Transaction, TransactionVersion};
use super::{Inner, TransactionManager};
use crate::common::{Cluster, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata};
use crate::sync::{Arc, Ordering};

impl TransactionManager {
    /// Asks for a producer id and epoch, which ends what earlier producers of the transactional id left open.
    pub(crate) fn initialize_transactions(&self) -> Result<Arc<TransactionalRequestResult>> {
        let target = State::Initializing;
        self.lock()
            .take_up_or("init_transactions", |inner, result| {
                inner.check_no_error()?;
                inner.transition_to(target, "init_transactions")?;
                inner.set_producer(ProducerIdAndEpoch::NONE);
                let transaction = inner.transaction()?;
                let request = TxnRequest::new(RequestKind::InitProducerId, result);
                transaction.queue.push(request);
                Ok(())
            })
    }

    pub(crate) fn begin_transaction(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.check_not_pending("begin_transaction")?;
        inner.check_no_error()?;
        inner.transition_to(State::InTransaction, "begin_transaction")
    }

    /// Enqueues the offsets of a consumer group. In a transaction of version 2 the topic ids of `cluster` go with them.
    pub(crate) fn send_offsets_to_transaction(
        &self,
        mut offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        group: &ConsumerGroupMetadata,
        cluster: &Cluster,
    ) -> Result<Arc<TransactionalRequestResult>> {
        const OPERATION: &str = "send_offsets_to_transaction";
        let mut inner = self.lock();
        inner.check_not_pending(OPERATION)?;
        inner.check_no_error()?;
        if inner.state != State::InTransaction {
            return Err(illegal_state(OPERATION, inner.state));
        }
        offsets.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let result = TransactionalRequestResult::new(OPERATION);
        let transaction = inner.transaction()?;
        let topic_ids = match transaction.version {
            TransactionVersion::V1 => TopicIds::default(),
            TransactionVersion::V2 => {
                TopicIds::new(offsets.iter().map(|(partition, _)| partition), cluster)
            }
        };
        let offsets = GroupOffsets {
            group_id: Arc::clone(group.shared_group_id()),
            group: group.clone(),
            offsets,
            topic_ids,
        };
        let kind = match transaction.version {
            TransactionVersion::V1 => RequestKind::AddOffsetsToTxn(offsets),
            TransactionVersion::V2 => {
                transaction.is_started = true;
                RequestKind::TxnOffsetCommit(offsets)
            }
        };
        let request = TxnRequest::new(kind, Arc::clone(&result));
        transaction.queue.push(request);
        Ok(result)
    }

    pub(crate) fn begin_commit(&self) -> Result<Arc<TransactionalRequestResult>> {
        let target = State::CommittingTransaction;
        self.lock()
            .take_up_or("commit_transaction", |inner, result| {
                inner.check_no_error()?;
                inner.transition_to(target, "commit_transaction")?;
                inner.enqueue_end_txn(true, result)
            })
    }

    pub(crate) fn begin_abort(&self) -> Result<Arc<TransactionalRequestResult>> {
        let target = State::AbortingTransaction;
        self.lock()
            .take_up_or("abort_transaction", |inner, result| {
                if inner.state != State::AbortableError {
                    inner.check_no_error()?;
                }
                inner.transition_to(target, "abort_transaction")?;
                let aborted = transaction_aborted();
                let transaction = inner.transaction()?;
                transaction.is_aborting = true;
                transaction.drop_unsent(&aborted);
                inner.enqueue_end_txn(false, result)
            })
    }

    /// Whether a record may be appended now. Costs one load while a transaction is open.
    ///
    /// # Errors
    ///
    /// `IllegalState` outside of a transaction, `Transaction` or `Fenced` in one that failed.
    #[inline]
    pub(crate) fn check_may_send(&self) -> Result<()> {
        // Relaxed is enough. Whoever asks with the lock of a partition's deque held sees a change that was made before the
        // sender last held that lock, and the sender takes all of them between the end of a transaction's records and the
        // request that ends it.
        if self.accepts_records.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.lock().check_takes_records()
    }

    /// Takes note that a batch of the partition begins. Asked with the lock of the partition's deque held, so that the
    /// partition is known before the first batch can be drained.
    pub(crate) fn maybe_add_partition(&self, topic_partition: &TopicPartition) -> Result<()> {
        let mut inner = self.lock();
        inner.check_takes_records()?;
        inner.transaction()?.add_partition(topic_partition);
        Ok(())
    }
}

impl Inner {
    /// # Errors
    ///
    /// `IllegalState` where the producer has no transactional id.
    pub(super) fn transaction(&mut self) -> Result<&mut Transaction> {
        self.transaction.as_deref_mut().ok_or_else(|| {
            let text =
                "the producer has no transactional id: set transactional.id to use transactions";
            Error::new(ErrorKind::IllegalState, text)
        })
    }

    /// Takes up the call that timed out, or makes it. Java: `handleCachedTransactionRequestResult`.
    fn take_up_or(
        &mut self,
        operation: &'static str,
        call: impl FnOnce(&mut Self, Arc<TransactionalRequestResult>) -> Result<()>,
    ) -> Result<Arc<TransactionalRequestResult>> {
        if let Some(pending) = &self.transaction()?.pending {
            if pending.operation() == operation && !pending.is_acked() {
                return Ok(Arc::clone(pending));
            }
        }
        self.check_not_pending(operation)?;
        let result = TransactionalRequestResult::new(operation);
        call(self, Arc::clone(&result))?;
        self.transaction()?.pending = Some(Arc::clone(&result));
        Ok(result)
    }

    /// Java: `throwIfPendingState`.
    fn check_not_pending(&mut self, operation: &str) -> Result<()> {
        let transaction = self.transaction()?;
        match &transaction.pending {
            Some(pending) if !pending.is_acked() => {
                let earlier = pending.operation();
                let text = format!(
                    "{operation} cannot be called now: {earlier} timed out or is not done, and must be called again first"
                );
                Err(Error::new(ErrorKind::IllegalState, text))
            }
            Some(_) => {
                transaction.pending = None;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Java: `maybeFailWithError`.
    pub(super) fn check_no_error(&self) -> Result<()> {
        if !self.state.is_error() {
            return Ok(());
        }
        let Some(cause) = self.last_error.clone() else {
            return Ok(());
        };
        let kind = match cause.kind() {
            ErrorKind::Closed | ErrorKind::BootstrapResolution => return Err(cause),
            ErrorKind::Fenced => ErrorKind::Fenced,
            _ => ErrorKind::Transaction,
        };
        // The cause says its text itself.
        let text = match (self.state, kind) {
            (_, ErrorKind::Fenced) => "this producer is fenced off and can only be closed",
            (State::FatalError, _) => "the producer failed before and can only be closed",
            _ => "the transaction failed before and must be aborted",
        };
        let error = Error::new(kind, text).caused_by(cause);
        Err(match self.state {
            State::FatalError => error.into_fatal(),
            _ => self.abortable(error),
        })
    }

    fn check_takes_records(&mut self) -> Result<()> {
        self.check_no_error()?;
        if self.state == State::InTransaction {
            return Ok(());
        }
        self.check_not_pending("send")?;
        Err(illegal_state("send", self.state))
    }

    fn enqueue_end_txn(
        &mut self,
        committed: bool,
        result: Arc<TransactionalRequestResult>,
    ) -> Result<()> {
        let request = TxnRequest::new(RequestKind::EndTxn { committed }, result);
        self.transaction()?.queue.push(request);
        Ok(())
    }
}

/// Why records and requests of an aborted transaction fail that no broker has seen. Java: `TransactionAbortedException`.
pub(crate) fn transaction_aborted() -> Error {
    let text = "the transaction was aborted before this was sent";
    Error::new(ErrorKind::Transaction, text)
}

/// The call does not fit the state.
pub(super) fn illegal_state(operation: &str, state: State) -> Error {
    let advice = match state {
        State::Uninitialized => ": call init_transactions first",
        State::Ready if operation != "init_transactions" => ": call begin_transaction first",
        _ if operation == "init_transactions" => ": it was called before, and one call is enough",
        _ => "",
    };
    let text = format!("{operation} cannot be called now, because the producer is {state}{advice}");
    Error::new(ErrorKind::IllegalState, text)
}
