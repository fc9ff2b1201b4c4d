//! Makes a cluster's default roles and bindings whole: what is missing is added, what people added stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::Status;
use client::transport::{Options, Transport};
use client::{Api, DeleteOptions};
use codec::Kind;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{AUTOUPDATE, Policy};
use crate::authz::rbac::aggregation::aggregated;
use crate::authz::rbac::covers;

/// Brings the cluster's objects up to `policy`, namespaces of its roles included, and fills in the roles that gather others'
/// rules (later changes of those are `aggregation::run`'s). `transport` acts as a member of system:masters.
pub async fn reconcile(transport: &Arc<dyn Transport>, policy: &Policy) -> Result<(), Status> {
    // All at once: the store commits together what comes together.
    let cluster_roles = gathered(policy.cluster_roles.clone());
    let all_roles = ensure_all(transport, &cluster_roles);
    let roles = ensure_all(transport, &policy.roles);
    let cluster_bindings = ensure_all(transport, &policy.cluster_role_bindings);
    let role_bindings = ensure_all(transport, &policy.role_bindings);
    tokio::try_join!(all_roles, roles, cluster_bindings, role_bindings)?;
    gather(transport).await
}

async fn ensure_all<K: Reconciled>(transport: &Arc<dyn Transport>, all: &[K]) -> Result<(), Status> {
    try_join_all(all.iter().map(|object| ensure(transport, object))).await.map(drop)
}

