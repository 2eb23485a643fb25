//! The chain of interceptors of a producer. Java: `ProducerInterceptors`.
//!
//! Threads: `on_send` runs on the threads that send, `on_acknowledgement` mostly on the I/O thread. No lock is held.

use super::producer_interceptor::{OutgoingRecord, ProducerInterceptor};
use super::producer_record::RecordData;
use super::user_code::contain;
use super::{Callback, ProducerRecord, RecordMetadata};
use crate::common::{Headers, TopicPartition};
use crate::error::{Error, Result};
use crate::sync::Arc;

/// Interceptors in the order in which they are called. An empty chain costs a comparison.
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

    /// Lets every interceptor change the record. What one that fails did to it is forgotten.
    pub(crate) fn on_send<'a>(
        &self,
        mut record: ProducerRecord<'a, K, V>,
    ) -> ProducerRecord<'a, K, V> {
        for interceptor in &self.0 {
            let mut outgoing = OutgoingRecord::new(&record);
            let failure = match contain("it", || interceptor.on_send(&mut outgoing)) {
                Ok(Ok(())) => {
                    let changes = outgoing.into_changes();
                    changes.apply(&mut record);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic.to_string(),
            };
            let topic = &record.topic;
            log::warn!("an interceptor failed on a record for topic {topic}: {failure}");
        }
        record
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
    pub(crate) fn on_send_error(&self, record: &ProducerRecord<'_, K, V>, error: &Error) {
        if !self.is_empty() {
            let metadata = RecordMetadata::undelivered(&record.topic, record.partition);
            self.on_acknowledgement(&metadata, Some(error), &record.headers);
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
    /// The callback for a record that goes into a batch: it tells the interceptors first, and then calls `callback`. Where
    /// there are no interceptors, it is `callback`.
    pub(crate) fn wrap(
        self: &Arc<Self>,
        callback: Option<Callback>,
        record: &ProducerRecord<'_, K, V>,
    ) -> Option<Callback> {
        if self.is_empty() {
            return callback;
        }
        let interceptors = Arc::clone(self);
        let undelivered = RecordMetadata::undelivered(&record.topic, record.partition);
        let headers = record.headers.clone();
        Some(Callback::new(move |result| {
            match &result {
                Ok(metadata) => interceptors.on_acknowledgement(metadata, None, &headers),
                Err(error) => {
                    let partition = error.topic_partition().map(TopicPartition::partition);
                    let metadata = undelivered.in_partition(partition);
                    interceptors.on_acknowledgement(&metadata, Some(error), &headers);
                }
            }
            if let Some(callback) = callback {
                callback.call(result);
            }
        }))
    }
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
    use crate::error::ErrorKind;
    use crate::sync::Mutex;

    /// Adds its name to each value, and fails on demand after having spoiled the record.
    struct AppendString {
        name: &'static str,
        fails: Option<&'static str>,
        log: Arc<Mutex<Vec<String>>>,
    }

    impl ProducerInterceptor<str, str> for AppendString {
        fn on_send(
            &self,
            record: &mut OutgoingRecord<'_, '_, str, str>,
        ) -> Result<(), Box<dyn StdError + Send + Sync>> {
            let value = record.value().unwrap_or_default().to_owned() + self.name;
            record.set_value(value).set_partition(9);
            record.headers_mut().add(self.name, "seen");
            assert_eq!(record.partition(), Some(9), "changes are seen at once");
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

    fn chain(members: &[(&'static str, Option<&'static str>)]) -> (ProducerInterceptors<str, str>, Log) {
        let log = Log::default();
        let member = |&(name, fails)| {
            let log = Arc::clone(&log);
            Box::new(AppendString { name, fails, log }) as Box<dyn ProducerInterceptor<str, str>>
        };
        (ProducerInterceptors::new(members.iter().map(member).collect()), log)
    }

    fn value_after(chain: &ProducerInterceptors<str, str>) -> (String, Option<i32>, usize) {
        let record = ProducerRecord::new("t", "value").key("key");
        let record = chain.on_send(record);
        let value = record.value.as_ref().unwrap().to_owned();
        assert_eq!(record.key.as_ref(), Some("key"));
        (value, record.partition, record.headers.len())
    }

    // Java: ProducerInterceptorsTest.testOnSendChain.
    #[test]
    fn on_send_chain() {
        let (empty, _) = chain(&[]);
        assert!(empty.is_empty());
        assert_eq!(value_after(&empty), ("value".into(), None, 0));
        let (all, _) = chain(&[("One", None), ("Two", None)]);
        assert_eq!(value_after(&all), ("valueOneTwo".into(), Some(9), 2));
        for fails in ["error", "panic"] {
            let (some, _) = chain(&[("One", None), ("Bad", Some(fails)), ("Two", None)]);
            assert_eq!(value_after(&some), ("valueOneTwo".into(), Some(9), 2));
            let (none, _) = chain(&[("Bad", Some(fails))]);
            assert_eq!(value_after(&none), ("value".into(), None, 0), "the last good record");
        }
    }

    // Java: ProducerInterceptorsTest.testOnAcknowledgementChain.
    #[test]
    fn on_acknowledgement_chain() {
        let (members, log) = chain(&[("One", None), ("Bad", Some("error")), ("Two", None)]);
        let metadata = RecordMetadata::new(TopicPartition::new("t", 1), Some(5), None, -1, -1);
        members.on_acknowledgement(&metadata, None, &Headers::new());
        members.close();
        let expected =
            ["One t-1@5 None 0", "Bad t-1@5 None 0", "Two t-1@5 None 0", "One closed", "Bad closed", "Two closed"];
        assert_eq!(*log.lock(), expected);
    }

    // Java: ProducerInterceptorsTest.testOnAcknowledgementWithErrorChain.
    #[test]
    fn on_acknowledgement_with_error_chain() {
        let (members, log) = chain(&[("One", None)]);
        let error = Error::new(ErrorKind::RecordTooLarge, "too large");
        let record = ProducerRecord::tombstone("t");
        members.on_send_error(&record, &error);
        members.on_send_error(&record.partition(3), &error);
        assert_eq!(
            *log.lock(),
            [r#"One t--1@-1 Some("too large") 0"#, r#"One t-3@-1 Some("too large") 0"#]
        );
    }

    #[test]
    fn interceptors_see_the_outcome_before_the_callback() {
        let (members, log) = chain(&[("One", None)]);
        let members = Arc::new(members);
        let seen = Arc::clone(&log);
        let callback = Callback::new(move |result| {
            let outcome = result.map(|metadata| metadata.to_string());
            seen.lock().push(format!("callback {}", outcome.unwrap_or_else(|e| e.to_string())));
        });
        let record = ProducerRecord::tombstone("t").header("h", "v");
        let metadata = RecordMetadata::new(TopicPartition::new("t", 1), Some(5), None, -1, -1);
        members.wrap(Some(callback), &record).unwrap().call(Ok(metadata));
        let failed = || Error::new(ErrorKind::Timeout, "late");
        let placed = failed().for_partition(TopicPartition::new("t", 4));
        members.wrap(None, &record).unwrap().call(Err(placed));
        members.wrap(None, &record.partition(6)).unwrap().call(Err(failed()));
        let expected = [
            "One t-1@5 None 1",
            "callback t-1@5",
            r#"One t-4@-1 Some("late") 1"#,
            r#"One t-6@-1 Some("late") 1"#,
        ];
        assert_eq!(*log.lock(), expected);
    }

    #[test]
    fn without_interceptors_a_callback_is_not_wrapped() {
        let (none, _) = chain(&[]);
        let record = ProducerRecord::tombstone("t");
        assert!(Arc::new(none).wrap(None, &record).is_none());
    }

    #[test]
    fn every_part_of_a_record_can_be_changed() {
        struct Everything;
        impl ProducerInterceptor for Everything {
            fn on_send(
                &self,
                record: &mut OutgoingRecord<'_, '_>,
            ) -> Result<(), Box<dyn StdError + Send + Sync>> {
                let topic = format!("{}-eu", record.topic());
                record.set_topic(topic).set_timestamp(5).set_partition(None);
                record.set_key("k2").set_value(None::<&str>);
                record.headers_mut().remove("h");
                assert_eq!((record.topic(), record.timestamp()), ("t-eu", Some(5)));
                assert_eq!((record.key(), record.value()), (Some(&b"k2"[..]), None));
                assert!(record.headers().is_empty());
                Ok(())
            }
        }
        let chain = ProducerInterceptors::<[u8], [u8]>::new(vec![Box::new(Everything)]);
        let record = ProducerRecord::new("t", "v").key("k").partition(1).header("h", "v");
        let expected = ProducerRecord::tombstone("t-eu").key("k2").timestamp(5);
        assert_eq!(chain.on_send(record), expected);
    }
}
