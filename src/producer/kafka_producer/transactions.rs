//! Transactions: the five calls, and a closure that replaces them. Java: `initTransactions`,
//! `beginTransaction`, `sendOffsetsToTransaction`, `commitTransaction`, `abortTransaction`.

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
/// // The same with Java's calls. Here the program must call abort_transaction after an error.
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
    /// Initializes transactions: fences earlier producers with the same `transactional.id`, and
    /// ends their open transactions. Call it once, before all other calls.
    ///
    /// When it returns, a group's committed offsets are those of the last committed transaction. A
    /// program that resumes from them reads them after this call.
    ///
    /// # Errors
    ///
    /// - `Timeout`: there is no coordinator, or an earlier transaction has not ended yet. Call it
    ///   again to continue waiting.
    /// - `Authorization`: the producer has no right to use the id. Call it again when the right is
    ///   granted. A missing right to describe the id is fatal.
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
    /// - `IllegalState`: `init_transactions` was not called, a transaction is open, or a call timed
    ///   out and was not called again.
    /// - `Transaction`: the last transaction failed, and was not aborted. Abortable.
    /// - `Fenced`, or another error that ended the producer before. Fatal.
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

    /// Adds the offsets of a consumer group to the transaction. They are committed with it, or not
    /// at all. An empty map changes nothing.
    ///
    /// Each offset is that of the next record to consume. The consumer must not commit them itself
    /// (`enable.auto.commit=false`), and should read with `isolation.level=read_committed`. Pass
    /// the consumer's generation and member id in `group` (KIP-447): the group then refuses a
    /// consumer that has lost its partitions. Without them, only the `transactional.id` prevents
    /// two copies of the program from interfering.
    ///
    /// If the transaction has version 2, the group's coordinator is Kafka 4.4 or newer, and the
    /// metadata has the id of each topic, then ids identify the topics (KIP-1319). Otherwise names
    /// do. A topic that was deleted and created again gets its new id from a metadata update within
    /// the same call.
    ///
    /// # Errors
    ///
    /// - `Timeout`: the offsets are still being sent; or the metadata of their topics is missing,
    ///   which leaves the transaction unchanged. Call it again, or end the transaction. A commit
    ///   waits for offsets that are being sent, and fails if they are refused.
    /// - `Broker`, `Authorization` or `Transaction`: the group refused the offsets, for example
    ///   because the member has lost its partitions (`ILLEGAL_GENERATION`, `STALE_MEMBER_EPOCH`,
    ///   `GROUP_ID_NOT_FOUND`, `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`); or the transaction
    ///   failed before. Abortable.
    /// - `UnsupportedVersion`: a broker before Kafka 2.5, which cannot carry a generation. Fatal.
    /// - `Fenced`, or another error that ended the producer. Fatal.
    /// - `IllegalArgument`: the group has no name, or a generation without a member.
    ///   `IllegalState`: no transaction is open.
    /// - `Authentication`: there is no metadata, because the brokers refuse the producer. `Closed`.
    ///   `WouldDeadlock` inside a callback.
    ///
    /// # Blocking
    ///
    /// Until the group's coordinator has the offsets, at most `max.block.ms`. This includes the
    /// time for the metadata of topics that the producer does not know yet. That request creates a
    /// missing topic if the brokers have `auto.create.topics.enable`.
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
        // Before the check of the state, as in Java. If the metadata is missing, the transaction
        // does not change.
        let sent = self.timed(ProducerCall::SendOffsets, || {
            let waited = self.wait_on_topics(&offsets)?;
            self.make_call_after(waited, name, |transactions| {
                let cluster = self.metadata.snapshot();
                transactions.send_offsets_to_transaction(offsets, group, &cluster)
            })
        });
        sent.map_err(|error| {
            // A program that aborts instead of calling this again then sees the error.
            let is_open = error.is_timeout() && transactions.has_ongoing_transaction();
            match is_open {
                true => transactions.in_transaction(error),
                false => error,
            }
        })
    }

    /// Waits until a response covers the topics that the metadata does not track yet, so that topic
    /// ids can identify the offsets' topics (KIP-1319). The contents of the response do not matter:
    /// without an id, names identify the topics. Returns the time that it took.
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
        // Each topic, new or not, is kept for metadata.max.idle.ms from now.
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
    /// - `Timeout`: call it again, which continues the wait. Until it has ended, no other call is
    ///   allowed except `close`.
    /// - `Transaction`, or the record's or the coordinator's own error: a part of the transaction
    ///   failed; [`source`](std::error::Error::source) has the cause. Abortable: call
    ///   `abort_transaction`.
    /// - `Fenced`: another producer took over, or the transaction exceeded `transaction.timeout.ms`
    ///   and the coordinator aborted it, which version 2 of transactions reports as
    ///   `INVALID_TXN_STATE`. Or another error that ended the producer. Fatal.
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
    /// - `Timeout`: call it again, which continues the wait. Until it has ended, no other call is
    ///   allowed except `close`.
    /// - `Fenced`, or another error that ended the producer. Fatal; the coordinator aborts the open
    ///   transaction.
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
    /// An error needs no abort afterwards. If it [`is_aborted`](Error::is_aborted), the same work
    /// can be done again in the next transaction:
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

    /// Records the time of a successful call.
    fn timed(&self, call: ProducerCall, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = self.time.now();
        let result = body();
        if result.is_ok() {
            self.note_time(call, start);
        }
        result
    }

    /// Passes a call to the I/O thread, and waits for its outcome.
    fn make_call(
        &self,
        operation: &str,
        call: impl FnOnce(&TransactionManager) -> Result<Arc<TransactionalRequestResult>>,
    ) -> Result<()> {
        self.make_call_after(Duration::ZERO, operation, call)
    }

    /// Does the same as [`make_call`](Self::make_call), after `spent` of `max.block.ms`.
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

    /// With only the leader's error the caller would try again and again.
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
