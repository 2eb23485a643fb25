//! The chain of interceptors of a producer. Java: `ProducerInterceptors`.
//!
//! Threads: `on_send` runs on the threads that send, `on_acknowledgement` mostly on the I/O thread.
//! Locks: none.

use super::producer_interceptor::ProducerInterceptor;
use super::record_data::RecordData;
use super::user_code::contain;
use super::{Callback, ProducerRecord, RecordMetadata};
use crate::common::Headers;
use crate::error::{Error, Result};
use crate::sync::Arc;
use crate::utils::log;

/// Interceptors in the order of their calls. An empty chain costs a comparison.
pub(crate) struct ProducerInterceptors<K: RecordData + ?Sized, V: RecordData + ?Sized>(
    Vec<Box<dyn ProducerInterceptor<K, V>>>,
);

impl<K: RecordData + ?Sized, V: RecordData + ?Sized> ProducerInterceptors<K, V> {
    pub(crate) fn new(interceptors: Vec<Box<dyn ProducerInterceptor<K, V>>>) -> Self {
        Self(interceptors)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets every interceptor change the record, and calls the rest of the send with the result.
    ///
    /// Each interceptor gets a record that borrows from the previous one. If it fails halfway, it
    /// has changed only its own copy, and only headers were copied for it. The records of the chain
    /// live on the stack below the rest of the send, which is therefore a closure.
    pub(crate) fn on_send<R>(
        &self,
        record: ProducerRecord<'_, K, V>,
        then: impl FnOnce(ProducerRecord<'_, K, V>) -> R,
    ) -> R {
        on_send(&self.0, record, then)
    }

    /// Tells every interceptor the outcome of a record.
    pub(crate) fn on_acknowledgement(
        &self,
        metadata: &RecordMetadata,
        error: Option<&Error>,
        headers: &Headers,
    ) {
        for interceptor in &self.0 {
            log_panic(contain("an interceptor's on_acknowledgement", || {
                interceptor.on_acknowledgement(metadata, error, headers);
            }));
        }
    }

    /// Tells every interceptor of a record that failed before it was in a batch.
    pub(crate) fn on_send_error(
        &self,
        topic: &str,
        partition: Option<i32>,
        error: &Error,
        headers: &Headers,
    ) {
        if !self.is_empty() {
            let metadata = RecordMetadata::undelivered(topic, partition);
            self.on_acknowledgement(&metadata, Some(error), headers);
        }
    }

    pub(crate) fn close(&self) {
        for interceptor in &self.0 {
            log_panic(contain("an interceptor's close", || interceptor.close()));
        }
    }
}

impl<K, V> ProducerInterceptors<K, V>
where
    K: RecordData + ?Sized + 'static,
    V: RecordData + ?Sized + 'static,
{
    /// Returns a callback that notifies the interceptors and then calls `callback`. For records
    /// that go into a batch. Only used if there are interceptors, because it allocates.
    pub(crate) fn before(
        self: &Arc<Self>,
        callback: Option<Callback>,
        topic: &str,
        headers: Headers,
    ) -> Callback {
        let interceptors = Arc::clone(self);
        let topic: Arc<str> = Arc::from(topic);
        Callback::new(move |result| {
            match &result {
                Ok(metadata) => interceptors.on_acknowledgement(metadata, None, &headers),
                Err(error) => {
                    let partition = error.topic_partition().map(|of| of.partition());
                    interceptors.on_send_error(&topic, partition, error, &headers);
                }
            }
            if let Some(callback) = callback {
                callback.call(result);
            }
        })
    }
}

fn on_send<K: RecordData + ?Sized, V: RecordData + ?Sized, R>(
    interceptors: &[Box<dyn ProducerInterceptor<K, V>>],
    record: ProducerRecord<'_, K, V>,
    then: impl FnOnce(ProducerRecord<'_, K, V>) -> R,
) -> R {
    let Some((interceptor, rest)) = interceptors.split_first() else {
        return then(record);
    };
    let mut changed = record.reborrow();
    let failure = match contain("an interceptor's on_send", || {
        interceptor.on_send(&mut changed)
    }) {
        Ok(Ok(())) => return on_send(rest, changed, then),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic.to_string(),
    };
    drop(changed);
    log::warn!(
        "an interceptor failed on a record for topic {}: {failure}",
        record.topic
    );
    on_send(rest, record, then)
}

fn log_panic(outcome: Result<()>) {
    if let Err(panic) = outcome {
        log::warn!("{panic}");
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use super::*;
    use crate::common::TopicPartition;
    use crate::error::ErrorKind;
    use crate::producer::Data;
    use crate::sync::Mutex;

    /// Appends its name to each value. Fails on demand after it has changed the record.
    struct AppendString {
        name: &'static str,
        fails: Option<&'static str>,
        log: Arc<Mutex<Vec<String>>>,
    }

    impl ProducerInterceptor<str, str> for AppendString {
        fn on_send(
            &self,
            record: &mut ProducerRecord<'_, str, str>,
        ) -> Result<(), Box<dyn StdError + Send + Sync>> {
            let value = record.value.as_ref().unwrap_or_default().to_owned() + self.name;
            record.value = Data::Owned(value);
            record.partition = Some(9);
            record.headers.add(self.name, "seen");
            match self.fails {
                Some("panic") => panic!("on purpose"),
                Some(error) => Err(error.into()),
                None => Ok(()),
            }
        }

        fn on_acknowledgement(
            &self,
            metadata: &RecordMetadata,
            error: Option<&Error>,
            headers: &Headers,
        ) {
            let error = error.map(ToString::to_string);
            let line = format!("{} {metadata} {error:?} {}", self.name, headers.len());
            self.log.lock().push(line);
            assert!(self.fails.is_none(), "on purpose");
        }

        fn close(&self) {
            self.log.lock().push(format!("{} closed", self.name));
            assert!(self.fails.is_none(), "on purpose");
        }
    }

    type Log = Arc<Mutex<Vec<String>>>;

    fn chain(
        members: &[(&'static str, Option<&'static str>)],
    ) -> (ProducerInterceptors<str, str>, Log) {
        let log = Log::default();
        let member = |&(name, fails)| {
            let log = Arc::clone(&log);
            Box::new(AppendString { name, fails, log }) as Box<dyn ProducerInterceptor<str, str>>
        };
        (
            ProducerInterceptors::new(members.iter().map(member).collect()),
            log,
        )
    }

    fn value_after(chain: &ProducerInterceptors<str, str>) -> (String, Option<i32>, usize) {
        let record = ProducerRecord::new("t", "value").key("key");
        chain.on_send(record, |record| {
            let value = record.value.as_ref().unwrap().to_owned();
            assert_eq!(record.key.as_ref(), Some("key"));
            (value, record.partition, record.headers.len())
        })
    }

    // Java: ProducerInterceptorsTest.testOnSendChain.
    #[test]
    fn on_send_skips_an_interceptor_that_fails() {
        let (empty, _) = chain(&[]);
        assert!(empty.is_empty());
        assert_eq!(value_after(&empty), ("value".into(), None, 0));
        let (all, _) = chain(&[("One", None), ("Two", None)]);
        assert_eq!(value_after(&all), ("valueOneTwo".into(), Some(9), 2));
        for fails in ["error", "panic"] {
            let (some, _) = chain(&[("One", None), ("Bad", Some(fails)), ("Two", None)]);
            assert_eq!(value_after(&some), ("valueOneTwo".into(), Some(9), 2));
            let (none, _) = chain(&[("Bad", Some(fails))]);
            assert_eq!(
                value_after(&none),
                ("value".into(), None, 0),
                "the last good record"
            );
        }
    }

    // Java: ProducerInterceptorsTest.testOnAcknowledgementChain.
    #[test]
    fn on_acknowledgement_reaches_every_interceptor() {
        let (members, log) = chain(&[("One", None), ("Bad", Some("error")), ("Two", None)]);
        let metadata = RecordMetadata::new(TopicPartition::new("t", 1), Some(5), None, -1, -1);
        members.on_acknowledgement(&metadata, None, &Headers::new());
        members.close();
        let expected = [
            "One t-1@5 None 0",
            "Bad t-1@5 None 0",
            "Two t-1@5 None 0",
            "One closed",
            "Bad closed",
            "Two closed",
        ];
        assert_eq!(*log.lock(), expected);
    }

    // Java: ProducerInterceptorsTest.testOnAcknowledgementWithErrorChain.
    #[test]
    fn on_send_error_tells_interceptors_the_partition() {
        let (members, log) = chain(&[("One", None)]);
        let error = Error::new(ErrorKind::RecordTooLarge, "too large");
        members.on_send_error("t", None, &error, &Headers::new());
        members.on_send_error("t", Some(3), &error, &Headers::new());
        assert_eq!(
            *log.lock(),
            [
                r#"One t Some("too large") 0"#,
                r#"One t-3@-1 Some("too large") 0"#
            ]
        );
    }

    #[test]
    fn interceptors_see_the_outcome_before_the_callback() {
        let (members, log) = chain(&[("One", None)]);
        let members = Arc::new(members);
        let seen = Arc::clone(&log);
        let callback = Callback::new(move |result| {
            let outcome = result.map(|metadata| metadata.to_string());
            seen.lock().push(format!(
                "callback {}",
                outcome.unwrap_or_else(|e| e.to_string())
            ));
        });
        let mut headers = Headers::new();
        headers.add("h", "v");
        let metadata = RecordMetadata::new(TopicPartition::new("t", 1), Some(5), None, -1, -1);
        members
            .before(Some(callback), "t", headers)
            .call(Ok(metadata));
        let error =
            Error::new(ErrorKind::Timeout, "late").for_partition(TopicPartition::new("t", 4));
        members.before(None, "t", Headers::new()).call(Err(error));
        let expected = [
            "One t-1@5 None 1",
            "callback t-1@5",
            r#"One t-4@-1 Some("late") 0"#,
        ];
        assert_eq!(*log.lock(), expected);
    }
}
