//! Topics, leaders and offsets, requested from the brokers in Kafka's protocol.
//!
//! Kafka's admin tools take a second of CPU each, but fault tests look at leaders many times a
//! second. Each question here is one request on its own connection, in a version that both 2.8 and
//! 4.4 support.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::wire::{Api, Body, Cursor, exchange};
use super::{poll_until, wait_until};

const CLUSTER_LIMIT: Duration = Duration::from_secs(60);
const BROKER_SIDE_LIMIT_MS: i32 = 15_000;

const LIST_OFFSETS: Api = Api {
    key: 2,
    version: 2,
    flexible: false,
};
const METADATA: Api = Api {
    key: 3,
    version: 7,
    flexible: false,
};
const CREATE_TOPICS: Api = Api {
    key: 19,
    version: 4,
    flexible: false,
};
const DELETE_TOPICS: Api = Api {
    key: 20,
    version: 3,
    flexible: false,
};
const CREATE_PARTITIONS: Api = Api {
    key: 37,
    version: 1,
    flexible: false,
};
const ELECT_LEADERS: Api = Api {
    key: 43,
    version: 1,
    flexible: false,
};
const ALTER_PARTITION_REASSIGNMENTS: Api = Api {
    key: 45,
    version: 0,
    flexible: true,
};

const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const ELECTION_NOT_NEEDED: i16 = 84;

/// A topic to create; starts with the cluster's replication factor and no config.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic<'a> {
    name: &'a str,
    partitions: i32,
    replication_factor: i16,
    configs: Vec<(&'a str, &'a str)>,
}

impl<'a> NewTopic<'a> {
    pub(crate) fn new(name: &'a str, partitions: i32) -> Self {
        Self {
            name,
            partitions,
            replication_factor: -1,
            configs: Vec::new(),
        }
    }

    pub(crate) fn replication_factor(mut self, replicas: i16) -> Self {
        self.replication_factor = replicas;
        self
    }

    pub(crate) fn config(mut self, key: &'a str, value: &'a str) -> Self {
        self.configs.push((key, value));
        self
    }
}

/// The state of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PartitionState {
    pub(crate) partition: i32,
    /// -1 if there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    /// Sorted by id.
    pub(crate) isr: Vec<i32>,
}

impl PartitionState {
    fn is_in_sync(&self) -> bool {
        self.leader >= 0 && self.isr.len() == self.replicas.len()
    }
}

/// Sends requests to a cluster. Every method panics if it has no good response in time.
#[derive(Debug)]
pub(crate) struct Admin {
    nodes: Vec<AdminNode>,
}

#[derive(Debug)]
struct AdminNode {
    id: i32,
    address: SocketAddr,
    /// While false, the node gets no requests: a paused node would accept the connection and never
    /// answer.
    is_up: AtomicBool,
}

impl Admin {
    pub(super) fn new(nodes: impl IntoIterator<Item = (i32, SocketAddr)>) -> Self {
        let nodes = nodes
            .into_iter()
            .map(|(id, address)| AdminNode {
                id,
                address,
                is_up: AtomicBool::new(true),
            })
            .collect();
        Self { nodes }
    }

    pub(super) fn set_up(&self, id: i32, is_up: bool) {
        let node = self
            .nodes
            .iter()
            .find(|node| node.id == id)
            .expect("a node of this cluster");
        node.is_up.store(is_up, Ordering::Relaxed);
    }

    pub(super) fn all_up(&self) -> bool {
        self.nodes
            .iter()
            .all(|node| node.is_up.load(Ordering::Relaxed))
    }

