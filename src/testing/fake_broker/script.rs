//! What a test tells the broker to do wrong: [`Action`]s, the [`Rule`]s that say when, and [`Hold`]s.
//!
//! Threads: tests add rules, connection threads spend them. Locks: the rules are behind one lock of `Core`, which is not
//! held while an action is carried out.

use std::fmt;
use std::time::Duration;

use super::activity::Activity;
use super::{Api, FakeBroker, Request};
use crate::common::NodeId;
use crate::protocol::ErrorCode;
use crate::sync::{Arc, AtomicBool, Ordering};

/// An error that the broker is to answer, for a partition, a topic or a whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
    pub(super) record_errors: Vec<(i32, Option<String>)>,
    pub(super) is_after_append: bool,
}

impl Failure {
    /// This code, without a text.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            record_errors: Vec::new(),
            is_after_append: false,
        }
    }

    /// Adds a text. Produce sends it from version 8 on, and FindCoordinator; the other APIs have no place for one.
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.message = Some(text.into());
        self
    }

    /// Blames one record of the batch, by its place in the batch (KIP-467). Produce sends it from version 8 on.
    pub fn record_error(mut self, batch_index: i32, text: impl Into<String>) -> Self {
        self.record_errors.push((batch_index, Some(text.into())));
        self
    }

    /// Appends the records all the same, as a broker does before it answers `NOT_ENOUGH_REPLICAS_AFTER_APPEND` or
    /// `REQUEST_TIMED_OUT`; requests of a transaction are carried out likewise. Without this a failure is a refusal before
    /// anything was done.
    pub fn after_append(mut self) -> Self {
        self.is_after_append = true;
        self
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

/// When something may go on: after a time, and not before a [`Hold`] lets go.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    pub(super) delay: Option<Duration>,
    pub(super) hold: Option<HoldFlag>,
}

impl Pace {
    pub(super) fn is_immediate(&self) -> bool {
        self.delay.is_none() && self.hold.is_none()
    }
}

#[derive(Clone, Debug)]
pub(super) enum Handling {
    /// As Kafka would.
    Apply,
    /// Every partition or topic of the request is answered with this.
    Fail(Failure),
    /// Not at all.
    Skip,
}

#[derive(Clone, Debug)]
pub(super) enum ReplyWith {
    Answer,
    Twice,
    WrongCorrelationId,
    /// The first bytes of the answer, then the end of the connection.
    Cut(usize),
    /// These bytes and nothing else.
    Bytes(Vec<u8>),
    /// Size and correlation id, then these bytes.
    Body(Vec<u8>),
    Nothing,
    Disconnect,
}

/// What the broker does with one request: whether it handles it, when it replies, and with what.
///
/// An action starts from [`apply`](Self::apply), [`skip`](Self::skip) or [`fail`](Self::fail) and is refined:
///
/// ```
/// use kafka_producer::testing::Action;
/// use std::time::Duration;
///
/// let reply_is_lost = Action::apply().disconnect();
/// let never_arrived = Action::skip().disconnect();
/// let slow = Action::apply().delay(Duration::from_millis(50));
/// ```
#[derive(Clone, Debug)]
pub struct Action {
    pub(super) handling: Handling,
    pub(super) before: Pace,
    pub(super) after: Pace,
    pub(super) reply: ReplyWith,
    pub(super) throttle: Duration,
    pub(super) failed_partitions: Vec<(String, i32, Failure)>,
    pub(super) omitted_partitions: Vec<(String, i32)>,
}

impl Action {
    fn of(handling: Handling, reply: ReplyWith) -> Self {
        Self {
            handling,
            before: Pace::default(),
            after: Pace::default(),
            reply,
            throttle: Duration::ZERO,
            failed_partitions: Vec::new(),
            omitted_partitions: Vec::new(),
        }
    }

    /// Handles the request as Kafka would, and answers.
    pub fn apply() -> Self {
        Self::of(Handling::Apply, ReplyWith::Answer)
    }

