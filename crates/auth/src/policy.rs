//! The roles and bindings that every cluster starts with: upstream's, as data. Start at [`bootstrap`]; [`reconcile`]
//! keeps a cluster's own copies of them whole.

use k8s_openapi::api::rbac::v1::{
    AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

mod cluster;
mod components;
mod controllers;
pub mod joining;
mod namespaced;
pub mod reconcile;
mod users;

#[cfg(test)]
mod tests;

pub use components::node_rules;

/// `true`: we keep the object as it should be; anything else: its owner has taken over.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const RBAC: &str = "rbac.authorization.k8s.io";

/// All default objects.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub cluster_roles: Vec<ClusterRole>,
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
    pub roles: Vec<Role>,
    pub role_bindings: Vec<RoleBinding>,
}

/// Everything a new cluster gets.
pub fn bootstrap() -> Policy {
    let mut policy = Policy::default();
    cluster::add(&mut policy);
    users::add(&mut policy);
    components::add(&mut policy);
    controllers::add(&mut policy);
    namespaced::add(&mut policy);
    policy
}

/// Words: `rule("get list", "core apps", "pods deployments")`. The core group is written `core`.
pub(crate) fn rule(verbs: &str, groups: &str, resources: &str) -> PolicyRule {
    let groups = groups.split_whitespace().map(|g| if g == "core" { "" } else { g }.to_owned());
    PolicyRule {
        verbs: words(verbs),
        api_groups: Some(groups.collect()),
        resources: Some(words(resources)),
        ..PolicyRule::default()
    }
}

/// The same for single objects.
pub(crate) fn named(verbs: &str, groups: &str, resources: &str, names: &str) -> PolicyRule {
    PolicyRule { resource_names: Some(words(names)), ..rule(verbs, groups, resources) }
}

/// Paths that are no resources.
pub(crate) fn urls(verbs: &str, urls: &str) -> PolicyRule {
    PolicyRule { verbs: words(verbs), non_resource_urls: Some(words(urls)), ..PolicyRule::default() }
}

/// What everyone needs who records events.
fn events() -> PolicyRule {
    rule("create patch update", "core events.k8s.io", "events")
}

const READ: &str = "get list watch";
const WRITE: &str = "create delete deletecollection patch update";
const READ_WRITE: &str = "create delete deletecollection get list patch update watch";

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn meta(namespace: &str, name: &str) -> ObjectMeta {
    let map = |key: &str, value: &str| Some([(key.to_owned(), value.to_owned())].into());
    ObjectMeta {
        name: Some(name.into()),
        namespace: (!namespace.is_empty()).then(|| namespace.into()),
        labels: map("kubernetes.io/bootstrapping", "rbac-defaults"),
        annotations: map(AUTOUPDATE, "true"),
        ..ObjectMeta::default()
    }
}

pub(crate) fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: Some(RBAC.into()), kind: kind.into(), name: name.into() }
}

pub(crate) fn user(name: &str) -> Subject {
    Subject { api_group: Some(RBAC.into()), kind: "User".into(), name: name.into(), namespace: None }
}

pub(crate) fn group(name: &str) -> Subject {
    Subject { api_group: Some(RBAC.into()), kind: "Group".into(), name: name.into(), namespace: None }
}

pub(crate) fn account(namespace: &str, name: &str) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".into(),
        name: name.into(),
        namespace: Some(namespace.into()),
    }
}

impl Policy {
    fn cluster_role(&mut self, name: &str, rules: Vec<PolicyRule>) -> &mut ClusterRole {
        self.cluster_roles.push(ClusterRole {
            metadata: meta("", name),
            rules: Some(rules),
            aggregation_rule: None,
        });
        let last = self.cluster_roles.len() - 1;
        &mut self.cluster_roles[last]
    }

    /// A role that gathers whatever is labelled for it.
    fn aggregate(&mut self, name: &str) -> &mut ClusterRole {
        let selector = LabelSelector {
            match_labels: Some([(aggregate_to(name), "true".into())].into()),
            ..Default::default()
        };
        let role = self.cluster_role(name, Vec::new());
        role.rules = None;
        role.aggregation_rule = Some(AggregationRule { cluster_role_selectors: Some(vec![selector]) });
        role
    }

    fn bind_cluster(&mut self, role: &str, subjects: Vec<Subject>) {
        self.cluster_role_bindings.push(ClusterRoleBinding {
            metadata: meta("", role),
            role_ref: role_ref("ClusterRole", role),
            subjects: (!subjects.is_empty()).then_some(subjects),
        });
    }

    fn role(&mut self, namespace: &str, name: &str, rules: Vec<PolicyRule>) {
        self.roles.push(Role { metadata: meta(namespace, name), rules: Some(rules) });
    }

    fn bind(&mut self, namespace: &str, name: &str, role: &str, subjects: Vec<Subject>) {
        self.role_bindings.push(RoleBinding {
            metadata: meta(namespace, name),
            role_ref: role_ref("Role", role),
            subjects: Some(subjects),
        });
    }
}

/// The label that puts a role's rules into another.
fn aggregate_to(role: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{role}")
}

trait Labelled {
    /// Labels it, so that `role` gathers its rules.
    fn gathered_by(&mut self, role: &str);
}

impl Labelled for ClusterRole {
    fn gathered_by(&mut self, role: &str) {
        self.metadata.labels.get_or_insert_default().insert(aggregate_to(role), "true".into());
    }
}
