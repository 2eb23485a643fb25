//! Carries out the transaction manager's decisions about partitions whose sequences were in doubt.
//! Java: `TransactionManager.maybeResolveSequences`.

use super::Sender;
use crate::client::KafkaClient;
use crate::error::Error;
use crate::producer::internals::sequences::{Resolved, ResolvedOutcome, Restart};
use crate::protocol::ErrorCode;

impl<C: KafkaClient> Sender<C> {
    /// Resolves partitions whose sequences were in doubt. Java: `maybeResolveSequences`.
    pub(super) fn maybe_resolve_sequences(&mut self) {
        for Resolved {
            topic_partition,
            outcome,
        } in self.ledger.maybe_resolve_sequences()
        {
            match outcome {
                ResolvedOutcome::Unchanged => self.scheduler.announce(&topic_partition),
                ResolvedOutcome::Restarted(Restart {
                    overtaken,
                    renumbered,
                }) => {
                    let batches = self.scheduler.take_sequenced(&topic_partition, &overtaken);
                    for batch in batches {
                        self.fail_batch(batch, overtaken_error(), Vec::new());
                    }
                    let renumbered = self.scheduler.renumber(&topic_partition, &renumbered);
                    if let Err(error) = renumbered {
                        self.ledger.transition_to_fatal_error(error);
                    }
                }
                ResolvedOutcome::Abandoned(error) => {
                    for batch in self.scheduler.take_partition(&topic_partition) {
                        self.fail_batch(batch, error.clone(), Vec::new());
                    }
                }
            }
        }
    }
}

/// Returns the error of a refused batch that later batches have overtaken: the broker lost the
/// producer's state and took them.
fn overtaken_error() -> Error {
    let code = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
    let text = format!(
        "the broker lost the producer's state and appended later records, or may have done so, so this record cannot be \
         written in order: {code}"
    );
    Error::from_code(code, text)
}
