//! The DNS servers of agents. An agent says in an annotation of its node where its server listens; servers keep a slice of
//! `kube-dns` for it, for a node may not write one.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use apimachinery::{ObjectKey, Status};
use client::{Api, DeleteOptions, Informer, PatchType, Requeue, Transport, ViewScope, WorkQueue};
use codec::Kind;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use resources::prelude::NodeExt as _;
use stdx::Tasks;

use super::{NAMESPACE, slice, slice_name};
use crate::control_plane::{Groups, Shared};

/// Of a node: the address and port of its DNS server.
pub const ANNOTATION: &str = "knarr.io/cluster-dns";
/// Who keeps these slices.
const MANAGER: &str = "knarr-dns-agents";

/// Keeps the node's annotation, with the rights of its kubelet.
pub fn announce(transport: Arc<dyn Transport>, node: &str, server: SocketAddr, tasks: &Tasks) {
    let scope = ViewScope { field_selector: format!("metadata.name={node}"), ..ViewScope::default() };
    let nodes = Informer::<Node>::scoped(&*transport, &scope);
    let (node, server) = (node.to_owned(), server.to_string());
    tasks.spawn_until_shutdown(async move {
        let mut changes = nodes.subscribe();
        while let Some(change) = changes.next().await {
            let now = change.new.as_ref().and_then(|n| client::informer::decode::<Node>(n));
            let said = |n: &Node| n.metadata.annotations.as_ref().and_then(|a| a.get(ANNOTATION).cloned());
            if now.is_none_or(|n| said(&n).as_deref() == Some(&*server)) {
                continue;
            }
            let patch = serde_json::json!({ "metadata": { "annotations": { ANNOTATION: server } } });
            let api = Api::<Node>::new(transport.clone());
            if let Err(error) = api.patch("", &node, PatchType::Merge, &patch).await {
                tracing::warn!(%error, "cannot tell where this node's DNS server is");
            }
        }
    });
}

/// Keeps the slices of all agents.
pub fn keep(transport: Arc<dyn Transport>, shared: &Shared, groups: &Groups) {
    let keeper = Arc::new(Keeper {
        nodes: Informer::all(&*transport),
        slices: Informer::scoped(
            &*transport,
            &ViewScope { namespace: NAMESPACE.into(), ..ViewScope::default() },
        ),
        api: Api::new(transport),
    });
    let queue = WorkQueue::new(shared.clock.clone());
    let woken = queue.clone();
    keeper.nodes.on_change(&groups.components, move |change| {
        if let Some(node) = change.new.as_ref().or(change.old.as_ref()) {
            woken.add(node.key.clone());
        }
    });
    let woken = queue.clone();
    keeper.slices.on_change(&groups.components, move |change| {
        let Some(slice) = change.new.as_ref().or(change.old.as_ref()) else { return };
        if let Some(node) = slice.key.name.strip_prefix(&slice_name("")) {
            woken.add(ObjectKey::cluster(node));
        }
    });
    client::queue::run("cluster-dns-agents", &queue, &groups.components, 1, move |key: ObjectKey| {
        let keeper = keeper.clone();
        async move { keeper.reconcile(&key.name).await }
    });
}

struct Keeper {
    nodes: Informer<Node>,
    slices: Informer<EndpointSlice>,
    api: Api<EndpointSlice>,
}

impl Keeper {
    async fn reconcile(&self, node: &str) -> Result<Requeue> {
        tokio::join!(self.nodes.synced(), self.slices.synced());
        let have = self.slices.get(&ObjectKey::new(NAMESPACE, &slice_name(node)));
        let want = self.nodes.get(&ObjectKey::cluster(node)).and_then(|n| wanted(&n));
        self.bring(have, want).await.context("keep the endpoint slice of an agent's DNS server")?;
        Ok(Requeue::Never)
    }

    async fn bring(&self, have: Option<EndpointSlice>, want: Option<EndpointSlice>) -> Result<(), Status> {
        let ours = |s: &EndpointSlice| {
            let labels = s.metadata.labels.as_ref();
            labels.and_then(|l| l.get("endpointslice.kubernetes.io/managed-by")).is_some_and(|m| m == MANAGER)
        };
        match (have.filter(ours), want) {
            (None, Some(want)) => match self.api.create(&want).await {
                // A server's own, or another server was faster.
                Err(e) if e.is_already_exists() => Ok(()),
                made => made.map(drop),
            },
            (Some(have), None) => {
                match self.api.delete(NAMESPACE, have.name(), &DeleteOptions::uid(have.uid())).await {
                    Err(e) if e.is_not_found() || e.is_conflict() => Ok(()),
                    gone => gone,
                }
            }
            (Some(mut have), Some(want)) if have.endpoints != want.endpoints || have.ports != want.ports => {
                (have.endpoints, have.ports) = (want.endpoints, want.ports);
                self.api.update(&have).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// The slice of this node's server. Only at the node's own addresses: it may not lead others' questions elsewhere.
fn wanted(node: &Node) -> Option<EndpointSlice> {
    let server: SocketAddr = node.metadata.annotations.as_ref()?.get(ANNOTATION)?.parse().ok()?;
    let mut addresses = node.status.as_ref()?.addresses.iter().flatten();
    let own = addresses.any(|a| a.address.parse() == Ok(server.ip()));
    let name = node.name();
    own.then(|| slice(&slice_name(name), MANAGER, name, server, node.is_ready()))
}
