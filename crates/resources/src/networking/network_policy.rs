//! Network policies: which traffic of the pods they select is let through. What no policy selects is not filtered.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::check::{each, known, one, port, shown_list};
use crate::columns::{AGE, NAME, text};
use crate::selector;
use crate::strategy::{Column, Part, age};
use crate::{desired, fill};

#[cfg(test)]
mod tests;

/// Traffic to the selected pods is filtered.
pub const INGRESS: &str = "Ingress";
/// Traffic from the selected pods is filtered.
pub const EGRESS: &str = "Egress";

/// The rules of network policies.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = NetworkPolicy;

    /// Ingress always counts, egress where there are rules for it, unless the policy says what counts.
    fn default(&self, policy: &mut NetworkPolicy) {
        let spec = policy.spec.get_or_insert_default();
        spec.pod_selector.get_or_insert_default();
        let ports = spec.ingress.iter_mut().flatten().filter_map(|rule| rule.ports.as_mut());
        let more = spec.egress.iter_mut().flatten().filter_map(|rule| rule.ports.as_mut());
        for port in ports.chain(more).flatten() {
            fill::text(&mut port.protocol, "TCP");
        }
        if spec.policy_types.as_ref().is_none_or(|types| types.is_empty()) {
            let mut types = vec![INGRESS.to_owned()];
            if spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()) {
                types.push(EGRESS.into());
            }
            spec.policy_types = Some(types);
        }
    }

    fn prepare_create(&self, policy: &mut NetworkPolicy) {
        policy.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut NetworkPolicy, old: &NetworkPolicy, _: Part) {
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, policy: &NetworkPolicy) -> ErrorList {
        spec_errors(&policy.spec.clone().unwrap_or_default(), &[])
    }

    /// Ranges that were there before may stay, however they look.
    fn validate_update(&self, new: &NetworkPolicy, old: &NetworkPolicy, _: Part) -> ErrorList {
        let spec = old.spec.clone().unwrap_or_default();
        let blocks = peers(&spec).filter_map(|peer| peer.ip_block.as_ref());
        let kept: Vec<&str> = blocks
            .flat_map(|block| std::iter::once(&block.cidr).chain(block.except.iter().flatten()))
            .map(String::as_str)
            .collect();
        spec_errors(&new.spec.clone().unwrap_or_default(), &kept)
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Pod-Selector", "Which pods it is for."), AGE];
        COLUMNS
    }

    fn row(&self, policy: &NetworkPolicy, now: Timestamp) -> Vec<Value> {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        let shown = selector.map_or_else(|| "<none>".into(), selector::show);
        vec![json!(policy.name()), json!(shown), json!(age(&policy.metadata, now))]
    }
}

/// What components ask of policies.
pub trait NetworkPolicyExt {
    /// It filters traffic to the pods it selects.
    fn filters_ingress(&self) -> bool;
    /// It filters traffic from the pods it selects.
    fn filters_egress(&self) -> bool;
}

impl NetworkPolicyExt for NetworkPolicy {
    fn filters_ingress(&self) -> bool {
        has_type(self, INGRESS)
    }

    fn filters_egress(&self) -> bool {
        has_type(self, EGRESS)
    }
}

fn has_type(policy: &NetworkPolicy, wanted: &str) -> bool {
    policy.spec.iter().flat_map(|spec| spec.policy_types.iter().flatten()).any(|t| t == wanted)
}

/// The peers of all rules.
fn peers(spec: &NetworkPolicySpec) -> impl Iterator<Item = &NetworkPolicyPeer> {
    let from = spec.ingress.iter().flatten().flat_map(|rule| rule.from.iter().flatten());
    from.chain(spec.egress.iter().flatten().flat_map(|rule| rule.to.iter().flatten()))
}

