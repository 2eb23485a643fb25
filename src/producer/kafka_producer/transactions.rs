//! Transactions: the five calls, and a closure in their place. Java: `initTransactions`, `beginTransaction`,
//! `sendOffsetsToTransaction`, `commitTransaction`, `abortTransaction`.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use super::KafkaProducer;
use crate::common::TopicPartition;
use crate::error::{Error, ErrorKind, Result, TimeoutReason};
use crate::producer::internals::ProducerCall;
use crate::producer::internals::transactions::{TransactionManager, TransactionalRequestResult};
use crate::producer::producer::Producer;
use crate::producer::{ConsumerGroupMetadata, OffsetAndMetadata, Serializer, Transaction};
use crate::sync::Arc;
use crate::utils::{Time, log};

/// # Transactions
///
/// With `transactional.id` set, records are sent in transactions. Consumers with
/// `isolation.level=read_committed` see a transaction whole or not at all. One transaction is open
/// at a time. Any thread may send in it.
///
/// An error says what to do next. If it [`is_abortable`](Error::is_abortable), abort the
/// transaction and begin the next one. If it [`is_aborted`](Error::is_aborted), begin the next one.
/// If it [`is_fatal`](Error::is_fatal), close the producer. After a [timeout](Error::is_timeout) of
/// one of these calls, call it again. `IllegalState`, `IllegalArgument` and `WouldDeadlock` mean
/// that the call was wrong and changed nothing. The manual's page
/// [`delivery`](crate::manual::delivery#transactions) has a table.
/// [`transaction`](Self::transaction) does all of that, and suits most programs:
///
/// ```
/// # use kafka_producer::{KafkaProducer, ProducerRecord};
/// # fn main() -> kafka_producer::Result<()> {
/// # let broker = kafka_producer::testing::FakeBroker::builder().topic("debits", 1).topic("credits", 1).start()?;
/// # let servers = broker.bootstrap_servers();
/// let producer = KafkaProducer::builder()
///     .bootstrap_servers(&servers)
///     .transactional_id("payments-1")
///     .build()?;
/// producer.init_transactions()?;
///
/// producer.transaction(|transaction| {
///     transaction.send(ProducerRecord::new("debits", "17").key("alice"))?;
///     transaction.send(ProducerRecord::new("credits", "17").key("bob"))
/// })?;
/// # assert_eq!(broker.committed_records("credits").len(), 1);
///
/// // The same by Java's calls, where abort_transaction is the program's to make.
/// producer.begin_transaction()?;
/// drop(producer.send(ProducerRecord::new("debits", "18").key("alice"))?); // the commit tells if it fails
/// producer.commit_transaction()?;
/// # assert_eq!(broker.committed_records("debits").len(), 2);
/// # Ok(())
/// # }
/// ```
///
/// KIP-98 describes version 1 of the protocol, KIP-360 the recovery from errors, and KIP-890
/// version 2, which the producer uses if the cluster has it.
impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Initializes transactions: fences off earlier producers with the same `transactional.id`, and
    /// ends the transactions that they left open. Call it once, before all other calls.
    ///
    /// When it returns, a group's committed offsets are those of the last committed transaction. A
    /// program that resumes from them reads them after this call.
    ///
    /// # Errors
    ///
    /// - `Timeout`: no coordinator, or an earlier transaction has not ended yet. Call it again to
    ///   keep waiting.
    /// - `Authorization`: no right to use the id. Call it again when the right is granted. A
    ///   missing right to describe the id is fatal.
    /// - `Fenced`: another producer of the same id began a moment later. Fatal.
    /// - `UnsupportedVersion`, or any other permanent refusal of a coordinator. Fatal.
    /// - `IllegalState`: no `transactional.id` is set, or this was called before.
    /// - `Closed`, `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// Until the coordinator responds, at most `max.block.ms`.
    pub fn init_transactions(&self) -> Result<()> {
        self.timed(ProducerCall::InitTransactions, || {
            self.make_call(
                "init_transactions",
                TransactionManager::initialize_transactions,
            )
        })
    }

    /// Opens a transaction. From now on [`send`](Self::send) from any thread is part of it.
    ///
    /// # Errors
    ///
    /// - `IllegalState`: `init_transactions` was not called, a transaction is open, or a call that timed out has not been
    ///   called again.
    /// - `Transaction`: the last transaction failed, and was not aborted. Abortable.
    /// - `Fenced`, or what else ended the producer before. Fatal.
    /// - `Closed`.
    ///
    /// # Blocking
    ///
    /// Never: brokers learn of a transaction with its first record or offset.
    pub fn begin_transaction(&self) -> Result<()> {
        let _context = self.log_context.enter();
        self.timed(ProducerCall::BeginTransaction, || {
            self.open_transactions("begin_transaction")?
                .begin_transaction()
        })
    }

    /// Makes the offsets of a consumer group part of the transaction: they are committed with it, or not at all. An empty
    /// map changes nothing.
    ///
    /// Each offset is that of the next record to consume. The consumer must not commit them itself
    /// (`enable.auto.commit=false`), and should read with `isolation.level=read_committed`. Give
    /// `group` the generation and the member id that the consumer has (KIP-447): a consumer that
    /// has lost its partitions is then refused. Without them, only the `transactional.id` keeps two
    /// copies of the program apart.
    ///
    /// The offsets belong to the topics by id (KIP-1319), if the transaction is of version 2, the group's coordinator is Kafka
    /// 4.4 or newer, and the metadata has the id of each topic; else by name. A topic that was deleted and created again gets
    /// its new id from a metadata update within the same call.
    ///
    /// # Errors
    ///
    /// - `Timeout`: the offsets are still being sent, or the metadata of their topics did not come,
    ///   which leaves the transaction unchanged. Call it again, or end the transaction. A commit
    ///   waits for offsets that are being sent, and fails if they are refused.
    /// - `Broker`, `Authorization` or `Transaction`: the group refused the offsets, such as those of a member that has lost
    ///   its partitions (`ILLEGAL_GENERATION`, `STALE_MEMBER_EPOCH`, `GROUP_ID_NOT_FOUND`, `UNKNOWN_MEMBER_ID`,
    ///   `FENCED_INSTANCE_ID`), or the transaction failed before. Abortable.
    /// - `UnsupportedVersion`: a broker before Kafka 2.5, which cannot carry a generation. Fatal.
    /// - `Fenced`, or what else ended the producer. Fatal.
    /// - `IllegalArgument`: a group without a name, or a generation without a member. `IllegalState`: no transaction is open.
    /// - `Authentication`: no metadata, because the brokers refuse the producer. `Closed`, `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// Until the group's coordinator has the offsets, at most `max.block.ms`. Part of that time goes to the metadata of
    /// topics that the producer does not know yet. That request creates a missing topic where the brokers have
    /// `auto.create.topics.enable`.
    pub fn send_offsets_to_transaction(
        &self,
        offsets: &HashMap<TopicPartition, OffsetAndMetadata>,
        group: &ConsumerGroupMetadata,
    ) -> Result<()> {
        let _context = self.log_context.enter();
        group.validate()?;
        let name = "send_offsets_to_transaction";
        let transactions = self.open_transactions(name)?;
        if offsets.is_empty() {
            return Ok(());
        }
        self.accumulator.io_thread().check_may_block(name)?;
        let offsets: Vec<_> = offsets
            .iter()
            .map(|(topic_partition, offset)| (topic_partition.clone(), offset.clone()))
            .collect();
        // Before the state is looked at, as in Java: the transaction stays as it is if the metadata does not come.
        let sent = self.timed(ProducerCall::SendOffsets, || {
            let waited = self.wait_on_topics(&offsets)?;
            self.make_call_after(waited, name, |transactions| {
                let cluster = self.metadata.snapshot();
                transactions.send_offsets_to_transaction(offsets, group, &cluster)
            })
        });
        sent.map_err(|error| {
            // A program that aborts instead of calling this again looks at the error afterwards.
            let is_open = error.is_timeout() && transactions.has_ongoing_transaction();
            match is_open {
                true => transactions.in_transaction(error),
                false => error,
            }
        })
    }

    /// Waits until a response covers the topics that the metadata does not track yet, so that the
    /// offsets can go by topic id (KIP-1319). The content of the response does not matter: without
    /// an id the offsets go by name. Returns the time that it took.
    ///
    /// Differs from Java, which takes the next update for a response about the topics.
    ///
    /// # Errors
    ///
    /// `Timeout` after `max.block.ms`, `Authentication`, `Closed`.
    fn wait_on_topics(&self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<Duration> {
        let start = self.time.now();
        let mut topics: Vec<&str> = offsets
            .iter()
            .map(|(partition, _)| partition.topic())
            .collect();
        topics.sort_unstable();
        topics.dedup();
        // Each topic is kept for metadata.max.idle.ms from now, whether or not it is new.
        topics.retain(|topic| self.metadata.add(topic, start));
        if topics.is_empty() {
            return Ok(Duration::ZERO);
        }
        self.accumulator.signal().wake();
        loop {
            let elapsed = self.time.now().saturating_duration_since(start);
            let Some(version) = self.metadata.version_before_response(&topics) else {
                self.call_times.add(ProducerCall::AwaitMetadata, elapsed);
                return Ok(elapsed);
            };
            let remaining = self.max_block.saturating_sub(elapsed);
            match self.metadata.await_update(version, remaining, &self.time) {
                Ok(()) => {}
                Err(error) if error.is_timeout() => {
                    return Err(self.offset_topics_timed_out(&topics));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn offset_topics_timed_out(&self, topics: &[&str]) -> Error {
        let text = format!(
            "timed out after {} ms waiting for the metadata of {} (max.block.ms); the transaction is unchanged: call it again, or go on without the offsets",
            self.max_block.as_millis(),
            topics.join(", ")
        );
        let reason = TimeoutReason {
            waiting_for: "the metadata of the topics of the offsets",
            waited: self.max_block,
            config: Some("max.block.ms"),
        };
        let error = Error::timed_out(text, reason);
        match self.metadata.connection_failure() {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }

    /// Sends the rest of the transaction without waiting for `linger.ms`, and commits it when every
    /// record is acknowledged. Records that other threads send meanwhile are refused.
    ///
    /// The transaction is known to be committed only if this returns `Ok`. After an error whose
    /// [`delivery`](Error::delivery) is [`MaybeWritten`](crate::Delivery::MaybeWritten) it is
    /// unknown: the request was sent, and has no response.
    ///
    /// # Errors
    ///
    /// - `Timeout`: call it again, which takes up the wait. Nothing else but `close` is allowed before it has ended.
    /// - `Transaction`, or the record's or the coordinator's own error: a part of the transaction
    ///   failed; [`source`](std::error::Error::source) has the cause. Abortable: call
    ///   `abort_transaction`.
    /// - `Fenced`: another producer took over, or the transaction took longer than
    ///   `transaction.timeout.ms` and the coordinator aborted it, which version 2 of transactions
    ///   reports as `INVALID_TXN_STATE`. Or any other end of the producer. Fatal.
    /// - `IllegalState`: no transaction is open.
    /// - `Closed`, `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// Until the coordinator responds, at most `max.block.ms`, which includes the wait for slow
    /// records.
    pub fn commit_transaction(&self) -> Result<()> {
        self.accumulator.begin_flush();
        let committed = self.timed(ProducerCall::CommitTransaction, || {
            self.make_call("commit_transaction", TransactionManager::begin_commit)
        });
        self.accumulator.end_flush();
        committed
    }

    /// Aborts the transaction: read-committed consumers see none of it, and the group's offsets
    /// stay as they were. Records that were not sent yet fail with `Transaction`. The call waits
    /// for records in flight. After `Ok` the next transaction can begin.
    ///
    /// # Errors
    ///
    /// - `Timeout`: call it again, which takes up the wait. Nothing else but `close` is allowed before it has ended.
    /// - `Fenced`, or what else ended the producer. Fatal; the coordinator aborts what is open.
    /// - `IllegalState`: no transaction is open.
    /// - `Closed`, `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// Until the coordinator responds, at most `max.block.ms`.
    pub fn abort_transaction(&self) -> Result<()> {
        self.timed(ProducerCall::AbortTransaction, || {
            self.make_call("abort_transaction", TransactionManager::begin_abort)
        })
    }

    /// Runs `body` in a transaction. Commits if `body` returns `Ok`. Aborts if it returns `Err` or
    /// panics, or if the commit is refused.
    ///
    /// ```
    /// # use kafka_producer::{KafkaProducer, ProducerRecord};
    /// # fn pay(producer: &KafkaProducer) -> kafka_producer::Result<()> {
    /// producer.transaction(|transaction| {
    ///     transaction.send(ProducerRecord::new("debits", "17").key("alice"))?;
    ///     transaction.send(ProducerRecord::new("credits", "17").key("bob"))?;
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// There is no need to check each record: a failed record makes the commit fail. `body` may
    /// return any error type that an [`Error`] converts into.
    ///
    /// An error needs no abort afterwards. If it [`is_aborted`](Error::is_aborted), the same work can be done again in the
    /// next transaction:
    ///
    /// ```
    /// # use kafka_producer::{KafkaProducer, ProducerRecord, Result};
    /// # fn pay(producer: &KafkaProducer) -> Result<()> {
    /// let pay = || producer.transaction(|transaction| {
    ///     transaction.send(ProducerRecord::new("debits", "17").key("alice"))?;
    ///     transaction.send(ProducerRecord::new("credits", "17").key("bob"))
    /// });
    /// while let Err(error) = pay() {
    ///     if !error.is_aborted() {
    ///         return Err(error);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error of `body`, of [`begin_transaction`](Self::begin_transaction), of
    /// [`commit_transaction`](Self::commit_transaction), or of the abort after a refused commit if
    /// that ends the producer. `WouldDeadlock` inside a callback, where `body` does not run. After
    /// a timeout of the commit, call `commit_transaction` to learn its outcome. Any other failed
    /// abort is logged, and the next transaction does not begin.
    ///
    /// # Blocking
    ///
    /// At most twice `max.block.ms`, plus the time of `body`.
    pub fn transaction<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&Transaction<'_, KS::Input, VS::Input>) -> Result<T, E>,
    ) -> Result<T, E> {
        let producer: &dyn Producer<KS::Input, VS::Input> = self;
        producer.transaction(body)
    }

    pub(in crate::producer) fn log_failed_abort(&self, error: &Error) {
        let _context = self.log_context.enter();
        log::error!("could not abort a transaction: {error}");
    }

    /// Returns the transactions of an open producer.
    fn open_transactions(&self, operation: &str) -> Result<&TransactionManager> {
        let transactions = self.transactions.as_deref();
        let transactions = transactions.ok_or_else(|| needs_transactional_id(operation))?;
        self.accumulator.io_thread().check_process()?;
        self.check_open()?;
        Ok(transactions)
    }

    /// Counts the time of a call that succeeds.
    fn timed(&self, call: ProducerCall, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = self.time.now();
        let result = body();
        if result.is_ok() {
            self.note_time(call, start);
        }
        result
    }

    /// Hands a call to the I/O thread, and waits for its end.
    fn make_call(
        &self,
        operation: &str,
        call: impl FnOnce(&TransactionManager) -> Result<Arc<TransactionalRequestResult>>,
    ) -> Result<()> {
        self.make_call_after(Duration::ZERO, operation, call)
    }

    /// As [`make_call`](Self::make_call), after `spent` of `max.block.ms`.
    fn make_call_after(
        &self,
        spent: Duration,
        operation: &str,
        call: impl FnOnce(&TransactionManager) -> Result<Arc<TransactionalRequestResult>>,
    ) -> Result<()> {
        let _context = self.log_context.enter();
        let transactions = self.open_transactions(operation)?;
        self.accumulator.io_thread().check_may_block(operation)?;
        let result = call(transactions)?;
        self.accumulator.signal().wake();
        let waited = result.wait_after(spent, self.max_block);
        waited.map_err(|error| match self.metadata.connection_failure() {
            Some(cause) if error.is_timeout() && error.source().is_none() => error.caused_by(cause),
            _ => error,
        })
    }
}

/// Returns the error for a transactional call of a producer without a transactional id.
pub(crate) fn needs_transactional_id(operation: &str) -> Error {
    let text =
        format!("{operation} needs a transactional producer: set transactional.id to have one");
    Error::new(ErrorKind::IllegalState, text)
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

    #[test]
    fn a_producer_without_a_transactional_id_refuses_transactional_calls() {
        let broker = FakeBroker::builder().start().unwrap();
        let producer = KafkaProducer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .build()
            .unwrap();
        for refused in [
            producer.init_transactions(),
            producer.begin_transaction(),
            producer.commit_transaction(),
            producer.abort_transaction(),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::IllegalState);
            assert!(error.to_string().contains("transactional.id"), "{error}");
        }
    }

    /// The leader's refusal alone would have the caller try again, and again.
    #[test]
    fn a_commit_refused_by_a_leader_says_that_the_producer_was_fenced() {
        let broker = FakeBroker::builder().topic("orders", 1).start().unwrap();
        let producer = KafkaProducer::builder()
            .bootstrap_servers(broker.bootstrap_servers())
            .transactional_id("copier")
            .build()
            .unwrap();
        producer.init_transactions().unwrap();
        broker
            .on(Api::Produce)
            .then(Action::fail(ErrorCode::INVALID_PRODUCER_EPOCH));
        let refused = producer.transaction(|transaction| {
            let sent = transaction.send_with_future(ProducerRecord::new("orders", "value"))?;
            assert_eq!(sent.get().unwrap_err().delivery(), Delivery::NotWritten);
            broker.fence_producer("copier").unwrap();
            Ok::<(), crate::Error>(())
        });
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
        assert!(error.is_fatal());
    }
}
