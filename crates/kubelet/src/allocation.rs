//! What pods of this node were given: the resources they are admitted with, and those their containers really run with.
//! Start at [`Allocations::resize`]. After a resize in place the spec says what is wanted; until it fits, the pod keeps what it
//! was given. <https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/> (KEP-1287)
//!
//! Kept in the pod's directory, so that a restarted kubelet neither forgets nor resizes anew.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use codec::Kind as _;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use resources::core::pod::PodExt;
use resources::quantity::Amounts;
use tokio::sync::watch;

use crate::admit::NodeCapacity;
use crate::amounts;
use crate::paths::Paths;
use crate::spec;

/// Container name → what it runs with.
pub type Actuated = BTreeMap<String, ResourceRequirements>;

/// Of all pods.
pub struct Allocations {
    paths: Paths,
    /// By uid: the pod's spec reduced to resources.
    given: Mutex<HashMap<String, PodSpec>>,
    /// Counts what may have made room.
    room: watch::Sender<u64>,
}

/// Why a resize has to wait, or will never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// `Deferred` or `Infeasible`
    pub reason: &'static str,
    pub message: String,
}

impl Allocations {
    pub fn new(paths: Paths) -> Self {
        Allocations { paths, given: Mutex::default(), room: watch::Sender::new(0) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, PodSpec>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever a pod gives something back.
    pub fn room(&self) -> watch::Receiver<u64> {
        self.room.subscribe()
    }

    /// A pod that begins, or that a restarted kubelet finds: what was written down counts, else its spec.
    pub fn admit(&self, pod: &Pod) {
        let uid = pod.uid();
        let known = read(self.given_file(uid)).unwrap_or_else(|| reduced(spec::of(pod)));
        self.lock().insert(uid.to_owned(), known);
    }

    /// Writes down what the pod was given; once it has its directory.
    pub fn save(&self, uid: &str) -> std::io::Result<()> {
        let known = self.lock().get(uid).cloned();
        known.map_or(Ok(()), |spec| write(self.given_file(uid), spec))
    }

    /// The pod needs nothing any more.
    pub fn release(&self, uid: &str) {
        if self.lock().remove(uid).is_some() {
            self.room.send_modify(|n| *n += 1);
        }
    }

    /// The pod with the resources it was given in place of those it wants.
    pub fn effective(&self, pod: Arc<Pod>) -> Arc<Pod> {
        let given = self.lock();
        let Some(given) = given.get(pod.uid()).filter(|g| **g != reduced(spec::of(&pod))) else { return pod };
        let mut changed = Pod::clone(&pod);
        if let Some(spec) = &mut changed.spec {
            spec.resources.clone_from(&given.resources);
            let lists = [
                (Some(&mut spec.containers), Some(&given.containers)),
                (spec.init_containers.as_mut(), given.init_containers.as_ref()),
            ];
            for (own, given) in lists {
                for container in own.into_iter().flatten() {
                    if let Some(g) = given.into_iter().flatten().find(|g| g.name == container.name) {
                        container.resources.clone_from(&g.resources);
                    }
                }
            }
        }
        Arc::new(changed)
    }

    /// Gives the pod what its spec says, if the node has it. Whether anything changed.
    pub fn resize(&self, pod: &Pod, node: &NodeCapacity<'_>) -> Result<bool, Pending> {
        let wanted = reduced(spec::of(pod));
        let mut all = self.lock();
        let Some(given) = all.get(pod.uid()) else { return Ok(false) };
        if same(given, &wanted) {
            return Ok(false);
        }
        let others = all.iter().filter(|(uid, _)| *uid != pod.uid()).map(|(_, spec)| spec);
        let used: Vec<Amounts> = others.map(|s| as_pod(s.clone()).requests()).collect();
        fits(&pod.requests(), &used, node)?;
        let before = as_pod(given.clone()).requests();
        all.insert(pod.uid().to_owned(), wanted);
        drop(all);
        let after = pod.requests();
        if after.milli_cpu() < before.milli_cpu() || after.memory() < before.memory() {
            self.room.send_modify(|n| *n += 1);
        }
        Ok(true)
    }

    fn given_file(&self, uid: &str) -> PathBuf {
        self.paths.pod(uid).join("allocated.json")
    }

    fn actuated_file(&self, uid: &str) -> PathBuf {
        self.paths.pod(uid).join("actuated.json")
    }

    /// What the pod's containers were last set to; empty when it was never written down.
    pub fn actuated(&self, uid: &str) -> Actuated {
        let spec = read(self.actuated_file(uid)).unwrap_or_default();
        spec.containers.into_iter().map(|c| (c.name, c.resources.unwrap_or_default())).collect()
    }

    pub fn save_actuated(&self, uid: &str, actuated: &Actuated) -> std::io::Result<()> {
        let containers = actuated.iter().map(|(name, resources)| bare(name, Some(resources.clone()), None));
        write(self.actuated_file(uid), PodSpec { containers: containers.collect(), ..PodSpec::default() })
    }
}

fn fits(own: &Amounts, used: &[Amounts], node: &NodeCapacity<'_>) -> Result<(), Pending> {
    type Of = fn(&Amounts) -> i64;
    for (what, of) in [("cpu", Amounts::milli_cpu as Of), ("memory", Amounts::memory as Of)] {
        let (requested, capacity) = (of(own), of(node.allocatable));
        if requested > capacity {
            let message = format!(
                "Node didn't have enough capacity: {what}, requested: {requested}, capacity: {capacity}"
            );
            return Err(Pending { reason: "Infeasible", message });
        }
        let used: i64 = used.iter().map(of).sum();
        if requested > 0 && requested + used > capacity {
            let message = format!(
                "Node didn't have enough resource: {what}, requested: {requested}, used: {used}, capacity: {capacity}"
            );
            return Err(Pending { reason: "Deferred", message });
        }
    }
    Ok(())
}

/// Only names and what requests are computed from.
fn reduced(spec: &PodSpec) -> PodSpec {
    let bare = |c: &Container| bare(&c.name, c.resources.clone(), c.restart_policy.clone());
    PodSpec {
        containers: spec.containers.iter().map(bare).collect(),
        init_containers: spec.init_containers.as_ref().map(|list| list.iter().map(bare).collect()),
        resources: spec.resources.clone(),
        overhead: spec.overhead.clone(),
        ..PodSpec::default()
    }
}

fn bare(name: &str, resources: Option<ResourceRequirements>, restart_policy: Option<String>) -> Container {
    Container { name: name.to_owned(), resources, restart_policy, ..Container::default() }
}

/// Amounts alike, however they are written.
fn same(a: &PodSpec, b: &PodSpec) -> bool {
    let list = |spec: &PodSpec| {
        let all = spec.init_containers.iter().flatten().chain(&spec.containers);
        all.map(|c| (c.name.clone(), c.resources.clone())).collect::<Vec<_>>()
    };
    let pairs = list(a).into_iter().zip(list(b));
    pairs.into_iter().all(|((_, a), (_, b))| equal(a.as_ref(), b.as_ref()))
        && equal(a.resources.as_ref(), b.resources.as_ref())
}

/// Amounts alike, however they are written.
pub fn equal(a: Option<&ResourceRequirements>, b: Option<&ResourceRequirements>) -> bool {
    let amounts = |r: Option<&ResourceRequirements>| {
        let parse = |map: Option<&amounts::QuantityMap>| -> Vec<(String, Option<_>)> {
            map.into_iter().flatten().map(|(n, q)| (n.clone(), amounts::parse_one(q))).collect()
        };
        (parse(r.and_then(|r| r.requests.as_ref())), parse(r.and_then(|r| r.limits.as_ref())))
    };
    amounts(a) == amounts(b)
}

fn as_pod(spec: PodSpec) -> Pod {
    Pod { spec: Some(spec), ..Pod::default() }
}

fn read(file: PathBuf) -> Option<PodSpec> {
    let bytes = fs::read(&file).ok()?;
    match Pod::from_json(&bytes) {
        Ok(pod) => pod.spec,
        Err(e) => {
            tracing::error!("cannot read {}: {e}", file.display());
            None
        }
    }
}

/// Whole or not at all.
fn write(file: PathBuf, spec: PodSpec) -> std::io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, as_pod(spec).to_json())?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests;
