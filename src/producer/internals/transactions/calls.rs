//! The program's calls on a transactional producer, which run on its own threads. Java:
//! `initializeTransactions`, `beginTransaction`, `sendOffsetsToTransaction`, `beginCommit`,
//! `beginAbort`, `maybeAddPartition`.
//!
//! A call that the state does not allow is refused and changes nothing.

use super::api::TransactionVersion;
use super::queue::{GroupOffsets, RequestKind, TxnRequest};
use super::result::TransactionalRequestResult;
use super::state::{End, Ending, State, TxnState};
use super::topic_ids::TopicIds;
use super::{TransactionManager, Transactions};
use crate::common::{Cluster, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::producer::internals::sequences::ProducerIdAndEpoch;
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata};
use crate::sync::{Arc, Ordering};

impl TransactionManager {
    /// Requests a producer id and epoch, which ends open transactions of earlier producers with the
    /// transactional id.
    pub(crate) fn initialize_transactions(&self) -> Result<Arc<TransactionalRequestResult>> {
        self.lock()
            .take_up_or("init_transactions", |inner, operation, result| {
                inner.check_no_error()?;
                inner.check_may_become(State::Initializing, operation)?;
                inner.set_state(TxnState::Initializing);
                inner.sequences.take_over(ProducerIdAndEpoch::NONE);
                let request = TxnRequest::new(RequestKind::InitProducerId, result);
                inner.queue.push(request);
                Ok(())
            })
    }

    pub(crate) fn begin_transaction(&self) -> Result<()> {
        const OPERATION: &str = "begin_transaction";
        let mut inner = self.lock();
        inner.check_not_pending(OPERATION)?;
        inner.check_no_error()?;
        inner.check_may_become(State::InTransaction, OPERATION)?;
        let transaction = inner.state.take_transaction();
        inner.set_state(TxnState::Open(transaction));
        Ok(())
    }

    /// Enqueues the offsets of a consumer group. In a transaction of version 2, also stores the
    /// topic ids of `cluster`.
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
        let inner = &mut *inner;
        let TxnState::Open(transaction) = &mut inner.state else {
            return Err(illegal_state(OPERATION, inner.state.name()));
        };
        offsets.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let result = TransactionalRequestResult::new(OPERATION);
        let topic_ids = match inner.version {
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
        let kind = match inner.version {
            TransactionVersion::V1 => RequestKind::AddOffsetsToTxn(offsets),
            TransactionVersion::V2 => {
                transaction.set_started();
                RequestKind::TxnOffsetCommit(offsets)
            }
        };
        let request = TxnRequest::new(kind, Arc::clone(&result));
        inner.queue.push(request);
        Ok(result)
    }

    pub(crate) fn begin_commit(&self) -> Result<Arc<TransactionalRequestResult>> {
        self.lock()
            .take_up_or("commit_transaction", |inner, operation, result| {
                inner.check_no_error()?;
                inner.begin_end(End::Commit, operation, result)
            })
    }

    pub(crate) fn begin_abort(&self) -> Result<Arc<TransactionalRequestResult>> {
        self.lock()
            .take_up_or("abort_transaction", |inner, operation, result| {
                if !matches!(inner.state, TxnState::Abortable(..)) {
                    inner.check_no_error()?;
                }
                inner.begin_end(End::Abort, operation, result)
            })
    }

    /// Checks that a record may be appended now. Costs one load while a transaction is open.
    ///
    /// # Errors
    ///
    /// `IllegalState` outside of a transaction, `Transaction` or `Fenced` in one that failed.
    #[inline]
    pub(crate) fn check_may_send(&self) -> Result<()> {
        // Relaxed is enough. A caller that checks with the lock of a partition's deque sees a
        // change from before the sender last held that lock. Between the end of a transaction's
        // records and the request that ends it, the sender takes all of these locks.
        if self.accepts_records.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.lock().check_takes_records()
    }

    /// Notes that a batch of the partition begins. Called with the lock of the partition's deque,
    /// so that the partition is known before the first batch can be drained.
    pub(crate) fn maybe_add_partition(&self, topic_partition: &TopicPartition) -> Result<()> {
        let mut inner = self.lock();
        inner.check_takes_records()?;
        let version = inner.version;
        if let TxnState::Open(transaction) = &mut inner.state {
            match version {
                TransactionVersion::V1 => transaction.join_by_request(topic_partition),
                TransactionVersion::V2 => transaction.join(topic_partition),
            }
        }
        Ok(())
    }
}

