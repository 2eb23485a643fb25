//! What a test wants done with one request.

use std::time::Duration;

use super::hold::{Hold, HoldFlag};
use crate::testing::fake_broker::model::failure::Failure;

/// When something may go on: after a time, and not before a [`Hold`] lets go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) delay: Option<Duration>,
    pub(crate) hold: Option<HoldFlag>,
}

impl Pace {
    pub(crate) fn is_immediate(&self) -> bool {
        self.delay.is_none() && self.hold.is_none()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Handling {
    /// As Kafka would.
    Apply,
    /// Every partition or topic of the request is answered with this.
    Fail(Failure),
    /// Not at all.
    Skip,
}

#[derive(Clone, Debug)]
pub(crate) enum ReplyWith {
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
    pub(crate) handling: Handling,
    pub(crate) before: Pace,
    pub(crate) after: Pace,
    pub(crate) reply: ReplyWith,
    pub(crate) throttle: Duration,
    pub(crate) failed_partitions: Vec<(String, i32, Failure)>,
    pub(crate) omitted_partitions: Vec<(String, i32)>,
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
    /// In a [`Rule`](crate::testing::Rule) with a topic or a partition only that topic or partition fails, and the rest of
    /// the request is handled.
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
    pub(crate) fn concerns_whole_request(&self) -> bool {
        !self.before.is_immediate()
            || !self.after.is_immediate()
            || !matches!(self.reply, ReplyWith::Answer)
            || !self.throttle.is_zero()
            || !self.omitted_partitions.is_empty()
    }
}
