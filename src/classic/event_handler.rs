//! Delivers the messages of a `send` or of a batch. Java: `kafka.producer.async.EventHandler`.

use super::error::Result;
use super::keyed_message::KeyedMessage;

/// Delivers messages. A [`Producer`](super::Producer) calls it on one thread at a time: the caller
/// in sync mode, the send thread in async mode.
pub trait EventHandler<K, V>: Send {
    /// Delivers at least one message.
    ///
    /// # Errors
    ///
    /// A sync producer returns the error from `send`. An async producer logs it, and the messages are lost.
    ///
    /// # Blocking
    ///
    /// Until the messages are delivered or have failed. Nothing else is delivered meanwhile.
    fn handle(&mut self, events: &[KeyedMessage<K, V>]) -> Result<()>;

    /// Closes the handler's connections. The producer's close calls this once.
    fn close(&mut self);
}

impl<K, V, H: EventHandler<K, V> + ?Sized> EventHandler<K, V> for Box<H> {
    fn handle(&mut self, events: &[KeyedMessage<K, V>]) -> Result<()> {
        (**self).handle(events)
    }

    fn close(&mut self) {
        (**self).close();
    }
}
