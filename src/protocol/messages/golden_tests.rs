//! Compares every message in every version with the bytes of Kafka's own encoder
//! (`tests/data/wire-messages.tsv`).

use serde_json::{Map, Value};

use crate::common::Uuid;
use crate::protocol::messages::*;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, ErrorCode, Reader, RecordSet, RequestBody, ResponseBody,
    Writer,
};
use crate::sync::Arc;

/// A request or a response, so that one test covers both.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Request(RequestBody),
    Response(ResponseBody),
}

impl Body {
    pub(super) fn encode(&self, version: i16) -> Result<Vec<u8>, EncodeError> {
        let mut w = Writer::new();
        match self {
            Self::Request(body) => body.encode(&mut w, version)?,
            Self::Response(body) => body.encode(&mut w, version)?,
        }
        let length = w.len();
        let bytes = w.finish()?;
        assert_eq!(bytes.len(), length);
        let bytes = bytes.to_vec();
        assert_eq!(bytes.len(), length);
        Ok(bytes)
    }

    pub(super) fn decode(
        key: ApiKey,
        is_request: bool,
        version: i16,
        bytes: &[u8],
    ) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let body = if is_request {
            Self::Request(RequestBody::decode(key, &mut r, version)?)
        } else {
            Self::Response(ResponseBody::decode(key, &mut r, version)?)
        };
        r.finish()?;
        Ok(body)
    }
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: ApiKey,
    pub(super) is_request: bool,
    pub(super) version: i16,
    json: Value,
    pub(super) bytes: Vec<u8>,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, direction, version, _, json, hex] = columns[..] else {
            panic!("six columns: {line}");
        };
        let key = ApiKey::ALL.into_iter().find(|key| key.name() == name)?;
        let version = version.parse().unwrap();
        Some(Self {
            key,
            is_request: direction == "request",
            version,
            json: serde_json::from_str(json).unwrap(),
            bytes: from_hex(hex),
        })
        .filter(|row| key.versions().contains(&row.version))
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Body, DecodeError> {
        Body::decode(self.key, self.is_request, self.version, bytes)
    }

    /// Returns the message that the JSON column describes.
    pub(super) fn body(&self) -> Body {
        let fields = Fields::of(self.json.clone());
        match (self.key, self.is_request) {
            (ApiKey::Produce, true) => Body::Request(produce_request(fields).into()),
            (ApiKey::Produce, false) => Body::Response(produce_response(fields).into()),
            (ApiKey::Metadata, true) => Body::Request(metadata_request(fields).into()),
            (ApiKey::Metadata, false) => Body::Response(metadata_response(fields).into()),
            (ApiKey::ApiVersions, true) => Body::Request(api_versions_request(fields).into()),
            (ApiKey::ApiVersions, false) => Body::Response(api_versions_response(fields).into()),
            (ApiKey::InitProducerId, true) => {
                Body::Request(init_producer_id_request(fields).into())
            }
            (ApiKey::InitProducerId, false) => {
                Body::Response(init_producer_id_response(fields).into())
            }
            (ApiKey::FindCoordinator, true) => {
                Body::Request(find_coordinator_request(fields).into())
            }
            (ApiKey::FindCoordinator, false) => {
                Body::Response(find_coordinator_response(fields).into())
            }
            (ApiKey::AddPartitionsToTxn, true) => {
                Body::Request(add_partitions_to_txn_request(fields).into())
            }
            (ApiKey::AddPartitionsToTxn, false) => {
                Body::Response(add_partitions_to_txn_response(fields).into())
            }
            (ApiKey::AddOffsetsToTxn, true) => {
                Body::Request(add_offsets_to_txn_request(fields).into())
            }
            (ApiKey::AddOffsetsToTxn, false) => {
                Body::Response(add_offsets_to_txn_response(fields).into())
            }
            (ApiKey::EndTxn, true) => Body::Request(end_txn_request(fields).into()),
            (ApiKey::EndTxn, false) => Body::Response(end_txn_response(fields).into()),
            (ApiKey::TxnOffsetCommit, true) => {
                Body::Request(txn_offset_commit_request(fields).into())
            }
            (ApiKey::TxnOffsetCommit, false) => {
                Body::Response(txn_offset_commit_response(fields).into())
            }
            (ApiKey::SaslHandshake, true) => Body::Request(sasl_handshake_request(fields).into()),
            (ApiKey::SaslHandshake, false) => {
                Body::Response(sasl_handshake_response(fields).into())
            }
            (ApiKey::SaslAuthenticate, true) => {
                Body::Request(sasl_authenticate_request(fields).into())
            }
            (ApiKey::SaslAuthenticate, false) => {
                Body::Response(sasl_authenticate_response(fields).into())
            }
            (ApiKey::GetTelemetrySubscriptions, true) => {
                Body::Request(get_telemetry_subscriptions_request(fields).into())
            }
            (ApiKey::GetTelemetrySubscriptions, false) => {
                Body::Response(get_telemetry_subscriptions_response(fields).into())
            }
            (ApiKey::PushTelemetry, true) => Body::Request(push_telemetry_request(fields).into()),
            (ApiKey::PushTelemetry, false) => {
                Body::Response(push_telemetry_response(fields).into())
            }
        }
    }
}

