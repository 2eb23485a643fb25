//! One file per API: translates the request for the model, and the result into the response.

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

/// The connection, the version, and the script's decision about a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestContext<'a> {
    pub(crate) node: NodeId,
    pub(crate) version: i16,
    pub(crate) now_ms: i64,
    pub(crate) plan: &'a Plan,
}
