//! The choice of a partition for records without one. Java: `Partitioner`.

use std::error::Error as StdError;

use super::user_code::{contain, user_error};
use crate::common::{Cluster, TopicInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::utils::Count;

/// Chooses the partition of each record without one. Replaces the hash of the key, and the sticky
/// choice for records without a key.
///
/// The sending threads call it, several at the same time.
pub trait Partitioner: Send + Sync {
    /// Chooses one of the topic's partitions. `key` and `value` are serialized. `cluster` contains
    /// the topic.
    ///
    /// # Errors
    ///
    /// Any error that says why no partition can be chosen. `send` fails with it as the cause. A
    /// negative number fails too. So does a partition that `cluster` does not contain, if the
    /// second call returns one again.
    fn partition(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cluster: &Cluster,
    ) -> Result<i32, Box<dyn StdError + Send + Sync>>;

    /// Called if the chosen partition has no open batch, before one is opened. A partitioner that
    /// fills the batch of one partition before it moves to the next should move now. If it returns
    /// `true`, [`partition`](Self::partition) is called again for the record.
    ///
    /// Also called if the chosen partition does not exist, because the topic was created again with
    /// fewer partitions. [`partition`](Self::partition) is then called once more, whatever this
    /// returns.
    fn on_new_batch(&self, _topic: &str, _cluster: &Cluster, _previous: i32) -> bool {
        false
    }

    /// Called once, when the producer is closed or dropped. After a `close` inside a callback, the
    /// next `close` or the drop calls it.
    fn close(&self) {}
}

/// Calls the user's partitioner for one of the partitions of `topic`.
///
/// A partitioner may return a partition from before the topic was created again. It is then told
/// that the partition takes no batch, and called once more.
///
/// # Errors
///
/// [`ErrorKind::IllegalArgument`] for an error, a negative number, or a partition that does not exist, and
/// [`ErrorKind::Panic`] for a panic.
pub(crate) fn choose_partition(
    partitioner: &dyn Partitioner,
    topic: &TopicInfo,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    cluster: &Cluster,
) -> Result<i32> {
    let chosen = ask(partitioner, topic, key, value, cluster)?;
    if topic.partition(chosen).is_some() {
        return Ok(chosen);
    }
    contain("the partitioner", || {
        partitioner.on_new_batch(topic.name(), cluster, chosen)
    })?;
    let chosen = ask(partitioner, topic, key, value, cluster)?;
    match topic.partition(chosen) {
        Some(_) => Ok(chosen),
        None => Err(no_such_partition(chosen, topic)),
    }
}

fn ask(
    partitioner: &dyn Partitioner,
    topic: &TopicInfo,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    cluster: &Cluster,
) -> Result<i32> {
    let name = topic.name();
    let chosen = contain("the partitioner", || {
        partitioner.partition(name, key, value, cluster)
    })?;
    match chosen {
        Ok(partition @ 0..) => Ok(partition),
        Ok(negative) => Err(Error::new(
            ErrorKind::IllegalArgument,
            format!(
                "the partitioner chose partition {negative} of topic {name}, which is negative"
            ),
        )),
        Err(cause) => Err(user_error(
            ErrorKind::IllegalArgument,
            format!("the partitioner chose no partition of topic {name}"),
            cause,
        )),
    }
}

#[cold]
fn no_such_partition(chosen: i32, topic: &TopicInfo) -> Error {
    let text = format!(
        "the partitioner chose partition {chosen} of topic {}, which has {}",
        topic.name(),
        Count(topic.partition_count(), "partition")
    );
    Error::new(ErrorKind::IllegalArgument, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::{PartitionInfo, Uuid};

    fn topic(partitions: i32) -> TopicInfo {
        let partitions = (0..partitions).map(|partition| PartitionInfo::new(partition, None));
        TopicInfo::new("orders".into(), Uuid::ZERO, false, partitions.collect())
    }

    struct Choosing(fn() -> Result<i32, Box<dyn StdError + Send + Sync>>);

    impl Partitioner for Choosing {
        fn partition(
            &self,
            _: &str,
            _: Option<&[u8]>,
            _: Option<&[u8]>,
            _: &Cluster,
        ) -> Result<i32, Box<dyn StdError + Send + Sync>> {
            (self.0)()
        }
    }

    // Java: KafkaProducerTest.testNegativePartitionShouldThrow, and its like.
    #[test]
    fn an_answer_that_is_no_partition_is_an_error() {
        let choose = |answer| {
            let partitioner = Choosing(answer);
            choose_partition(&partitioner, &topic(4), None, None, &Cluster::default())
        };
        assert_eq!(choose(|| Ok(3)).unwrap(), 3);
        let negative = choose(|| Ok(-2)).unwrap_err();
        assert_eq!(negative.kind(), ErrorKind::IllegalArgument);
        assert!(
            negative.to_string().contains("-2 of topic orders"),
            "{negative}"
        );
        let failed = choose(|| Err("no table".into())).unwrap_err();
        assert_eq!(failed.source().unwrap().to_string(), "no table");
        assert_eq!(
            choose(|| panic!("oh")).unwrap_err().kind(),
            ErrorKind::Panic
        );
    }
}
