//! Every API of a transaction, every way in which one of its requests can fail, both versions,
//! commit and abort: each call succeeds, committed records are visible and aborted ones are not,
//! and no transaction stays open.

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, Failure, FakeBroker};
use kafka_producer::{ErrorCode, KafkaProducer};

use crate::support::producing::*;
use crate::support::transactions::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The broker refuses for now.
    Refused,
    /// The broker says that it is not the coordinator or leader.
    Misdirected,
    /// The broker handled the request, and returns an error as if it had not.
    DoneButUnclear,
    /// The connection ends before the broker handles the request.
    Disconnected,
    /// The connection ends after the broker handled the request.
    ReplyLost,
    /// The broker neither handles nor answers the request.
    TimedOut,
    /// The broker handles the request and does not answer.
    ReplyTimedOut,
}

use Fault::*;

const FAULTS: [Fault; 7] = [
    Refused,
    Misdirected,
    DoneButUnclear,
    Disconnected,
    ReplyLost,
    TimedOut,
    ReplyTimedOut,
];

/// The timeout of a request without a response.
const REQUEST_TIMEOUT: u64 = 200;

impl Fault {
    fn action(self, api: Api) -> Action {
        match self {
            Refused => Action::fail(refusal(api)),
            Misdirected if api == Api::Produce => Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            Misdirected => Action::fail(ErrorCode::NOT_COORDINATOR),
            DoneButUnclear => {
                Action::fail(Failure::new(ErrorCode::REQUEST_TIMED_OUT).after_append())
            }
            Disconnected => Action::skip().disconnect(),
            ReplyLost => Action::apply().disconnect(),
            TimedOut => Action::skip().never_reply(),
            ReplyTimedOut => Action::apply().never_reply(),
        }
    }

    fn is_timeout(self) -> bool {
        matches!(self, TimedOut | ReplyTimedOut)
    }
}

/// Returns an error of the API after which the same request is sent again.
fn refusal(api: Api) -> ErrorCode {
    match api {
        Api::FindCoordinator => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        Api::Produce => ErrorCode::NOT_ENOUGH_REPLICAS,
        Api::AddPartitionsToTxn | Api::EndTxn => ErrorCode::CONCURRENT_TRANSACTIONS,
        _ => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
    }
}

/// One run of the scenario.
#[derive(Clone, Copy, Debug)]
struct Cell {
    api: Api,
    fault: Fault,
    version: i16,
    is_commit: bool,
}

impl Cell {
    /// Returns whether the fault affects the calls before the first transaction.
    fn is_before_init(self) -> bool {
        self.api == Api::InitProducerId
    }

    /// Returns whether a request of the transaction may still be in flight after it has ended.
    fn leaves_open(self) -> bool {
        let is_in_transaction = !matches!(self.api, Api::InitProducerId | Api::FindCoordinator);
        is_in_transaction && !matches!(self.fault, Refused | Misdirected)
    }

    fn script(self, broker: &FakeBroker) {
        broker.on(self.api).then(self.fault.action(self.api));
    }

    fn run(self) {
        let broker = broker(self.version);
        let timeout = match self.fault.is_timeout() {
            true => millis(REQUEST_TIMEOUT),
            false => LONG,
        };
        let producer = transactional(&broker).request_timeout(timeout);
        let producer = producer.build().unwrap();
        if self.is_before_init() {
            self.script(&broker);
        }
        producer.init_transactions().unwrap();
        self.transaction(&producer, "first", 1, true);
        if !self.is_before_init() {
            self.script(&broker);
        }
        self.transaction(&producer, "faulty", 2, self.is_commit);
        assert_eq!(broker.unspent_rules(), 0, "{self:?}");
        assert_nothing_open(&broker);
        let (names, offset) = match self.is_commit {
            true => (vec!["first", "faulty"], 2),
            false => (vec!["first"], 1),
        };
        assert_eq!(committed(&broker), everywhere(&names), "{self:?}");
        assert_eq!(group_offsets(&broker), [offset; 2], "{self:?}");
        self.assert_goes_on(&broker, &producer);
    }

