//! Resource quotas. What an object uses of one is in [`usage`], which objects one counts in [`scope`].

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use serde_json::{Value, json};

use crate::check::one;
use crate::columns::{AGE, NAME, text};
use crate::core::pod::validation::resources::{quantity_errors, resource_name};
use crate::quantity::{Amounts, QuantityExt, ResourceList, canonicalize};
use crate::strategy::{Column, Part, age};

pub mod scope;
pub mod usage;

#[cfg(test)]
mod tests;

/// The rules of resource quotas.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ResourceQuota;

    fn default(&self, quota: &mut ResourceQuota) {
        canonicalize(quota.spec.as_mut().and_then(|s| s.hard.as_mut()));
        if let Some(status) = &mut quota.status {
            canonicalize(status.hard.as_mut());
            canonicalize(status.used.as_mut());
        }
    }

    fn prepare_create(&self, quota: &mut ResourceQuota) {
        quota.status = Some(ResourceQuotaStatus::default());
    }

    fn prepare_update(&self, new: &mut ResourceQuota, old: &ResourceQuota, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => new.status.clone_from(&old.status),
        }
    }

    fn validate(&self, quota: &ResourceQuota) -> ErrorList {
        spec_errors(quota)
    }

    fn validate_update(&self, new: &ResourceQuota, old: &ResourceQuota, part: Part) -> ErrorList {
        if part == Part::Status {
            let path = Path::new("status");
            let status = new.status.clone().unwrap_or_default();
            let mut errs = amounts(status.hard.as_ref(), &path.child("hard"));
            errs.extend(amounts(status.used.as_ref(), &path.child("used")));
            return errs;
        }
        let mut errs = spec_errors(new);
        let scopes = |q: &ResourceQuota| -> BTreeSet<String> {
            q.spec.iter().flat_map(|s| s.scopes.iter().flatten()).cloned().collect()
        };
        if scopes(new) != scopes(old) {
            let shown = crate::check::shown_list(&scope::listed(new));
            errs.push(Error::invalid(&Path::new("spec").child("scopes"), shown, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Request", "How much of each requested resource is used, and its bound."),
            text("Limit", "How much of each limit is used, and its bound."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, quota: &ResourceQuota, now: Timestamp) -> Vec<Value> {
        let status = quota.status.clone().unwrap_or_default();
        let used = Amounts::of(status.used.as_ref());
        let hard = status.hard.unwrap_or_default();
        let shown = |limits: bool| {
            let cells = hard.iter().filter(|(name, _)| name.starts_with("limits") == limits);
            let cells = cells.map(|(name, bound)| format!("{name}: {}/{}", used.get(name), bound.amount()));
            cells.collect::<Vec<_>>().join(", ")
        };
        vec![json!(quota.name()), json!(shown(false)), json!(shown(true)), json!(age(&quota.metadata, now))]
    }
}

fn spec_errors(quota: &ResourceQuota) -> ErrorList {
    let path = Path::new("spec");
    let spec = quota.spec.clone().unwrap_or_default();
    let mut errs = amounts(spec.hard.as_ref(), &path.child("hard"));
    errs.extend(scope::errors(&spec, &path));
    errs
}

fn amounts(list: Option<&ResourceList>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (resource, amount) in list.into_iter().flatten() {
        let path = path.key(resource);
        errs.extend(resource_name(resource, &path));
        if !resource.contains('/') {
            errs.extend(one(!is_standard(resource), || {
                Error::invalid(&path, resource, "must be a standard resource for quota")
            }));
        }
        errs.extend(quantity_errors(resource, amount, &path));
    }
    errs
}

/// Resources without a domain that a quota may bound.
pub(crate) fn is_standard(resource: &str) -> bool {
    const STANDARD: &[&str] = &[
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    ];
    STANDARD.contains(&resource)
        || resource.starts_with("hugepages-")
        || resource.starts_with("requests.hugepages-")
}
