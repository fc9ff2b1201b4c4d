//! All objects at one moment: persistent maps, so that a snapshot costs nothing and a change copies only its path.

use std::ops::Bound;
use std::sync::Arc;

use apimachinery::{ObjectKey, Revision};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::event::{Event, EventKind};
use crate::object::Object;

#[derive(Clone, Debug)]
pub(crate) struct State {
    objects: RedBlackTreeMapSync<ObjectKey, Arc<Object>>,
    indexes: Vec<(&'static str, RedBlackTreeSetSync<(Arc<str>, ObjectKey)>)>,
    /// Of the last change that is in here.
    pub last: Revision,
}

impl State {
    pub fn new(indexes: &[&'static str]) -> Self {
        State {
            objects: RedBlackTreeMapSync::new_sync(),
            indexes: indexes.iter().map(|name| (*name, RedBlackTreeSetSync::new_sync())).collect(),
            last: Revision(0),
        }
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// Returns the object's state before.
    pub fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let previous = self.objects.get(&object.key).cloned();
        self.reindex(previous.as_deref(), Some(&object));
        self.objects.insert_mut(object.key.clone(), object);
        previous
    }

    /// Returns the object's state before.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Arc<Object>> {
        let previous = self.objects.get(key).cloned()?;
        self.reindex(Some(&previous), None);
        self.objects.remove_mut(key);
        Some(previous)
    }

    /// Takes an event back. `before` is the revision of the event before it, or any lower bound of it.
    pub fn undo(&mut self, event: &Event, before: Revision) {
        match (event.kind, &event.previous) {
            (EventKind::Added, _) | (_, None) => drop(self.remove(&event.object.key)),
            (_, Some(previous)) => drop(self.put(previous.clone())),
        }
        self.last = before;
    }

    fn reindex(&mut self, old: Option<&Object>, new: Option<&Object>) {
        for (name, entries) in &mut self.indexes {
            let holds = |object: Option<&Object>, value: &Arc<str>| {
                object.is_some_and(|o| o.index_values(name).any(|v| v == value))
            };
            if let Some(old) = old {
                for value in old.index_values(name).filter(|v| !holds(new, v)) {
                    entries.remove_mut(&(value.clone(), old.key.clone()));
                }
            }
            if let Some(new) = new {
                for value in new.index_values(name).filter(|v| !holds(old, v)) {
                    entries.insert_mut((value.clone(), new.key.clone()));
                }
            }
        }
    }
}

/// All objects of a resource at one revision. Cheap to take and to clone; keeps what it shows alive.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) state: Arc<State>,
    pub(crate) revision: Revision,
}

impl Snapshot {
    /// These objects, as of `revision`; without indexes.
    pub fn of(objects: Vec<Arc<Object>>, revision: Revision) -> Self {
        let mut state = State::new(&[]);
        for object in objects {
            state.put(object);
        }
        state.last = revision;
        Snapshot { state: Arc::new(state), revision }
    }

    /// The resourceVersion of a list made from this.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn len(&self) -> usize {
        self.state.objects.size()
    }

    pub fn is_empty(&self) -> bool {
        self.state.objects.is_empty()
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.state.objects.get(key)
    }

    /// Objects in key order: of one namespace or of all, beginning after a key or at the start.
    pub fn iter<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<&ObjectKey>,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let first = namespace.map(|ns| ObjectKey::new(ns, ""));
        let start = match (first, after) {
            (Some(first), Some(after)) if *after < first => Bound::Included(first),
            (_, Some(after)) => Bound::Excluded(after.clone()),
            (Some(first), None) => Bound::Included(first),
            (None, None) => Bound::Unbounded,
        };
        self.state
            .objects
            .range((start, Bound::Unbounded))
            .map(|(_, object)| object)
            .take_while(move |object| namespace.is_none_or(|ns| *object.key.namespace == *ns))
    }

    /// Objects whose value in `index` is `value`, in key order. An index that the cache does not keep is searched
    /// object by object.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<Object>> {
        let Some((_, entries)) = self.state.indexes.iter().find(|(name, _)| *name == index) else {
            let holds = |o: &&Arc<Object>| o.index_values(index).any(|v| **v == *value);
            return self.iter(None, None).filter(holds).cloned().collect();
        };
        let first = (Arc::from(value), ObjectKey::new("", ""));
        entries
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(|(v, _)| **v == *value)
            .filter_map(|(_, key)| self.get(key).cloned())
            .collect()
    }
}
