//! FindCoordinator: finds the coordinator of the transactions, or of a group. Java:
//! `FindCoordinatorHandler`.

use super::{Abortable, Done, ErrorTable, Fatal, Retry, Verdict};
use crate::client::{node_from_wire, printable};
use crate::error::{Error, ErrorKind};
use crate::producer::internals::transactions::queue::CoordinatorKey;
use crate::protocol::ErrorCode;
use crate::protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::sync::Arc;

pub(super) static ERRORS: ErrorTable = ErrorTable {
    rows: &[
        (ErrorCode::NOT_COORDINATOR, Retry),
        (ErrorCode::COORDINATOR_NOT_AVAILABLE, Retry),
        (ErrorCode::GROUP_AUTHORIZATION_FAILED, Abortable),
        (ErrorCode::INVALID_PRODUCER_EPOCH, Fatal),
        (ErrorCode::PRODUCER_FENCED, Fatal),
    ],
    others: Fatal,
};

pub(super) fn body(key: &CoordinatorKey, transactional_id: Arc<str>) -> FindCoordinatorRequest {
    let (key_type, key) = match key {
        CoordinatorKey::Transaction => (FindCoordinatorRequest::TRANSACTION, transactional_id),
        CoordinatorKey::Group(id) => (FindCoordinatorRequest::GROUP, Arc::clone(id)),
    };
    FindCoordinatorRequest {
        key_type,
        coordinator_keys: vec![key],
    }
}

pub(super) fn judge(key: &CoordinatorKey, body: &FindCoordinatorResponse) -> Verdict {
    let [coordinator] = body.coordinators.as_slice() else {
        let count = body.coordinators.len();
        let text =
            format!("the response to FindCoordinator for {key:?} names {count} coordinators");
        return Verdict::Broken(Error::new(ErrorKind::Protocol, text));
    };
    let code = coordinator.error_code;
    if !code.is_none() {
        let message = coordinator.error_message.as_deref().map(printable);
        let text = format!(
            "the coordinator of {key:?} cannot be found: {code}{}",
            message.map_or_else(String::new, |message| format!(" ({message})"))
        );
        return ERRORS.refusal(code, text);
    }
    let (id, host, port) = (coordinator.node_id, &coordinator.host, coordinator.port);
    match node_from_wire(id, host, port, None) {
        Ok(node) => Verdict::Done(Done::CoordinatorFound(key.clone(), node)),
        Err(reason) => {
            let text = format!("the coordinator of {key:?} has no address: {reason}");
            Verdict::Unusable(text)
        }
    }
}
