//! The test's decision about one request.

use std::time::Duration;

use super::hold::{Hold, HoldFlag};
use crate::testing::fake_broker::model::failure::Failure;

/// When to continue: after a time, and not before a [`Hold`] is released.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timing {
    pub(crate) delay: Option<Duration>,
    pub(crate) hold: Option<HoldFlag>,
}

impl Timing {
    pub(crate) fn is_immediate(&self) -> bool {
        self.delay.is_none() && self.hold.is_none()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Handling {
    /// Handle it as Kafka does.
    Apply,
    /// Return this for every partition or topic of the request.
    Fail(Failure),
    /// Do not handle it.
    Skip,
}

#[derive(Clone, Debug)]
pub(crate) enum ReplyWith {
    Answer,
    Twice,
    WrongCorrelationId,
    /// The first bytes of the response, then the end of the connection.
    Cut(usize),
    /// Only these bytes.
    Bytes(Vec<u8>),
    /// The size and correlation id, then these bytes.
    Body(Vec<u8>),
    Nothing,
    Disconnect,
}

/// The broker's treatment of one request: whether it handles it, when it replies, and with what.
///
/// An action starts from [`apply`](Self::apply), [`skip`](Self::skip) or [`fail`](Self::fail).
/// Further methods refine it:
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
    pub(crate) handling: Handling,
    pub(crate) before: Timing,
    pub(crate) after: Timing,
    pub(crate) reply: ReplyWith,
    pub(crate) throttle: Duration,
    pub(crate) failed_partitions: Vec<(String, i32, Failure)>,
    pub(crate) omitted_partitions: Vec<(String, i32)>,
}

impl Action {
    fn of(handling: Handling, reply: ReplyWith) -> Self {
        Self {
            handling,
            before: Timing::default(),
            after: Timing::default(),
            reply,
            throttle: Duration::ZERO,
            failed_partitions: Vec::new(),
            omitted_partitions: Vec::new(),
        }
    }

    /// Handles the request as Kafka does, and responds.
    pub fn apply() -> Self {
        Self::of(Handling::Apply, ReplyWith::Answer)
    }

    /// Ignores the request. Nothing is appended, and unless a reply is given, there is no response.
    pub fn skip() -> Self {
        Self::of(Handling::Skip, ReplyWith::Nothing)
    }

    /// Responds with an error.
    ///
    /// In a [`Rule`](crate::testing::Rule) with a topic or a partition, only that topic or
    /// partition fails. The rest of the request is handled.
    pub fn fail(failure: impl Into<Failure>) -> Self {
        Self::of(Handling::Fail(failure.into()), ReplyWith::Answer)
    }

    /// Responds with an error for one partition of a Produce, AddPartitionsToTxn or TxnOffsetCommit
    /// request.
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

    /// Handles a Produce, AddPartitionsToTxn or TxnOffsetCommit request, but leaves one partition
    /// out of the response.
    pub fn omit_partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.omitted_partitions.push((topic.into(), partition));
        self
    }

    /// Delays the reply by this time. Replies stay in order: later ones of the same connection wait
    /// too, while their requests are handled.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.after.delay = Some(delay);
        self
    }

    /// Delays the reply until `hold` is released. Replies stay in order, as with
    /// [`delay`](Self::delay).
    pub fn hold(mut self, hold: &Hold) -> Self {
        self.after.hold = Some(hold.flag());
        self
    }

    /// Waits before handling the request. The broker reads no other request of the connection
    /// meanwhile.
    pub fn delay_request(mut self, delay: Duration) -> Self {
        self.before.delay = Some(delay);
        self
    }

    /// Handles the request once `hold` is released, even if the client has closed the connection by
    /// then. The broker reads no other request of the connection meanwhile. This simulates a write
    /// that arrives after the producer's request timed out.
    pub fn hold_request(mut self, hold: &Hold) -> Self {
        self.before.hold = Some(hold.flag());
        self
    }

    /// Asks the client to send nothing for this time (KIP-219).
    pub fn throttle(mut self, throttle: Duration) -> Self {
        self.throttle = throttle;
        self
    }

    /// Ends the connection instead of replying.
    pub fn disconnect(self) -> Self {
        self.reply_with(ReplyWith::Disconnect)
    }

    /// Never replies, but keeps the connection.
    pub fn never_reply(self) -> Self {
        self.reply_with(ReplyWith::Nothing)
    }

    /// Sends the reply twice.
    pub fn reply_twice(self) -> Self {
        self.reply_with(ReplyWith::Twice)
    }

    /// Replies with a correlation id that the client did not use.
    pub fn wrong_correlation_id(self) -> Self {
        self.reply_with(ReplyWith::WrongCorrelationId)
    }

    /// Sends only the first `length` bytes of the reply, including the 4 size bytes, and ends the
    /// connection.
    pub fn cut_reply(self, length: usize) -> Self {
        self.reply_with(ReplyWith::Cut(length))
    }

    /// Sends these bytes instead of a reply, without adding a size or a header.
    pub fn reply_with_bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.reply_with(ReplyWith::Bytes(bytes.into()))
    }

    /// Sends these bytes after the correct size and correlation id.
    pub fn reply_with_body(self, body: impl Into<Vec<u8>>) -> Self {
        self.reply_with(ReplyWith::Body(body.into()))
    }

    fn reply_with(mut self, reply: ReplyWith) -> Self {
        self.reply = reply;
        self
    }

    /// Returns whether the action is more than a failure, so that only a whole request can have it.
    pub(crate) fn concerns_whole_request(&self) -> bool {
        !self.before.is_immediate()
            || !self.after.is_immediate()
            || !matches!(self.reply, ReplyWith::Answer)
            || !self.throttle.is_zero()
            || !self.omitted_partitions.is_empty()
    }
}
