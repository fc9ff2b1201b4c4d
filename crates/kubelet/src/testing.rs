//! Fixtures of this crate's tests: a kubelet over a fake API and a fake runtime, in fake time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::fake::FakeApi;
use codec::Kind as _;
use cri::fake::FakeRuntime;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};
use stdx::{Random, Tasks};
use testkit::FakeClock;

use crate::mounts::Mounter;
use crate::{Config, Kubelet};

/// A pod from JSON; apiVersion and kind are added.
pub fn pod_json(mut value: Value) -> Pod {
    value["apiVersion"] = json!("v1");
    value["kind"] = json!("Pod");
    Pod::from_json(value.to_string().as_bytes()).expect("a pod")
}

/// A pod `default/NAME` on the node `n1` with this spec.
pub fn pod(name: &str, spec: Value) -> Pod {
    let mut spec = spec;
    spec["nodeName"] = json!("n1");
    pod_json(json!({"metadata": {"name": name, "namespace": "default", "generation": 1}, "spec": spec}))
}

/// Keeps a list instead of asking the kernel.
#[derive(Default)]
pub struct FakeMounter(Mutex<Vec<PathBuf>>);

impl FakeMounter {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mounter for FakeMounter {
    fn tmpfs(&self, target: &Path, _size: u64) -> io::Result<()> {
        self.list().push(target.to_owned());
        Ok(())
    }

    fn bind(&self, _source: &Path, target: &Path) -> io::Result<()> {
        self.list().push(target.to_owned());
        Ok(())
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        self.list().retain(|t| t != target);
        Ok(())
    }

    fn below(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.list().iter().filter(|t| t.starts_with(dir)).cloned().collect())
    }
}

/// See the module.
pub struct World {
    pub api: FakeApi,
    pub runtime: FakeRuntime,
    pub clock: FakeClock,
    pub mounter: Arc<FakeMounter>,
    pub dir: tempfile::TempDir,
    pub tasks: Tasks,
    pub kubelet: Option<Kubelet>,
}

impl World {
    /// With a kubelet that runs and images `a`, `b`, `c`.
    pub async fn new() -> Self {
        let mut world = Self::without_kubelet();
        world.start().await;
        world
    }

    pub fn without_kubelet() -> Self {
        let clock = FakeClock::new();
        let runtime = FakeRuntime::new(clock.shared());
        for image in ["a", "b", "c"] {
            runtime.add_image(image);
        }
        World {
            api: FakeApi::new(clock.shared()),
            runtime,
            clock,
            mounter: Arc::default(),
            dir: tempfile::tempdir().expect("a directory"),
            tasks: Tasks::new(),
            kubelet: None,
        }
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new("n1", self.dir.path(), self.mounter.clone());
        config.node_ips = vec!["192.0.2.1".parse().expect("an address")];
        config.cluster_dns = vec!["10.43.0.10".parse().expect("an address")];
        // The machine that tests may have little room; none of these pods should feel it.
        config.eviction = crate::eviction::Thresholds::parse("").expect("no thresholds");
        config
    }

    pub async fn start(&mut self) {
        let config = self.config();
        self.start_with(config).await;
    }

    pub async fn start_with(&mut self, config: Config) {
        let runtime = Arc::new(self.runtime.clone());
        let kubelet = Kubelet::start(
            config,
            self.api.transport(),
            runtime.clone(),
            runtime,
            self.clock.shared(),
            Random::seeded(1),
            &self.tasks,
        );
        self.kubelet = Some(kubelet.await.expect("a kubelet"));
    }

    /// As at a crash or a stop.
    pub async fn stop(&mut self) {
        self.tasks.stop().await;
        self.tasks = Tasks::new();
        self.kubelet = None;
    }

    /// Lets time pass until `done`; at most ten minutes of it.
    pub async fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..6_000 {
            for _ in 0..20 {
                if done(self) {
                    return;
                }
                tokio::task::yield_now().await;
            }
            self.clock.advance(Duration::from_millis(100));
        }
        let pods: Vec<_> = self.api.all::<Pod>().iter().map(summary).collect();
        panic!("never: {what}\n{}\n{}\n{:?}", pods.join("\n"), self.events(), self.runtime.take_journal());
    }

    /// Until the pod's [`summary`] is this.
    pub async fn until_pod(&self, name: &str, expected: &str) {
        self.until(expected, |w| w.pod(name).is_some_and(|p| summary(&p) == expected)).await;
    }

    pub fn pod(&self, name: &str) -> Option<Pod> {
        self.api.find::<Pod>("default", name)
    }

    /// `reason: message` of every event about pods, oldest first, with counts.
    pub fn events(&self) -> String {
        let mut events = self.api.all::<Event>();
        events.retain(|e| e.involved_object.kind.as_deref() == Some("Pod"));
        events.sort_by_key(|e| e.metadata.resource_version.as_deref().and_then(|v| v.parse::<u64>().ok()));
        let lines = events.iter().map(|e| {
            let text = |s: &Option<String>| s.clone().unwrap_or_default();
            format!("{} {}: {}", text(&e.type_), text(&e.reason), text(&e.message))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The id of the newest container of this name.
    pub fn container(&self, name: &str) -> String {
        self.runtime.containers_named(name).last().cloned().unwrap_or_default()
    }
}

/// `Running: c=running(ready) restarts=1`
pub fn summary(pod: &Pod) -> String {
    let Some(status) = &pod.status else { return "no status".into() };
    let lists =
        [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let containers = lists.into_iter().flatten().flatten().map(|c| {
        let state = c.state.clone().unwrap_or_default();
        let mut text = match (state.running, state.terminated, state.waiting) {
            (Some(_), ..) => "running".to_owned(),
            (_, Some(t), _) => format!("{}({})", t.reason.unwrap_or_default(), t.exit_code),
            (.., Some(w)) => w.reason.unwrap_or_default(),
            _ => "?".to_owned(),
        };
        if c.ready {
            text += ",ready";
        }
        if c.restart_count > 0 {
            text += &format!(",restarts={}", c.restart_count);
        }
        format!(" {}={text}", c.name)
    });
    let containers: String = containers.collect();
    let reason = status.reason.as_ref().map(|r| format!("({r})")).unwrap_or_default();
    format!("{}{reason}:{containers}", status.phase.clone().unwrap_or_default())
}
