//! The client instance id of a mock. Java: `MockProducer.clientInstanceId`, `setClientInstanceId`, `disableTelemetry`.

use std::time::Duration;

use super::MockProducer;
use crate::common::Uuid;
use crate::error::{Error, ErrorKind, Result};

/// A mock's state of telemetry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum MockTelemetry {
    /// The test has set no id.
    #[default]
    Unset,
    Disabled,
    Assigned(Uuid),
}

/// Telemetry.
impl<KS, VS> MockProducer<KS, VS> {
    /// Sets the id that [`client_instance_id`](Self::client_instance_id) returns.
    pub fn set_client_instance_id(&self, id: Uuid) {
        self.state.lock().telemetry = MockTelemetry::Assigned(id);
    }

    /// Behaves like a producer with `enable.metrics.push=false` from now on.
    pub fn disable_telemetry(&self) {
        self.state.lock().telemetry = MockTelemetry::Disabled;
    }

    /// Makes every `client_instance_id` fail with this error, such as `Timeout`, until it is set to
    /// `None`. Java: `injectTimeoutException`.
    pub fn set_client_instance_id_error(&self, error: Option<Error>) {
        self.state.lock().errors.client_instance_id = error;
    }

    /// Returns the id that the test has set. Does not wait.
    ///
    /// # Errors
    ///
    /// `IllegalState` if telemetry is disabled or no id is set; the error of
    /// [`set_client_instance_id_error`](Self::set_client_instance_id_error).
    pub fn client_instance_id(&self, _timeout: Duration) -> Result<Uuid> {
        let state = self.state.lock();
        let illegal = |text| Err(Error::new(ErrorKind::IllegalState, text));
        match (state.telemetry, &state.errors.client_instance_id) {
            (MockTelemetry::Disabled, _) => illegal("telemetry is disabled"),
            (_, Some(error)) => Err(error.clone()),
            (MockTelemetry::Assigned(id), None) => Ok(id),
            (MockTelemetry::Unset, None) => {
                illegal("the mock has no client instance id: call set_client_instance_id")
            }
        }
    }
}