    /// Returns every node's address, whether the node is up or not, for `bootstrap.servers`.
    pub(crate) fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .iter()
            .map(|node| node.address.to_string())
            .collect();
        addresses.join(",")
    }

    /// Returns the ids of the brokers that `node` knows. Fails while the node does not serve yet.
    pub(super) fn brokers_known_to(&self, node: i32) -> io::Result<Vec<i32>> {
        let node = self
            .nodes
            .iter()
            .find(|known| known.id == node)
            .expect("a node of this cluster");
        Ok(metadata(node.address, None)?.0)
    }

    /// Creates topics. Returns when every node that is up sees each of their partitions with all
    /// replicas in sync, and the leaders serve them.
    pub(crate) fn create_topics(&self, topics: &[NewTopic<'_>]) {
        let mut body = Body::new();
        body.array(topics, |body, topic| {
            body.string(topic.name).i32(topic.partitions);
            // The cluster assigns the replicas.
            body.i16(topic.replication_factor).i32(0);
            body.array(&topic.configs, |body, (key, value)| {
                body.string(key).string(value);
            });
        });
        body.i32(BROKER_SIDE_LIMIT_MS).bool(false);
        let answer = self.ask(CREATE_TOPICS, &body);
        let errors = named_errors(&answer, true).expect("an answer to CreateTopics");
        assert!(
            errors.iter().all(|(_, code, _)| *code == 0),
            "topics were not created: {errors:?}"
        );
        for topic in topics {
            self.await_in_sync(topic.name);
            self.await_served(topic.name);
        }
    }

    /// Creates one topic with defaults. See [`create_topics`](Self::create_topics).
    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topics(&[NewTopic::new(name, partitions)]);
    }

    /// Deletes a topic. Returns when no node that is up knows it.
    pub(crate) fn delete_topic(&self, name: &str) {
        let mut body = Body::new();
        body.array(&[name], |body, name| {
            body.string(name);
        });
        body.i32(BROKER_SIDE_LIMIT_MS);
        let errors = named_errors(&self.ask(DELETE_TOPICS, &body), false)
            .expect("an answer to DeleteTopics");
        assert!(
            errors.iter().all(|(_, code, _)| *code == 0),
            "{name} was not deleted: {errors:?}"
        );
        wait_until(&format!("end of topic {name}"), CLUSTER_LIMIT, || {
            self.views_of(name)
                .iter()
                .all(Option::is_none)
                .then_some(())
        });
    }

    /// Adds partitions until there are `total`.
    pub(crate) fn add_partitions(&self, topic: &str, total: i32) {
        let mut body = Body::new();
        body.array(&[topic], |body, name| {
            body.string(name).i32(total).i32(-1);
        });
        body.i32(BROKER_SIDE_LIMIT_MS).bool(false);
        let errors = named_errors(&self.ask(CREATE_PARTITIONS, &body), true)
            .expect("an answer to CreatePartitions");
        assert!(
            errors.iter().all(|(_, code, _)| *code == 0),
            "no partitions were added: {errors:?}"
        );
        wait_until(
            &format!("{total} partitions of {topic}"),
            CLUSTER_LIMIT,
            || {
                let views = self.views_of(topic);
                let all = |view: &Option<Vec<PartitionState>>| {
                    view.as_ref()
                        .is_some_and(|view| view.len() == total as usize)
                };
                views.iter().all(all).then_some(())
            },
        );
        self.await_in_sync(topic);
        self.await_served(topic);
    }

    /// Waits until the leaders accept requests. A node tells of its leadership before it opens the
    /// log, and refuses requests meanwhile, so that a client has to retry.
    fn await_served(&self, topic: &str) {
        drop(self.end_offsets(topic));
    }

    /// Returns the partitions in order, as the first node that is up sees them. Panics if the topic
    /// does not exist.
    pub(crate) fn partitions(&self, topic: &str) -> Vec<PartitionState> {
        let views = self.views_of(topic);
        views
            .into_iter()
            .flatten()
            .next()
            .unwrap_or_else(|| panic!("no node knows topic {topic}"))
    }

    /// Returns the leader of a partition as soon as there is one.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> i32 {
        wait_until(
            &format!("leader of {topic}-{partition}"),
            CLUSTER_LIMIT,
            || {
                let partitions = self.partitions(topic);
                let state = partitions.iter().find(|state| state.partition == partition);
                Some(state?.leader).filter(|&leader| leader >= 0)
            },
        )
    }

    /// Waits until every node that is up sees a leader and all replicas in sync in every partition.
    pub(crate) fn await_in_sync(&self, topic: &str) {
        let in_sync = |view: &Option<Vec<PartitionState>>| {
            view.as_ref()
                .is_some_and(|view| !view.is_empty() && view.iter().all(PartitionState::is_in_sync))
        };
        let synced = poll_until(CLUSTER_LIMIT, || {
            self.views_of(topic).iter().all(in_sync).then_some(())
        });
        assert!(
            synced.is_some(),
            "{topic} is not in sync: {:?}",
            self.views_of(topic)
        );
    }

    /// Assigns new replicas to partitions, the first of which is to lead. Waits until they are in
    /// sync and lead.
    pub(crate) fn reassign(&self, topic: &str, replicas: &[(i32, Vec<i32>)]) {
        let mut body = Body::new();
        body.i32(BROKER_SIDE_LIMIT_MS);
        body.compact_array(&[topic], |body, topic| {
            body.compact_string(topic);
            body.compact_array(replicas, |body, (partition, replicas)| {
                body.i32(*partition);
                body.compact_array(replicas, |body, replica| {
                    body.i32(*replica);
                });
                body.no_tags();
            });
            body.no_tags();
        });
        body.no_tags();
        let answer = self.ask(ALTER_PARTITION_REASSIGNMENTS, &body);
        let error = reassignment_error(&answer).expect("an answer to AlterPartitionReassignments");
        assert_eq!(error, None, "{topic} was not reassigned");
        wait_until(&format!("reassignment of {topic}"), CLUSTER_LIMIT, || {
            let partitions = self.partitions(topic);
            let done = |(partition, replicas): &(i32, Vec<i32>)| {
                let state = &partitions[*partition as usize];
                state.replicas == *replicas && state.is_in_sync()
            };
            replicas.iter().all(done).then_some(())
        });
        let partitions: Vec<i32> = replicas.iter().map(|(partition, _)| *partition).collect();
        self.elect_preferred_leaders(topic, &partitions);
    }

    /// Makes the first replica of each partition its leader.
    pub(crate) fn elect_preferred_leaders(&self, topic: &str, partitions: &[i32]) {
        const PREFERRED: i8 = 0;
        let mut body = Body::new();
        body.i8(PREFERRED);
        body.array(&[topic], |body, topic| {
            body.string(topic);
            body.array(partitions, |body, partition| {
                body.i32(*partition);
            });
        });
        body.i32(BROKER_SIDE_LIMIT_MS);
        wait_until(
            &format!("preferred leaders of {topic}"),
            CLUSTER_LIMIT,
            || {
                let answer = self.ask(ELECT_LEADERS, &body);
                let code = election_error(&answer).expect("an answer to ElectLeaders");
                let states = self.partitions(topic);
                let leads = |partition: &i32| {
                    let state = &states[*partition as usize];
                    state.leader == state.replicas[0]
                };
                (code == 0 && partitions.iter().all(leads)).then_some(())
            },
        );
    }

    /// Returns the offset after the last record of each partition.
    pub(crate) fn end_offsets(&self, topic: &str) -> Vec<i64> {
        self.end_offsets_for(topic, READ_UNCOMMITTED)
    }

    /// Returns the begin of the first open transaction of each partition, or else its end.
    pub(crate) fn stable_offsets(&self, topic: &str) -> Vec<i64> {
        self.end_offsets_for(topic, READ_COMMITTED)
    }

    /// Waits until no transaction is open in any partition: the last stable offset is the end.
    pub(crate) fn await_stable(&self, topic: &str) {
        wait_until(
            &format!("end of transactions in {topic}"),
            CLUSTER_LIMIT,
            || (self.stable_offsets(topic) == self.end_offsets(topic)).then_some(()),
        );
    }

    fn end_offsets_for(&self, topic: &str, isolation_level: i8) -> Vec<i64> {
        let count = self.partitions(topic).len() as i32;
        (0..count)
            .map(|partition| self.end_offset(topic, partition, isolation_level))
            .collect()
    }

    fn end_offset(&self, topic: &str, partition: i32, isolation_level: i8) -> i64 {
        const LATEST: i64 = -1;
        let mut body = Body::new();
        // Replica -1 is a consumer.
        body.i32(-1).i8(isolation_level);
        body.array(&[topic], |body, topic| {
            body.string(topic);
            body.array(&[partition], |body, partition| {
                body.i32(*partition).i64(LATEST);
            });
        });
        wait_until(
            &format!("end offset of {topic}-{partition}"),
            CLUSTER_LIMIT,
            || {
                let leader = self.leader(topic, partition);
                let node = self.nodes.iter().find(|node| node.id == leader)?;
                let answer = exchange(node.address, LIST_OFFSETS, &body).ok()?;
                end_offset_in(&answer)
            },
        )
    }

    /// Returns the topic as each node that is up sees it. `None` is a node that does not know it or
    /// does not answer.
    fn views_of(&self, topic: &str) -> Vec<Option<Vec<PartitionState>>> {
        let up = self
            .nodes
            .iter()
            .filter(|node| node.is_up.load(Ordering::Relaxed));
        up.map(|node| metadata(node.address, Some(topic)).ok()?.1)
            .collect()
    }

    /// Returns the responses of the nodes that are up. Each request is sent when its response is
    /// taken.
    pub(super) fn answers<'a>(
        &'a self,
        api: Api,
        body: &'a Body,
    ) -> impl Iterator<Item = Vec<u8>> + 'a {
        let up = self
            .nodes
            .iter()
            .filter(|node| node.is_up.load(Ordering::Relaxed));
        up.filter_map(move |node| exchange(node.address, api, body).ok())
    }

    /// Sends a request to the first node that answers. Brokers forward requests for the controller.
    fn ask(&self, api: Api, body: &Body) -> Vec<u8> {
        let mut errors = Vec::new();
        let answer = poll_until(CLUSTER_LIMIT, || {
            let mut up = self
                .nodes
                .iter()
                .filter(|node| node.is_up.load(Ordering::Relaxed));
            up.find_map(|node| match exchange(node.address, api, body) {
                Ok(answer) => Some(answer),
                Err(error) => {
                    errors.push(format!("node {}: {error}", node.id));
                    None
                }
            })
        });
        answer.unwrap_or_else(|| panic!("no answer to request {}: {:?}", api.key, errors.last()))
    }
}

