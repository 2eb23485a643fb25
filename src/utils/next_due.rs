//! When the first of many deadlines is due, without looking at all of them each time.

use std::time::Instant;

/// A time before which nothing in a collection is due; `None` if nothing ever is.
///
/// It may be too early, because removing a deadline does not change it. It is exact once it is due:
/// only then [`get`](Self::get) looks at the collection.
#[derive(Debug, Default)]
pub(crate) struct NextDue(Option<Instant>);

impl NextDue {
    /// Notes another deadline of the collection.
    pub(crate) fn note(&mut self, deadline: Option<Instant>) {
        self.0 = [self.0, deadline].into_iter().flatten().min();
    }

    /// Notes that the collection is empty.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Returns the time. Calls `find` for the first deadline in the collection only if the time is
    /// due.
    pub(crate) fn get(
        &mut self,
        now: Instant,
        find: impl FnOnce() -> Option<Instant>,
    ) -> Option<Instant> {
        if self.0.is_some_and(|due| due <= now) {
            self.0 = find();
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::utils::{MockTime, Time};

    #[test]
    fn the_collection_is_looked_at_only_once_the_time_is_due() {
        let start = MockTime::new().now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let not_looked_at = || -> Option<Instant> { panic!("nothing is due") };
        let mut next = NextDue::default();
        assert_eq!(next.get(start, not_looked_at), None);
        next.note(Some(at(5)));
        next.note(Some(at(3)));
        next.note(None);
        assert_eq!(next.get(at(2), not_looked_at), Some(at(3)));
        assert_eq!(
            next.get(at(3), || Some(at(5))),
            Some(at(5)),
            "it was removed"
        );
        next.clear();
        assert_eq!(next.get(at(9), not_looked_at), None);
    }
}
