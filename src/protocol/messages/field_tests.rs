//! The fields that a version carries, drops or refuses, and the cost of the largest messages.

use super::golden_tests::Body;
use crate::common::Uuid;
use crate::protocol::messages::*;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, ErrorCode, Message, Reader, RecordSet, RequestBody,
    ResponseBody, Writer,
};
use crate::sync::Arc;

fn encode<M: Message>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    message.encode(&mut w, version)?;
    Ok(w.finish()?.to_vec())
}

fn round_trip<M: Message>(message: &M, version: i16) -> M {
    let bytes = encode(message, version).unwrap();
    let mut r = Reader::new(&bytes);
    let decoded = M::decode(&mut r, version).unwrap();
    r.finish().unwrap();
    decoded
}

const ID: Uuid = Uuid::from_bytes([7; 16]);

#[test]
fn a_producer_id_needs_version_3() {
    let request = InitProducerIdRequest {
        producer_id: 5,
        ..InitProducerIdRequest::default()
    };
    let refused = |field| Err(EncodeError::UnsupportedField { field, version: 2 });
    assert_eq!(encode(&request, 2), refused("producer_id"));
    assert_eq!(round_trip(&request, 3), request);
    let request = InitProducerIdRequest {
        producer_epoch: 5,
        ..InitProducerIdRequest::default()
    };
    assert_eq!(encode(&request, 2), refused("producer_epoch"));
}

// Java: FindCoordinatorRequestTest.
#[test]
fn versions_without_lists_carry_exactly_one_key_and_coordinator() {
    let request = |count| {
        let request = FindCoordinatorRequest {
            key_type: FindCoordinatorRequest::TRANSACTION,
            coordinator_keys: vec![Arc::from("k"); count],
        };
        Body::Request(request.into())
    };
    let response = |count| {
        let response = FindCoordinatorResponse {
            coordinators: vec![Coordinator::default(); count],
            ..FindCoordinatorResponse::default()
        };
        Body::Response(response.into())
    };
    for version in 1..=3 {
        for (body, field) in [
            (&request as &dyn Fn(usize) -> Body, "coordinator_keys"),
            (&response, "coordinators"),
        ] {
            assert_eq!(
                body(0).encode(version),
                Err(EncodeError::MissingField { field, version })
            );
            assert!(body(1).encode(version).is_ok());
            assert_eq!(
                body(2).encode(version),
                Err(EncodeError::UnsupportedField { field, version })
            );
        }
    }
    for count in 0..3 {
        assert!(request(count).encode(4).is_ok());
        assert!(response(count).encode(4).is_ok());
    }
}

// Java: TxnOffsetCommitRequestTest.
#[test]
fn the_place_in_a_group_needs_version_3() {
    let plain = TxnOffsetCommitRequest::default();
    assert_eq!(round_trip(&plain, 0), plain);
    let placed = [
        (
            "generation_id_or_member_epoch",
            TxnOffsetCommitRequest {
                generation_id_or_member_epoch: 0,
                ..plain.clone()
            },
        ),
        (
            "member_id",
            TxnOffsetCommitRequest {
                member_id: Arc::from("m"),
                ..plain.clone()
            },
        ),
        (
            "group_instance_id",
            TxnOffsetCommitRequest {
                group_instance_id: Some(Arc::from("")),
                ..plain
            },
        ),
    ];
    for (field, request) in placed {
        let refused = Err(EncodeError::UnsupportedField { field, version: 2 });
        assert_eq!(encode(&request, 2), refused);
        assert_eq!(round_trip(&request, 3), request);
    }
}

// Java: TxnOffsetCommitRequestTest (4.4).
#[test]
fn a_topic_of_an_offset_commit_needs_the_field_that_its_version_carries() {
    let request = |name: &str, topic_id| TxnOffsetCommitRequest {
        topics: vec![TxnOffsetCommitTopic {
            name: Arc::from(name),
            topic_id,
            partitions: Vec::new(),
        }],
        ..TxnOffsetCommitRequest::default()
    };
    let missing = |field, version| Err(EncodeError::MissingField { field, version });
    let by_name = request("t", Uuid::ZERO);
    assert_eq!(encode(&by_name, 6), missing("topic_id", 6));
    assert_eq!(round_trip(&by_name, 5), by_name);
    let by_id = request("", ID);
    assert_eq!(encode(&by_id, 5), missing("name", 5));
    assert_eq!(round_trip(&by_id, 6), by_id);
    let by_both = request("t", ID);
    assert_eq!(round_trip(&by_both, 5), by_name);
    assert_eq!(round_trip(&by_both, 6), by_id);
}

