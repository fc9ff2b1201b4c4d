//! Rules for nodes.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::core::v1::{Node, Taint};

use super::NodeExt;
use crate::core::pod::validation::resources::quantity_errors;
use crate::strategy::Part;

/// A new node.
pub fn create(node: &Node) -> ErrorList {
    let mut errs = ErrorList::new();
    errs.extend(taint_errors(node.taints()));
    errs.extend(status_errors(node));
    errs.extend(cidr_errors(node));
    errs
}

/// A changed node: what the kubelet or an allocator has set once stays.
pub fn update(new: &Node, old: &Node, part: Part) -> ErrorList {
    let mut errs = ErrorList::new();
    if part == Part::Status {
        errs.extend(status_errors(new));
        return errs;
    }
    let spec = Path::new("spec");
    errs.extend(taint_errors(new.taints()));
    let provider = |n: &Node| n.spec.as_ref().and_then(|s| s.provider_id.clone()).unwrap_or_default();
    if !provider(old).is_empty() && provider(new) != provider(old) {
        errs.push(Error::forbidden(
            &spec.child("providerID"),
            "node updates may not change providerID except from \"\" to valid",
        ));
    }
    if !old.pod_cidrs().is_empty() && new.pod_cidrs() != old.pod_cidrs() {
        errs.push(Error::forbidden(
            &spec.child("podCIDRs"),
            "node updates may not change podCIDR except from \"\" to valid",
        ));
    }
    errs.extend(cidr_errors(new));
    errs
}

fn status_errors(node: &Node) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(status) = &node.status else { return errs };
    for (list, name) in [(&status.capacity, "capacity"), (&status.allocatable, "allocatable")] {
        for (resource, amount) in list.iter().flatten() {
            errs.extend(quantity_errors(resource, amount, &Path::new("status").child(name).child(resource)));
        }
    }
    errs
}

fn cidr_errors(node: &Node) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("spec").child("podCIDRs");
    let cidrs = node.pod_cidrs();
    for (i, cidr) in cidrs.iter().enumerate() {
        for message in names::cidr(cidr) {
            errs.push(Error::invalid(&path.index(i), *cidr, message));
        }
    }
    let families = cidrs.iter().filter(|c| c.contains(':')).count();
    if cidrs.len() > 2 || cidrs.len() == 2 && families != 1 {
        let shown = serde_json::Value::from(cidrs.clone()).to_string();
        errs.push(Error::invalid(
            &path,
            apimachinery::field::Raw(shown),
            "may specify no more than one CIDR for each IP family",
        ));
    }
    for (i, cidr) in cidrs.iter().enumerate() {
        if cidrs[..i].contains(cidr) {
            errs.push(Error::duplicate(&path.index(i), *cidr));
        }
    }
    errs
}

/// Upstream says that taints are below metadata, so clients are used to find them there.
fn taint_errors(taints: &[Taint]) -> ErrorList {
    let path = Path::new("metadata").child("taints");
    const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let mut errs = ErrorList::new();
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        errs.extend(names::label_key(&taint.key, &path.child("key")));
        let value = taint.value.as_deref().unwrap_or_default();
        let messages = names::label_value(value);
        if !messages.is_empty() {
            errs.push(Error::invalid(&path.child("value"), value, messages.join(";")));
        }
        let effect = path.child("effect");
        match &*taint.effect {
            "" => errs.push(Error::required(&effect, "")),
            e if !EFFECTS.contains(&e) => errs.push(Error::not_supported(&effect, e, EFFECTS)),
            _ => {}
        }
        if taints[..i].iter().any(|t| t.key == taint.key && t.effect == taint.effect) {
            let mut error = Error::duplicate(&path, apimachinery::field::Raw(shown(taint)));
            error.detail = "taints must be unique by key and effect pair".into();
            errs.push(error);
        }
    }
    errs
}

/// As upstream's own type shows itself.
fn shown(taint: &Taint) -> String {
    let text = |t: &str| serde_json::Value::from(t).to_string();
    let value = text(taint.value.as_deref().unwrap_or_default());
    let (key, effect) = (text(&taint.key), text(&taint.effect));
    format!(r#"{{"Key":{key},"Value":{value},"Effect":{effect},"TimeAdded":null}}"#)
}