    /// Ignores the request: nothing is appended and, unless a reply is given, nothing is answered.
    pub fn skip() -> Self {
        Self::of(Handling::Skip, ReplyWith::Nothing)
    }

    /// Answers with an error.
    ///
    /// In a [`Rule`] with a topic or a partition only that topic or partition fails, and the rest of the request is handled.
    pub fn fail(failure: impl Into<Failure>) -> Self {
        Self::of(Handling::Fail(failure.into()), ReplyWith::Answer)
    }

    /// Answers with an error for one partition of a Produce, AddPartitionsToTxn or TxnOffsetCommit request.
    pub fn fail_partition(
        mut self,
        topic: impl Into<String>,
        partition: i32,
        failure: impl Into<Failure>,
    ) -> Self {
        self.failed_partitions
            .push((topic.into(), partition, failure.into()));
        self
    }

    /// Leaves one partition out of the answer to a Produce, AddPartitionsToTxn or TxnOffsetCommit request, which it is
    /// handled in.
    pub fn omit_partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.omitted_partitions.push((topic.into(), partition));
        self
    }

    /// Holds the reply back for this long. Replies stay in order: later ones of the same connection wait behind it, while
    /// their requests are handled.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.after.delay = Some(delay);
        self
    }

    /// Holds the reply back until `hold` is released. Replies stay in order, as with [`delay`](Self::delay).
    pub fn hold(mut self, hold: &Hold) -> Self {
        self.after.hold = Some(hold.flag());
        self
    }

    /// Waits before the request is handled; no other request of the connection is read meanwhile.
    pub fn delay_request(mut self, delay: Duration) -> Self {
        self.before.delay = Some(delay);
        self
    }

    /// Handles the request only once `hold` is released, even if the client has gone by then. No other request of the
    /// connection is read meanwhile. This is the write that lands after its producer gave it up.
    pub fn hold_request(mut self, hold: &Hold) -> Self {
        self.before.hold = Some(hold.flag());
        self
    }

    /// Tells the client to be quiet for this long (KIP-219).
    pub fn throttle(mut self, throttle: Duration) -> Self {
        self.throttle = throttle;
        self
    }

    /// Ends the connection in place of a reply.
    pub fn disconnect(self) -> Self {
        self.reply_with(ReplyWith::Disconnect)
    }

    /// Never replies, and keeps the connection.
    pub fn never_reply(self) -> Self {
        self.reply_with(ReplyWith::Nothing)
    }

    /// Sends the reply two times.
    pub fn reply_twice(self) -> Self {
        self.reply_with(ReplyWith::Twice)
    }

    /// Replies under a correlation id that the client did not use.
    pub fn wrong_correlation_id(self) -> Self {
        self.reply_with(ReplyWith::WrongCorrelationId)
    }

    /// Sends only the first `length` bytes of the reply, the 4 size bytes included, and ends the connection.
    pub fn cut_reply(self, length: usize) -> Self {
        self.reply_with(ReplyWith::Cut(length))
    }

    /// Sends these bytes in place of a reply: no size and no header is added.
    pub fn reply_with_bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.reply_with(ReplyWith::Bytes(bytes.into()))
    }

    /// Sends these bytes behind the right size and the right correlation id.
    pub fn reply_with_body(self, body: impl Into<Vec<u8>>) -> Self {
        self.reply_with(ReplyWith::Body(body.into()))
    }

    fn reply_with(mut self, reply: ReplyWith) -> Self {
        self.reply = reply;
        self
    }

    /// Whether there is more to it than a failure: something that only a whole request can be given.
    fn concerns_whole_request(&self) -> bool {
        !self.before.is_immediate()
            || !self.after.is_immediate()
            || !matches!(self.reply, ReplyWith::Answer)
            || !self.throttle.is_zero()
            || !self.omitted_partitions.is_empty()
    }
}