#[test]
fn the_broker_that_a_client_means_needs_version_5() {
    let request = ApiVersionsRequest {
        cluster_id: Some("c1".to_owned()),
        node_id: 7,
        ..ApiVersionsRequest::default()
    };
    assert_eq!(round_trip(&request, 5), request);
    assert_eq!(round_trip(&request, 4), ApiVersionsRequest::default());
}

#[test]
fn the_next_epoch_is_dropped_before_version_5() {
    let response = EndTxnResponse {
        producer_id: 5,
        producer_epoch: 6,
        ..EndTxnResponse::default()
    };
    assert_eq!(round_trip(&response, 4), EndTxnResponse::default());
    assert_eq!(round_trip(&response, 5), response);
}

#[test]
fn authorized_operations_need_their_versions() {
    let request = MetadataRequest {
        include_cluster_authorized_operations: true,
        ..MetadataRequest::default()
    };
    for version in ApiKey::Metadata.versions() {
        assert_eq!(
            encode(&request, version).is_ok(),
            (8..=10).contains(&version)
        );
    }
    let request = MetadataRequest {
        include_topic_authorized_operations: true,
        ..MetadataRequest::default()
    };
    for version in ApiKey::Metadata.versions() {
        assert_eq!(encode(&request, version).is_ok(), version >= 8);
    }
}

// Java: MetadataRequestTest.testTopicIdAndNullTopicNameRequests.
#[test]
fn a_null_topic_name_needs_its_version() {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            topic_id: ID,
            name: None,
        }]),
        ..MetadataRequest::default()
    };
    let response = MetadataResponse {
        topics: vec![MetadataTopic::default()],
        ..MetadataResponse::default()
    };
    for version in ApiKey::Metadata.versions() {
        let missing = Err(EncodeError::MissingField {
            field: "topics.name",
            version,
        });
        match version {
            10.. => assert_eq!(round_trip(&request, version), request),
            _ => assert_eq!(encode(&request, version), missing),
        }
        match version {
            12.. => assert_eq!(round_trip(&response, version), response),
            _ => assert_eq!(encode(&response, version), missing),
        }
    }
}

#[test]
fn no_topics_and_all_topics_differ() {
    for version in ApiKey::Metadata.versions() {
        for topics in [None, Some(Vec::new())] {
            let request = MetadataRequest {
                topics,
                ..MetadataRequest::default()
            };
            assert_eq!(round_trip(&request, version), request);
        }
    }
}

#[test]
fn produce_carries_a_name_or_an_id() {
    let request = ProduceRequest {
        topics: vec![ProduceTopic {
            name: Arc::from("t"),
            topic_id: ID,
            partitions: Vec::new(),
        }],
        ..ProduceRequest::default()
    };
    let response = ProduceResponse {
        topics: vec![TopicProduceResponse {
            name: Arc::from("t"),
            topic_id: ID,
            partitions: Vec::new(),
        }],
        ..ProduceResponse::default()
    };
    for version in ApiKey::Produce.versions() {
        let expected = if version >= 13 {
            ("", ID)
        } else {
            ("t", Uuid::ZERO)
        };
        let request = round_trip(&request, version);
        let response = round_trip(&response, version);
        assert_eq!(
            (&*request.topics[0].name, request.topics[0].topic_id),
            expected
        );
        assert_eq!(
            (&*response.topics[0].name, response.topics[0].topic_id),
            expected
        );
    }
}

#[test]
fn ignorable_fields_are_dropped() {
    let partition = PartitionProduceResponse {
        log_start_offset: 4,
        record_errors: vec![BatchIndexAndErrorMessage::default()],
        error_message: Some("e".to_owned()),
        current_leader: LeaderIdAndEpoch {
            leader_id: 1,
            leader_epoch: 2,
        },
        ..PartitionProduceResponse::default()
    };
    let response = ProduceResponse {
        topics: vec![TopicProduceResponse {
            name: Arc::from("t"),
            topic_id: Uuid::ZERO,
            partitions: vec![partition.clone()],
        }],
        throttle_time_ms: 3,
        node_endpoints: vec![NodeEndpoint::default()],
    };
    for version in ApiKey::Produce.versions() {
        let mut expected = partition.clone();
        if version < 5 {
            expected.log_start_offset = -1;
        }
        if version < 8 {
            expected.record_errors.clear();
            expected.error_message = None;
        }
        if version < 10 {
            expected.current_leader = LeaderIdAndEpoch::default();
        }
        let decoded = round_trip(&response, version);
        assert_eq!(
            decoded.topics[0].partitions,
            [expected],
            "version {version}"
        );
        assert_eq!(decoded.node_endpoints.len(), usize::from(version >= 10));
    }

    let versions = ApiVersionsResponse {
        zk_migration_ready: true,
        finalized_features_epoch: 0,
        throttle_time_ms: 8,
        ..ApiVersionsResponse::default()
    };
    assert_eq!(round_trip(&versions, 0), ApiVersionsResponse::default());
    assert_eq!(round_trip(&versions, 2).throttle_time_ms, 8);
    assert_eq!(round_trip(&versions, 2).finalized_features_epoch, -1);
    assert_eq!(round_trip(&versions, 3), versions);
}

