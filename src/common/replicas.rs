//! The replicas of the partitions of a topic.
//!
//! Three vectors per partition would take more memory than everything else about it, so the
//! partitions of a topic share one vector.

use super::NodeId;

/// The lists of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replicas<T> {
    /// The preferred leader first.
    pub(crate) all: T,
    pub(crate) in_sync: T,
    pub(crate) offline: T,
}

impl<T> Replicas<T> {
    pub(crate) fn map<U>(self, map: impl Fn(T) -> U) -> Replicas<U> {
        Replicas {
            all: map(self.all),
            in_sync: map(self.in_sync),
            offline: map(self.offline),
        }
    }
}

impl<T> Replicas<T>
where
    T: IntoIterator<Item = NodeId> + Clone,
{
    /// Returns whether the replicas in sync are all replicas in the same order, which is the usual
    /// case.
    fn is_all_in_sync(&self) -> bool {
        self.in_sync.clone().into_iter().eq(self.all.clone())
    }

    /// Returns the number of words that a partition with these lists takes in [`ReplicaLists`].
    pub(crate) fn words(&self) -> usize {
        let [all, in_sync, offline] =
            [&self.all, &self.in_sync, &self.offline].map(|ids| ids.clone().into_iter().count());
        let in_sync = if self.is_all_in_sync() {
            0
        } else {
            1 + in_sync
        };
        let offline = if offline == 0 { 0 } else { 1 + offline };
        1 + all + in_sync + offline
    }
}

/// Flag in a head: a list of the replicas in sync follows.
const HAS_IN_SYNC: i32 = 1;
/// Flag in a head: a list of the offline replicas follows.
const HAS_OFFLINE: i32 = 2;
const FLAG_BITS: u32 = 2;

/// The lists of several partitions, one partition after the other.
///
/// A partition begins with a head: the number of its replicas, and flags for the lists that follow
/// the list of all replicas. Each of those lists begins with its length.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReplicaLists(Vec<NodeId>);

impl ReplicaLists {
    pub(super) fn with_capacity(words: usize) -> Self {
        Self(Vec::with_capacity(words))
    }

    /// Adds a partition. Returns where its lists are, for [`get`](Self::get).
    pub(super) fn add<T>(&mut self, replicas: &Replicas<T>) -> u32
    where
        T: IntoIterator<Item = NodeId> + Clone,
    {
        // The index always fits: a response with more replicas would exceed the largest frame.
        let start = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let head = self.0.len();
        let all = self.add_list(&replicas.all);
        let mut flags = 0;
        if !replicas.is_all_in_sync() {
            flags |= HAS_IN_SYNC;
            self.add_list(&replicas.in_sync);
        }
        if replicas.offline.clone().into_iter().next().is_some() {
            flags |= HAS_OFFLINE;
            self.add_list(&replicas.offline);
        }
        if let Some(head) = self.0.get_mut(head) {
            *head = NodeId(all << FLAG_BITS | flags);
        }
        start
    }

    /// Appends a list with its length in front. Returns the length.
    fn add_list<T>(&mut self, ids: &T) -> i32
    where
        T: IntoIterator<Item = NodeId> + Clone,
    {
        let before = self.0.len();
        self.0.push(NodeId(0));
        self.0.extend(ids.clone());
        let length = i32::try_from(self.0.len() - before - 1).unwrap_or(i32::MAX);
        if let Some(word) = self.0.get_mut(before) {
            *word = NodeId(length);
        }
        length
    }

    /// Returns the lists of the partition that begins at `start`, or `None` if no partition begins
    /// there.
    pub(super) fn get(&self, start: u32) -> Option<Replicas<&[NodeId]>> {
        let words = self.0.get(usize::try_from(start).ok()?..)?;
        let (head, rest) = words.split_first()?;
        let (all, rest) = rest.split_at_checked(usize::try_from(head.0 >> FLAG_BITS).ok()?)?;
        let (in_sync, rest) = match head.0 & HAS_IN_SYNC {
            0 => (all, rest),
            _ => split_list(rest)?,
        };
        let offline = match head.0 & HAS_OFFLINE {
            0 => &[],
            _ => split_list(rest)?.0,
        };
        Some(Replicas {
            all,
            in_sync,
            offline,
        })
    }
}

/// Splits off a list that begins with its length. Returns the list and the rest.
fn split_list(words: &[NodeId]) -> Option<(&[NodeId], &[NodeId])> {
    let (length, rest) = words.split_first()?;
    rest.split_at_checked(usize::try_from(length.0).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[i32]) -> Vec<NodeId> {
        numbers.iter().copied().map(NodeId).collect()
    }

    fn replicas(all: &[i32], in_sync: &[i32], offline: &[i32]) -> Replicas<Vec<NodeId>> {
        Replicas {
            all: ids(all),
            in_sync: ids(in_sync),
            offline: ids(offline),
        }
    }

    #[test]
    fn lists_of_every_shape_come_back() {
        let many: Vec<i32> = (0..70_000).collect();
        let shapes = [
            (replicas(&[], &[], &[]), 1),
            (replicas(&[7], &[7], &[]), 2),
            (replicas(&[1, 2, 3], &[1, 2, 3], &[]), 4),
            (replicas(&[1, 2, 3], &[3, 2, 1], &[]), 8),
            (replicas(&[1, 2, 3], &[], &[2, 3]), 8),
            (replicas(&[], &[5], &[i32::MAX]), 5),
            (replicas(&[i32::MIN, -1], &[i32::MIN, -1], &[-1]), 5),
            (replicas(&many, &many, &[1]), 70_003),
        ];
        let mut lists = ReplicaLists::default();
        let starts: Vec<_> = shapes
            .iter()
            .map(|(replicas, _)| lists.add(replicas))
            .collect();
        for (start, (replicas, words)) in starts.iter().zip(&shapes) {
            let found = lists.get(*start).unwrap();
            assert_eq!(found.all, replicas.all);
            assert_eq!(found.in_sync, replicas.in_sync);
            assert_eq!(found.offline, replicas.offline);
            assert_eq!(replicas.words(), *words);
        }
        let words: usize = shapes.iter().map(|(_, words)| words).sum();
        assert_eq!(lists.0.len(), words);
        assert_eq!(lists.get(u32::try_from(words).unwrap()), None);
        assert_eq!(lists.get(u32::MAX), None);
    }
}