pub(super) fn rows() -> Vec<Row> {
    let table = include_str!("../../../tests/data/wire-messages.tsv");
    let rows: Vec<_> = table.lines().filter_map(Row::parse).collect();
    // Two rows for each request and each response of each version, and four for the two versions that Kafka 4.4 added.
    let versions: usize = ApiKey::ALL.iter().map(|key| key.versions().count()).sum();
    assert_eq!((versions, rows.len()), (68, 66 * 4 + 2 * 8));
    rows
}

// Java: MessageTest, RequestResponseTest.testSerialization.
#[test]
fn every_message_agrees_with_the_released_client() {
    for row in rows() {
        let expected = row.body();
        assert_eq!(row.decode(&row.bytes), Ok(expected.clone()), "{row:?}");
        assert_eq!(
            expected.encode(row.version),
            Ok(row.bytes.clone()),
            "{row:?}"
        );
    }
}

/// The members of a JSON object. Each must be taken once, so that a field of the table that this
/// library does not know fails the test. A missing member has the schema's default.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(value: Value) -> Self {
        match value {
            Value::Object(members) => Self(members),
            other => panic!("an object: {other}"),
        }
    }

    fn done(self) {
        assert!(self.0.is_empty(), "unknown fields {:?}", self.0);
    }

    fn int<T: TryFrom<i64>>(&mut self, name: &str, default: T) -> T {
        match self.0.remove(name) {
            Some(value) => T::try_from(value.as_i64().unwrap())
                .unwrap_or_else(|_| panic!("{name} is out of range")),
            None => default,
        }
    }

    fn error_code(&mut self, name: &str) -> ErrorCode {
        ErrorCode::from_i16(self.int(name, 0))
    }

    fn bool(&mut self, name: &str, default: bool) -> bool {
        self.0
            .remove(name)
            .map_or(default, |value| value.as_bool().unwrap())
    }

    fn nullable_text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_str().unwrap().to_owned()),
        }
    }

    fn texts(&mut self, name: &str) -> Vec<Arc<str>> {
        self.nullable_list(name, |value| Arc::from(value.as_str().unwrap()))
            .unwrap()
    }

    fn text(&mut self, name: &str) -> String {
        match self.0.remove(name) {
            None => String::new(),
            Some(value) => value.as_str().unwrap().to_owned(),
        }
    }

    fn uuid(&mut self, name: &str) -> Uuid {
        match self.0.remove(name) {
            None => Uuid::ZERO,
            Some(value) => {
                let bytes = from_base64(value.as_str().unwrap());
                Uuid::from_bytes(bytes.try_into().unwrap())
            }
        }
    }

    fn records(&mut self, name: &str) -> Option<RecordSet> {
        self.nullable_text(name)
            .map(|text| RecordSet::from(from_base64(&text)))
    }

    fn nullable_list<T>(&mut self, name: &str, item: impl Fn(Value) -> T) -> Option<Vec<T>> {
        match self.0.remove(name) {
            None => Some(Vec::new()),
            Some(Value::Null) => None,
            Some(Value::Array(values)) => Some(values.into_iter().map(item).collect()),
            Some(other) => panic!("a list: {other}"),
        }
    }

    fn list<T>(&mut self, name: &str, item: impl Fn(Self) -> T) -> Vec<T> {
        self.nullable_list(name, |value| item(Self::of(value)))
            .unwrap()
    }

    fn ints(&mut self, name: &str) -> Vec<i32> {
        let int = |value: Value| i32::try_from(value.as_i64().unwrap()).unwrap();
        self.nullable_list(name, int).unwrap()
    }
}

