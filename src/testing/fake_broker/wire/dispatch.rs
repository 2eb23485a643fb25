//! Handles a request from its bytes to those of the reply: parses it, records it in the journal,
//! consults the script, calls the API's file, and sends the reply.

use std::time::Duration;

use super::connection::{Connection, Outgoing};
use super::core::Core;
use super::describe::{describe, request_of};
use crate::protocol::{
    ApiKey, Reader, RequestBody, RequestHeader, ResponseBody, decode_request, encode_response,
};
use crate::sync::Arc;
use crate::testing::fake_broker::api::{
    RequestContext, add_offsets_to_txn, add_partitions_to_txn, api_versions, end_txn,
    find_coordinator, init_producer_id, metadata, produce, telemetry, txn_offset_commit,
};
use crate::testing::fake_broker::model::api::Api;
use crate::testing::fake_broker::model::cluster::Cluster;
use crate::testing::fake_broker::model::facts::Request;
use crate::testing::fake_broker::script::action::{Action, Handling, ReplyWith, Timing};
use crate::testing::fake_broker::script::plan::Plan;
use crate::utils::{SystemTime, Time};

/// The result of a handled request.
enum Handled {
    Answer(ResponseBody),
    /// The connection ends after this response.
    LastAnswer(ResponseBody),
    /// acks=0: the producer expects no response.
    NoAnswer,
    /// acks=0 with an error. Closing the connection is the only way to report it.
    Close,
}

pub(crate) fn handle(core: &Core, connection: &Arc<Connection>, payload: &[u8]) {
    match parse(core, connection, payload) {
        Ok(Parsed::Request(header, body)) => handle_request(core, connection, &header, &body),
        Ok(Parsed::UnsupportedApiVersions(header)) => {
            answer_unsupported_version(core, connection, &header);
        }
        Err(violation) => {
            core.record_violation(connection.node, &violation);
            connection.close();
        }
    }
}

enum Parsed {
    Request(RequestHeader, RequestBody),
    UnsupportedApiVersions(RequestHeader),
}

/// Parses a request, or returns the reason why a broker would close the connection.
fn parse(core: &Core, connection: &Connection, payload: &[u8]) -> Result<Parsed, String> {
    let header = RequestHeader::decode(&mut Reader::new(payload))
        .map_err(|error| format!("unreadable request header: {error}"))?;
    let (api, version) = (Api::from_id(header.api_key), header.api_version);
    let api = api.ok_or_else(|| format!("unknown API key {}", header.api_key))?;
    let versions = {
        let cluster = core.cluster.lock();
        let session = connection.sasl.lock();
        if let Some(refusal) = session.refusal(&cluster.settings.sasl, api, SystemTime.now()) {
            return Err(format!("{refusal}: {api:?}"));
        }
        let broker = cluster.broker(connection.node);
        broker.and_then(|broker| cluster.versions(broker, api))
    };
    if !versions.is_some_and(|versions| versions.contains(&version)) {
        if api == Api::ApiVersions {
            return Ok(Parsed::UnsupportedApiVersions(header));
        }
        return Err(format!("{api:?} v{version} is not supported"));
    }
    decode_request(payload)
        .map(|(header, body)| Parsed::Request(header, body))
        .map_err(|error| format!("unreadable {api:?} v{version} request: {error}"))
}

fn answer_unsupported_version(core: &Core, connection: &Arc<Connection>, header: &RequestHeader) {
    core.record_request(request_of(connection, header, Api::ApiVersions));
    let body = {
        let cluster = core.cluster.lock();
        cluster
            .broker(connection.node)
            .map(api_versions::unsupported_version)
    };
    let Some(body) = body else {
        return connection.close();
    };
    let frame = frame(ApiKey::ApiVersions, 0, header.correlation_id, &body.into());
    send(connection, frame, &Timing::default(), false);
}

