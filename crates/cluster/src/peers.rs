//! The cluster's nodes, as the pod network needs to know them: where each is, and which pods' addresses are its.

use std::sync::Arc;

use client::{EventRecorder, EventType, Informer, Transport};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use podnet::Cluster;
use podnet::peers::{Here, Peer};
use resources::core::node::NodeExt;
use stdx::Tasks;
use tokio::sync::watch;

use crate::config::NodeConfig;
use crate::network::Network;

/// Changes that come at once are taken together.
const BATCH: usize = 1024;

/// Keeps this node's ways to the pods of all others, until `tasks` are stopped. What cannot be done is told in events of the node.
pub fn keep(
    network: Arc<Network>,
    transport: &dyn Transport,
    config: &NodeConfig,
    recorder: EventRecorder,
    tasks: &Tasks,
) {
    let nodes = Informer::<Node>::all(transport);
    let (sender, receiver) = watch::channel(Cluster::default());
    let (own, address) = (config.node_name.clone(), config.node_ip);
    tasks.spawn_until_shutdown(async move {
        nodes.synced().await;
        let mut changes = nodes.subscribe().ready_chunks(BATCH);
        while changes.next().await.is_some() {
            let now = cluster(&own, address, &nodes.list(""));
            sender.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
        }
    });
    let name = config.node_name.clone();
    tasks.spawn_until_shutdown(async move {
        let told = |why: &str| {
            tracing::error!("the pod network does not reach all nodes: {why}");
            // As the kubelet refers to its node: the name stands for the uid.
            let node = ObjectReference {
                kind: Some("Node".into()),
                name: Some(name.clone()),
                uid: Some(name.clone()),
                ..ObjectReference::default()
            };
            recorder.event(&node, EventType::Warning, "PodNetworkIncomplete", why);
        };
        if let Err(e) = network.keep_ways(receiver, told).await {
            tracing::error!("the ways to other nodes' pods are not kept any more: {e:#}");
        }
    });
}

/// Ourselves and the others. A node without addresses or ranges cannot be reached yet.
fn cluster(own: &str, address: std::net::IpAddr, nodes: &[Node]) -> Cluster {
    let cidrs = |node: &Node| node.pod_cidrs().iter().filter_map(|c| c.parse().ok()).collect::<Vec<_>>();
    let is_own = |node: &&Node| node.metadata.name.as_deref() == Some(own);
    let here = Here {
        addresses: vec![address],
        pod_cidrs: nodes.iter().find(is_own).map(cidrs).unwrap_or_default(),
    };
    let peer = |node: &Node| Peer {
        node: node.metadata.name.clone().unwrap_or_default(),
        addresses: internal_ips(node),
        pod_cidrs: cidrs(node),
    };
    let mut peers: Vec<Peer> = nodes.iter().filter(|n| !is_own(n)).map(peer).collect();
    peers.retain(|p| !p.addresses.is_empty() && !p.pod_cidrs.is_empty());
    peers.sort();
    Cluster { here, peers }
}

fn internal_ips(node: &Node) -> Vec<std::net::IpAddr> {
    let addresses = node.status.iter().flat_map(|s| s.addresses.iter().flatten());
    addresses.filter(|a| a.type_ == "InternalIP").filter_map(|a| a.address.parse().ok()).collect()
}
