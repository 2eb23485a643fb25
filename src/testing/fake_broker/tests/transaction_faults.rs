//! Faults of transactions: lost responses, scripted errors, late markers, missing leaders.

use super::transactional_client::{TransactionalClient, committed, transactional_broker};
use super::*;
use crate::protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
    FindCoordinatorRequest, InitProducerIdRequest,
};
use crate::testing::{Action, Api, Failure, TopicConfig, TransactionState};

const CONCURRENT: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;

/// Every API of a transaction, in the order in which a producer of version 1 uses them.
const APIS: [Api; 7] = [
    Api::FindCoordinator,
    Api::InitProducerId,
    Api::AddPartitionsToTxn,
    Api::Produce,
    Api::AddOffsetsToTxn,
    Api::TxnOffsetCommit,
    Api::EndTxn,
];

impl TransactionalClient {
    /// One step of a transaction: the request of this API, and its version.
    fn step(&self, api: Api) -> (i16, RequestBody) {
        let (id, epoch) = (Arc::clone(&self.id), self.epoch);
        match api {
            Api::FindCoordinator => {
                let request = FindCoordinatorRequest {
                    key_type: FindCoordinatorRequest::TRANSACTION,
                    coordinator_keys: vec![id],
                };
                (4, request.into())
            }
            Api::InitProducerId => {
                let request = InitProducerIdRequest {
                    transactional_id: Some(id),
                    transaction_timeout_ms: 1000,
                    producer_id: self.producer_id,
                    producer_epoch: epoch,
                };
                (4, request.into())
            }
            Api::AddPartitionsToTxn => {
                let request = AddPartitionsToTxnRequest {
                    transactional_id: id,
                    producer_id: self.producer_id,
                    producer_epoch: epoch,
                    topics: vec![AddPartitionsToTxnTopic {
                        name: Arc::from("t"),
                        partitions: vec![0],
                    }],
                };
                (3, request.into())
            }
            Api::Produce => (11, self.produce_request(0, "a").into()),
            Api::AddOffsetsToTxn => {
                let request = AddOffsetsToTxnRequest {
                    transactional_id: id,
                    producer_id: self.producer_id,
                    producer_epoch: epoch,
                    group_id: Arc::from("g"),
                };
                (3, request.into())
            }
            Api::TxnOffsetCommit => (3, self.offsets("g", &[(0, 5)]).into()),
            Api::EndTxn => (4, self.end_request(true).into()),
            Api::Metadata
            | Api::ApiVersions
            | Api::SaslHandshake
            | Api::SaslAuthenticate
            | Api::GetTelemetrySubscriptions
            | Api::PushTelemetry => {
                panic!("{api:?} is not of a transaction")
            }
        }
    }

    /// Sends a step, and returns the error in the response, or `None` at the end of the connection.
    fn take(&mut self, api: Api) -> Option<ErrorCode> {
        let (version, body) = self.step(api);
        self.client.send(version, body);
        let payload = self.client.receive_raw()?;
        let (_, body) = decode_response(api.key(), version, &payload).unwrap();
        if let ResponseBody::InitProducerId(response) = &body {
            if response.error_code.is_none() {
                self.go_on_as(response.producer_id, response.producer_epoch);
            }
        }
        Some(code_of(&body))
    }
}

fn code_of(body: &ResponseBody) -> ErrorCode {
    match body {
        ResponseBody::FindCoordinator(body) => body.coordinators[0].error_code,
        ResponseBody::InitProducerId(body) => body.error_code,
        ResponseBody::AddPartitionsToTxn(body) => body.topics[0].partitions[0].error_code,
        ResponseBody::Produce(body) => body.topics[0].partitions[0].error_code,
        ResponseBody::AddOffsetsToTxn(body) => body.error_code,
        ResponseBody::TxnOffsetCommit(body) => body.topics[0].partitions[0].error_code,
        ResponseBody::EndTxn(body) => body.error_code,
        _ => panic!("{body:?}"),
    }
}

