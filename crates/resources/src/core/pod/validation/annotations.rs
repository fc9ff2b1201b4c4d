//! Annotations that are part of a pod's description.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::core::pod::methods::{DELETION_COST_ANNOTATION, MIRROR_ANNOTATION};

const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Rules for what an annotation says.
pub(super) fn specific(texts: &BTreeMap<String, String>, spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(value) = texts.get(MIRROR_ANNOTATION)
        && spec.node_name.as_deref().unwrap_or_default().is_empty()
    {
        errs.push(Error::invalid(
            &path.key(MIRROR_ANNOTATION),
            value,
            "must set spec.nodeName if mirror pod annotation is set",
        ));
    }
    if let Some(cost) = texts.get(DELETION_COST_ANNOTATION)
        && !is_cost(cost)
    {
        errs.push(Error::invalid(&path.key(DELETION_COST_ANNOTATION), cost, "must be a 32bit integer"));
    }
    for (key, profile) in texts {
        if let Some(container) = key.strip_prefix(APPARMOR) {
            errs.extend(apparmor(container, profile, spec, &path.key(key)));
        }
    }
    errs
}

/// A number in its only spelling: no plus sign, no leading zeros.
fn is_cost(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|n| n.to_string() == text)
}

fn apparmor(container: &str, profile: &str, spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let regular = spec.init_containers.iter().flatten().chain(&spec.containers).map(|c| &c.name);
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|c| &c.name);
    if !regular.chain(ephemeral).any(|name| name == container) {
        errs.push(Error::invalid(path, container, "container not found"));
    }
    let known = matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/");
    if !known {
        errs.push(Error::invalid(path, profile, format!("invalid AppArmor profile name: {profile:?}")));
    }
    errs
}

/// Some annotations are for life.
pub(super) fn changes(new: &Pod, old: &Pod) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("metadata").child("annotations");
    let none = BTreeMap::new();
    let after = new.metadata.annotations.as_ref().unwrap_or(&none);
    let before = old.metadata.annotations.as_ref().unwrap_or(&none);
    let mut refuse = |key: &str, what: &str| {
        if key.starts_with(APPARMOR) {
            errs.push(Error::forbidden(&path.key(key), format!("may not {what} AppArmor annotations")));
        } else if key == MIRROR_ANNOTATION {
            errs.push(Error::forbidden(&path.key(key), format!("may not {what} mirror pod annotation")));
        }
    };
    for (key, value) in before {
        if after.get(key) != Some(value) {
            refuse(key, "remove or update");
        }
    }
    for key in after.keys().filter(|key| !before.contains_key(*key)) {
        refuse(key, "add");
    }
    errs
}