    fn transaction(self, producer: &KafkaProducer, name: &str, offset: i64, is_commit: bool) {
        producer.begin_transaction().unwrap();
        let sent = send_everywhere(producer, name);
        // Another group each time, so that its coordinator is looked up.
        if self.api == Api::FindCoordinator && name == "faulty" {
            let other = kafka_producer::ConsumerGroupMetadata::new("other");
            producer
                .send_offsets_to_transaction(&input(offset), &other)
                .unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        }
        producer
            .send_offsets_to_transaction(&input(offset), &group())
            .unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        producer.flush().unwrap();
        for future in sent {
            future
                .try_get()
                .unwrap()
                .unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        }
        let ended = match is_commit {
            true => producer.commit_transaction(),
            false => producer.abort_transaction(),
        };
        ended.unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
    }

    /// Checks that the next transaction works. It has a new epoch if the one before could still
    /// disturb it. On brokers that do not bump epochs themselves it has the same epoch otherwise.
    fn assert_goes_on(self, broker: &FakeBroker, producer: &KafkaProducer) {
        assert_works(broker, producer);
        let before = epoch_of(broker, "faulty0");
        let after = epoch_of(broker, "works0");
        let is_bumped = self.version == 2 || self.leaves_open();
        match self.fault {
            Refused | Misdirected | DoneButUnclear => {
                assert_eq!(after > before, is_bumped, "{self:?}")
            }
            // Other requests in flight on the connection were lost with it.
            _ => assert!(after > before || !is_bumped, "{self:?}"),
        }
    }
}

fn run_all(api: Api, versions: &[i16]) {
    for &version in versions {
        for fault in FAULTS {
            for is_commit in [true, false] {
                Cell {
                    api,
                    fault,
                    version,
                    is_commit,
                }
                .run();
            }
        }
    }
}

#[test]
fn find_coordinator() {
    run_all(Api::FindCoordinator, &VERSIONS);
}

#[test]
fn init_producer_id() {
    run_all(Api::InitProducerId, &VERSIONS);
}

#[test]
fn add_partitions_to_txn() {
    run_all(Api::AddPartitionsToTxn, &[1]);
}

#[test]
fn produce() {
    run_all(Api::Produce, &VERSIONS);
}

#[test]
fn add_offsets_to_txn() {
    run_all(Api::AddOffsetsToTxn, &[1]);
}

#[test]
fn txn_offset_commit() {
    run_all(Api::TxnOffsetCommit, &VERSIONS);
}

#[test]
fn end_txn() {
    run_all(Api::EndTxn, &VERSIONS);
}

/// The coordinator of the transactional id is looked up before anything else.
#[test]
fn find_coordinator_before_init() {
    for version in VERSIONS {
        for fault in FAULTS {
            let broker = broker(version);
            let timeout = if fault.is_timeout() {
                millis(REQUEST_TIMEOUT)
            } else {
                LONG
            };
            let producer = transactional(&broker).request_timeout(timeout);
            let producer = producer.build().unwrap();
            let api = Api::FindCoordinator;
            broker.on(api).then(fault.action(api));
            producer.init_transactions().unwrap();
            assert_eq!(broker.unspent_rules(), 0);
            assert_works(&broker, &producer);
        }
    }
}

#[test]
fn coordinators_that_move_are_followed() {
    for version in VERSIONS {
        let broker = broker(version);
        let producer = ready(&broker);
        let mut names = Vec::new();
        for (node, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let node = NodeId(node);
            producer.begin_transaction().unwrap();
            send_everywhere(&producer, name);
            producer.flush().unwrap();
            broker.move_transaction_coordinator(ID, node).unwrap();
            broker.move_group_coordinator(GROUP, node).unwrap();
            producer
                .send_offsets_to_transaction(&input(1), &group())
                .unwrap();
            producer.commit_transaction().unwrap();
            names.push(name);
            assert_eq!(committed(&broker), everywhere(&names));
            assert_nothing_open(&broker);
        }
    }
}
