//! An API in memory for tests: storage, resourceVersions, watches, owners' and finalizers' mechanics, but no validation,
//! defaults, admission or authorization. Reads through views can be held back to play a stale informer. Start at [`FakeApi`].

mod patch;
mod store;
pub mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apimachinery::{Gvr, ObjectKey, Status};
use async_trait::async_trait;
use bytes::Bytes;
use codec::Kind;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;
use stdx::clock::SharedClock;
use tokio::sync::{Notify, mpsc, watch};

use crate::partial;
use crate::transport::{Change, Options, Request, Transport, Verb, View, ViewScope, WatchEvent};
use store::Store;

/// Decides a request instead of the fake, or lets it pass (`None`).
pub type Reactor = Box<dyn Fn(&Request) -> Option<Result<Bytes, Status>> + Send + Sync>;

/// The API, shared by its clones.
#[derive(Clone)]
pub struct FakeApi(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    requests: watch::Sender<usize>,
    changed: Notify,
}

struct State {
    store: Store,
    log: Vec<String>,
    reactors: Vec<Reactor>,
    subscribers: Vec<Subscriber>,
    /// Views see nothing newer while held; what happened waits here.
    held: Option<Vec<(Gvr, Change)>>,
    seen: store::Objects,
}

struct Subscriber {
    /// Else a view's.
    watch: bool,
    gvr: Gvr,
    scope: ViewScope,
    to: mpsc::UnboundedSender<Change>,
}

impl FakeApi {
    pub fn new(clock: SharedClock) -> Self {
        let state = State {
            store: Store::new(clock),
            log: Vec::new(),
            reactors: Vec::new(),
            subscribers: Vec::new(),
            held: None,
            seen: store::Objects::default(),
        };
        let requests = watch::Sender::new(0);
        FakeApi(Arc::new(Shared { state: Mutex::new(state), requests, changed: Notify::new() }))
    }

    /// As a transport.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates an object, its status included, without a trace in [`FakeApi::log`].
    pub fn insert<K: Kind>(&self, object: &K) -> K {
        let value = serde_json::from_slice(&object.to_json()).expect("encoded JSON");
        let mut state = self.state();
        let json = state.store.create(&K::gvr(), object.namespace(), value, true).expect("insert");
        state.publish();
        drop(state);
        self.0.changed.notify_waiters();
        K::from_json(&json).expect("an object")
    }

    /// Changes an object, whatever part, without a trace in the log.
    pub fn edit<K: Kind>(&self, namespace: &str, name: &str, change: impl FnOnce(&mut K)) -> K {
        let mut state = self.state();
        let key = ObjectKey::new(namespace, name);
        let json = state.store.get(&K::gvr(), &key).expect("the object to edit");
        let mut object = K::from_json(&json).expect("an object");
        change(&mut object);
        let value = serde_json::from_slice(&object.to_json()).expect("encoded JSON");
        let json = state.store.replace(&K::gvr(), &key, value).expect("edit");
        state.publish();
        drop(state);
        self.0.changed.notify_waiters();
        K::from_json(&json).expect("an object")
    }

    /// Removes an object at once, finalizers or not, without a trace in the log.
    pub fn remove<K: Kind>(&self, namespace: &str, name: &str) {
        let mut state = self.state();
        state.store.remove(&K::gvr(), &ObjectKey::new(namespace, name));
        state.publish();
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// Everything of a kind, in key order, as it is now (not as held-back views see it).
    pub fn all<K: Kind>(&self) -> Vec<K> {
        let state = self.state();
        let list = state.store.list(&K::gvr(), &ViewScope::default());
        list.iter().map(|o| K::from_json(o.json()).expect("an object")).collect()
    }

    pub fn find<K: Kind>(&self, namespace: &str, name: &str) -> Option<K> {
        let json = self.state().store.get(&K::gvr(), &ObjectKey::new(namespace, name)).ok()?;
        Some(K::from_json(&json).expect("an object"))
    }

    /// Completes when `done` is true of the state; looks again after every write.
    pub async fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if done(self) {
                return;
            }
            changed.await;
        }
    }

    /// The requests so far (reads and watches left out), such as `create pods ns/`.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    pub fn clear_log(&self) {
        self.state().log.clear();
    }

    /// Adds a reactor; the first that answers wins.
    pub fn react(&self, reactor: impl Fn(&Request) -> Option<Result<Bytes, Status>> + Send + Sync + 'static) {
        self.state().reactors.push(Box::new(reactor));
    }

    pub fn clear_reactors(&self) {
        self.state().reactors.clear();
    }

    /// Ends all watches that run, as a server does now and then.
    pub fn cut_watches(&self) {
        self.state().subscribers.retain(|s| !s.watch);
    }

    /// Forgets all history: watches from before now get 410.
    pub fn compact(&self) {
        self.state().store.compact();
    }

    /// Views see no further change until [`FakeApi::release_views`].
    pub fn hold_views(&self) {
        self.state().held.get_or_insert_default();
    }

    pub fn release_views(&self) {
        let mut state = self.state();
        for (gvr, change) in state.held.take().unwrap_or_default() {
            state.show(&gvr, change);
        }
        drop(state);
        self.0.changed.notify_waiters();
    }
}

impl State {
    /// Hands what the store has changed to the views.
    fn publish(&mut self) {
        for (gvr, change) in self.store.take_changes() {
            match &mut self.held {
                Some(held) => held.push((gvr, change)),
                None => self.show(&gvr, change),
            }
        }
    }

