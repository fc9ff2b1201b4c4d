//! All parts together, and what has to change in the kernel when one of them does. Pure.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::ObjectKey;

use crate::rules::{Chain, Part, Place, Value};

/// Who comes first when two services claim the same place (an external address, say): the older one. The creation time as
/// objects write it (RFC 3339 in UTC sorts as time does), then the name.
type Age = (String, ObjectKey);

/// What all services put into the kernel.
#[derive(Debug, Default)]
pub struct Table {
    parts: BTreeMap<ObjectKey, (Age, Part)>,
    /// Claims of each place; the first counts.
    claims: BTreeMap<Place, BTreeMap<Age, Value>>,
}

/// The way from one state of the table to the next. Applied as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// New ones, and ones with other steps.
    pub chains: BTreeMap<String, Chain>,
    /// Which of `chains` the kernel has already.
    pub known: BTreeSet<String>,
    pub gone_chains: BTreeSet<String>,
    pub gone: BTreeSet<Place>,
    pub elements: BTreeMap<Place, Value>,
}

impl Delta {
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty()
            && self.gone_chains.is_empty()
            && self.gone.is_empty()
            && self.elements.is_empty()
    }
}

impl Table {
    /// What `key` put here last.
    pub fn part(&self, key: &ObjectKey) -> Option<&Part> {
        self.parts.get(key).map(|(_, part)| part)
    }

    /// Replaces what `key` puts here, noting in `delta` what changes. `created` orders claims.
    pub fn put(&mut self, key: &ObjectKey, created: &str, part: Part, delta: &mut Delta) {
        let age: Age = (created.to_owned(), key.clone());
        let old = self.parts.remove(key);
        let (old_age, old) = old.unwrap_or_else(|| (age.clone(), Part::default()));
        self.chains(&old, &part, delta);
        for place in old.elements.keys().filter(|p| old_age != age || !part.elements.contains_key(p)) {
            self.claim(*place, &old_age, None, delta);
        }
        for (place, value) in &part.elements {
            if old_age != age || old.elements.get(place) != Some(value) {
                self.claim(*place, &age, Some(value.clone()), delta);
            }
        }
        if part != Part::default() {
            self.parts.insert(key.clone(), (age, part));
        }
    }

    fn chains(&self, old: &Part, new: &Part, delta: &mut Delta) {
        for (name, chain) in &new.chains {
            let before = old.chains.get(name);
            let revived = delta.gone_chains.remove(name);
            if before == Some(chain) && !delta.chains.contains_key(name) {
                continue;
            }
            if (before.is_some() || revived) && !delta.chains.contains_key(name) {
                delta.known.insert(name.clone());
            }
            delta.chains.insert(name.clone(), chain.clone());
        }
        for name in old.chains.keys().filter(|n| !new.chains.contains_key(*n)) {
            let fresh = delta.chains.remove(name).is_some() && !delta.known.remove(name);
            if !fresh {
                delta.gone_chains.insert(name.clone());
            }
        }
    }

    /// Sets or withdraws one claim; the kernel hears of it when another value counts then.
    fn claim(&mut self, place: Place, age: &Age, value: Option<Value>, delta: &mut Delta) {
        let claims = self.claims.entry(place).or_default();
        let before = claims.values().next().cloned();
        match value {
            Some(value) => claims.insert(age.clone(), value),
            None => claims.remove(age),
        };
        let after = claims.values().next().cloned();
        if claims.is_empty() {
            self.claims.remove(&place);
        }
        if before == after {
            return;
        }
        // What this very delta adds is not in the kernel yet.
        let fresh = delta.elements.remove(&place).is_some() && !delta.gone.contains(&place);
        if before.is_some() && !fresh {
            delta.gone.insert(place);
        }
        if let Some(after) = after {
            delta.elements.insert(place, after);
        }
    }

    /// Everything, for a kernel that has nothing.
    pub fn whole(&self) -> Delta {
        let chains = self.parts.values().flat_map(|(_, part)| part.chains.clone()).collect();
        let counts = |(place, claims): (&Place, &BTreeMap<Age, Value>)| {
            claims.values().next().map(|value| (*place, value.clone()))
        };
        Delta { chains, elements: self.claims.iter().filter_map(counts).collect(), ..Delta::default() }
    }
}

#[cfg(test)]
mod tests;
