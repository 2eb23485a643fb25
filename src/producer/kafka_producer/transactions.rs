//! Transactions: the five calls, and a closure in their place. Java: `initTransactions`, `beginTransaction`,
//! `sendOffsetsToTransaction`, `commitTransaction`, `abortTransaction`.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;

use super::KafkaProducer;
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind, Result};
use crate::producer::internals::transaction_manager::{
    TransactionManager, TransactionalRequestResult,
};
use crate::producer::{
    ConsumerGroupMetadata, OffsetAndMetadata, ProducerRecord, RecordFuture, RecordMetadata,
    Serializer,
};
use crate::sync::Arc;

/// # Transactions
///
/// With `transactional.id` set, records are sent in transactions, each of which is seen whole or not at all by consumers with
/// `isolation.level=read_committed`. One transaction is open at a time; any thread may send in it.
///
/// What an error asks for it says itself: after [`is_abortable`](Error::is_abortable) the transaction must be aborted, and the
/// next one can begin; after [`is_fatal`](Error::is_fatal) the producer must be closed; after a
/// [time-out](Error::is_timeout) of one of these calls the same call takes up the wait again, and nothing else is allowed but
/// `close`. [`transaction`](Self::transaction) does all of that by itself.
impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Begins with transactions: fences off earlier producers of the same `transactional.id`, and ends what they left
    /// open. To be called once, before everything else.
    ///
    /// # Errors
    ///
    /// `IllegalState` without a `transactional.id`, or when it was called before; `Timeout`; `Authorization`, after which it
    /// may be called again; `Fenced`; `Closed`; `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// At most `max.block.ms`.
    pub fn init_transactions(&self) -> Result<()> {
        self.make_call(
            "init_transactions",
            TransactionManager::initialize_transactions,
        )
    }

    /// Opens a transaction. Asks no broker.
    ///
    /// # Errors
    ///
    /// `IllegalState` before `init_transactions` and inside a transaction; `Fenced`; `Closed`.
    pub fn begin_transaction(&self) -> Result<()> {
        self.open_transactions("begin_transaction")?
            .begin_transaction()
    }

    /// Makes the offsets of a consumer group part of the transaction: they are committed with it, or not at all. An empty
    /// map changes nothing.
    ///
    /// The consumer must not commit them itself (`enable.auto.commit=false`).
    ///
    /// # Errors
    ///
    /// `IllegalArgument` for a generation without a member; `IllegalState` outside of a transaction; abortable ones when the
    /// group refuses, such as for a member that has lost its partitions; `Timeout`, `Fenced`, `Closed`, `WouldDeadlock`.
    ///
    /// # Blocking
    ///
    /// At most `max.block.ms`.
    pub fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        group.validate()?;
        let name = "send_offsets_to_transaction";
        if offsets.is_empty() {
            return self.open_transactions(name).map(drop);
        }
        let offsets: Vec<_> = offsets
            .iter()
            .map(|(topic_partition, offset)| (topic_partition.clone(), offset.clone()))
            .collect();
        self.make_call(name, |transactions| {
            transactions.send_offsets_to_transaction(offsets, group)
        })
    }

    /// Sends what is left of the transaction, and commits it. Only if this returns `Ok` was it committed for sure; what
    /// failed with [`Delivery::MaybeWritten`](crate::Delivery::MaybeWritten) may have been.
    ///
    /// # Errors
    ///
    /// Abortable, if any record or offset of the transaction failed; `IllegalState` outside of a transaction; `Timeout`,
    /// after which it may be called again; `Fenced`, `Closed`, `WouldDeadlock`.
    ///
    /// # Blocking
    ///
    /// At most `max.block.ms`.
    pub fn commit_transaction(&self) -> Result<()> {
        self.accumulator.begin_flush();
        let committed = self.make_call("commit_transaction", TransactionManager::begin_commit);
        self.accumulator.end_flush();
        committed
    }

    /// Aborts the transaction: read-committed consumers see none of it. Records that were not sent yet fail.
    ///
    /// # Errors
    ///
    /// `IllegalState` outside of a transaction; `Timeout`, after which it may be called again; `Fenced`, `Closed`,
    /// `WouldDeadlock`.
    ///
    /// # Blocking
    ///
    /// At most `max.block.ms`.
    pub fn abort_transaction(&self) -> Result<()> {
        self.make_call("abort_transaction", TransactionManager::begin_abort)
    }

    /// Runs `body` in a transaction, which is committed if it returns `Ok`, and aborted if it returns `Err` or panics, or if
    /// the commit is refused.
    ///
    /// ```
    /// # use kafka_producer::{KafkaProducer, ProducerRecord};
    /// # fn pay(producer: &KafkaProducer) -> kafka_producer::Result<()> {
    /// producer.transaction(|transaction| {
    ///     drop(transaction.send(ProducerRecord::new("debits", "17").key("alice"))?);
    ///     drop(transaction.send(ProducerRecord::new("credits", "17").key("bob"))?);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// Nobody has to wait for the futures: a record that fails makes the commit fail.
    ///
    /// # Errors
    ///
    /// What `body` returned; or else what [`begin_transaction`](Self::begin_transaction) or
    /// [`commit_transaction`](Self::commit_transaction) did, or the abort after a refused commit, if that ends the producer.
    /// After a time-out of the commit, call `commit_transaction` to hear its end. That another abort failed is in the log, and
    /// the next transaction will not begin.
    ///
    /// # Blocking
    ///
    /// At most twice `max.block.ms`, besides what `body` does.
    pub fn transaction<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Transaction<'_, KS, VS>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin_transaction()?;
        let guard = AbortOnDrop(self);
        let value = body(&Transaction { producer: self })?;
        match self.commit_transaction() {
            Ok(()) => {
                std::mem::forget(guard);
                Ok(value)
            }
            Err(error) => {
                std::mem::forget(guard);
                let error = if error.is_abortable() {
                    self.abort_after(error)
                } else {
                    error
                };
                Err(error.into())
            }
        }
    }

    /// Aborts after a commit that was refused; gives the error to return. That is the abort's own if it ends the producer: a
    /// partition's leader refuses a producer that was fenced as it refuses one that may go on, and only the coordinator
    /// tells them apart.
    fn abort_after(&self, refusal: Error) -> Error {
        match self.abort_transaction() {
            Ok(()) => refusal,
            Err(error) if error.is_fatal() => error.caused_by(refusal),
            Err(error) => {
                self.log_failed_abort(&error);
                refusal
            }
        }
    }

    fn log_failed_abort(&self, error: &Error) {
        let client_id = &self.client_id;
        log::error!("[Producer clientId={client_id}] a transaction was not aborted: {error}");
    }

    /// The transactions of an open producer.
    fn open_transactions(&self, operation: &str) -> Result<&TransactionManager> {
        let transactions = self.transactions.as_deref().ok_or_else(|| {
            let text = format!(
                "{operation} needs a transactional producer: set transactional.id to have one"
            );
            Error::new(ErrorKind::IllegalState, text)
        })?;
        if self.accumulator.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "the producer is closed"));
        }
        Ok(transactions)
    }

    /// Hands a call to the I/O thread, and waits for its end.
    fn make_call(
        &self,
        operation: &str,
        call: impl FnOnce(&TransactionManager) -> Result<Arc<TransactionalRequestResult>>,
    ) -> Result<()> {
        let transactions = self.open_transactions(operation)?;
        self.accumulator.io_thread().check_may_block(operation)?;
        let result = call(transactions)?;
        self.accumulator.signal().wake();
        let waited = result.wait(self.max_block);
        waited.map_err(|error| match self.metadata.connection_failure() {
            Some(cause) if error.is_timeout() && error.source().is_none() => error.caused_by(cause),
            _ => error,
        })
    }
}

