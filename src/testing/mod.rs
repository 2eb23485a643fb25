//! Test doubles for programs that produce: a Kafka cluster in the test's own process. Feature `testing`.
//!
//! [`FakeBroker`] listens on real loopback sockets, so that it tests a whole program, network included. It checks what a
//! broker checks, and does wrong on demand what brokers and networks do wrong.

mod fake_broker;

pub use fake_broker::{
    Action, Api, BatchHeader, CommittedOffset, Failure, FakeBroker, FakeBrokerBuilder, Hold,
    Request, RequestedTransaction, Rule, SentBatch, StoredBatch, StoredMarker, StoredRecord,
    TopicConfig, Transaction, TransactionState,
};
