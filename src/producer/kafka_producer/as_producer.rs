//! The real producer as any [`Producer`].

use super::KafkaProducer;
use crate::error::{Error, Result};
use crate::producer::producer::{Producer, forward_to};
use crate::producer::{ProducerRecord, RecordFuture, RecordMetadata, Serializer};

impl<KS: Serializer, VS: Serializer> Producer<KS::Input, VS::Input> for KafkaProducer<KS, VS> {
    forward_to!(KafkaProducer<KS, VS>, KS::Input, VS::Input);

    fn send_with_boxed_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()> {
        self.send_with_callback(record, callback)
    }

    fn send_without_future(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<()> {
        self.send_without_future(record)
    }

    fn send_now(&self, record: ProducerRecord<'_, KS::Input, VS::Input>) -> Result<RecordFuture> {
        self.send_now(record)
    }

    fn check_may_block(&self, call: &str) -> Result<()> {
        self.check_may_block(call)
    }

    fn log_failed_abort(&self, error: &Error) {
        self.log_failed_abort(error);
    }
}
