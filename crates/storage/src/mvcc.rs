//! Which versions of which keys there are: what guards, lists and compaction are decided by. Knows no values; `V` says
//! where they are.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use apimachinery::Revision;

use crate::engine::{Key, ListRequest, ReadError};

#[derive(Clone, Debug)]
pub(crate) struct Version<V> {
    pub revision: Revision,
    /// False: a deletion.
    pub live: bool,
    pub value: V,
}

/// All versions since the last compaction.
#[derive(Debug)]
pub(crate) struct Mvcc<V> {
    /// Versions in order of revision, never empty.
    keys: BTreeMap<Key, Vec<Version<V>>>,
    /// Keys that have something to forget once the revision is compacted, in order.
    superseded: VecDeque<(Revision, Key)>,
    pub compacted: Revision,
    pub current: Revision,
}

impl<V: Clone> Mvcc<V> {
    /// Nothing but revisions.
    pub fn new(compacted: Revision, current: Revision) -> Self {
        Mvcc { keys: BTreeMap::new(), superseded: VecDeque::new(), compacted, current }
    }

    /// The newest version, if the key is live.
    pub fn get(&self, key: &str) -> Option<&Version<V>> {
        self.keys.get(key)?.last().filter(|v| v.live)
    }

    /// Adds a version; revisions never go back.
    pub fn push(&mut self, key: &Key, version: Version<V>) {
        self.current = self.current.max(version.revision);
        let revision = version.revision;
        let live = version.live;
        match self.keys.get_mut(key) {
            Some(versions) => {
                versions.push(version);
                self.superseded.push_back((revision, key.clone()));
            }
            None => {
                self.keys.insert(key.clone(), vec![version]);
                if !live {
                    self.superseded.push_back((revision, key.clone()));
                }
            }
        }
    }

    /// The versions that a list shows, whether there are more, and the revision that it shows.
    pub fn list(&self, request: &ListRequest) -> Result<(Vec<(Key, Version<V>)>, bool, Revision), ReadError> {
        let at = request.at.unwrap_or(self.current);
        self.check(at)?;
        let mut found = Vec::new();
        for (key, versions) in self.range(&request.prefix, request.after.as_ref()) {
            let shown = versions.partition_point(|v| v.revision <= at);
            let Some(version) = versions[..shown].last().filter(|v| v.live) else { continue };
            if request.limit > 0 && found.len() == request.limit {
                return Ok((found, true, at));
            }
            found.push((key.clone(), version.clone()));
        }
        Ok((found, false, at))
    }

    /// All versions of keys with `prefix` in `after < revision <= until`, in order of revision.
    pub fn changes(
        &self,
        prefix: &str,
        after: Revision,
        until: Revision,
    ) -> Result<Vec<(Key, Version<V>)>, ReadError> {
        self.check(after)?;
        let mut found = Vec::new();
        for (key, versions) in self.range(prefix, None) {
            let from = versions.partition_point(|v| v.revision <= after);
            let to = versions.partition_point(|v| v.revision <= until);
            found.extend(versions[from..to].iter().map(|v| (key.clone(), v.clone())));
        }
        found.sort_by_key(|(_, version)| version.revision);
        Ok(found)
    }

    /// Forgets all versions that only lists before `revision` would show; gives what they were.
    pub fn compact(&mut self, revision: Revision) -> Vec<V> {
        let revision = revision.min(self.current);
        self.compacted = self.compacted.max(revision);
        let mut forgotten = Vec::new();
        while let Some((_, key)) = self.superseded.pop_front_if(|(at, _)| *at <= revision) {
            let Some(versions) = self.keys.get_mut(&key) else { continue };
            let shown = versions.partition_point(|v| v.revision <= revision);
            // The last one shown stays if it is live: it is what a list at `revision` shows.
            let keep_from = match versions[..shown].last() {
                Some(last) if last.live => shown - 1,
                _ => shown,
            };
            forgotten.extend(versions.drain(..keep_from).map(|v| v.value));
            if versions.is_empty() {
                self.keys.remove(&key);
            }
        }
        forgotten
    }

    pub fn check(&self, revision: Revision) -> Result<(), ReadError> {
        match revision < self.compacted {
            true => Err(ReadError::Compacted { requested: revision, oldest: self.compacted }),
            false => Ok(()),
        }
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Key>,
    ) -> impl Iterator<Item = (&'a Key, &'a Vec<Version<V>>)> {
        let start = match after {
            Some(after) if **after >= *prefix => Bound::Excluded(&**after),
            _ => Bound::Included(prefix),
        };
        self.keys
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }
}