/// Runs a transaction in which `fault` affects one API, whose request is then repeated.
fn run_with_fault(
    broker: &FakeBroker,
    api: Api,
    fault: impl FnOnce(&mut TransactionalClient),
) -> TransactionalClient {
    let mut producer = TransactionalClient::start(broker, "x", false);
    let mut fault = Some(fault);
    for step in APIS {
        if step == api {
            fault.take().unwrap()(&mut producer);
        }
        assert_eq!(
            producer.take(step),
            Some(ErrorCode::NONE),
            "{step:?} after {api:?}"
        );
    }
    producer
}

fn assert_one_transaction(broker: &FakeBroker, api: Api) {
    assert_eq!(committed(broker), ["a"], "{api:?}");
    let ends = (
        broker.last_stable_offset("t", 0),
        broker.log_end_offset("t", 0),
    );
    assert_eq!(ends, (2, 2), "{api:?}");
    let offsets = broker.committed_offsets("g");
    assert_eq!((offsets.len(), offsets[0].offset), (1, 5), "{api:?}");
    assert_eq!(broker.unspent_rules(), 0, "{api:?}");
}

#[test]
fn a_request_whose_answer_is_lost_can_be_sent_again() {
    for api in APIS {
        let broker = transactional_broker(1);
        run_with_fault(&broker, api, |producer| {
            broker.on(api).then(Action::apply().disconnect());
            assert_eq!(producer.take(api), None, "{api:?}");
            producer.client = Client::connect(&broker, 1);
        });
        assert_one_transaction(&broker, api);
    }
}

#[test]
fn a_request_that_is_lost_can_be_sent_again() {
    for api in APIS {
        let broker = transactional_broker(1);
        run_with_fault(&broker, api, |producer| {
            broker.on(api).then(Action::skip().disconnect());
            assert_eq!(producer.take(api), None, "{api:?}");
            producer.client = Client::connect(&broker, 1);
        });
        assert_one_transaction(&broker, api);
    }
}

#[test]
fn a_scripted_error_is_answered_in_place_of_the_work_or_after_it() {
    for api in APIS {
        for code in [
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::NOT_COORDINATOR,
            CONCURRENT,
            ErrorCode::TRANSACTION_ABORTABLE,
        ] {
            let broker = transactional_broker(1);
            run_with_fault(&broker, api, |producer| {
                let before = broker.transaction("x");
                broker.on(api).then(Action::fail(code));
                assert_eq!(producer.take(api), Some(code), "{api:?}");
                assert_eq!(broker.transaction("x"), before, "{api:?}");
                broker
                    .on(api)
                    .then(Action::fail(Failure::new(code).after_append()));
                assert_eq!(producer.take(api), Some(code), "{api:?}");
            });
            assert_one_transaction(&broker, api);
        }
    }
}

#[test]
fn a_commit_whose_answer_is_held_back_is_carried_out() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    producer.produce("a");
    let hold = broker.new_hold();
    broker.on(Api::EndTxn).then(Action::apply().hold(&hold));
    producer.client.send(4, producer.end_request(true));
    assert!(broker.wait_for(TIMEOUT, |broker| !broker.committed_records("t").is_empty()));
    hold.release();
    let (_, body) = producer.client.receive(ApiKey::EndTxn, 4);
    assert_eq!(code_of(&body), ErrorCode::NONE);
}

