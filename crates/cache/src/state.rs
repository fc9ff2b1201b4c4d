//! All objects at one moment: persistent maps, so that a snapshot costs nothing and a change copies only its path.

use std::ops::Bound;
use std::sync::Arc;

use apimachinery::{ObjectKey, Revision};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::cache::LABELS;
use crate::event::{Event, EventKind};
use crate::filter::Filter;
use crate::object::Object;

/// A label with a value.
type Label = (Arc<str>, Arc<str>);

#[derive(Clone, Debug)]
pub(crate) struct State {
    objects: RedBlackTreeMapSync<ObjectKey, Arc<Object>>,
    indexes: Vec<(&'static str, RedBlackTreeSetSync<(Arc<str>, ObjectKey)>)>,
    /// Who has a label with this value, where labels are kept.
    labels: Option<HashTrieMapSync<Label, RedBlackTreeSetSync<ObjectKey>>>,
    /// Of the last change that is in here.
    pub last: Revision,
}

impl State {
    pub fn new(indexes: &[&'static str]) -> Self {
        let fields = indexes.iter().filter(|name| **name != LABELS);
        State {
            objects: RedBlackTreeMapSync::new_sync(),
            indexes: fields.map(|name| (*name, RedBlackTreeSetSync::new_sync())).collect(),
            labels: indexes.contains(&LABELS).then(HashTrieMapSync::new_sync),
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
        if let Some(labels) = &mut self.labels {
            relabel(labels, old, new);
        }
    }
}

fn labels_of(object: Option<&Object>) -> &[Label] {
    object.map_or(&[], |o| &o.meta.labels)
}

/// Files the object under its labels; from one state to the next few change.
fn relabel(
    labels: &mut HashTrieMapSync<Label, RedBlackTreeSetSync<ObjectKey>>,
    old: Option<&Object>,
    new: Option<&Object>,
) {
    let holds = |object: Option<&Object>, (key, value): &Label| {
        object.is_some_and(|o| o.meta.label(key) == Some(value))
    };
    for label in labels_of(old).iter().filter(|l| !holds(new, l)) {
        let Some(keys) = labels.get_mut(label) else { continue };
        if let Some(old) = old {
            keys.remove_mut(&old.key);
        }
        if keys.is_empty() {
            labels.remove_mut(label);
        }
    }
    for label in labels_of(new).iter().filter(|l| !holds(old, l)) {
        let Some(new) = new else { continue };
        match labels.get_mut(label) {
            Some(keys) => keys.insert_mut(new.key.clone()),
            None => {
                let keys = RedBlackTreeSetSync::new_sync().insert(new.key.clone());
                labels.insert_mut(label.clone(), keys);
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

    /// Objects that an index finds for a filter, in key order: all that the filter passes, and others. None when no index
    /// helps.
    pub fn narrowed(&self, filter: &Filter) -> Option<Vec<Arc<Object>>> {
        if let Some((index, value)) = &filter.index {
            return Some(self.by_index(index, value));
        }
        let labels = self.state.labels.as_ref()?;
        let mut smallest: Option<&RedBlackTreeSetSync<ObjectKey>> = None;
        for label in &filter.labels {
            // Nobody has it.
            let Some(keys) = labels.get(label) else { return Some(Vec::new()) };
            if smallest.is_none_or(|s| keys.size() < s.size()) {
                smallest = Some(keys);
            }
        }
        let keys = smallest?;
        let first = filter.namespace.as_deref().map(|ns| ObjectKey::new(ns, ""));
        let from = first.map_or(Bound::Unbounded, Bound::Included);
        let within = |key: &&ObjectKey| filter.namespace.as_ref().is_none_or(|ns| *ns == key.namespace);
        let keys = keys.range((from, Bound::Unbounded)).take_while(within);
        Some(keys.filter_map(|key| self.get(key).cloned()).collect())
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
