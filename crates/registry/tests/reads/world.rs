//! Some config maps with a history.

use std::sync::Arc;

use apimachinery::Status;
use base64::Engine as _;
use registry::options::{DeleteOptions, ListOptions, WatchOptions, WriteOptions};
use registry::{Listing, Registry, Target, WatchStream};
use resources::Resource;
use serde_json::{Value, json};
use stdx::{Random, SystemClock, Tasks};
use storage::{MemoryEngine, Store, StoreConfig};

pub struct World {
    registry: Arc<Registry>,
    old: u64,
    now: u64,
}

const FUTURE: u64 = 1_000_000;

impl World {
    /// With so much memory of what was.
    pub async fn new(window_bytes: usize) -> World {
        let clock = SystemClock::shared();
        let config = StoreConfig { window_bytes, ..StoreConfig::new(clock.clone()) };
        let store = Store::open(Arc::new(MemoryEngine::new()), config, &Tasks::new()).await.unwrap();
        let resources = resources::table::served(&[]);
        let registry = Registry::open(&store, resources, None, clock, Random::seeded(7)).await.unwrap();
        let mut world = World { registry, old: 0, now: 0 };
        let namespaces = world.registry.resource("", "v1", "namespaces").unwrap();
        world.make(namespaces, "", "default").await;
        for name in ["a", "b", "c", "d", "e"] {
            world.old = world.create(name).await;
        }
        world.delete("c").await;
        world.now = world.create("cc").await;
        world
    }

    fn resource(&self) -> &Resource {
        self.registry.resource("", "v1", "configmaps").unwrap()
    }

    fn target<'a>(&'a self, name: &'a str) -> Target<'a> {
        Target { resource: self.resource(), namespace: "default", name }
    }

    async fn make(&self, resource: &Resource, namespace: &str, name: &str) -> u64 {
        let body = json!({"metadata": {"name": name}}).to_string();
        let object = resource.read(body.as_bytes()).unwrap();
        let target = Target { resource, namespace, name: "" };
        let written = self.registry.create(&target, object, &WriteOptions::default()).await.unwrap();
        let made: Value = serde_json::from_slice(&written.json).unwrap();
        made["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    }

    /// The revision at which the new config map is there.
    pub async fn create(&self, name: &str) -> u64 {
        self.make(self.resource(), "default", name).await
    }

    async fn delete(&self, name: &str) {
        self.registry.delete(&self.target(name), &DeleteOptions::default()).await.unwrap();
    }

    pub async fn list(&self, options: &ListOptions) -> Result<Listing, Status> {
        self.registry.list(&self.target(""), options).await
    }

    pub async fn watch(&self, options: &WatchOptions) -> Result<WatchStream, Status> {
        self.registry.watch(&self.target(""), options).await
    }

    /// The token that goes on after the first two of the old state.
    pub async fn first_page(&self) -> String {
        let resource_version = self.number("old");
        let options = ListOptions { resource_version, limit: 2, ..ListOptions::default() };
        self.list(&options).await.unwrap().continue_token
    }

    /// The token of a page of the state `version` that ended with `name`.
    pub fn token_of(&self, version: &str, name: &str) -> String {
        let revision: u64 = self.number(version).parse().unwrap();
        let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("default/{name}\0")});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token.to_string())
    }

    /// The resourceVersion that a name stands for.
    pub fn number(&self, name: &str) -> String {
        match name {
            "old" => self.old.to_string(),
            "now" => self.now.to_string(),
            "future" => FUTURE.to_string(),
            other => other.into(),
        }
    }

    /// The name that stands for a resourceVersion.
    pub fn name(&self, version: &str) -> String {
        let names = [(self.old, "old"), (self.now, "now"), (FUTURE, "future")];
        let found = names.iter().find(|(number, _)| number.to_string() == version);
        found.map_or(version, |(_, name)| name).into()
    }

    pub fn shown(&self, listing: &Listing) -> String {
        let names: Vec<&str> = listing.items.iter().map(|o| &*o.key.name).collect();
        let remaining = listing.remaining.map_or(String::new(), |n| format!(", {n} remain"));
        let more = if listing.continue_token.is_empty() { "" } else { ", continues" };
        format!("{} at {}{more}{remaining}", names.join(" "), self.name(&listing.revision.to_string()))
    }

    pub fn refused(&self, status: &Status) -> String {
        let words: Vec<String> = status
            .message
            .split(' ')
            .map(|word| {
                let bare = word.trim_end_matches([',', ')']).trim_start_matches('(');
                match bare.parse::<u64>() {
                    Ok(_) => word.replace(bare, &self.name(bare)),
                    Err(_) => word.into(),
                }
            })
            .collect();
        let details = status.details.as_deref();
        let retry = match details.map_or(0, |d| d.retry_after_seconds) {
            0 => String::new(),
            seconds => format!(" (again after {seconds} s)"),
        };
        let causes = details.map(|d| &d.causes[..]).unwrap_or_default();
        let reasons: Vec<&str> = causes.iter().map(|c| &*c.reason).collect();
        format!("{} {} [{}]{retry} {}", status.code, status.reason, reasons.join(" "), words.join(" "))
    }
}