/// Returns the broker ids, and the topic's partitions if it exists.
fn metadata(
    address: SocketAddr,
    topic: Option<&str>,
) -> io::Result<(Vec<i32>, Option<Vec<PartitionState>>)> {
    let mut body = Body::new();
    body.array(topic.as_slice(), |body, topic| {
        body.string(topic);
    });
    body.bool(false);
    let answer = exchange(address, METADATA, &body)?;
    parse_metadata(&answer)
        .ok_or_else(|| io::Error::other("a Metadata response that cannot be read"))
}

fn parse_metadata(answer: &[u8]) -> Option<(Vec<i32>, Option<Vec<PartitionState>>)> {
    let mut answer = Cursor(answer);
    answer.i32()?;
    let brokers = answer.array(|answer| {
        let id = answer.i32()?;
        answer.string()?;
        answer.i32()?;
        answer.string()?;
        Some(id)
    })?;
    answer.string()?;
    answer.i32()?;
    let topics = answer.array(|answer| {
        let code = answer.i16()?;
        answer.string()?;
        answer.i8()?;
        let mut partitions = answer.array(|answer| {
            answer.i16()?;
            let partition = answer.i32()?;
            let (leader, leader_epoch) = (answer.i32()?, answer.i32()?);
            let replicas = answer.array(Cursor::i32)?;
            let mut isr = answer.array(Cursor::i32)?;
            isr.sort_unstable();
            answer.array(Cursor::i32)?;
            Some(PartitionState {
                partition,
                leader,
                leader_epoch,
                replicas,
                isr,
            })
        })?;
        partitions.sort_unstable_by_key(|state| state.partition);
        Some((code, partitions))
    })?;
    let topic = topics
        .into_iter()
        .find(|(code, _)| *code != UNKNOWN_TOPIC_OR_PARTITION);
    Some((brokers, topic.map(|(_, partitions)| partitions)))
}

