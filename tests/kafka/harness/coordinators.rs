//! What coordinators and leaders know of groups and producers, which Kafka's tools print only in
//! part.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::admin::Admin;
use super::wait_until;
use super::wire::{Api, Body, Cursor};

const ANSWER_LIMIT: Duration = Duration::from_secs(60);

const OFFSET_FETCH: Api = Api {
    key: 9,
    version: 7,
    flexible: true,
};
const FIND_COORDINATOR: Api = Api {
    key: 10,
    version: 1,
    flexible: false,
};
const JOIN_GROUP: Api = Api {
    key: 11,
    version: 5,
    flexible: false,
};
const SYNC_GROUP: Api = Api {
    key: 14,
    version: 3,
    flexible: false,
};
const DESCRIBE_PRODUCERS: Api = Api {
    key: 61,
    version: 0,
    flexible: true,
};

/// Loading, not available, another node.
const NOT_THE_COORDINATOR: [i16; 3] = [14, 15, 16];
const MEMBER_ID_REQUIRED: i16 = 79;
/// The length of a null string.
const NULL: i16 = -1;

/// An offset of a group as a consumer would get it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct GroupOffset {
    /// -1 if the group has none.
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

impl Admin {
    /// Returns the node that coordinates a transactional id.
    pub(crate) fn transaction_coordinator(&self, transactional_id: &str) -> i32 {
        const TRANSACTION: i8 = 1;
        self.coordinator(TRANSACTION, transactional_id)
    }

    /// The first request for a coordinator creates its topic.
    fn coordinator(&self, kind: i8, key: &str) -> i32 {
        let mut body = Body::new();
        body.string(key).i8(kind);
        self.ask_until("coordinator", FIND_COORDINATOR, &body, |answer| {
            answer.i32()?;
            let code = answer.i16()?;
            answer.string()?;
            let node = answer.i32()?;
            (code == 0).then_some(node)
        })
    }

    /// Returns the committed offset of a group, after all transactions with its offsets have ended.
    pub(crate) fn group_offset(&self, group: &str, topic: &str, partition: i32) -> GroupOffset {
        let mut body = Body::new();
        body.compact_string(group);
        body.compact_array(&[topic], |body, topic| {
            body.compact_string(topic);
            body.compact_array(&[partition], |body, partition| {
                body.i32(*partition);
            });
            body.no_tags();
        });
        let require_stable = true;
        body.bool(require_stable).no_tags();
        self.ask_until("offset of the group", OFFSET_FETCH, &body, |answer| {
            answer.i8()?;
            answer.i32()?;
            answer.unsigned_varint()?;
            answer.compact_string()?;
            answer.unsigned_varint()?;
            answer.i32()?;
            let offset = GroupOffset {
                offset: answer.i64()?,
                leader_epoch: answer.i32()?,
                metadata: answer.compact_string()?,
            };
            let code = answer.i16()?;
            (code == 0).then_some(offset)
        })
    }

    /// Joins a group as its only member, or joins again. Returns the generation of the group and
    /// the member id.
    pub(crate) fn join_group(&self, group: &str, member_id: &str) -> (i32, String) {
        const GROUP: i8 = 0;
        const TIMEOUT_MS: i32 = 600_000;
        static NEWS: AtomicI32 = AtomicI32::new(0);
        self.coordinator(GROUP, group);
        let mut body = Body::new();
        body.string(group).i32(TIMEOUT_MS).i32(TIMEOUT_MS);
        body.string(member_id);
        body.i16(NULL).string("consumer");
        body.array(&["range"], |body, protocol| {
            // A change of a member's metadata starts a new generation.
            let news = NEWS.fetch_add(1, Ordering::Relaxed);
            body.string(protocol).i32(4).i32(news);
        });
        let (code, generation, member_id) =
            self.ask_until("generation of the group", JOIN_GROUP, &body, |answer| {
                answer.i32()?;
                let (code, generation) = (answer.i16()?, answer.i32()?);
                answer.string()?;
                answer.string()?;
                let is_answer = !NOT_THE_COORDINATOR.contains(&code);
                is_answer.then_some((code, generation, answer.string()?))
            });
        if code == MEMBER_ID_REQUIRED {
            return self.join_group(group, &member_id);
        }
        assert_eq!(code, 0, "{member_id} cannot join {group}");
        self.sync_group(group, generation, &member_id);
        (generation, member_id)
    }

    /// Makes the coordinator store the group, so that another coordinator will know it.
    fn sync_group(&self, group: &str, generation: i32, member_id: &str) {
        let mut body = Body::new();
        body.string(group).i32(generation).string(member_id);
        body.i16(NULL);
        body.array(&[member_id], |body, member_id| {
            let assignment = 0;
            body.string(member_id).i32(4).i32(assignment);
        });
        let code = self.ask_until("assignment of the group", SYNC_GROUP, &body, |answer| {
            answer.i32()?;
            answer
                .i16()
                .filter(|code| !NOT_THE_COORDINATOR.contains(code))
        });
        assert_eq!(code, 0, "{member_id} is not in {group}");
    }

    /// Returns how many producers the leader of a partition knows.
    pub(crate) fn active_producers(&self, topic: &str, partition: i32) -> usize {
        let mut body = Body::new();
        body.compact_array(&[topic], |body, topic| {
            body.compact_string(topic);
            body.compact_array(&[partition], |body, partition| {
                body.i32(*partition);
            });
            body.no_tags();
        });
        body.no_tags();
        self.ask_until("producers", DESCRIBE_PRODUCERS, &body, |answer| {
            answer.i8()?;
            answer.i32()?;
            answer.unsigned_varint()?;
            answer.compact_string()?;
            answer.unsigned_varint()?;
            answer.i32()?;
            let code = answer.i16()?;
            answer.compact_string()?;
            let count = answer.unsigned_varint()?;
            (code == 0).then_some(count.saturating_sub(1))
        })
    }

    /// Sends the request to the nodes in turn until one answers.
    fn ask_until<T>(
        &self,
        what: &str,
        api: Api,
        body: &Body,
        read: impl Fn(&mut Cursor<'_>) -> Option<T>,
    ) -> T {
        wait_until(what, ANSWER_LIMIT, || {
            let mut answers = self.answers(api, body);
            answers.find_map(|answer| read(&mut Cursor(&answer)))
        })
    }
}
