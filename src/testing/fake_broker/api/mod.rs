//! One file for each request: what it asks for, put to the model, and the response to it.

pub(crate) mod add_offsets_to_txn;
pub(crate) mod add_partitions_to_txn;
pub(crate) mod api_versions;
pub(crate) mod end_txn;
pub(crate) mod find_coordinator;
pub(crate) mod init_producer_id;
pub(crate) mod metadata;
pub(crate) mod produce;
pub(crate) mod telemetry;
pub(crate) mod txn_offset_commit;

use crate::common::NodeId;
use crate::testing::fake_broker::script::plan::Plan;

/// The first version of AddPartitionsToTxn, AddOffsetsToTxn and EndTxn with PRODUCER_FENCED (KIP-588).
pub(crate) const FIRST_VERSION_WITH_PRODUCER_FENCED: i16 = 2;

/// Who asks, in which version, and what the script has to say to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestContext<'a> {
    pub(crate) node: NodeId,
    pub(crate) version: i16,
    pub(crate) now_ms: i64,
    pub(crate) plan: &'a Plan,
}
