//! The caller's access to telemetry. Java: `KafkaProducer.clientInstanceId`; KIP-714.

use std::time::Duration;

use super::KafkaProducer;
use crate::common::Uuid;
use crate::error::{Error, ErrorKind, Result, TimeoutReason};
use crate::producer::Serializer;

impl<KS: Serializer, VS: Serializer> KafkaProducer<KS, VS> {
    /// Waits for the id that a broker assigned to this producer for telemetry. It never changes,
    /// and identifies the producer where its metrics arrive. With [`Duration::ZERO`] the call does
    /// not wait.
    ///
    /// Brokers assign ids only if they have a receiver of telemetry (KIP-714, Kafka 3.7 and later). The id stays readable
    /// after the close.
    ///
    /// # Errors
    ///
    /// `IllegalState` if `enable.metrics.push` is `false`; `Timeout` if there is no id in time;
    /// `Closed` if the producer was closed before there was one; `WouldDeadlock` inside a callback,
    /// unless the id is known; `Forked` in a forked child.
    ///
    /// # Blocking
    ///
    /// At most `timeout`.
    pub fn client_instance_id(&self, timeout: Duration) -> Result<Uuid> {
        let Some(id) = &self.client_instance_id else {
            let text = "telemetry is disabled: set enable.metrics.push to true";
            return Err(Error::new(ErrorKind::IllegalState, text));
        };
        if id.get().is_none() && !timeout.is_zero() {
            self.check_may_block("client_instance_id")?;
            id.want();
            self.accumulator.signal().wake();
        }
        let bound = (timeout < Duration::MAX).then_some(timeout);
        match id.wait(bound) {
            Some(Some(id)) => Ok(id),
            Some(None) => {
                let text = "the producer was closed before a broker assigned a client instance id";
                Err(Error::new(ErrorKind::Closed, text))
            }
            None => Err(not_assigned(timeout)),
        }
    }
}

fn not_assigned(timeout: Duration) -> Error {
    let text = format!(
        "timed out after {} ms waiting for a client instance id; brokers without a receiver of telemetry assign none",
        timeout.as_millis()
    );
    let reason = TimeoutReason {
        waiting_for: "the client instance id",
        waited: timeout,
        config: None,
    };
    Error::timed_out(text, reason)
}