fn handle_request(
    core: &Core,
    connection: &Arc<Connection>,
    header: &RequestHeader,
    body: &RequestBody,
) {
    let request = describe(core, connection, header, body);
    let plan = decide(core, &request);
    // Only after the decision: a test may wait for the request and then break the connection. Its
    // rule must be spent by then, and not be left for the retry.
    core.record_request(request);
    if !wait_before(core, connection, &plan.action.before) {
        return connection.close();
    }
    let outcome = match plan.action.handling {
        Handling::Skip => None,
        Handling::Apply | Handling::Fail(_) => {
            let Some(outcome) = apply(core, connection, header.api_version, body, &plan) else {
                return connection.close();
            };
            Some(outcome)
        }
    };
    core.activity.announce();
    reply(connection, header, outcome, &plan.action);
}

/// Decides what to do. Hooks come before rules, and run without a lock, so that they may use the
/// broker.
fn decide(core: &Core, request: &Request) -> Plan {
    let hooks = core.script.lock().hooks.clone();
    let hooked = hooks.iter().find_map(|hook| hook(request));
    core.script.lock().decide(request, hooked)
}

/// Waits as the script says. Returns false if the node stopped meanwhile.
fn wait_before(core: &Core, connection: &Connection, timing: &Timing) -> bool {
    if let Some(hold) = &timing.hold {
        core.activity
            .wait_until(None, || connection.is_abandoned() || hold.is_released());
    }
    if let Some(delay) = timing.delay {
        let deadline = SystemTime.now().checked_add(delay);
        core.activity
            .wait_until(deadline, || connection.is_abandoned());
    }
    !connection.is_abandoned()
}

/// Lets the model handle the request. Returns `None` if the node stopped meanwhile.
fn apply(
    core: &Core,
    connection: &Connection,
    version: i16,
    body: &RequestBody,
    plan: &Plan,
) -> Option<Handled> {
    let mut cluster = core.cluster.lock();
    // The stop of a node takes this lock too. No request is handled after it.
    if connection.is_abandoned() {
        return None;
    }
    let context = RequestContext {
        node: connection.node,
        version,
        now_ms: SystemTime.unix_millis(),
        plan,
    };
    let answer = match body {
        RequestBody::ApiVersions(request) => {
            api_versions::handle(&cluster, context, request)?.into()
        }
        RequestBody::Metadata(request) => {
            metadata::handle(&mut cluster, plan, version, request).into()
        }
        RequestBody::Produce(request) => {
            let response = produce::handle(&mut cluster, context, request);
            match request.acks {
                0 if produce::is_success(&response) => return Some(Handled::NoAnswer),
                0 => return Some(Handled::Close),
                _ => response.into(),
            }
        }
        RequestBody::FindCoordinator(request) => {
            find_coordinator::handle(&cluster, request, plan.whole_failure()).into()
        }
        RequestBody::InitProducerId(request) => {
            init_producer_id::handle(&mut cluster, context, request).into()
        }
        RequestBody::AddPartitionsToTxn(request) => {
            add_partitions_to_txn::handle(&mut cluster, context, request).into()
        }
        RequestBody::AddOffsetsToTxn(request) => {
            add_offsets_to_txn::handle(&mut cluster, context, request).into()
        }
        RequestBody::EndTxn(request) => end_txn::handle(&mut cluster, context, request).into(),
        RequestBody::TxnOffsetCommit(request) => {
            txn_offset_commit::handle(&mut cluster, context, request).into()
        }
        RequestBody::GetTelemetrySubscriptions(request) => {
            telemetry::handle_get(&cluster, plan, request).into()
        }
        RequestBody::PushTelemetry(request) => {
            telemetry::handle_push(&mut cluster, context, request).into()
        }
        RequestBody::SaslHandshake(_) | RequestBody::SaslAuthenticate(_) => {
            return Some(authenticate(&cluster, connection, body, plan));
        }
    };
    Some(Handled::Answer(answer))
}

