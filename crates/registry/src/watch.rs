//! Watching: a cursor in the cache's history as a stream of events, bookmarks and a last error.

use std::collections::VecDeque;
use std::time::Duration;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Revision, Status};
use cache::{Watch, WatchEvent};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use stdx::clock::SharedClock;

use crate::options::WatchOptions;
use crate::read::{CONTINUED, NOT_OLDER, invalid_options, parse_revision};
use crate::registry::{Registry, Target};
use crate::select;

/// Without a client's timeout a watch lasts this long, and up to twice as long.
const TIMEOUT_MIN: Duration = Duration::from_secs(1800);
/// Time between bookmarks, and of the last one before the end.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// What a watch delivers.
#[derive(Clone, Debug)]
pub enum WatchItem {
    Event(WatchEvent),
    Bookmark {
        revision: Revision,
        initial_events_end: bool,
    },
    /// The last item.
    Error(Status),
}

pub type WatchStream = BoxStream<'static, WatchItem>;

/// Where a watch begins.
enum Start {
    /// With all objects as they are now.
    Initial,
    After(Revision),
    Now,
}

impl Registry {
    /// Watches a namespace (or all). Too old a resourceVersion is an `Error` item, as upstream answers it.
    pub async fn watch(&self, target: &Target<'_>, options: &WatchOptions) -> Result<WatchStream, Status> {
        validate(options)?;
        let filter = select::filter(target, &options.selection)?;
        let cache = self.rows.cache(target.resource)?;
        let start = start(options)?;
        if let (Start::Initial, version) = (&start, &*options.resource_version) {
            match version {
                "" => self.rows.settle(target.resource).await?,
                "0" => {}
                version => self.reached(target, parse_revision(version)?).await?,
            }
        }
        let watch = match start {
            Start::Initial => Ok(cache.watch_initial(filter)),
            Start::After(revision) => cache.watch(revision, filter),
            Start::Now => cache.watch(cache.revision(), filter),
        };
        let watch = match watch {
            Ok(watch) => watch,
            Err(expired) => {
                let error = WatchItem::Error(Status::expired(expired.to_string()));
                return Ok(futures::stream::iter([error]).boxed());
            }
        };
        let now = self.clock.monotonic();
        let spread = TIMEOUT_MIN.as_millis() as u64;
        let timeout =
            options.timeout.unwrap_or_else(|| TIMEOUT_MIN + Duration::from_millis(self.random.below(spread)));
        let cursor = Cursor {
            watch,
            clock: self.clock.clone(),
            bookmarks: options.bookmarks,
            announce_end: options.send_initial_events == Some(true) && options.bookmarks,
            ends: now + timeout,
            bookmark: bookmark_time(now, now + timeout),
            ready: VecDeque::new(),
            ended: false,
        };
        Ok(futures::stream::unfold(cursor, Cursor::next).boxed())
    }
}

/// One client's watch.
struct Cursor {
    watch: Watch,
    clock: SharedClock,
    bookmarks: bool,
    /// The client wants to hear that the initial events are over.
    announce_end: bool,
    /// By the monotonic clock.
    ends: Duration,
    bookmark: Duration,
    ready: VecDeque<WatchItem>,
    ended: bool,
}

impl Cursor {
    async fn next(mut self) -> Option<(WatchItem, Self)> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some((item, self));
            }
            if self.ended {
                return None;
            }
            // Events at hand cost no timer.
            let item = match self.watch.try_next() {
                Ok(Some(item)) => Ok(Some(item)),
                Ok(None) => self.wait().await,
                Err(expired) => Err(expired),
            };
            match item {
                Ok(Some(cache::WatchItem::Event(event))) => return Some((WatchItem::Event(event), self)),
                Ok(Some(cache::WatchItem::InitialEnd(revision))) => {
                    if self.announce_end {
                        let end = WatchItem::Bookmark { revision, initial_events_end: true };
                        return Some((end, self));
                    }
                }
                Ok(None) => self.tick(),
                Err(expired) => {
                    self.ended = true;
                    self.ready.push_back(WatchItem::Error(Status::expired(expired.to_string())));
                }
            }
        }
    }

    /// The next item, or nothing when it is time for a bookmark or the end.
    async fn wait(&mut self) -> Result<Option<cache::WatchItem>, cache::Expired> {
        let until = if self.bookmarks { self.bookmark.min(self.ends) } else { self.ends };
        let pause = until.saturating_sub(self.clock.monotonic());
        let sleep = self.clock.sleep(pause);
        tokio::select! {
            item = self.watch.next() => item.map(Some),
            () = sleep => Ok(None),
        }
    }

    fn tick(&mut self) {
        let now = self.clock.monotonic();
        if now >= self.ends {
            self.ended = true;
        } else if self.bookmarks && now >= self.bookmark {
            let revision = self.watch.position();
            self.bookmark = bookmark_time(now, self.ends);
            self.ready.push_back(WatchItem::Bookmark { revision, initial_events_end: false });
        }
    }
}

/// When the next bookmark is due: each minute, and shortly before the end.
fn bookmark_time(now: Duration, ends: Duration) -> Duration {
    let last = ends.saturating_sub(BOOKMARK_BEFORE_END);
    let regular = now + BOOKMARK_EVERY;
    if last > now { regular.min(last) } else { regular }
}

fn start(options: &WatchOptions) -> Result<Start, Status> {
    Ok(match (&*options.resource_version, options.send_initial_events) {
        (_, Some(true)) => Start::Initial,
        ("" | "0", Some(false)) => Start::Now,
        ("" | "0", None) => Start::Initial,
        (version, _) => Start::After(parse_revision(version)?),
    })
}

/// What options cannot be together, as upstream says it, all of it at once.
fn validate(options: &WatchOptions) -> Result<(), Status> {
    let mut errors = ErrorList::new();
    let path = Path::new("resourceVersionMatch");
    let matching = &*options.resource_version_match;
    let asked = options.send_initial_events.is_some();
    if asked && matching != NOT_OLDER {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(Error::forbidden(&path, why));
    }
    if !matching.is_empty() {
        if !asked {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(Error::forbidden(&path, why));
        }
        if matching != NOT_OLDER {
            errors.push(Error::not_supported(&path, matching, &[NOT_OLDER]));
        }
        if options.continued {
            errors.push(Error::forbidden(&path, CONTINUED));
        }
    }
    invalid_options(&errors)
}