/// A gate that requests or replies wait at until it is [`release`](Self::release)d or dropped.
#[derive(Debug)]
pub struct Hold {
    flag: HoldFlag,
    activity: Arc<Activity>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct HoldFlag(Arc<AtomicBool>);

impl HoldFlag {
    pub(super) fn is_released(&self) -> bool {
        // Acquire pairs with the release in `Hold::release`: who goes on sees what the releaser did before.
        self.0.load(Ordering::Acquire)
    }
}

impl Hold {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self {
            flag: HoldFlag::default(),
            activity,
        }
    }

    fn flag(&self) -> HoldFlag {
        self.flag.clone()
    }

    /// Lets go whatever waits, and whatever comes later.
    pub fn release(&self) {
        self.flag.0.store(true, Ordering::Release);
        self.activity.announce();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

/// Which requests a rule is for.
#[derive(Clone, Debug)]
struct Filter {
    api: Api,
    node: Option<NodeId>,
    topic: Option<String>,
    partition: Option<i32>,
}

impl Filter {
    fn matches(&self, request: &Request) -> bool {
        self.api == request.api
            && self.node.is_none_or(|node| node == request.node)
            && self.topic.as_deref().is_none_or(|topic| {
                request.names(topic, self.partition) || request.is_for_all_topics
            })
    }
}

/// A line of the script in the making: made by [`FakeBroker::on`], ended by [`then`](Self::then).
///
/// Rules are tried in the order they were made, each as often as it says: once, unless [`times`](Self::times) or
/// [`always`](Self::always) says otherwise. A request takes the first rule that matches; rules that fail one partition or
/// topic combine, so that one request may take several of them.
#[must_use = "a rule does nothing until `then` gives it an action"]
#[derive(Debug)]
pub struct Rule<'a> {
    broker: &'a FakeBroker,
    filter: Filter,
    remaining: Option<usize>,
}

impl<'a> Rule<'a> {
    pub(super) fn new(broker: &'a FakeBroker, api: Api) -> Self {
        Self {
            broker,
            filter: Filter {
                api,
                node: None,
                topic: None,
                partition: None,
            },
            remaining: Some(1),
        }
    }

    /// Only requests to this node.
    pub fn node(mut self, node: NodeId) -> Self {
        self.filter.node = Some(node);
        self
    }

    /// Only requests that name this topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.filter.topic = Some(topic.into());
        self
    }

    /// Only Produce, AddPartitionsToTxn and TxnOffsetCommit requests that name this partition, and Metadata requests that
    /// name its topic.
    pub fn partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.filter.topic = Some(topic.into());
        self.filter.partition = Some(partition);
        self
    }

    /// The first `count` matching requests.
    pub fn times(mut self, count: usize) -> Self {
        self.remaining = Some(count);
        self
    }

    /// Every matching request, until the script is cleared.
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Ends the rule: what is done with the requests that it is for.
    pub fn then(self, action: Action) {
        self.broker.core.script.lock().rules.push(ActiveRule {
            filter: self.filter,
            remaining: self.remaining,
            action,
        });
    }
}

#[derive(Debug)]
struct ActiveRule {
    filter: Filter,
    remaining: Option<usize>,
    action: Action,
}

impl ActiveRule {
    fn is_spent(&self) -> bool {
        self.remaining == Some(0)
    }

    /// The failure, where the rule is for one topic or partition rather than for the request.
    fn scoped_failure(&self) -> Option<ScopedFailure> {
        let topic = self.filter.topic.clone()?;
        let Handling::Fail(failure) = &self.action.handling else {
            return None;
        };
        Some(ScopedFailure {
            topic,
            partition: self.filter.partition,
            failure: failure.clone(),
        })
    }
}

#[derive(Clone, Debug)]
struct ScopedFailure {
    topic: String,
    partition: Option<i32>,
    failure: Failure,
}

impl ScopedFailure {
    fn covers(&self, topic: &str, partition: i32) -> bool {
        self.topic == topic && self.partition.is_none_or(|number| number == partition)
    }
}

/// What was decided for one request.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) action: Action,
    failures: Vec<ScopedFailure>,
}

