//! How much history the engine keeps: decided as revisions come, so that an idle store does nothing.

use std::collections::VecDeque;
use std::time::Duration;

use apimachinery::Revision;

use crate::store::StoreConfig;

/// Parts that the window is cut into: history is up to one part longer than asked for.
const PARTS: u32 = 16;

/// Marks of how far the store was when.
#[derive(Debug)]
pub(crate) struct Retention {
    age: Duration,
    bytes: usize,
    marks: VecDeque<Mark>,
    /// Written since the last mark.
    since: usize,
}

#[derive(Debug)]
struct Mark {
    at: Duration,
    revision: Revision,
    /// Written between the mark before and this one.
    bytes: usize,
}

impl Retention {
    pub fn new(config: &StoreConfig, start: Revision) -> Self {
        let first = Mark { at: config.clock.monotonic(), revision: start, bytes: 0 };
        Retention {
            age: config.window_age,
            bytes: config.log_bytes,
            marks: VecDeque::from([first]),
            since: 0,
        }
    }

    /// Notes that the store has come to `revision` and gives the revision that may be compacted, when there is a new
    /// one.
    pub fn advance(&mut self, now: Duration, revision: Revision, bytes: usize) -> Option<Revision> {
        self.since += bytes;
        let last = self.marks.back().map_or(Duration::ZERO, |m| m.at);
        if now.saturating_sub(last) < self.age / PARTS && self.since < self.bytes / PARTS as usize {
            return None;
        }
        self.marks.push_back(Mark { at: now, revision, bytes: std::mem::take(&mut self.since) });
        let mut total: usize = self.marks.iter().skip(1).map(|m| m.bytes).sum();
        let mut compact = None;
        // The window begins at a later mark when there is too much behind the first, or all before the second is old.
        while let Some(second) = self.marks.get(1)
            && (total > self.bytes || second.at + self.age <= now)
        {
            total -= second.bytes;
            compact = Some(second.revision);
            self.marks.pop_front();
        }
        compact
    }
}

#[cfg(test)]
mod tests {
    use stdx::SystemClock;

    use super::*;

    /// Steps `seconds: revision +bytes`, and what is compacted at each.
    fn check(steps: &[(u64, u64, usize, Option<u64>)]) {
        let config = StoreConfig { log_bytes: 1600, ..StoreConfig::new(SystemClock::shared()) };
        let mut retention = Retention::new(&config, Revision(1));
        let zero = config.clock.monotonic();
        for &(second, revision, bytes, expected) in steps {
            let now = zero + Duration::from_secs(second);
            let compact = retention.advance(now, Revision(revision), bytes);
            assert_eq!(compact.map(|r| r.0), expected, "at {second} s, revision {revision}");
        }
    }

    #[test]
    fn what_is_old_goes() {
        check(&[
            (1, 2, 10, None),
            (100, 3, 10, None),
            (400, 4, 10, None),
            // 600 s after the mark at revision 3, and not before.
            (699, 5, 10, None),
            (740, 6, 10, Some(3)),
            (1100, 7, 10, Some(4)),
            // An idle time leaves nothing but the last.
            (9999, 8, 10, Some(7)),
        ]);
    }

    #[test]
    fn what_is_too_much_goes() {
        check(&[(1, 2, 800, None), (2, 3, 700, None), (3, 4, 200, Some(2)), (4, 5, 5000, Some(5))]);
    }
}
