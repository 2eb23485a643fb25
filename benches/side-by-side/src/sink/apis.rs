//! The requests that are answered, but for Produce.

use std::io;

use super::Sink;
use super::input::Input;
use super::output::Output;

pub(super) const PRODUCE: i16 = 0;
pub(super) const METADATA: i16 = 3;
pub(super) const API_VERSIONS: i16 = 18;
pub(super) const INIT_PRODUCER_ID: i16 = 22;

/// An API with the versions that are offered, and the first one with compact fields.
pub(super) struct Api {
    key: i16,
    min: i16,
    max: i16,
    flexible_from: i16,
}

/// Fetch, ListOffsets and FindCoordinator are only named: librdkafka infers from them that the broker knows record batches,
/// lz4 and zstd.
const APIS: [Api; 7] = [
    api(PRODUCE, 3, 13, 9),
    api(1, 4, 16, 12),
    api(2, 1, 8, 6),
    api(METADATA, 4, 12, 9),
    api(10, 0, 5, 3),
    api(API_VERSIONS, 0, 4, 3),
    api(INIT_PRODUCER_ID, 0, 5, 2),
];

const fn api(key: i16, min: i16, max: i16, flexible_from: i16) -> Api {
    Api {
        key,
        min,
        max,
        flexible_from,
    }
}

/// Whether a version of an API has compact fields; an error when it is not offered.
pub(super) fn is_flexible(key: i16, version: i16) -> io::Result<bool> {
    let api = APIS.iter().find(|api| api.key == key);
    match api {
        Some(api) if (api.min..=api.max).contains(&version) => Ok(version >= api.flexible_from),
        _ => Err(io::Error::other(format!(
            "API {key} version {version} was not offered"
        ))),
    }
}

/// The offered version of ApiVersions, or else version 0, which is what an unsupported one is refused in.
pub(super) fn api_versions(output: &mut Output, version: i16) {
    const UNSUPPORTED_VERSION: i16 = 35;
    let supported = is_flexible(API_VERSIONS, version).is_ok();
    output.i16(if supported { 0 } else { UNSUPPORTED_VERSION });
    output.count(APIS.len());
    for api in &APIS {
        output.i16(api.key);
        output.i16(api.min);
        output.i16(api.max);
        output.no_tagged_fields();
    }
    if supported && version >= 1 {
        output.i32(0);
    }
    output.no_tagged_fields();
}

/// Every topic that is asked for exists, with the same number of partitions, dealt to the nodes in turn.
pub(super) fn metadata(
    sink: &Sink,
    input: &mut Input,
    output: &mut Output,
    version: i16,
    flexible: bool,
) -> io::Result<()> {
    let topics = requested_topics(input, version, flexible)?;
    output.i32(0);
    output.count(sink.ports.len());
    for (node, port) in sink.ports.iter().enumerate() {
        output.i32(node as i32);
        output.string(b"127.0.0.1");
        output.i32(i32::from(*port));
        output.null_string();
        output.no_tagged_fields();
    }
    output.string(b"sink");
    output.i32(0);
    output.count(topics.len());
    for (name, id) in &topics {
        output.i16(0);
        output.string(name);
        if version >= 10 {
            output.raw(id);
        }
        output.i8(0);
        partitions(sink, output, version);
        if version >= 8 {
            output.i32(i32::MIN);
        }
        output.no_tagged_fields();
    }
    if (8..=10).contains(&version) {
        output.i32(i32::MIN);
    }
    output.no_tagged_fields();
    Ok(())
}

fn partitions(sink: &Sink, output: &mut Output, version: i16) {
    output.count(sink.partitions as usize);
    for partition in 0..sink.partitions {
        let leader = partition % sink.ports.len() as i32;
        output.i16(0);
        output.i32(partition);
        output.i32(leader);
        if version >= 7 {
            output.i32(0);
        }
        for _replicas_then_in_sync in 0..2 {
            output.count(1);
            output.i32(leader);
        }
        if version >= 5 {
            output.count(0);
        }
        output.no_tagged_fields();
    }
}

/// Names and ids. An id follows from the name, so that nothing need be remembered.
fn requested_topics(
    input: &mut Input,
    version: i16,
    flexible: bool,
) -> io::Result<Vec<(Vec<u8>, [u8; 16])>> {
    let count = input.length(flexible, false)?.unwrap_or(0);
    let mut topics = Vec::new();
    for _ in 0..count {
        if version >= 10 {
            input.uuid()?;
        }
        let name = input.string(flexible)?;
        input.skip_tagged_fields(flexible)?;
        let id = topic_id(&name);
        topics.push((name, id));
    }
    Ok(topics)
}

/// The FNV-1a hash of the name behind a constant.
fn topic_id(name: &[u8]) -> [u8; 16] {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut id = *b"sink id:\0\0\0\0\0\0\0\0";
    id[8..].copy_from_slice(&hash.to_be_bytes());
    id
}

pub(super) fn init_producer_id(sink: &Sink, output: &mut Output) {
    output.i32(0);
    output.i16(0);
    output.i64(sink.next_producer_id());
    output.i16(0);
    output.no_tagged_fields();
}