/// Parses the throttle time, and an array of name, error code and, if the API has one, message.
fn named_errors(answer: &[u8], with_message: bool) -> Option<Vec<(String, i16, String)>> {
    let mut answer = Cursor(answer);
    answer.i32()?;
    answer.array(|answer| {
        let (name, code) = (answer.string()?, answer.i16()?);
        let message = if with_message {
            answer.string()?
        } else {
            String::new()
        };
        Some((name, code, message))
    })
}

/// The outer `None` is a response that cannot be parsed, the inner one is success.
fn reassignment_error(answer: &[u8]) -> Option<Option<String>> {
    // The tags of the response header, then the throttle time.
    let mut answer = Cursor(answer);
    answer.i8()?;
    answer.i32()?;
    let (code, message) = (answer.i16()?, answer.compact_string()?);
    if code != 0 {
        return Some(Some(format!("error {code}: {message}")));
    }
    let topics = answer.compact_array(|answer| {
        answer.compact_string()?;
        let partitions = answer.compact_array(|answer| {
            let (partition, code, message) =
                (answer.i32()?, answer.i16()?, answer.compact_string()?);
            answer.i8()?;
            Some((code != 0).then(|| format!("partition {partition}: error {code}: {message}")))
        })?;
        answer.i8()?;
        Some(partitions.into_iter().flatten().next())
    })?;
    Some(topics.into_iter().flatten().next())
}

/// Returns the first error, other than that the leader is elected already.
fn election_error(answer: &[u8]) -> Option<i16> {
    let mut answer = Cursor(answer);
    answer.i32()?;
    let mut codes = vec![answer.i16()?];
    let partitions = answer.array(|answer| {
        answer.string()?;
        answer.array(|answer| {
            answer.i32()?;
            let code = answer.i16()?;
            answer.string()?;
            Some(code)
        })
    })?;
    codes.extend(partitions.into_iter().flatten());
    codes.retain(|&code| code != 0 && code != ELECTION_NOT_NEEDED);
    Some(codes.first().copied().unwrap_or(0))
}

fn end_offset_in(answer: &[u8]) -> Option<i64> {
    let mut answer = Cursor(answer);
    answer.i32()?;
    let topics = answer.array(|answer| {
        answer.string()?;
        answer.array(|answer| {
            answer.i32()?;
            let code = answer.i16()?;
            answer.i64()?;
            Some((code, answer.i64()?))
        })
    })?;
    let (code, offset) = topics.into_iter().flatten().next()?;
    (code == 0).then_some(offset)
}
