//! Nobody hands out rights that he does not have: roles and bindings.

use std::sync::Arc;

use apimachinery::{GroupResource, Status};
use async_trait::async_trait;
use auth::UserInfo;
use auth::authz::Authorization;
use auth::authz::rbac::Rbac;
use auth::authz::rbac::escalation::{Refusal, Target, may_bind, may_write_role};
use codec::Kind;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};
use registry::admit::{Attributes, Operation};

use crate::ask;
use crate::chain::{Context, Plugin};

pub(crate) struct RbacEscalation {
    authorization: Arc<Authorization>,
    rbac: Option<Arc<Rbac>>,
}

/// What is being handed out.
enum Grant<'a> {
    Rules { rules: &'a [PolicyRule], aggregates: bool },
    Role(&'a RoleRef),
}

impl RbacEscalation {
    pub(crate) fn new(context: &Context) -> Self {
        RbacEscalation { authorization: context.authorization.clone(), rbac: context.rbac.clone() }
    }
}

#[async_trait]
impl Plugin for RbacEscalation {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        let Some(rbac) = &self.rbac else { return Ok(()) };
        if !matches!(a.operation, Operation::Create | Operation::Update) || only_for_collection(a) {
            return Ok(());
        }
        let Some(grant) = grant(a) else { return Ok(()) };
        let name = a.object.as_deref().and_then(|o| o.object_meta().name.as_deref()).unwrap_or(a.name);
        let target = Target { resource: &a.gvr.resource, namespace: a.namespace, name };
        let user = UserInfo {
            name: a.user.name.clone(),
            uid: a.user.uid.clone(),
            groups: a.user.groups.clone(),
            extra: a.user.extra.clone(),
        };
        let authorizer = &*self.authorization;
        let answer = match grant {
            Grant::Rules { rules, aggregates } => {
                may_write_role(authorizer, rbac, &user, target, rules, aggregates).await
            }
            Grant::Role(role) => may_bind(authorizer, rbac, &user, target, role).await,
        };
        answer.map_err(|refusal| match refusal {
            Refusal::Forbidden(why) => ask::forbidden(a, why),
            Refusal::NoSuchRole { resource, name } => {
                let resource = GroupResource { group: Role::GROUP.into(), resource: resource.into() };
                Status::not_found(&resource, &name)
            }
        })
    }
}

fn grant<'a>(a: &'a Attributes<'_>) -> Option<Grant<'a>> {
    if !a.subresource.is_empty() {
        return None;
    }
    let rules = |rules: &'a Option<Vec<PolicyRule>>| rules.as_deref().unwrap_or_default();
    if let Some(role) = ask::object::<ClusterRole>(a) {
        let gathered = |role: &ClusterRole| role.aggregation_rule.is_some();
        let aggregates = gathered(role) || ask::old::<ClusterRole>(a).is_some_and(gathered);
        return Some(Grant::Rules { rules: rules(&role.rules), aggregates });
    }
    if let Some(role) = ask::object::<Role>(a) {
        return Some(Grant::Rules { rules: rules(&role.rules), aggregates: false });
    }
    if let Some(binding) = ask::object::<ClusterRoleBinding>(a) {
        return Some(Grant::Role(&binding.role_ref));
    }
    ask::object::<RoleBinding>(a).map(|binding| Grant::Role(&binding.role_ref))
}

/// The garbage collector takes finalizers and owners away; it hands nothing out.
fn only_for_collection(a: &Attributes<'_>) -> bool {
    let (Some(new), Some(old)) = (a.object.as_deref(), a.old) else { return false };
    let mut copy = new.clone_box();
    let (meta, before) = (copy.object_meta_mut(), old.object_meta());
    meta.owner_references.clone_from(&before.owner_references);
    meta.finalizers.clone_from(&before.finalizers);
    meta.managed_fields.clone_from(&before.managed_fields);
    meta.resource_version.clone_from(&before.resource_version);
    copy.equals(old)
}