/// The roles with the rules that they gather from each other.
fn gathered(mut roles: Vec<ClusterRole>) -> Vec<ClusterRole> {
    // Each round carries rules one role further; more rounds than roles would go in circles.
    for _ in 0..roles.len() {
        let rules: Vec<_> = roles.iter().map(|role| aggregated(role, &roles)).collect();
        let mut moved = false;
        for (role, rules) in roles.iter_mut().zip(rules) {
            let Some(rules) = rules else { continue };
            if role.rules.as_deref().unwrap_or_default() != rules {
                role.rules = Some(rules);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    roles
}

/// Fills in the gathering roles that are there.
async fn gather(transport: &Arc<dyn Transport>) -> Result<(), Status> {
    let api = Api::<ClusterRole>::new(transport.clone());
    let before = api.list("", &Options::default()).await?.items;
    let after = gathered(before.clone());
    for role in before.iter().zip(&after).filter(|(before, after)| before != after).map(|(_, after)| after) {
        match api.update(role).await {
            Ok(_) => {}
            // Somebody else is at it: the controller will see to the rest.
            Err(e) if e.is_conflict() || e.is_not_found() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

async fn ensure_namespace(transport: &Arc<dyn Transport>, name: &str) -> Result<(), Status> {
    let metadata = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    match Api::<Namespace>::new(transport.clone()).create(&namespace).await {
        Ok(_) => Ok(()),
        Err(e) if e.is_already_exists() => Ok(()),
        Err(e) => Err(e),
    }
}

/// What to do with an object that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<K> {
    Keep,
    Update(K),
    /// A binding's role never changes.
    Recreate,
}

/// A kind that is kept whole.
pub trait Reconciled: Kind {
    /// How `existing` becomes at least what `self` is.
    fn reconcile(&self, existing: &Self) -> Action<Self>;
}

async fn ensure<K: Reconciled>(transport: &Arc<dyn Transport>, expected: &K) -> Result<(), Status> {
    let api = Api::<K>::new(transport.clone());
    let (namespace, name) = (expected.namespace(), expected.name());
    // A conflict means that somebody else was at it: look again.
    for _ in 0..5 {
        let existing = match api.get(namespace, name).await {
            Ok(existing) => existing,
            Err(e) if e.is_not_found() => match api.create(expected).await {
                Ok(_) => return Ok(()),
                Err(e) if e.is_already_exists() => continue,
                // The namespace is not there yet.
                Err(e) if e.is_not_found() && !namespace.is_empty() => {
                    ensure_namespace(transport, namespace).await?;
                    continue;
                }
                Err(e) => return Err(e),
            },
            Err(e) => return Err(e),
        };
        let done = match guarded(expected, &existing) {
            Action::Keep => return Ok(()),
            Action::Update(new) => api.update(&new).await.map(drop),
            Action::Recreate => {
                match api.delete(namespace, name, &DeleteOptions::uid(existing.uid())).await {
                    Ok(()) => api.create(expected).await.map(drop),
                    Err(e) => Err(e),
                }
            }
        };
        match done {
            Ok(()) => return Ok(()),
            Err(e) if e.is_conflict() || e.is_not_found() || e.is_already_exists() => {}
            Err(e) => return Err(e),
        }
    }
    Err(Status::internal(format!("{} {name} keeps changing", K::KIND)))
}

/// As [`Reconciled::reconcile`], but an object whose owner said hands off stays as it is.
pub fn guarded<K: Reconciled>(expected: &K, existing: &K) -> Action<K> {
    let autoupdate = existing.meta().annotations.as_ref().and_then(|a| a.get(AUTOUPDATE));
    match autoupdate.map(String::as_str) {
        Some("false") => Action::Keep,
        _ => expected.reconcile(existing),
    }
}

/// True when anything was missing.
fn add_meta(existing: &mut ObjectMeta, expected: &ObjectMeta) -> bool {
    let add = |have: &mut Option<BTreeMap<String, String>>, want: &Option<BTreeMap<String, String>>| {
        let mut changed = false;
        for (key, value) in want.iter().flatten() {
            let have = have.get_or_insert_default();
            if !have.contains_key(key) {
                have.insert(key.clone(), value.clone());
                changed = true;
            }
        }
        changed
    };
    let labels = add(&mut existing.labels, &expected.labels);
    add(&mut existing.annotations, &expected.annotations) || labels
}

fn add_rules(existing: &mut Option<Vec<PolicyRule>>, expected: &Option<Vec<PolicyRule>>) -> bool {
    let missing = covers(existing.as_deref().unwrap_or_default(), expected.as_deref().unwrap_or_default());
    if missing.is_empty() {
        return false;
    }
    existing.get_or_insert_default().extend(crate::authz::rbac::covers::compact(&missing));
    true
}

fn add_subjects(existing: &mut Option<Vec<Subject>>, expected: &Option<Vec<Subject>>) -> bool {
    let mut changed = false;
    for subject in expected.iter().flatten() {
        let have = existing.get_or_insert_default();
        if !have.contains(subject) {
            have.push(subject.clone());
            changed = true;
        }
    }
    changed
}

impl Reconciled for ClusterRole {
    fn reconcile(&self, existing: &Self) -> Action<Self> {
        let mut new = existing.clone();
        let mut changed = add_meta(&mut new.metadata, &self.metadata);
        match &self.aggregation_rule {
            None => changed |= add_rules(&mut new.rules, &self.rules),
            // Its rules are the aggregation controller's.
            Some(wanted) => {
                let have = new
                    .aggregation_rule
                    .get_or_insert_default()
                    .cluster_role_selectors
                    .get_or_insert_default();
                for selector in wanted.cluster_role_selectors.iter().flatten() {
                    if !have.contains(selector) {
                        have.push(selector.clone());
                        changed = true;
                    }
                }
            }
        }
        if changed { Action::Update(new) } else { Action::Keep }
    }
}

impl Reconciled for Role {
    fn reconcile(&self, existing: &Self) -> Action<Self> {
        let mut new = existing.clone();
        let meta = add_meta(&mut new.metadata, &self.metadata);
        let rules = add_rules(&mut new.rules, &self.rules);
        if meta || rules { Action::Update(new) } else { Action::Keep }
    }
}

macro_rules! reconciled_bindings {
    ($($kind:ty),*) => {$(
        impl Reconciled for $kind {
            fn reconcile(&self, existing: &Self) -> Action<Self> {
                if (&self.role_ref.kind, &self.role_ref.name) != (&existing.role_ref.kind, &existing.role_ref.name) {
                    return Action::Recreate;
                }
                let mut new = existing.clone();
                let meta = add_meta(&mut new.metadata, &self.metadata);
                let subjects = add_subjects(&mut new.subjects, &self.subjects);
                if meta || subjects { Action::Update(new) } else { Action::Keep }
            }
        }
    )*};
}
reconciled_bindings!(ClusterRoleBinding, RoleBinding);
