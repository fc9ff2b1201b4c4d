//! This machine as a Node object: registered, kept up to date, its Lease renewed. Start at [`NodeKeeper::run`].

mod lease;
pub mod machine;
mod register;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::ObjectKey;
use client::{Api, EventType, View};
use codec::Kind as _;
use cri::RuntimeService;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeStatus, ObjectReference, Taint};
use tokio::sync::watch;

use crate::context::Context;
use machine::MachineInfo;

pub use lease::keep_lease;
pub use status::{KUBELET_VERSION, allocatable_resources};

/// How often the status is computed; it is written when it has changed,
const CHECK: Duration = Duration::from_secs(10);
/// or when it is so old.
const REPORT: SignedDuration = SignedDuration::from_mins(5);
/// While not ready, or the API does not answer: the first wait, doubled up to [`CHECK`].
const HURRY: Duration = Duration::from_millis(200);

/// Keeps the Node object. One per kubelet.
pub struct NodeKeeper {
    pub context: Arc<Context>,
    pub machine: MachineInfo,
    pub labels: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
    /// The server's, 0 without one.
    pub port: u16,
    pub view: Arc<dyn View>,
    /// The node's uid once it is registered, for the Lease.
    pub registered: watch::Sender<Option<String>>,
    pub api: Api<Node>,
}

/// Between turns.
#[derive(Default)]
struct Memory {
    told_cidrs: Vec<String>,
    written_at: Option<Timestamp>,
    hurry: Duration,
    /// What our last write returned.
    written: Option<Node>,
    was_ready: Option<bool>,
}

impl NodeKeeper {
    /// Until shutdown.
    pub async fn run(self) {
        let mut changes = self.view.subscribe();
        let mut memory = Memory { hurry: HURRY, ..Memory::default() };
        self.event("Starting", "Starting kubelet.");
        self.view.synced().await;
        loop {
            let calm = self.turn(&mut memory).await;
            memory.hurry = if calm { HURRY } else { (memory.hurry * 2).min(CHECK) };
            let wait = if calm { CHECK } else { memory.hurry };
            tokio::select! {
                () = self.context.clock.sleep(wait) => {}
                // Deleted, or given its addresses; our own writes come by, too, and change nothing.
                change = changes.next() => if change.is_none() { return },
            }
        }
    }

    /// Whether all is well: ready, and the API knows.
    async fn turn(&self, memory: &mut Memory) -> bool {
        let now = self.context.clock.now();
        let node = match self.known(memory) {
            Some(node) => node,
            None => match self.register(now).await {
                Ok(node) => {
                    tracing::info!(node = self.context.node_name, "registered the node");
                    memory.written_at = None;
                    node
                }
                Err(e) => {
                    tracing::warn!("cannot register the node: {e}");
                    return false;
                }
            },
        };
        self.registered.send_if_modified(|uid| {
            let new = node.metadata.uid.clone();
            let changed = *uid != new;
            *uid = new;
            changed
        });
        self.tell_cidrs(&node, memory).await;
        let status = self.status(&node, now).await;
        let ready = status::is_ready(&status);
        self.note_readiness(ready, memory);
        let written = self.write(&node, status, memory, now).await;
        written && ready
    }

    /// The API's node, or what our last write returned if that is newer.
    fn known(&self, memory: &mut Memory) -> Option<Node> {
        let object = self.view.get(&ObjectKey::cluster(&self.context.node_name))?;
        let seen =
            Node::from_json(object.json()).map_err(|e| tracing::error!("cannot read the node: {e}")).ok()?;
        let version = |n: &Node| n.metadata.resource_version.as_deref().and_then(|v| v.parse::<u64>().ok());
        match memory
            .written
            .take()
            .filter(|w| w.metadata.uid == seen.metadata.uid && version(w) > version(&seen))
        {
            Some(written) => {
                memory.written = Some(written.clone());
                Some(written)
            }
            None => Some(seen),
        }
    }

    /// The runtime gives addresses from the node's ranges.
    async fn tell_cidrs(&self, node: &Node, memory: &mut Memory) {
        let spec = node.spec.clone().unwrap_or_default();
        let cidrs = spec.pod_cidrs.unwrap_or_else(|| spec.pod_cidr.into_iter().collect());
        if cidrs.is_empty() || cidrs == memory.told_cidrs {
            return;
        }
        match self.context.runtime.update_runtime_config(&cidrs).await {
            Ok(()) => memory.told_cidrs = cidrs,
            Err(e) => tracing::error!("cannot tell the runtime the pod CIDRs {cidrs:?}: {e}"),
        }
    }

    fn note_readiness(&self, ready: bool, memory: &mut Memory) {
        let before = memory.was_ready.replace(ready);
        // Not being ready yet is how every node begins.
        if before == Some(ready) || (before.is_none() && !ready) {
            return;
        }
        let reason = if ready { "NodeReady" } else { "NodeNotReady" };
        self.event(reason, &format!("Node {} status is now: {reason}", self.context.node_name));
    }

    async fn write(&self, node: &Node, status: NodeStatus, memory: &mut Memory, now: Timestamp) -> bool {
        let old = node.status.clone().unwrap_or_default();
        let due = memory.written_at.is_none_or(|at| now.duration_since(at) >= REPORT);
        let Some(patch) = status::patch(&old, &status, due) else { return true };
        let name = &self.context.node_name;
        match self.api.patch_status("", name, client::PatchType::Strategic, &patch).await {
            Ok(node) => {
                memory.written_at = Some(now);
                memory.written = Some(node);
                true
            }
            Err(e) => {
                tracing::warn!("cannot write the node's status: {e}");
                false
            }
        }
    }

    fn event(&self, reason: &str, message: &str) {
        let name = &self.context.node_name;
        // Upstream's reference: the name stands for the uid, which a kubelet may not know yet.
        let object = ObjectReference {
            kind: Some("Node".into()),
            name: Some(name.clone()),
            uid: Some(name.clone()),
            ..ObjectReference::default()
        };
        self.context.recorder.event(&object, EventType::Normal, reason, message);
    }
}

/// The runtime's name as in container ids.
pub async fn runtime_name(runtime: &dyn RuntimeService) -> cri::Result<(String, String)> {
    let version = runtime.version().await?;
    Ok((version.runtime_name, version.runtime_version))
}

#[cfg(test)]
mod tests;
