//! The authorization stage: who may do what, and how a no is worded.

use apimachinery::{GroupResource, Status};
use auth::{Attributes, Authorizer, Decision, UserInfo};

use super::path::ResourcePath;

/// Lets the request pass or answers 403.
pub async fn authorize(authorizer: &dyn Authorizer, attributes: &Attributes) -> Result<(), Status> {
    match authorizer.authorize(attributes).await {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(attributes, &reason)),
    }
}

/// What a resource request asks for. `field_selector` counts for list, watch and deletecollection only.
pub fn resource_attributes(
    user: &UserInfo,
    verb: &str,
    path: &ResourcePath,
    field_selector: &str,
) -> Attributes {
    let name = match verb {
        "list" | "watch" | "deletecollection" if path.name.is_empty() => single_name(field_selector),
        _ => None,
    };
    Attributes {
        user: user.clone(),
        verb: verb.into(),
        group: path.group.clone(),
        version: path.version.clone(),
        resource: path.resource.clone(),
        subresource: path.subresource.clone(),
        namespace: path.namespace.clone(),
        name: name.unwrap_or_else(|| path.name.clone()),
        path: String::new(),
        field_selector: field_selector.into(),
    }
}

/// `metadata.name=x` alone makes a list one about x, so that a role naming x allows it.
fn single_name(field_selector: &str) -> Option<String> {
    field_selector.split(',').find_map(|clause| {
        let value = clause.trim().strip_prefix("metadata.name=")?;
        Some(value.trim_start_matches('=').to_owned()).filter(|v| !v.is_empty())
    })
}

fn forbidden(a: &Attributes, reason: &str) -> Status {
    let why = match reason {
        "" => refusal(a),
        reason => format!("{}: {reason}", refusal(a)),
    };
    if !a.is_resource() {
        return Status::failure(403, "Forbidden", format!("forbidden: {why}"));
    }
    let resource = GroupResource { group: a.group.as_str().into(), resource: a.resource.as_str().into() };
    Status::forbidden(&resource, &a.name, &why)
}

/// `User "jane" cannot list resource "pods" in API group "" in the namespace "default"`
fn refusal(a: &Attributes) -> String {
    let user = format!("User {:?} cannot {}", a.user.name, a.verb);
    if !a.is_resource() {
        return format!("{user} path {:?}", a.path);
    }
    let resource = match &*a.subresource {
        "" => a.resource.clone(),
        sub => format!("{}/{sub}", a.resource),
    };
    let place = match &*a.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    format!("{user} resource {resource:?} in API group {:?} {place}", a.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: &str, path: &str, expected: &str) {
        let user = UserInfo::new("jane", &[]);
        let attributes = match super::super::path::Path::parse(path) {
            super::super::path::Path::Resource(r) => resource_attributes(&user, verb, &r, ""),
            super::super::path::Path::Other(p) => {
                Attributes { user, verb: verb.into(), path: p, ..Attributes::default() }
            }
        };
        let status = forbidden(&attributes, "");
        assert_eq!((status.code, &*status.message), (403, expected));
    }

    #[test]
    fn refusals() {
        check(
            "list",
            "/api/v1/namespaces/default/pods",
            r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#,
        );
        check(
            "get",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin",
            r#"clusterroles.rbac.authorization.k8s.io "admin" is forbidden: User "jane" cannot get resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope"#,
        );
        check("get", "/metrics", r#"forbidden: User "jane" cannot get path "/metrics""#);
        check(
            "get",
            "/api/v1/namespaces/d/pods/p/log",
            r#"pods "p" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "d""#,
        );
    }

    #[test]
    fn a_name_selector_is_a_name() {
        let user = UserInfo::new("jane", &[]);
        let path = ResourcePath { resource: "pods".into(), ..ResourcePath::default() };
        let name = |selector| resource_attributes(&user, "list", &path, selector).name;
        assert_eq!(name("metadata.name=a"), "a");
        assert_eq!(name("spec.nodeName=a"), "");
    }
}