/// Creates a value from all the fields of a JSON object.
macro_rules! read_all {
    ($fields:ident, $value:expr) => {{
        let mut $fields = $fields;
        let value = $value;
        $fields.done();
        value
    }};
}

mod sasl;
mod telemetry;
mod transactions;

use sasl::*;
use telemetry::*;
use transactions::*;

fn produce_request(f: Fields) -> ProduceRequest {
    let partition = |f: Fields| {
        read_all!(
            f,
            ProducePartition {
                index: f.int("index", 0),
                records: f.records("records"),
            }
        )
    };
    let topic = |f: Fields| {
        read_all!(
            f,
            ProduceTopic {
                name: Arc::from(f.text("name")),
                topic_id: f.uuid("topicId"),
                partitions: f.list("partitionData", partition),
            }
        )
    };
    read_all!(
        f,
        ProduceRequest {
            transactional_id: f.nullable_text("transactionalId").map(Arc::from),
            acks: f.int("acks", 0),
            timeout_ms: f.int("timeoutMs", 0),
            topics: f.list("topicData", topic),
        }
    )
}

fn produce_response(f: Fields) -> ProduceResponse {
    let topic = |f: Fields| {
        read_all!(
            f,
            TopicProduceResponse {
                name: Arc::from(f.text("name")),
                topic_id: f.uuid("topicId"),
                partitions: f.list("partitionResponses", partition_produce_response),
            }
        )
    };
    let endpoint = |f: Fields| {
        read_all!(
            f,
            NodeEndpoint {
                node_id: f.int("nodeId", 0),
                host: f.text("host"),
                port: f.int("port", 0),
                rack: f.nullable_text("rack"),
            }
        )
    };
    read_all!(
        f,
        ProduceResponse {
            topics: f.list("responses", topic),
            throttle_time_ms: f.int("throttleTimeMs", 0),
            node_endpoints: f.list("nodeEndpoints", endpoint),
        }
    )
}

fn partition_produce_response(f: Fields) -> PartitionProduceResponse {
    let error = |f: Fields| {
        read_all!(
            f,
            BatchIndexAndErrorMessage {
                batch_index: f.int("batchIndex", 0),
                batch_index_error_message: f.nullable_text("batchIndexErrorMessage"),
            }
        )
    };
    let leader = |f: Fields| {
        read_all!(
            f,
            LeaderIdAndEpoch {
                leader_id: f.int("leaderId", -1),
                leader_epoch: f.int("leaderEpoch", -1),
            }
        )
    };
    read_all!(
        f,
        PartitionProduceResponse {
            index: f.int("index", 0),
            error_code: f.error_code("errorCode"),
            base_offset: f.int("baseOffset", 0),
            log_append_time_ms: f.int("logAppendTimeMs", -1),
            log_start_offset: f.int("logStartOffset", -1),
            record_errors: f.list("recordErrors", error),
            error_message: f.nullable_text("errorMessage"),
            current_leader: match f.0.remove("currentLeader") {
                Some(value) => leader(Fields::of(value)),
                None => LeaderIdAndEpoch::default(),
            },
        }
    )
}

fn metadata_request(f: Fields) -> MetadataRequest {
    let topic = |value: Value| {
        let f = Fields::of(value);
        read_all!(
            f,
            MetadataRequestTopic {
                topic_id: f.uuid("topicId"),
                name: f.nullable_text("name").map(Arc::from),
            }
        )
    };
    read_all!(
        f,
        MetadataRequest {
            topics: f.nullable_list("topics", topic),
            allow_auto_topic_creation: f.bool("allowAutoTopicCreation", true),
            include_cluster_authorized_operations: f
                .bool("includeClusterAuthorizedOperations", false),
            include_topic_authorized_operations: f.bool("includeTopicAuthorizedOperations", false),
        }
    )
}