fn spec_errors(spec: &NetworkPolicySpec, kept: &[&str]) -> ErrorList {
    const TYPES: &[&str] = &[INGRESS, EGRESS];
    let path = Path::new("spec");
    let selector = spec.pod_selector.clone().unwrap_or_default();
    let mut errs = selector::validate(&selector, &path.child("podSelector"));
    for (i, rule) in spec.ingress.iter().flatten().enumerate() {
        let path = path.child("ingress").index(i);
        errs.extend(rule_errors(rule.ports.as_deref(), rule.from.as_deref(), &path, "from", kept));
    }
    for (i, rule) in spec.egress.iter().flatten().enumerate() {
        let path = path.child("egress").index(i);
        errs.extend(rule_errors(rule.ports.as_deref(), rule.to.as_deref(), &path, "to", kept));
    }
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let path = path.child("policyTypes");
    if types.len() > TYPES.len() {
        errs.push(Error::invalid(&path, shown_list(types), "may not specify more than two policyTypes"));
        return errs;
    }
    for (i, one) in types.iter().enumerate() {
        errs.extend(known(&path.index(i), one, TYPES));
    }
    errs
}

fn rule_errors(
    ports: Option<&[NetworkPolicyPort]>,
    peers: Option<&[NetworkPolicyPeer]>,
    path: &Path,
    whom: &str,
    kept: &[&str],
) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, port) in ports.unwrap_or_default().iter().enumerate() {
        errs.extend(port_errors(port, &path.child("ports").index(i)));
    }
    for (i, peer) in peers.unwrap_or_default().iter().enumerate() {
        errs.extend(peer_errors(peer, &path.child(whom).index(i), kept));
    }
    errs
}

fn port_errors(rule: &NetworkPolicyPort, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(protocol) = &rule.protocol {
        errs.extend(known(&path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]));
    }
    let end = path.child("endPort");
    let misplaced =
        |why| one(rule.end_port.is_some(), || Error::invalid(&end, rule.end_port.unwrap_or(0), why));
    match &rule.port {
        None => errs.extend(misplaced("may not be specified when `port` is not specified")),
        Some(name @ IntOrString::String(_)) => {
            errs.extend(misplaced("may not be specified when `port` is non-numeric"));
            errs.extend(port(&path.child("port"), name));
        }
        Some(number @ IntOrString::Int(first)) => {
            errs.extend(port(&path.child("port"), number));
            if let Some(last) = rule.end_port {
                if last < *first {
                    errs.push(Error::invalid(&end, last, "must be greater than or equal to `port`"));
                }
                errs.extend(port(&end, &IntOrString::Int(last)));
            }
        }
    }
    errs
}

fn peer_errors(peer: &NetworkPolicyPeer, path: &Path, kept: &[&str]) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, selector) in
        [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)]
    {
        if let Some(selector) = selector {
            errs.extend(selector::validate(selector, &path.child(field)));
        }
    }
    if let Some(block) = &peer.ip_block {
        errs.extend(block_errors(block, &path.child("ipBlock"), kept));
    }
    let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match (selects, peer.ip_block.is_some()) {
        (false, false) => errs.push(Error::required(path, "must specify a peer")),
        (true, true) => errs.push(Error::forbidden(path, "may not specify both ipBlock and another peer")),
        _ => {}
    }
    errs
}

fn block_errors(block: &IPBlock, path: &Path, kept: &[&str]) -> ErrorList {
    if block.cidr.is_empty() {
        return [Error::required(&path.child("cidr"), "")].into_iter().collect();
    }
    let mut errs = range_errors(&block.cidr, &path.child("cidr"), kept);
    let Ok(whole) = block.cidr.parse::<IpNet>() else { return errs };
    for (i, text) in block.except.iter().flatten().enumerate() {
        let path = path.child("except").index(i);
        errs.extend(range_errors(text, &path, kept));
        let Ok(part) = text.parse::<IpNet>() else { continue };
        if !whole.contains(&part.addr()) || whole.prefix_len() >= part.prefix_len() {
            errs.push(Error::invalid(&path, text, "must be a strict subset of `cidr`"));
        }
    }
    errs
}

fn range_errors(text: &str, path: &Path, kept: &[&str]) -> ErrorList {
    if kept.contains(&text) {
        return ErrorList::new();
    }
    each(path, text, names::cidr(text))
}
