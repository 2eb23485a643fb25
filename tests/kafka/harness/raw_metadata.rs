//! The metadata of one topic.

use std::net::SocketAddr;

use super::wire::{Api, Body, Cursor, exchange};

const METADATA: Api = Api {
    key: 3,
    version: 7,
    flexible: false,
};

/// The metadata of a topic and its partitions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TopicInMetadata {
    pub(crate) code: i16,
    pub(crate) is_internal: bool,
    /// The code and the leader of each, in the order of the response.
    pub(crate) partitions: Vec<(i16, i32)>,
}

/// Sends a Metadata request for one topic. `creates` lets the broker create it.
pub(crate) fn topic_in_metadata(
    address: SocketAddr,
    topic: &str,
    creates: bool,
) -> TopicInMetadata {
    let mut body = Body::new();
    body.array(&[topic], |body, topic| {
        body.string(topic);
    });
    body.bool(creates);
    let answer = exchange(address, METADATA, &body).expect("an answer to Metadata");
    parse_metadata(&answer).unwrap_or_else(|| panic!("an answer to Metadata that cannot be read"))
}

fn parse_metadata(answer: &[u8]) -> Option<TopicInMetadata> {
    let mut answer = Cursor(answer);
    answer.i32()?;
    answer.array(|broker| {
        broker.i32()?;
        broker.string()?;
        broker.i32()?;
        broker.string()
    })?;
    answer.string()?;
    answer.i32()?;
    let topics = answer.array(|answer| {
        let code = answer.i16()?;
        answer.string()?;
        let is_internal = answer.i8()? != 0;
        let partitions = answer.array(|answer| {
            let code = answer.i16()?;
            let (_partition, leader, _epoch) = (answer.i32()?, answer.i32()?, answer.i32()?);
            for _ in 0..3 {
                answer.array(Cursor::i32)?;
            }
            Some((code, leader))
        })?;
        Some(TopicInMetadata {
            code,
            is_internal,
            partitions,
        })
    })?;
    topics.into_iter().next()
}