fn metadata_response(f: Fields) -> MetadataResponse {
    let broker = |f: Fields| {
        read_all!(
            f,
            MetadataBroker {
                node_id: f.int("nodeId", 0),
                host: f.text("host"),
                port: f.int("port", 0),
                rack: f.nullable_text("rack"),
            }
        )
    };
    let partition = |f: Fields| {
        read_all!(
            f,
            MetadataPartition {
                error_code: f.error_code("errorCode"),
                partition_index: f.int("partitionIndex", 0),
                leader_id: f.int("leaderId", 0),
                leader_epoch: f.int("leaderEpoch", -1),
                replica_nodes: f.ints("replicaNodes"),
                isr_nodes: f.ints("isrNodes"),
                offline_replicas: f.ints("offlineReplicas"),
            }
        )
    };
    let topic = |f: Fields| {
        read_all!(
            f,
            MetadataTopic {
                error_code: f.error_code("errorCode"),
                name: f.nullable_text("name").map(Arc::from),
                topic_id: f.uuid("topicId"),
                is_internal: f.bool("isInternal", false),
                partitions: f.list("partitions", partition),
                topic_authorized_operations: f.int("topicAuthorizedOperations", i32::MIN),
            }
        )
    };
    read_all!(
        f,
        MetadataResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            brokers: f.list("brokers", broker),
            cluster_id: f.nullable_text("clusterId"),
            controller_id: f.int("controllerId", -1),
            topics: f.list("topics", topic),
            cluster_authorized_operations: f.int("clusterAuthorizedOperations", i32::MIN),
            error_code: f.error_code("errorCode"),
        }
    )
}

fn api_versions_request(f: Fields) -> ApiVersionsRequest {
    read_all!(
        f,
        ApiVersionsRequest {
            client_software_name: f.text("clientSoftwareName"),
            client_software_version: f.text("clientSoftwareVersion"),
            cluster_id: f.nullable_text("clusterId"),
            node_id: f.int("nodeId", -1),
        }
    )
}

fn api_versions_response(f: Fields) -> ApiVersionsResponse {
    let api = |f: Fields| {
        read_all!(
            f,
            ApiVersion {
                api_key: f.int("apiKey", 0),
                min_version: f.int("minVersion", 0),
                max_version: f.int("maxVersion", 0),
            }
        )
    };
    let supported = |f: Fields| {
        read_all!(
            f,
            SupportedFeature {
                name: f.text("name"),
                min_version: f.int("minVersion", 0),
                max_version: f.int("maxVersion", 0),
            }
        )
    };
    let finalized = |f: Fields| {
        read_all!(
            f,
            FinalizedFeature {
                name: f.text("name"),
                max_version_level: f.int("maxVersionLevel", 0),
                min_version_level: f.int("minVersionLevel", 0),
            }
        )
    };
    read_all!(
        f,
        ApiVersionsResponse {
            error_code: f.error_code("errorCode"),
            api_keys: f.list("apiKeys", api),
            throttle_time_ms: f.int("throttleTimeMs", 0),
            supported_features: f.list("supportedFeatures", supported),
            finalized_features_epoch: f.int("finalizedFeaturesEpoch", -1),
            finalized_features: f.list("finalizedFeatures", finalized),
            zk_migration_ready: f.bool("zkMigrationReady", false),
        }
    )
}

fn init_producer_id_request(f: Fields) -> InitProducerIdRequest {
    read_all!(
        f,
        InitProducerIdRequest {
            transactional_id: f.nullable_text("transactionalId").map(Arc::from),
            transaction_timeout_ms: f.int("transactionTimeoutMs", 0),
            producer_id: f.int("producerId", -1),
            producer_epoch: f.int("producerEpoch", -1),
        }
    )
}

fn init_producer_id_response(f: Fields) -> InitProducerIdResponse {
    read_all!(
        f,
        InitProducerIdResponse {
            throttle_time_ms: f.int("throttleTimeMs", 0),
            error_code: f.error_code("errorCode"),
            producer_id: f.int("producerId", -1),
            producer_epoch: f.int("producerEpoch", 0),
        }
    )
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&text[index..index + 2], 16).unwrap())
        .collect()
}

/// Decodes both alphabets, padded or not.
fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => panic!("base64: {text}"),
        };
        bits = bits << 6 | u32::from(sextet);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).unwrap());
            bits &= (1 << count) - 1;
        }
    }
    bytes
}
