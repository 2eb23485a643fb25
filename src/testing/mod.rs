//! Test doubles for programs that produce: a Kafka cluster in the test's own process. Feature `testing`.
//!
//! [`FakeBroker`] listens on real loopback sockets, so that it tests a whole program, including its
//! network code. It validates what a broker validates, and simulates faults of brokers and networks
//! on demand.

//!
//! # Where the test broker differs from Kafka
//!
//! The project's tests send the same requests to a real Kafka 4.4 and to a test broker, in fixed
//! lists and in random sequences. They compare error codes and offsets. After each random sequence
//! they also compare the logs and the group's offsets. The remaining differences are deliberate:
//!
//! | Kafka | the test broker | reason |
//! |---|---|---|
//! | writes the markers of a transaction some time after EndTxn | writes them before it responds, unless [`pause_markers`](FakeBroker::pause_markers) | a test runs the same way every time |
//! | aborts a transaction when `transaction.timeout.ms` has passed | aborts it in [`expire_transactions`](FakeBroker::expire_transactions) | no test waits for a clock |
//! | forgets idle producers, transactional ids and verifications after a time | forgets them in [`forget_producers`](FakeBroker::forget_producers) and [`forget_transactional_id`](FakeBroker::forget_transactional_id) | no test waits for a clock |
//! | takes up to some hundred milliseconds to create a topic on demand, and sometimes takes its first Produce | takes one Metadata request, and refuses one Produce to each partition ([`instant_auto_creation`](FakeBrokerBuilder::instant_auto_creation)) | a test runs the same way every time, and always sees the retry |
//! | creates `__consumer_offsets` and `__transaction_state`, whose leaders coordinate | creates neither; a key belongs to a node by its hash | a test moves one coordinator without the others |
//! | refuses members and generations of a group without members | takes any until [`join_group`](FakeBroker::join_group) | there are no consumers that could join |
//! | loads a new coordinator, and says so meanwhile | never loads | [`Action::fail`] returns COORDINATOR_LOAD_IN_PROGRESS when a test needs it |
//! | verifies a TxnOffsetCommit once for all groups of a partition of `__consumer_offsets` | verifies it for each group | there is no such partition |
//! | takes some batches whose offset deltas are not 0, 1, 2, ... | refuses them | no correct producer sends them |
//! | has texts of its own for refusals and for each refused record | has other texts | programs go by codes |
//! | limits how often a client asks for its telemetry and pushes | does not; [`Action::fail`] returns THROTTLING_QUOTA_EXCEEDED | no test waits for a clock |
//! | checks access rights and quotas | has neither; [`Action::throttle`] and [`Action::fail`] return what they would | what they return is the same for all APIs |

mod fake_broker;

pub use fake_broker::{
    Action, Api, BatchHeader, CommittedOffset, Failure, FakeBroker, FakeBrokerBuilder, Hold,
    Request, RequestedTransaction, Rule, SentBatch, StoredBatch, StoredMarker, StoredRecord,
    TelemetryPush, TelemetrySubscription, TopicConfig, Transaction, TransactionState,
};