/// An open transaction, inside the closure of [`KafkaProducer::transaction`].
pub struct Transaction<'p, KS: Serializer, VS: Serializer> {
    producer: &'p KafkaProducer<KS, VS>,
}

impl<KS: Serializer, VS: Serializer> Transaction<'_, KS, VS> {
    /// Sends a record in the transaction.
    ///
    /// # Errors
    ///
    /// As [`KafkaProducer::send`].
    ///
    /// # Blocking
    ///
    /// As [`KafkaProducer::send`].
    pub fn send(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.producer.send(record)
    }

    /// Sends a record in the transaction, and calls `callback` when its fate is known.
    ///
    /// # Errors
    ///
    /// As [`KafkaProducer::send_with_callback`].
    ///
    /// # Blocking
    ///
    /// As [`KafkaProducer::send`].
    pub fn send_with_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: impl FnOnce(Result<RecordMetadata>) + Send + 'static,
    ) -> Result<()> {
        self.producer.send_with_callback(record, callback)
    }

    /// Makes the offsets of a consumer group part of the transaction.
    ///
    /// # Errors
    ///
    /// As [`KafkaProducer::send_offsets_to_transaction`].
    ///
    /// # Blocking
    ///
    /// At most `max.block.ms`.
    pub fn send_offsets(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        self.producer.send_offsets_to_transaction(offsets, group)
    }
}

impl<KS: Serializer, VS: Serializer> fmt::Debug for Transaction<'_, KS, VS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("producer", self.producer)
            .finish()
    }
}

/// Aborts the transaction unless it is forgotten: also when a panic goes through.
struct AbortOnDrop<'p, KS: Serializer, VS: Serializer>(&'p KafkaProducer<KS, VS>);

impl<KS: Serializer, VS: Serializer> Drop for AbortOnDrop<'_, KS, VS> {
    fn drop(&mut self) {
        if let Err(error) = self.0.abort_transaction() {
            self.0.log_failed_abort(&error);
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "what goes wrong here is to fail the test"
)]
mod tests {
    use super::super::KafkaProducer;
    use crate::error::{Delivery, ErrorKind};
    use crate::producer::ProducerRecord;
    use crate::protocol::ErrorCode;
    use crate::testing::{Action, Api, FakeBroker};

    /// The leader's refusal alone would have the caller try again, and again.
    #[test]
    fn a_commit_refused_by_a_leader_says_that_the_producer_was_fenced() {
        let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
        let producer = KafkaProducer::builder()
            .bootstrap_servers(&broker.bootstrap_servers())
            .transactional_id("copier")
            .build()
            .unwrap();
        producer.init_transactions().unwrap();
        broker
            .on(Api::Produce)
            .then(Action::fail(ErrorCode::INVALID_PRODUCER_EPOCH));
        let refused = producer.transaction(|transaction| {
            let sent = transaction.send(ProducerRecord::new("orders", "value"))?;
            assert_eq!(sent.get().unwrap_err().delivery(), Delivery::NotWritten);
            broker.fence_producer("copier").unwrap();
            Ok::<(), crate::Error>(())
        });
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
        assert!(error.is_fatal());
    }
}
