//! Approves serving certificates of kubelets that ask for their own names and addresses. Upstream leaves this to people or to
//! other projects' controllers; without it nobody could read logs of a machine that has just joined.

use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::{Api, Informer, Requeue};
use codec::Kind as _;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Node;
use pki::request::Requested;
use resources::prelude::*;
use stdx::clock::SharedClock;

use super::{KUBELET_SERVING, add_condition, judge};
use crate::context::{Component, object, synced};

struct State {
    requests: Informer<CertificateSigningRequest>,
    nodes: Informer<Node>,
    api: Api<CertificateSigningRequest>,
    clock: SharedClock,
}

/// `kubelet-serving-approver`
pub fn start(component: Component) {
    let state = Arc::new(State {
        requests: component.informer(),
        nodes: component.informer(),
        api: component.api(),
        clock: component.clock.clone(),
    });
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&state.requests, move |change| {
        if let Some(request) = object(change) {
            woken.add(request.key.clone());
        }
    });
    // A request may come before its node, or before the node's addresses.
    let (woken, waiting) = (queue.clone(), state.requests.clone());
    component.on(&state.nodes, move |change| {
        if change.new.is_none() {
            return;
        }
        for request in waiting.list("").iter().filter(|r| is_open(r)) {
            woken.add(ObjectKey::cluster(request.name()));
        }
    });
    component.run(vec![synced(&state.requests), synced(&state.nodes)], &queue, 1, move |key| {
        let state = state.clone();
        async move { state.reconcile(&key).await }
    });
}

fn is_open(request: &CertificateSigningRequest) -> bool {
    request.spec.signer_name == KUBELET_SERVING
        && !request.is_issued()
        && !["Approved", "Denied", "Failed"].iter().any(|c| request.has_condition(c))
}

impl State {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(mut request) = self.requests.get(key).filter(is_open) else { return Ok(Requeue::Never) };
        let Ok(asked) = pki::request::request_subject(&request.spec.request.0) else {
            return Ok(Requeue::Never);
        };
        let usages = request.spec.usages.as_deref().unwrap_or_default();
        let itself = request.spec.username.as_deref() == Some(&asked.common_name);
        if !itself || judge::kubelet_serving(usages, &asked).is_err() {
            return Ok(Requeue::Never);
        }
        let name = asked.common_name.strip_prefix("system:node:").unwrap_or_default();
        let node = self.nodes.get(&ObjectKey::cluster(name));
        if !node.is_some_and(|n| is_its_own(&n, &asked)) {
            return Ok(Requeue::Never);
        }
        let message =
            "Auto approving kubelet serving certificate: every name and address in it is the node's own.";
        add_condition(&mut request, "Approved", "AutoApproved", message, self.clock.now());
        match self.api.update_part(&request, "approval").await {
            Ok(_) => Ok(Requeue::Never),
            Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
            Err(e) => Err(e).context("approve a serving certificate"),
        }
    }
}

/// Whether all that is asked for is the node's: its name, and the addresses in its status.
fn is_its_own(node: &Node, asked: &Requested) -> bool {
    let addresses: Vec<&str> =
        node.status.iter().flat_map(|s| s.addresses.iter().flatten()).map(|a| &*a.address).collect();
    let known = |ip: &std::net::IpAddr| addresses.iter().any(|a| a.parse() == Ok(*ip));
    asked.dns_names.iter().all(|n| n == node.name() || addresses.contains(&n.as_str()))
        && asked.ips.iter().all(known)
}