    fn show(&mut self, gvr: &Gvr, change: Change) {
        let seen = self.seen.entry(gvr.clone()).or_default();
        match (&change.old, &change.new) {
            (_, Some(new)) => drop(seen.insert(new.key.clone(), new.clone())),
            (Some(old), None) => drop(seen.remove(&old.key)),
            (None, None) => {}
        }
        self.subscribers.retain(|s| {
            if s.gvr != *gvr {
                return !s.to.is_closed();
            }
            match in_scope(&change, &s.scope) {
                Some(change) => s.to.send(change).is_ok(),
                None => true,
            }
        });
    }

    fn answer(&mut self, request: &Request) -> Result<Bytes, Status> {
        let write = !matches!(request.verb, Verb::Get | Verb::List);
        if write {
            self.log.push(describe(request));
        }
        if let Some(answer) = self.reactors.iter().find_map(|react| react(request)) {
            return answer;
        }
        let answer = self.store.serve(request);
        self.publish();
        answer
    }
}

fn describe(r: &Request) -> String {
    let verb = format!("{:?}", r.verb).to_lowercase();
    let part = if r.subresource.is_empty() { String::new() } else { format!("/{}", r.subresource) };
    let key = ObjectKey::new(&r.namespace, &r.name);
    format!("{verb} {}{part} {key}", r.gvr.resource)
}

/// A change as a scope sees it.
fn in_scope(change: &Change, scope: &ViewScope) -> Option<Change> {
    let inside = |o: &Option<Arc<cache::Object>>| o.clone().filter(|o| store::matches(o, scope));
    let (old, new) = (inside(&change.old), inside(&change.new));
    (old.is_some() || new.is_some()).then_some(Change { old, new })
}

#[async_trait]
impl Transport for FakeApi {
    async fn send(&self, request: Request) -> Result<Bytes, Status> {
        // A real API answers later, so others get to run in between.
        tokio::task::yield_now().await;
        let answer = self.state().answer(&request);
        self.0.requests.send_modify(|n| *n += 1);
        self.0.changed.notify_waiters();
        answer
    }

    async fn watch(
        &self,
        gvr: &Gvr,
        namespace: &str,
        options: &Options,
    ) -> Result<BoxStream<'static, WatchEvent>, Status> {
        let scope = ViewScope {
            namespace: namespace.to_owned(),
            label_selector: options.label_selector.clone(),
            field_selector: options.field_selector.clone(),
        };
        let from = partial::revision(&options.resource_version).0;
        let (to, changes) = mpsc::unbounded_channel();
        let mut state = self.state();
        for change in state.store.history_since(gvr, from)? {
            if let Some(change) = in_scope(&change, &scope) {
                // The receiver is in our hands.
                drop(to.send(change));
            }
        }
        state.subscribers.push(Subscriber { watch: true, gvr: gvr.clone(), scope, to });
        let events = tokio_stream(changes).map(|change| match (change.old, change.new) {
            (None, Some(new)) => WatchEvent::Added(new.json().clone()),
            (Some(_), Some(new)) => WatchEvent::Modified(new.json().clone()),
            (old, None) => WatchEvent::Deleted(old.map(|o| o.json().clone()).unwrap_or_default()),
        });
        Ok(events.boxed())
    }

    fn reflect(&self, gvr: &Gvr, scope: &ViewScope) -> Arc<dyn View> {
        Arc::new(FakeView { api: self.clone(), gvr: gvr.clone(), scope: scope.clone() })
    }
}

fn tokio_stream(mut from: mpsc::UnboundedReceiver<Change>) -> BoxStream<'static, Change> {
    futures::stream::poll_fn(move |cx| from.poll_recv(cx)).boxed()
}

struct FakeView {
    api: FakeApi,
    gvr: Gvr,
    scope: ViewScope,
}

impl FakeView {
    fn select(&self, wanted: impl Fn(&cache::Object) -> bool) -> Vec<Arc<cache::Object>> {
        let state = self.api.state();
        let Some(objects) = state.seen.get(&self.gvr) else { return Vec::new() };
        objects.values().filter(|o| store::matches(o, &self.scope) && wanted(o)).cloned().collect()
    }
}

#[async_trait]
impl View for FakeView {
    async fn synced(&self) {}

    fn is_synced(&self) -> bool {
        true
    }

    fn get(&self, key: &ObjectKey) -> Option<Arc<cache::Object>> {
        let state = self.api.state();
        let object = state.seen.get(&self.gvr)?.get(key)?;
        store::matches(object, &self.scope).then(|| object.clone())
    }

    fn list(&self, namespace: &str) -> Vec<Arc<cache::Object>> {
        self.select(|o| namespace.is_empty() || *o.key.namespace == *namespace)
    }

    fn by_index(&self, index: &str, value: &str) -> Vec<Arc<cache::Object>> {
        self.select(|o| match index {
            "owner" => o.meta.owners.iter().any(|owner| *owner.uid == *value),
            index => store::field(o, index) == value,
        })
    }

    fn subscribe(&self) -> BoxStream<'static, Change> {
        let (to, changes) = mpsc::unbounded_channel();
        let mut state = self.api.state();
        if let Some(objects) = state.seen.get(&self.gvr) {
            for object in objects.values().filter(|o| store::matches(o, &self.scope)) {
                drop(to.send(Change { old: None, new: Some(object.clone()) }));
            }
        }
        let (gvr, scope) = (self.gvr.clone(), self.scope.clone());
        state.subscribers.push(Subscriber { watch: false, gvr, scope, to });
        tokio_stream(changes)
    }
}

/// An object's JSON as a tree, for reactors and assertions.
pub fn tree(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("JSON")
}
