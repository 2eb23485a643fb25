//! A map with text keys, whose next version is cheap to derive. Java: `CopyOnWriteMap`.
//!
//! Differs from Java: a change copies one shard and the list of shards, and not every entry. With
//! Java's map, or with a plain clone, adding `n` entries one by one takes quadratic time.
//!
//! Threads: a map does not change once it is shared. A thread that changes one owns it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::sync::Arc;

/// The average number of entries per shard above which the number of shards grows. A change copies
/// about this many entries, and one pointer for each shard.
const ENTRIES_PER_SHARD: usize = 64;

type Shard<V> = HashTable<(Arc<str>, V)>;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct CopyOnWriteMap<V> {
    /// The number is a power of two.
    shards: Vec<Arc<Shard<V>>>,
    hasher: DefaultHashBuilder,
    len: usize,
}

impl<V> Default for CopyOnWriteMap<V> {
    fn default() -> Self {
        Self {
            shards: vec![Arc::default()],
            hasher: DefaultHashBuilder::default(),
            len: 0,
        }
    }
}

impl<V> CopyOnWriteMap<V> {
    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<&V> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Returns the map's own copy of the key.
    pub(crate) fn get_key(&self, key: &str) -> Option<&Arc<str>> {
        self.entry(key).map(|(key, _)| key)
    }

    #[inline]
    fn entry(&self, key: &str) -> Option<&(Arc<str>, V)> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shards.get(self.shard_of(hash))?;
        shard.find(hash, |(found, _)| &**found == key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|(key, value)| (key, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Returns the shard of a hash. The shard's own table uses the lowest and the highest bits, so
    /// this uses bits between them.
    #[inline]
    fn shard_of(&self, hash: u64) -> usize {
        usize::try_from((hash >> 32) & 0xff_ffff).unwrap_or(0) & (self.shards.len() - 1)
    }
}

impl<V: Clone> CopyOnWriteMap<V> {
    /// Inserts an entry, or replaces the value of the key.
    pub(crate) fn insert(&mut self, key: Arc<str>, value: V) {
        if self.len >= self.shards.len() * ENTRIES_PER_SHARD {
            self.double_shards();
        }
        let hash = self.hasher.hash_one(&*key);
        let index = self.shard_of(hash);
        let Some(shard) = self.shards.get_mut(index) else {
            return;
        };
        let shard = Arc::make_mut(shard);
        if let Some((_, known)) = shard.find_mut(hash, |(found, _)| *found == key) {
            *known = value;
            return;
        }
        let hasher = &self.hasher;
        shard.insert_unique(hash, (key, value), |(key, _)| hasher.hash_one(&**key));
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, key: &str) {
        let hash = self.hasher.hash_one(key);
        let index = self.shard_of(hash);
        let is_key = |(found, _): &(Arc<str>, V)| &**found == key;
        let Some(shard) = self.shards.get_mut(index) else {
            return;
        };
        // Checked first, so that a shard is not copied without a change.
        if shard.find(hash, is_key).is_some() {
            if let Ok(entry) = Arc::make_mut(shard).find_entry(hash, is_key) {
                entry.remove();
                self.len -= 1;
            }
        }
    }

    /// Changes the values that need it. Shards without such a value are not copied.
    pub(crate) fn change_values(
        &mut self,
        needs_change: impl Fn(&V) -> bool,
        mut change: impl FnMut(&mut V),
    ) {
        for shard in &mut self.shards {
            if shard.iter().any(|(_, value)| needs_change(value)) {
                for (_, value) in Arc::make_mut(shard).iter_mut() {
                    if needs_change(value) {
                        change(value);
                    }
                }
            }
        }
    }

    fn double_shards(&mut self) {
        let mut larger = Self {
            shards: (0..self.shards.len() * 2).map(|_| Arc::default()).collect(),
            hasher: self.hasher.clone(),
            len: self.len,
        };
        for (key, value) in self.iter() {
            let hash = larger.hasher.hash_one(&**key);
            let index = larger.shard_of(hash);
            let hasher = &larger.hasher;
            if let Some(shard) = larger.shards.get_mut(index) {
                let entry = (Arc::clone(key), value.clone());
                Arc::make_mut(shard).insert_unique(hash, entry, |(key, _)| hasher.hash_one(&**key));
            }
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Counts its clones.
    #[derive(Debug)]
    struct Counted(Rc<Cell<usize>>);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Self(Rc::clone(&self.0))
        }
    }

    fn name(number: usize) -> Arc<str> {
        format!("topic-{number}").into()
    }

    #[test]
    fn entries_are_found_replaced_and_removed() {
        let mut map = CopyOnWriteMap::default();
        for number in 0..1000 {
            map.insert(name(number), number);
        }
        let before = map.clone();
        for number in 0..1000 {
            match number % 3 {
                0 => map.remove(&name(number)),
                1 => map.insert(name(number), number + 1),
                _ => {}
            }
        }
        map.remove("other");
        for number in 0..1000 {
            let expected = [None, Some(number + 1), Some(number)][number % 3];
            assert_eq!(map.get(&name(number)).copied(), expected);
            assert_eq!(before.get(&name(number)), Some(&number), "not changed");
        }
        assert_eq!(map.iter().count(), 666);
        assert_eq!((map.len, before.len), (666, 1000));
    }

    #[test]
    fn only_values_that_need_it_change() {
        let mut map = CopyOnWriteMap::default();
        for number in 0..1000 {
            map.insert(name(number), number);
        }
        let before = map.clone();
        map.change_values(|value| *value == 7, |value| *value = 1007);
        assert_eq!(map.get("topic-7"), Some(&1007));
        assert_eq!(
            map.values().sum::<usize>(),
            before.values().sum::<usize>() + 1000
        );
        let shards = map.shards.iter().zip(&before.shards);
        let copied = shards.filter(|(after, before)| !Arc::ptr_eq(after, before));
        assert_eq!(copied.count(), 1);
    }

    /// A map that copies all entries for each change would copy 50 million.
    #[test]
    fn many_entries_added_one_by_one_are_copied_a_few_times_each() {
        const ENTRIES: usize = 10_000;
        let copies = Rc::new(Cell::new(0));
        let mut map = CopyOnWriteMap::default();
        for number in 0..ENTRIES {
            let mut next = map.clone();
            next.insert(name(number), Counted(Rc::clone(&copies)));
            map = next;
        }
        let copies = copies.get();
        assert!(
            copies > ENTRIES && copies < ENTRIES * 100,
            "{copies} copies"
        );
    }
}
