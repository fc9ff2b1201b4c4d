//! A reader inside the process that must never lose a change and never has to list again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::cache::Cache;
use crate::filter::Filter;
use crate::history::Lane;
use crate::object::Object;
use crate::state::Snapshot;

/// A change of what a subscription shows. `old` absent: added; `new` absent: deleted (`old` is then the state before);
/// never both.
#[derive(Clone, Debug)]
pub struct Change {
    pub old: Option<Arc<Object>>,
    pub new: Option<Arc<Object>>,
}

/// Every object as added first, then changes in order. When the reader is so slow that events have left the window
/// meanwhile, it gets the differences between what it has seen and what is there now.
#[derive(Debug)]
pub struct Subscription {
    cache: Arc<Cache>,
    lane: Arc<Lane>,
    woken: watch::Receiver<()>,
    filter: Filter,
    /// What the reader knows when it has read `queue`; none before the first refill.
    known: Option<Snapshot>,
    queue: VecDeque<Change>,
    next: i64,
}

impl Subscription {
    pub(crate) fn new(cache: Arc<Cache>, lane: Arc<Lane>, filter: Filter) -> Self {
        let woken = lane.woken();
        Subscription { cache, lane, woken, filter, known: None, queue: VecDeque::new(), next: 0 }
    }

    /// The next change, when it comes. Safe to cancel.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.try_next() {
                return change;
            }
            // Fails only without a sender, and the lane is ours.
            let _ = self.woken.changed().await;
        }
    }

    /// The next change if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        if self.queue.is_empty() {
            self.refill();
        }
        self.queue.pop_front()
    }

    fn refill(&mut self) {
        self.woken.mark_unchanged();
        let Subscription { cache, lane, filter, known, queue, next, .. } = self;
        cache.with_writer(|now| {
            let log = lane.read();
            match known {
                Some(_) if *next >= log.first => {
                    let skip = (*next - log.first) as usize;
                    queue.extend(log.events.iter().skip(skip).filter_map(|event| {
                        let seen = event.seen_through(filter)?;
                        let old = event.previous.clone().filter(|o| filter.matches(o));
                        let new = (seen.kind != crate::EventKind::Deleted).then_some(seen.object);
                        Some(Change { old, new })
                    }));
                }
                Some(known) => differences(known, &now, filter, queue),
                None => {
                    let all = now.iter(filter.namespace.as_deref(), None).filter(|o| filter.matches(o));
                    queue.extend(all.map(|o| Change { old: None, new: Some(o.clone()) }));
                }
            }
            *next = log.end();
            drop(log);
            *known = Some(now);
        });
    }
}

/// What makes `new` of `old`, in key order.
fn differences(old: &Snapshot, new: &Snapshot, filter: &Filter, out: &mut VecDeque<Change>) {
    let wanted = |o: &&Arc<Object>| filter.matches(o);
    let mut old = old.iter(None, None).filter(wanted).peekable();
    let mut new = new.iter(None, None).filter(wanted).peekable();
    loop {
        let (a, b) = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(a), Some(b)) if a.key == b.key => (old.next(), new.next()),
            (Some(a), Some(b)) if a.key < b.key => (old.next(), None),
            (Some(_), None) => (old.next(), None),
            (_, Some(_)) => (None, new.next()),
        };
        if a.zip(b).is_none_or(|(a, b)| a.revision != b.revision) {
            out.push_back(Change { old: a.cloned(), new: b.cloned() });
        }
    }
}
