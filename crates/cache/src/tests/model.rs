//! Watches, exact lists and subscriptions against a model that keeps every state.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What happens; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Put {
        key: usize,
        value: usize,
    },
    Delete {
        key: usize,
    },
    /// Something happens to another resource.
    Progress,
    Watch {
        filter: usize,
        from: usize,
    },
    WatchInitial {
        filter: usize,
    },
    Subscribe {
        filter: usize,
    },
    Read {
        watcher: usize,
        items: usize,
    },
    Snapshot {
        at: usize,
    },
}

const KEYS: [&str; 5] = ["a/1", "a/2", "b/1", "b/2", "c/1"];
const VALUES: [&str; 3] = ["x", "y", "z"];

fn filters() -> Vec<Filter> {
    let x: Predicate = Arc::new(|o| o.field("f") == Some("x"));
    vec![
        Filter::all(),
        Filter::namespace("a"),
        Filter { name: Some("1".into()), ..Filter::all() },
        Filter { name: Some("1".into()), ..Filter::namespace("b") },
        Filter { index: Some(("f", "x".into())), ..Filter::all() },
        Filter { index: Some(("owner", "y".into())), ..Filter::namespace("a") },
        Filter { index: Some(("uid", "a/1-uid".into())), ..Filter::all() },
        Filter { predicate: Some(x.clone()), ..Filter::all() },
        Filter { predicate: Some(x), ..Filter::namespace("b") },
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..1000usize;
    prop_oneof![
        8 => (n(), n()).prop_map(|(key, value)| Step::Put { key, value }),
        3 => n().prop_map(|key| Step::Delete { key }),
        1 => Just(Step::Progress),
        2 => (n(), n()).prop_map(|(filter, from)| Step::Watch { filter, from }),
        1 => n().prop_map(|filter| Step::WatchInitial { filter }),
        1 => n().prop_map(|filter| Step::Subscribe { filter }),
        5 => (n(), 0..6usize).prop_map(|(watcher, items)| Step::Read { watcher, items }),
        2 => n().prop_map(|at| Step::Snapshot { at }),
    ]
}

type State = BTreeMap<ObjectKey, Arc<Object>>;

/// Every state there has been, by revision, and how the last objects looked that were deleted.
struct Model {
    states: Vec<State>,
}

impl Model {
    fn now(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    /// What a watcher sees of the step to `revision`.
    fn event(&self, revision: u64, filter: &Filter) -> Option<String> {
        let seen = |state: &State| -> State {
            state.iter().filter(|(_, o)| filter.matches(o)).map(|(k, o)| (k.clone(), o.clone())).collect()
        };
        let (old, new) = (seen(&self.states[revision as usize - 1]), seen(&self.states[revision as usize]));
        let left = old.values().find(|o| !new.contains_key(&o.key));
        let changed = new.values().find(|o| o.revision == Revision(revision));
        match (left, changed) {
            (Some(o), _) => Some(format!("DELETED {}", show(&o.at_revision(Revision(revision))))),
            (_, Some(o)) if old.contains_key(&o.key) => Some(format!("MODIFIED {}", show(o))),
            (_, Some(o)) => Some(format!("ADDED {}", show(o))),
            (None, None) => None,
        }
    }

    fn events(&self, after: u64, filter: &Filter) -> Vec<String> {
        (after + 1..=self.now()).filter_map(|r| self.event(r, filter)).collect()
    }

    fn list(&self, revision: u64, filter: &Filter) -> Vec<String> {
        self.states[revision as usize].values().filter(|o| filter.matches(o)).map(|o| show(o)).collect()
    }
}

struct Watcher {
    watch: Watch,
    filter: Filter,
    /// Initial events and their end.
    initial: Vec<String>,
    from: u64,
    seen: Vec<String>,
    expired: bool,
}

struct Subscriber {
    subscription: Subscription,
    filter: Filter,
    known: BTreeMap<ObjectKey, Revision>,
}

impl Watcher {
    fn read(&mut self, items: usize) {
        for _ in 0..items {
            match self.watch.try_next() {
                Ok(None) => return,
                Err(_) => {
                    self.expired = true;
                    return;
                }
                Ok(Some(WatchItem::Event(event))) => {
                    self.seen.push(format!("{} {}", event.kind.as_str(), show(&event.object)));
                }
                Ok(Some(WatchItem::InitialEnd(revision))) => self.seen.push(format!("INITIAL {revision}")),
            }
        }
    }

    fn check(mut self, model: &Model, oldest: u64) {
        let position = self.watch.position().0;
        let events = model.events(self.from, &self.filter);
        let before = self.seen.len().saturating_sub(self.initial.len());
        if !self.expired && before + self.initial.len() == self.seen.len() {
            // A new watch from the position goes on where this one is.
            let undelivered = model.events(position, &self.filter);
            assert!(
                undelivered.len() <= events.len() - before,
                "position {position} is behind what was delivered"
            );
        }
        self.read(usize::MAX);
        let expected: Vec<_> = self.initial.iter().chain(&events).cloned().collect();
        if self.expired {
            assert!(expected.starts_with(&self.seen), "{:?} then {:?}", self.seen, expected);
            assert!(oldest > self.from);
        } else {
            assert_eq!(self.seen, expected);
            assert_eq!(self.watch.position().0, model.now());
        }
    }
}

impl Subscriber {
    fn read(&mut self, items: usize) {
        for _ in 0..items {
            let Some(Change { old, new }) = self.subscription.try_next() else { return };
            let key = old.as_ref().or(new.as_ref()).unwrap().key.clone();
            assert_eq!(old.map(|o| o.revision), self.known.get(&key).copied(), "old is what was known");
            match new {
                Some(new) => drop(self.known.insert(key, new.revision)),
                None => drop(self.known.remove(&key)),
            }
        }
    }

    fn check(mut self, model: &Model) {
        self.read(usize::MAX);
        let state = model.states.last().unwrap();
        let expected = state.values().filter(|o| self.filter.matches(o)).map(|o| (o.key.clone(), o.revision));
        assert_eq!(self.known, expected.collect());
    }
}

struct Run {
    cache: Arc<Cache>,
    model: Model,
    watchers: Vec<Watcher>,
    subscribers: Vec<Subscriber>,
}

impl Run {
    fn oldest(&self) -> u64 {
        self.cache.snapshot_at(Revision(0)).map_or_else(|expired| expired.oldest.0, |_| 0)
    }

    fn advance(&mut self, change: impl FnOnce(&mut State, u64) -> Option<Update>) {
        let revision = self.model.now() + 1;
        let mut state = self.model.states.last().unwrap().clone();
        let update = change(&mut state, revision);
        self.model.states.push(state);
        self.cache.apply(update);
        self.cache.progress(Revision(revision));
    }

    fn step(&mut self, step: Step) {
        let filter = |n: usize| filters()[n % filters().len()].clone();
        match step {
            Step::Put { key, value } => self.advance(|state, revision| {
                let new = object(KEYS[key % KEYS.len()], VALUES[value % VALUES.len()], revision);
                state.insert(new.key.clone(), Arc::new(new.clone()));
                Some(Update::Put(new))
            }),
            Step::Delete { key } => self.advance(|state, revision| {
                let (namespace, name) = KEYS[key % KEYS.len()].split_once('/').unwrap();
                let key = ObjectKey::new(namespace, name);
                state.remove(&key)?;
                Some(Update::Delete { key, revision: Revision(revision), last: None })
            }),
            Step::Progress => self.advance(|_, _| None),
            Step::Watch { filter: n, from } => self.watch(filter(n), from),
            Step::WatchInitial { filter: n } => {
                let (filter, from) = (filter(n), self.model.now());
                let objects = self.model.list(from, &filter);
                let added = objects.iter().map(|o| format!("ADDED {o}"));
                let initial = added.chain([format!("INITIAL {from}")]).collect();
                let watch = self.cache.watch_initial(filter.clone());
                self.watchers.push(Watcher {
                    watch,
                    filter,
                    initial,
                    from,
                    seen: Vec::new(),
                    expired: false,
                });
            }
            Step::Subscribe { filter: n } => {
                let filter = filter(n);
                let subscription = self.cache.subscribe(filter.clone());
                self.subscribers.push(Subscriber { subscription, filter, known: BTreeMap::new() });
            }
            Step::Read { watcher, items } => {
                let (watchers, subscribers) = (self.watchers.len(), self.subscribers.len());
                match watcher % (watchers + subscribers).max(1) {
                    n if n < watchers => self.watchers[n].read(items),
                    n if n < watchers + subscribers => self.subscribers[n - watchers].read(items),
                    _ => {}
                }
            }
            Step::Snapshot { at } => self.snapshot(at as u64 % (self.model.now() + 1)),
        }
    }

    fn watch(&mut self, filter: Filter, from: usize) {
        let from = from as u64 % (self.model.now() + 1);
        match self.cache.watch(Revision(from), filter.clone()) {
            Ok(watch) => {
                let initial = Vec::new();
                self.watchers.push(Watcher {
                    watch,
                    filter,
                    initial,
                    from,
                    seen: Vec::new(),
                    expired: false,
                });
            }
            Err(expired) => assert!(from < expired.oldest.0),
        }
    }

    fn snapshot(&self, at: u64) {
        let snapshot = match self.cache.snapshot_at(Revision(at)) {
            Ok(snapshot) => snapshot,
            Err(expired) => return assert!(at < expired.oldest.0),
        };
        assert_eq!(snapshot.revision(), Revision(at));
        for filter in filters() {
            let mut shown: Vec<_> = match &filter.index {
                Some((index, value)) => snapshot.by_index(index, value),
                None => snapshot.iter(filter.namespace.as_deref(), None).cloned().collect(),
            };
            shown.retain(|o| filter.matches(o));
            assert_eq!(
                shown.iter().map(|o| show(o)).collect::<Vec<_>>(),
                self.model.list(at, &filter),
                "{filter:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_is_what_the_model_says(
        steps in proptest::collection::vec(step(), 1..120),
        window in prop_oneof![Just(usize::MAX), Just(4_000), Just(20_000)],
    ) {
        let config = CacheConfig {
            indexes: vec!["f", "owner"],
            window_bytes: window,
            ..CacheConfig::new(SystemClock::shared())
        };
        let mut run = Run {
            cache: Arc::new(Cache::new(config)),
            model: Model { states: vec![State::new()] },
            watchers: Vec::new(),
            subscribers: Vec::new(),
        };
        for step in steps {
            run.step(step);
        }
        let oldest = run.oldest();
        run.watchers.into_iter().for_each(|watcher| watcher.check(&run.model, oldest));
        run.subscribers.into_iter().for_each(|subscriber| subscriber.check(&run.model));
    }
}