// The anomaly of transaction version 1: KAFKA-17754. Version 2 refuses late requests by their
// epoch.
#[test]
fn a_late_commit_ends_the_next_transaction_in_version_1_alone() {
    for is_v2 in [false, true] {
        let broker = transactional_broker(if is_v2 { 2 } else { 1 });
        let mut producer = TransactionalClient::start(&broker, "x", is_v2);
        let mut elsewhere = Client::connect(&broker, 1);
        producer.produce("a");
        let hold = broker.new_hold();
        // The connection matters, not the order of arrival.
        let held = Action::apply().hold_request(&hold);
        broker.on_request(move |_, request| {
            let is_late = request.api == Api::EndTxn && request.connection == 2;
            is_late.then(|| held.clone())
        });
        let end_version = if is_v2 { 5 } else { 4 };
        elsewhere.send(end_version, producer.end_request(true));
        assert!(broker.await_requests(Api::EndTxn, 1, TIMEOUT));
        assert_eq!(producer.end(true), ErrorCode::NONE);
        producer.produce("b");
        hold.release();
        let (_, late) = elsewhere.receive(ApiKey::EndTxn, end_version);
        if is_v2 {
            assert_eq!(code_of(&late), ErrorCode::PRODUCER_FENCED);
            assert_eq!(producer.end(false), ErrorCode::NONE);
            assert_eq!(committed(&broker), ["a"]);
        } else {
            assert_eq!(code_of(&late), ErrorCode::NONE);
            assert_eq!(producer.end(false), ErrorCode::INVALID_TXN_STATE);
            assert_eq!(committed(&broker), ["a", "b"], "what was to be aborted");
        }
    }
}

#[test]
fn one_partition_can_fail_or_be_left_out() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    let (code, not_attempted) = (
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::OPERATION_NOT_ATTEMPTED,
    );
    broker
        .on(Api::AddPartitionsToTxn)
        .partition("t", 1)
        .then(Action::fail(code));
    assert_eq!(
        producer.add_partitions(3, "t", &[0, 1]),
        [not_attempted, code]
    );
    assert_eq!(broker.unspent_rules(), 0);
    broker
        .on(Api::AddPartitionsToTxn)
        .then(Action::apply().omit_partition("t", 0));
    assert_eq!(producer.add_partitions(3, "t", &[0, 1]), [ErrorCode::NONE]);
    assert_eq!(producer.add_offsets(3, "g"), ErrorCode::NONE);
    broker.on(Api::TxnOffsetCommit).then(
        Action::apply()
            .fail_partition("t", 0, code)
            .omit_partition("t", 1),
    );
    let offsets = producer.offsets("g", &[(0, 5), (1, 6)]);
    assert_eq!(producer.commit_offsets(3, offsets), [code]);
    let pending = broker.pending_offsets("g");
    assert_eq!((pending.len(), pending[0].offset), (1, 6));
}

#[test]
fn what_comes_before_the_markers_are_written_is_concurrent() {
    for is_v2 in [false, true] {
        let broker = transactional_broker(if is_v2 { 2 } else { 1 });
        let mut producer = TransactionalClient::start(&broker, "x", is_v2);
        producer.produce("a");
        broker.pause_markers();
        assert_eq!(producer.end(true), ErrorCode::NONE);
        let state = || broker.transaction("x").unwrap().state;
        assert_eq!(state(), TransactionState::PrepareCommit);
        assert_eq!(committed(&broker), Vec::<String>::new());
        assert_eq!(producer.add_partitions(3, "t", &[0]), [CONCURRENT]);
        assert_eq!(producer.add_offsets(3, "g"), CONCURRENT);
        assert_eq!(producer.end(true), CONCURRENT);
        assert_eq!(producer.init(), CONCURRENT);
        let later = ErrorCode::NOT_ENOUGH_REPLICAS;
        assert_eq!(producer.produce_at(11, 1, "b"), later);
        if is_v2 {
            assert_eq!(producer.produce_at(12, 0, "b"), CONCURRENT);
            let offsets = producer.offsets("g", &[(0, 5)]);
            assert_eq!(producer.commit_offsets(5, offsets), [CONCURRENT]);
        }
        assert!(broker.fence_producer("x").is_err());
        broker.resume_markers();
        assert_eq!(state(), TransactionState::CompleteCommit);
        assert_eq!(committed(&broker), ["a"]);
        producer.produce("b");
        assert_eq!(producer.end(true), ErrorCode::NONE);
        assert_eq!(committed(&broker), ["a", "b"]);
    }
}

