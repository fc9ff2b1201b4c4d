//! Every node gets a range of pod addresses from each cluster range. Start at [`next_free`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, EventRecorder, Informer, PatchType, Requeue, WorkQueue};
use codec::Kind;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Node;
use resources::core::node::NodeExt;
use serde_json::json;

use crate::context::{Component, Config, object, synced};

struct Allocator {
    nodes: Informer<Node>,
    api: Api<Node>,
    events: EventRecorder,
    ranges: Vec<Range>,
    /// Given out, perhaps not yet seen, by node. The lock also makes choices one by one.
    given: Mutex<HashMap<String, Vec<IpNet>>>,
}

/// A cluster range and the size of its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub whole: IpNet,
    pub prefix: u8,
}

pub fn start(component: Component) {
    let ranges = ranges(&component.config);
    if ranges.is_empty() {
        return;
    }
    let allocator = Arc::new(Allocator {
        nodes: component.informer(),
        api: component.api(),
        events: component.recorder("cidrAllocator"),
        ranges,
        given: Mutex::default(),
    });
    let queue: WorkQueue<ObjectKey> = component.queue();
    let (woken, all) = (queue.clone(), allocator.nodes.clone());
    component.on(&allocator.nodes, move |change| {
        let Some(node) = object(change) else { return };
        woken.add(node.key.clone());
        if change.new.is_none() {
            // What one leaves another may be waiting for.
            all.objects("").iter().for_each(|other| woken.add(other.key.clone()));
        }
    });
    component.run(vec![synced(&allocator.nodes)], &queue, 4, move |key| {
        let allocator = allocator.clone();
        async move { allocator.reconcile(&key).await }
    });
}

/// The configured ranges; a bad one is logged and left out.
fn ranges(config: &Config) -> Vec<Range> {
    let parse = |text: &String| match text.parse::<IpNet>() {
        Ok(whole) => {
            let prefix = if whole.addr().is_ipv4() { config.node_mask_v4 } else { config.node_mask_v6 };
            if prefix < whole.prefix_len() {
                tracing::error!(range = text, "a node's range would be larger than the cluster's");
                return None;
            }
            Some(Range { whole: whole.trunc(), prefix })
        }
        Err(error) => {
            tracing::error!(range = text, %error, "cannot read a cluster range");
            None
        }
    };
    config.cluster_cidrs.iter().filter_map(parse).collect()
}

impl Allocator {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(node) = self.nodes.get(key) else {
            self.given.lock().unwrap_or_else(PoisonError::into_inner).remove(&*key.name);
            return Ok(Requeue::Never);
        };
        if !node.pod_cidrs().is_empty() {
            return Ok(Requeue::Never);
        }
        let Some(given) = self.choose(node.name()) else {
            let text = format!("Node {} status is now: CIDRNotAvailable", node.name());
            self.events.normal(&node, "CIDRNotAvailable", text);
            anyhow::bail!("no free pod range is left");
        };
        let cidrs: Vec<_> = given.iter().map(IpNet::to_string).collect();
        let patch = json!({"spec": {"podCIDR": cidrs.first(), "podCIDRs": cidrs}});
        match self.api.patch("", node.name(), PatchType::Strategic, &patch).await {
            Err(e) if e.is_not_found() => Ok(Requeue::Never),
            result => result.map(|_| Requeue::Never).context("assign a pod range"),
        }
    }

    /// A free part of each range; the same again for a node that was given one.
    fn choose(&self, node: &str) -> Option<Vec<IpNet>> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = given.get(node) {
            return Some(parts.clone());
        }
        let seen = self.nodes.list("");
        let seen = seen.iter().flat_map(|n| n.pod_cidrs()).filter_map(|cidr| cidr.parse().ok());
        let used: Vec<IpNet> = seen.chain(given.values().flatten().copied()).collect();
        let parts: Option<Vec<_>> = self.ranges.iter().map(|range| next_free(*range, &used)).collect();
        given.insert(node.to_owned(), parts.clone()?);
        parts
    }
}

/// The first part of the range that overlaps nothing used.
pub fn next_free(range: Range, used: &[IpNet]) -> Option<IpNet> {
    let overlaps = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
    let mut used: Vec<_> = used.iter().filter(|u| overlaps(u, &range.whole)).collect();
    used.sort();
    // At most one part is skipped for each used range, so this ends soon.
    let mut parts = range.whole.subnets(range.prefix).ok()?;
    parts.find(|part| !used.iter().any(|u| overlaps(u, part)))
}