/// As in Kafka, the broker ends the connection of a client that it refuses.
fn authenticate(
    cluster: &Cluster,
    connection: &Connection,
    body: &RequestBody,
    plan: &Plan,
) -> Handled {
    let server = &cluster.settings.sasl;
    #[cfg_attr(
        not(feature = "sasl"),
        expect(unused_mut, reason = "without SASL a session has no state")
    )]
    let mut session = connection.sasl.lock();
    let scripted = plan.whole_failure().map(|failure| failure.code);
    let now = SystemTime.now();
    let (error_code, answer) = match body {
        RequestBody::SaslHandshake(request) => {
            let mut response = session.shake_hands(server, request, now);
            response.error_code = scripted.unwrap_or(response.error_code);
            (response.error_code, response.into())
        }
        RequestBody::SaslAuthenticate(request) => {
            let mut response = session.authenticate(server, request, now);
            response.error_code = scripted.unwrap_or(response.error_code);
            (response.error_code, response.into())
        }
        _ => return Handled::Close,
    };
    match error_code.is_none() {
        true => Handled::Answer(answer),
        false => Handled::LastAnswer(answer),
    }
}

fn reply(
    connection: &Arc<Connection>,
    header: &RequestHeader,
    outcome: Option<Handled>,
    action: &Action,
) {
    let correlation_id = header.correlation_id;
    let send = |bytes, is_last| send(connection, bytes, &action.after, is_last);
    // A scripted reply is sent even for acks=0.
    match &action.reply {
        ReplyWith::Bytes(bytes) => return send(bytes.clone(), false),
        ReplyWith::Body(body) => {
            let payload = [&correlation_id.to_be_bytes()[..], body].concat();
            return send(with_size(&payload), false);
        }
        ReplyWith::Disconnect => return send(Vec::new(), true),
        ReplyWith::Nothing => return,
        _ => {}
    }
    let is_last = matches!(outcome, Some(Handled::LastAnswer(_)));
    let mut body = match outcome {
        Some(Handled::Answer(body) | Handled::LastAnswer(body)) => body,
        Some(Handled::Close) => return send(Vec::new(), true),
        Some(Handled::NoAnswer) | None => return,
    };
    set_throttle_time(&mut body, action.throttle);
    let key = body.api_key();
    let frame = |correlation_id| frame(key, header.api_version, correlation_id, &body);
    match &action.reply {
        ReplyWith::Twice => send(frame(correlation_id).repeat(2), false),
        // Far from the ids in use, which count up from 0.
        ReplyWith::WrongCorrelationId => send(frame(correlation_id ^ 0x4000_0000), false),
        ReplyWith::Cut(length) => {
            let mut bytes = frame(correlation_id);
            bytes.truncate(*length);
            send(bytes, true);
        }
        _ => send(frame(correlation_id), is_last),
    }
}

fn send(connection: &Arc<Connection>, bytes: Vec<u8>, timing: &Timing, is_last: bool) {
    let outgoing = Outgoing {
        bytes,
        not_before: timing
            .delay
            .and_then(|delay| SystemTime.now().checked_add(delay)),
        hold: timing.hold.clone(),
        is_last,
    };
    connection.send(outgoing);
}

/// Returns the whole frame of a response. Returns nothing if it cannot be encoded, which would be a
/// bug of the model.
fn frame(key: ApiKey, version: i16, correlation_id: i32, body: &ResponseBody) -> Vec<u8> {
    match encode_response(key, version, correlation_id, body) {
        Ok(payload) => with_size(&payload),
        Err(error) => {
            log::error!(
                "cannot encode a {} v{version} response: {error}",
                key.name()
            );
            Vec::new()
        }
    }
}

fn with_size(payload: &[u8]) -> Vec<u8> {
    let size = i32::try_from(payload.len()).unwrap_or(i32::MAX);
    [&size.to_be_bytes()[..], payload].concat()
}

fn set_throttle_time(body: &mut ResponseBody, throttle: Duration) {
    let throttle_time_ms = i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX);
    match body {
        ResponseBody::Produce(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::Metadata(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::ApiVersions(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::InitProducerId(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::FindCoordinator(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::AddPartitionsToTxn(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::AddOffsetsToTxn(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::EndTxn(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::TxnOffsetCommit(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::GetTelemetrySubscriptions(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::PushTelemetry(body) => body.throttle_time_ms = throttle_time_ms,
        ResponseBody::SaslHandshake(_) | ResponseBody::SaslAuthenticate(_) => {}
    }
}
