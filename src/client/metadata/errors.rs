//! The errors of topics in updates. Java: `Metadata.invalidTopics`, `unauthorizedTopics`.

use hashbrown::HashMap;

use super::printable;
use crate::error::Error;
use crate::protocol::ErrorCode;
use crate::sync::Arc;

/// The error of each topic that has one, and whether a call must still return it.
#[derive(Debug, Default)]
pub(super) struct TopicErrors {
    topics: HashMap<Arc<str>, TopicError>,
}

#[derive(Clone, Copy, Debug)]
struct TopicError {
    code: ErrorCode,
    /// A call returns a final error once. [`TopicErrors::topic_error`] still has it until the next
    /// update.
    is_pending: bool,
}

impl TopicErrors {
    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    /// Notes the state of a topic in a response: an error, or success.
    pub(super) fn set(&mut self, topic: &Arc<str>, code: ErrorCode) {
        if code.is_none() {
            self.topics.remove(topic);
            return;
        }
        let is_pending = matches!(
            code,
            ErrorCode::INVALID_TOPIC_EXCEPTION | ErrorCode::TOPIC_AUTHORIZATION_FAILED
        );
        let error = TopicError { code, is_pending };
        self.topics.insert(Arc::clone(topic), error);
    }

    pub(super) fn remove(&mut self, topic: &str) {
        self.topics.remove(topic);
    }

    pub(super) fn topic_error(&self, topic: &str) -> Option<Error> {
        self.topics
            .get(topic)
            .map(|error| error_of(topic, error.code))
    }

    /// Returns the final error of `topic`, unless a call has returned it already. As in Java, this
    /// also clears those of other topics.
    pub(super) fn take_pending(&mut self, topic: &str) -> Option<Error> {
        let pending = self.topics.get(topic).filter(|error| error.is_pending);
        let thrown = pending.map(|error| error_of(topic, error.code));
        for error in self.topics.values_mut() {
            error.is_pending = false;
        }
        thrown
    }
}

fn error_of(topic: &str, code: ErrorCode) -> Error {
    let topic = printable(topic);
    let text = match code {
        ErrorCode::INVALID_TOPIC_EXCEPTION => format!(
            "'{topic}' is not a valid topic name: it may have up to 249 letters, digits, '.', '_' and '-'"
        ),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => format!("not authorized for topic '{topic}'"),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => format!(
            "the cluster returned {code} for topic '{topic}': it does not exist, and is created on demand only if \
             the brokers allow it (auto.create.topics.enable)"
        ),
        _ => format!("the cluster returned {code} for topic '{topic}'"),
    };
    Error::from_code(code, text)
}