#[test]
fn a_partition_without_a_leader_gets_its_marker_later() {
    let broker = transactional_broker(1);
    let mut producer = TransactionalClient::start(&broker, "x", false);
    producer.produce("a");
    assert_eq!(producer.add_partitions(3, "t", &[1]), [ErrorCode::NONE]);
    broker.remove_leader("t", 0).unwrap();
    assert_eq!(producer.end(true), ErrorCode::NONE);
    let transaction = broker.transaction("x").unwrap();
    assert_eq!(transaction.state, TransactionState::PrepareCommit);
    assert_eq!(transaction.partitions.len(), 1);
    assert_eq!(broker.markers("t", 1).len(), 1);
    assert_eq!(broker.last_stable_offset("t", 0), 0);
    broker.move_leader("t", 0, NodeId(1)).unwrap();
    assert_eq!(committed(&broker), ["a"]);
    assert_eq!(broker.last_stable_offset("t", 0), 2);
}

#[test]
fn a_deleted_topic_does_not_keep_a_transaction_open() {
    let broker = transactional_broker(2);
    broker.create_topic("u", TopicConfig::new(1)).unwrap();
    let mut producer = TransactionalClient::start(&broker, "x", true);
    assert_eq!(producer.add_partitions(3, "u", &[0]), [ErrorCode::NONE]);
    producer.produce("a");
    broker.delete_topic("u").unwrap();
    assert_eq!(producer.end(true), ErrorCode::NONE);
    assert_eq!(committed(&broker), ["a"]);
    let state = broker.transaction("x").unwrap().state;
    assert_eq!(state, TransactionState::CompleteCommit);
}

#[test]
fn records_that_are_deleted_take_markers_with_them() {
    let broker = transactional_broker(2);
    let mut producer = TransactionalClient::start(&broker, "x", true);
    for value in ["a", "b"] {
        producer.produce(value);
        assert_eq!(producer.end(true), ErrorCode::NONE);
    }
    broker.delete_records("t", 0, 2).unwrap();
    assert_eq!(committed(&broker), ["b"]);
    assert_eq!(broker.markers("t", 0).len(), 1);
    assert_eq!(broker.record_count("t"), 1);
}

#[test]
fn requests_tell_of_their_transactions() {
    let broker = transactional_broker(1);
    let mut producer = run_with_fault(&broker, Api::EndTxn, |_| {});
    let mut offsets = producer.offsets("g", &[(1, 6)]);
    (offsets.generation_id_or_member_epoch, offsets.member_id) = (3, Arc::from("m"));
    offsets.group_instance_id = Some(Arc::from("i"));
    producer.commit_offsets(3, offsets);
    let requests = broker.requests();
    let of = |api| requests.iter().rfind(|request| request.api == api).unwrap();
    for api in APIS {
        let transactional_id = of(api).transaction.transactional_id.as_deref();
        assert_eq!(transactional_id, Some("x"), "{api:?}");
        if !matches!(
            api,
            Api::FindCoordinator | Api::Produce | Api::InitProducerId
        ) {
            assert_eq!(of(api).transaction.producer_id, Some(producer.producer_id));
            assert_eq!(of(api).transaction.producer_epoch, Some(producer.epoch));
        }
    }
    assert_eq!(of(Api::EndTxn).transaction.is_commit, Some(true));
    let group = |api| of(api).transaction.group_id.as_deref();
    assert_eq!(group(Api::AddOffsetsToTxn), Some("g"));
    let commit = of(Api::TxnOffsetCommit);
    assert_eq!(commit.transaction.generation_id, Some(3));
    assert_eq!(commit.transaction.member_id.as_deref(), Some("m"));
    assert_eq!(commit.transaction.group_instance_id.as_deref(), Some("i"));
    assert_eq!(commit.partitions[0].to_string(), "t-1");
    assert_eq!(of(Api::AddPartitionsToTxn).partitions[0].to_string(), "t-0");
}
