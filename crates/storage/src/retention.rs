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