#[test]
fn a_version_that_is_not_spoken_is_an_error() {
    for key in ApiKey::ALL {
        for version in [key.versions().start() - 1, key.versions().end() + 1] {
            let expected = DecodeError::UnsupportedVersion {
                api: key.name(),
                version,
            };
            for is_request in [true, false] {
                assert_eq!(
                    Body::decode(key, is_request, version, &[0; 64]),
                    Err(expected.clone())
                );
            }
        }
    }
    let unsupported = |api, version| Err(EncodeError::UnsupportedVersion { api, version });
    let request = RequestBody::from(ProduceRequest::default());
    assert_eq!(Body::Request(request).encode(2), unsupported("Produce", 2));
    let response = ResponseBody::from(InitProducerIdResponse::default());
    assert_eq!(
        Body::Response(response).encode(6),
        unsupported("InitProducerId", 6)
    );
}

#[test]
fn a_topic_name_that_is_too_long_is_not_cut() {
    for version in [3, 9, 12] {
        let request = ProduceRequest {
            topics: vec![ProduceTopic {
                name: Arc::from("x".repeat(32_768)),
                topic_id: ID,
                partitions: Vec::new(),
            }],
            ..ProduceRequest::default()
        };
        let expected = Err(EncodeError::StringTooLong { length: 32_768 });
        assert_eq!(encode(&request, version), expected);
    }
}

#[test]
fn records_are_spliced_in_and_not_copied() {
    let sets: Vec<_> = [3, 0, 70_000]
        .map(|length| RecordSet::from(vec![9; length]))
        .into();
    let mut partitions: Vec<_> = (1..)
        .zip(&sets)
        .map(|(index, records)| ProducePartition {
            index,
            records: Some(records.clone()),
        })
        .collect();
    partitions.push(ProducePartition::default());
    let request = ProduceRequest {
        topics: vec![ProduceTopic {
            name: Arc::from("t"),
            topic_id: ID,
            partitions,
        }],
        ..ProduceRequest::default()
    };
    for version in ApiKey::Produce.versions() {
        let decoded = round_trip(&request, version);
        assert_eq!(decoded.topics[0].partitions, request.topics[0].partitions);

        let mut w = Writer::new();
        request.encode(&mut w, version).unwrap();
        let bytes = w.finish().unwrap();
        let slices: Vec<_> = bytes.slices().collect();
        assert_eq!(slices.len(), bytes.slice_count());
        assert_eq!(slices.len(), 5, "an empty record set takes no slice");
        assert!(slices.iter().all(|slice| !slice.is_empty()));
        assert_eq!(slices[1].as_ptr(), sets[0].as_bytes().as_ptr());
        assert_eq!(slices[3].as_ptr(), sets[2].as_bytes().as_ptr());
        assert_eq!(bytes.slices_from(3).collect::<Vec<_>>(), slices[3..]);
        assert_eq!(bytes.slice(5), None);
    }
}

#[test]
fn ten_thousand_partitions_round_trip() {
    let partitions = (0..10_000)
        .map(|partition_index| MetadataPartition {
            partition_index,
            leader_id: partition_index % 3,
            leader_epoch: 1,
            replica_nodes: vec![0, 1, 2],
            isr_nodes: vec![2, 1],
            offline_replicas: vec![0],
            error_code: ErrorCode::NONE,
        })
        .collect();
    let response = MetadataResponse {
        topics: vec![MetadataTopic {
            name: Some(Arc::from("t")),
            topic_id: ID,
            partitions,
            ..MetadataTopic::default()
        }],
        ..MetadataResponse::default()
    };
    assert_eq!(round_trip(&response, 12), response);

    let records = RecordSet::from(vec![1; 80]);
    let partitions = (0..10_000)
        .map(|index| ProducePartition {
            index,
            records: Some(records.clone()),
        })
        .collect();
    let request = ProduceRequest {
        topics: vec![ProduceTopic {
            name: Arc::from(""),
            topic_id: ID,
            partitions,
        }],
        ..ProduceRequest::default()
    };
    assert_eq!(round_trip(&request, 13), request);
}
