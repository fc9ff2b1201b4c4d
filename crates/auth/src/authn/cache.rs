//! A bounded memory of what was expensive to find out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Keeps at least the last `N` entries used, at most twice as many: two generations, of which the elder is dropped
/// when the younger is full.
#[derive(Debug)]
pub struct Cache<K, V, const N: usize>(Mutex<Generations<K, V>>);

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V, const N: usize> Default for Cache<K, V, N> {
    fn default() -> Self {
        Cache(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }))
    }
}

impl<K: Hash + Eq, V: Clone, const N: usize> Cache<K, V, N> {
    pub fn get(&self, key: &K) -> Option<V> {
        let mut g = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = g.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = g.old.remove_entry(key)?;
        g.insert::<N>(key, value.clone());
        Some(value)
    }

    pub fn insert(&self, key: K, value: V) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert::<N>(key, value);
    }
}

impl<K: Hash + Eq, V> Generations<K, V> {
    fn insert<const N: usize>(&mut self, key: K, value: V) {
        if self.young.len() >= N {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}
