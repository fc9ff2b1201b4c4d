//! Nobody hands out rights that he does not have.

use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};

use super::covers::{compact, covers, show};
use super::rules::ALL;
use crate::authn::{UserInfo, aggregate};
use crate::authz::{Attributes, Authorizer, Decision, Rbac, SYSTEM_MASTERS};

/// The resource being written: what `escalate` and `bind` are asked of.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `roles`, `clusterroles`, …
    pub resource: &'a str,
    /// Empty for the cluster's.
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The reason for the 403, in upstream's words.
    Forbidden(String),
    /// The binding's role is not there; `resource` is the plural. 404.
    NoSuchRole { resource: &'static str, name: String },
}

/// May the user write a role with these rules?
pub async fn may_write_role(
    authorizer: &dyn Authorizer,
    rbac: &Rbac,
    user: &UserInfo,
    target: Target<'_>,
    rules: &[PolicyRule],
    aggregates: bool,
) -> Result<(), Refusal> {
    if user.in_group(SYSTEM_MASTERS) || asked(authorizer, user, "escalate", target).await {
        return Ok(());
    }
    // Such a role may gather anything, now or later.
    if aggregates && confirm(rbac, user, "", &everything()).is_err() {
        let why = "must have cluster-admin privileges to use the aggregationRule";
        return Err(Refusal::Forbidden(why.into()));
    }
    confirm(rbac, user, target.namespace, rules).map_err(Refusal::Forbidden)
}

/// May the user write a binding to this role? `target` names the binding.
pub async fn may_bind(
    authorizer: &dyn Authorizer,
    rbac: &Rbac,
    user: &UserInfo,
    target: Target<'_>,
    role: &RoleRef,
) -> Result<(), Refusal> {
    let resource = if role.kind == "ClusterRole" { "clusterroles" } else { "roles" };
    let role_target = Target { resource, namespace: target.namespace, name: &role.name };
    if user.in_group(SYSTEM_MASTERS) || asked(authorizer, user, "bind", role_target).await {
        return Ok(());
    }
    let no_such = |_| Refusal::NoSuchRole { resource, name: role.name.clone() };
    let rules = rbac.role(role, target.namespace).map_err(no_such)?;
    confirm(rbac, user, target.namespace, &rules).map_err(Refusal::Forbidden)
}

async fn asked(authorizer: &dyn Authorizer, user: &UserInfo, verb: &str, target: Target<'_>) -> bool {
    let attributes = Attributes {
        user: user.clone(),
        verb: verb.into(),
        group: "rbac.authorization.k8s.io".into(),
        version: "v1".into(),
        resource: target.resource.into(),
        namespace: target.namespace.into(),
        name: target.name.into(),
        ..Attributes::default()
    };
    matches!(authorizer.authorize(&attributes).await, Decision::Allow(_))
}

fn confirm(rbac: &Rbac, user: &UserInfo, namespace: &str, wanted: &[PolicyRule]) -> Result<(), String> {
    let (owned, errors) = rbac.rules_for(user, namespace);
    let missing = covers(&owned, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let mut shown: Vec<String> = compact(&missing).iter().map(show).collect();
    shown.sort();
    shown.dedup();
    let groups: Vec<String> = user.groups.iter().map(|g| format!("{g:?}")).collect();
    let mut message = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        shown.join("\n")
    );
    if !errors.is_empty() {
        message.push_str(&format!("; resolution errors: [{}]", aggregate(&errors)));
    }
    Err(message)
}

fn everything() -> [PolicyRule; 2] {
    let all = || Some(vec![ALL.to_owned()]);
    [
        PolicyRule { verbs: vec![ALL.into()], api_groups: all(), resources: all(), ..PolicyRule::default() },
        PolicyRule { verbs: vec![ALL.into()], non_resource_urls: all(), ..PolicyRule::default() },
    ]
}