impl Plan {
    /// The failure scripted for a partition, or for a topic when `partition` is -1.
    pub(super) fn failure(&self, topic: &str, partition: i32) -> Option<&Failure> {
        let scoped = self
            .failures
            .iter()
            .find(|scoped| scoped.covers(topic, partition))
            .map(|scoped| &scoped.failure);
        scoped.or_else(|| self.whole_failure())
    }

    pub(super) fn whole_failure(&self) -> Option<&Failure> {
        match &self.action.handling {
            Handling::Fail(failure) => Some(failure),
            Handling::Apply | Handling::Skip => None,
        }
    }

    /// Carries out what is asked for as a whole, unless it is to be refused; the failure is the answer in any case.
    pub(super) fn around<T>(
        &self,
        apply: impl FnOnce() -> Result<T, ErrorCode>,
    ) -> Result<T, ErrorCode> {
        match self.whole_failure() {
            Some(failure) if failure.is_after_append => {
                apply()?;
                Err(failure.code)
            }
            Some(failure) => Err(failure.code),
            None => apply(),
        }
    }

    pub(super) fn omits(&self, topic: &str, partition: i32) -> bool {
        self.action
            .omitted_partitions
            .iter()
            .any(|(name, number)| name == topic && *number == partition)
    }
}

pub(super) type Hook = dyn Fn(&FakeBroker, &Request) -> Option<Action> + Send + Sync;

/// The hooks and rules in force.
#[derive(Default)]
pub(super) struct Script {
    pub(super) hooks: Vec<Arc<Hook>>,
    rules: Vec<ActiveRule>,
}

impl Script {
    pub(super) fn clear(&mut self) {
        self.hooks.clear();
        self.rules.clear();
    }

    /// The rules with a number of times that did not all come.
    pub(super) fn unspent_rules(&self) -> usize {
        self.rules
            .iter()
            .filter(|rule| rule.remaining.is_some())
            .count()
    }

    /// Spends the rules that apply to `request`; `hooked` is what a hook wants already.
    pub(super) fn decide(&mut self, request: &Request, hooked: Option<Action>) -> Plan {
        let mut whole = hooked;
        let mut failures: Vec<ScopedFailure> = Vec::new();
        for rule in &mut self.rules {
            if rule.is_spent() || !rule.filter.matches(request) {
                continue;
            }
            let scoped = rule.scoped_failure();
            let wants_request = scoped.is_none() || rule.action.concerns_whole_request();
            if wants_request && whole.is_some() {
                continue;
            }
            if let Some(scoped) = scoped {
                if !adds_a_failure(&failures, &scoped, request) {
                    continue;
                }
                failures.push(scoped);
                if wants_request {
                    let mut action = rule.action.clone();
                    action.handling = Handling::Apply;
                    whole = Some(action);
                }
            } else {
                whole = Some(rule.action.clone());
            }
            rule.remaining = rule.remaining.map(|count| count.saturating_sub(1));
        }
        self.rules.retain(|rule| !rule.is_spent());
        Plan::new(whole.unwrap_or_else(Action::apply), failures)
    }
}

impl Plan {
    fn new(action: Action, mut failures: Vec<ScopedFailure>) -> Self {
        let given = action.failed_partitions.iter();
        failures.extend(given.map(|(topic, partition, failure)| ScopedFailure {
            topic: topic.clone(),
            partition: Some(*partition),
            failure: failure.clone(),
        }));
        Self { action, failures }
    }
}

/// Whether something of the request that `scoped` is for does not fail already, by an earlier rule.
fn adds_a_failure(earlier: &[ScopedFailure], scoped: &ScopedFailure, request: &Request) -> bool {
    let is_new = |topic: &str, partition| {
        scoped.covers(topic, partition) && !earlier.iter().any(|e| e.covers(topic, partition))
    };
    if request.partitions.is_empty() {
        return is_new(&scoped.topic, scoped.partition.unwrap_or(-1));
    }
    request
        .partitions
        .iter()
        .any(|named| is_new(named.topic(), named.partition()))
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("hooks", &self.hooks.len())
            .field("rules", &self.rules)
            .finish()
    }
}