impl Transactions {
    /// Continues the call that timed out, or makes it. Java:
    /// `handleCachedTransactionRequestResult`.
    fn take_up_or(
        &mut self,
        operation: &'static str,
        call: impl FnOnce(&mut Self, &str, Arc<TransactionalRequestResult>) -> Result<()>,
    ) -> Result<Arc<TransactionalRequestResult>> {
        if let Some(pending) = &self.pending {
            if pending.operation() == operation && !pending.is_acked() {
                return Ok(Arc::clone(pending));
            }
        }
        self.check_not_pending(operation)?;
        let result = TransactionalRequestResult::new(operation);
        call(self, operation, Arc::clone(&result))?;
        self.pending = Some(Arc::clone(&result));
        Ok(result)
    }

    /// Fails if another call is still pending. Java: `throwIfPendingState`.
    fn check_not_pending(&mut self, operation: &str) -> Result<()> {
        match &self.pending {
            Some(pending) if !pending.is_acked() => {
                let earlier = pending.operation();
                let text = format!(
                    "{operation} cannot be called now: {earlier} timed out or has not finished, and must be called again first"
                );
                Err(Error::new(ErrorKind::IllegalState, text))
            }
            Some(_) => {
                self.pending = None;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Fails if the transaction or the producer has failed. Java: `maybeFailWithError`.
    fn check_no_error(&self) -> Result<()> {
        let Some(cause) = self.state.error().cloned() else {
            return Ok(());
        };
        let kind = match cause.kind() {
            ErrorKind::Closed | ErrorKind::BootstrapResolution => return Err(cause),
            ErrorKind::Fenced => ErrorKind::Fenced,
            _ => ErrorKind::Transaction,
        };
        let is_fatal = self.fatal_error().is_some();
        // The cause contains its own text.
        let text = match kind {
            ErrorKind::Fenced => "this producer is fenced off and can only be closed",
            _ if is_fatal => "the producer failed before and can only be closed",
            _ => "the transaction failed before and must be aborted",
        };
        let error = Error::new(kind, text).caused_by(cause);
        Err(match is_fatal {
            true => error.into_fatal(),
            false => self.abortable(error),
        })
    }

    fn check_takes_records(&mut self) -> Result<()> {
        self.check_no_error()?;
        if matches!(self.state, TxnState::Open(_)) {
            return Ok(());
        }
        self.check_not_pending("send")?;
        Err(illegal_state("send", self.state.name()))
    }

    /// # Errors
    ///
    /// `IllegalState` if the state does not allow it.
    fn check_may_become(&self, target: State, operation: &str) -> Result<()> {
        match target.may_follow(self.state.name()) {
            true => Ok(()),
            false => Err(illegal_state(operation, self.state.name())),
        }
    }

    /// Ends the transaction once everything that was sent in it has an outcome.
    fn begin_end(
        &mut self,
        end: End,
        operation: &str,
        result: Arc<TransactionalRequestResult>,
    ) -> Result<()> {
        self.check_may_become(end.state(), operation)?;
        let transaction = self.state.take_transaction();
        let is_requested = false;
        self.set_state(TxnState::Ending(transaction, Ending { end, is_requested }));
        if end == End::Abort {
            self.aborting = Some(self.mark.clone());
            self.drop_unsent();
        }
        let request = TxnRequest::new(RequestKind::EndTxn(end), result);
        self.queue.push(request);
        Ok(())
    }
}

/// Returns the error of records and requests that were not sent before their transaction was
/// aborted. Java: `TransactionAbortedException`.
pub(crate) fn transaction_aborted() -> Error {
    let text = "the transaction was aborted before this record was sent";
    Error::new(ErrorKind::Transaction, text)
}

/// Returns the error of a call that the state does not allow.
pub(super) fn illegal_state(operation: &str, state: State) -> Error {
    let advice = match state {
        State::Uninitialized => ": call init_transactions first",
        State::Ready if operation != "init_transactions" => ": call begin_transaction first",
        _ if operation == "init_transactions" => ": it was already called, and one call is enough",
        _ => "",
    };
    let text = format!("{operation} cannot be called now, because the producer is {state}{advice}");
    Error::new(ErrorKind::IllegalState, text)
}
