//! One change of one object, and its serialised forms, made once for all who watch.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use apimachinery::Revision;
use bytes::{BufMut, Bytes, BytesMut};

use crate::filter::Filter;
use crate::object::Object;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

impl EventKind {
    /// As in a watch stream's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Added => "ADDED",
            EventKind::Modified => "MODIFIED",
            EventKind::Deleted => "DELETED",
        }
    }
}

/// One change of one object.
#[derive(Debug)]
pub struct Event {
    pub kind: EventKind,
    /// The new state; of a deletion the last state, at the deletion's revision.
    pub object: Arc<Object>,
    /// The state before; absent when added.
    pub previous: Option<Arc<Object>>,
    pub revision: Revision,
    /// When it entered the window, by the cache's monotonic clock.
    pub(crate) at: Duration,
    frame: OnceLock<Bytes>,
    /// For watchers whose selector the object enters with this event.
    entered: OnceLock<Bytes>,
    /// For watchers whose selector the object leaves: the previous state at this event's revision.
    left: OnceLock<(Arc<Object>, Bytes)>,
}

impl Event {
    pub fn new(
        kind: EventKind,
        object: Arc<Object>,
        previous: Option<Arc<Object>>,
        revision: Revision,
        at: Duration,
    ) -> Self {
        let (frame, entered, left) = Default::default();
        Event { kind, object, previous, revision, at, frame, entered, left }
    }

    /// The line of a watch stream, `{"type":"ADDED","object":{…}}` and a newline; made at the first call.
    pub fn frame(&self) -> Bytes {
        self.frame.get_or_init(|| frame(self.kind, &self.object)).clone()
    }

    /// The event as a watcher with `filter` sees it, if it does. An object that enters the selector is added, one that
    /// leaves it is deleted in its previous state.
    pub fn seen_through(self: &Arc<Self>, filter: &Filter) -> Option<WatchEvent> {
        let was = self.previous.as_ref().is_some_and(|o| filter.matches(o));
        let is = self.kind != EventKind::Deleted && filter.matches(&self.object);
        let (kind, object) = match (was, is) {
            (false, false) => return None,
            (false, true) => (EventKind::Added, self.object.clone()),
            (true, true) => (EventKind::Modified, self.object.clone()),
            (true, false) if self.kind == EventKind::Deleted => (EventKind::Deleted, self.object.clone()),
            (true, false) => (EventKind::Deleted, self.left()?.0.clone()),
        };
        Some(WatchEvent { kind, object, revision: self.revision, source: Some(self.clone()) })
    }

    fn left(&self) -> Option<&(Arc<Object>, Bytes)> {
        let previous = self.previous.as_ref()?;
        Some(self.left.get_or_init(|| {
            let object = Arc::new(previous.at_revision(self.revision));
            let frame = frame(EventKind::Deleted, &object);
            (object, frame)
        }))
    }

    /// Roughly the heap it takes, its frame included.
    pub(crate) fn weight(&self) -> usize {
        self.object.weight() + self.object.json().len()
    }
}

/// An event as one watcher sees it.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    pub kind: EventKind,
    /// Its `revision` is the event's, except for initial events, where it is the object's own.
    pub object: Arc<Object>,
    pub revision: Revision,
    /// Absent for initial events.
    pub(crate) source: Option<Arc<Event>>,
}

impl WatchEvent {
    /// The object as it was when the watch began.
    pub(crate) fn initial(object: &Arc<Object>) -> Self {
        WatchEvent { kind: EventKind::Added, object: object.clone(), revision: object.revision, source: None }
    }

    /// The line of a watch stream, newline included. Serialised once for all watchers (but for initial events).
    pub fn frame(&self) -> Bytes {
        match &self.source {
            None => frame(self.kind, &self.object),
            Some(e) if e.kind == self.kind => e.frame(),
            Some(e) if self.kind == EventKind::Added => {
                e.entered.get_or_init(|| frame(EventKind::Added, &e.object)).clone()
            }
            Some(e) => match e.left() {
                Some((_, bytes)) => bytes.clone(),
                None => frame(self.kind, &self.object),
            },
        }
    }
}

fn frame(kind: EventKind, object: &Object) -> Bytes {
    let json = object.json();
    let mut out = BytesMut::with_capacity(json.len() + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(kind.as_str().as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(json);
    out.put_slice(b"}\n");
    out.freeze()
}
