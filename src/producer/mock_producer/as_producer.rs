//! The mock as any [`Producer`].

use super::MockProducer;
use crate::error::Result;
use crate::producer::producer::{Producer, forward_to};
use crate::producer::{ProducerRecord, RecordMetadata, Serializer};

impl<KS: Serializer, VS: Serializer> Producer<KS::Input, VS::Input> for MockProducer<KS, VS> {
    forward_to!(MockProducer<KS, VS>, KS::Input, VS::Input);

    fn send_with_boxed_callback(
        &self,
        record: ProducerRecord<'_, KS::Input, VS::Input>,
        callback: Box<dyn FnOnce(Result<RecordMetadata>) + Send>,
    ) -> Result<()> {
        self.send_with_callback(record, callback)
    }

    fn check_may_block(&self, call: &str) -> Result<()> {
        self.io_thread.check_may_block(call)
    }
}
