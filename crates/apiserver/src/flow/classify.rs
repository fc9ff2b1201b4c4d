//! Which schema is a request's? Pure, and without allocations: every request is asked about by every schema until one says yes.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use auth::UserInfo;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

use crate::pipeline::path::ResourcePath;

/// What rules are about.
pub struct Request<'a> {
    pub user: &'a UserInfo,
    pub verb: &'a str,
    pub target: Target<'a>,
}

/// What a request is for.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    Resource(&'a ResourcePath),
    Path(&'a str),
}

/// A schema's rules, and what its flows are.
pub struct Schema {
    name: String,
    rules: Vec<PolicyRulesWithSubjects>,
    by: By,
}

/// What tells a schema's flows apart.
#[derive(Clone, Copy)]
enum By {
    /// All are one.
    Nothing,
    User,
    Namespace,
}

impl Schema {
    pub fn new(schema: FlowSchema) -> Self {
        let method = schema.spec.distinguisher_method.as_ref().map(|m| &*m.type_);
        Schema {
            by: match method {
                Some("ByUser") => By::User,
                Some("ByNamespace") => By::Namespace,
                _ => By::Nothing,
            },
            name: schema.metadata.name.unwrap_or_default(),
            rules: schema.spec.rules.unwrap_or_default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the request is this schema's, as far as its own rules go.
    pub fn matches(&self, request: &Request<'_>) -> bool {
        self.rules.iter().any(|rule| {
            rule.subjects.iter().any(|subject| is_subject(subject, request.user))
                && match request.target {
                    Target::Resource(path) => {
                        rule.resource_rules.iter().flatten().any(|r| is_resource(r, request.verb, path))
                    }
                    Target::Path(path) => {
                        rule.non_resource_rules.iter().flatten().any(|r| is_url(r, request.verb, path))
                    }
                }
        })
    }

    /// The flow that a request of this user, for this namespace, belongs to.
    pub fn flow(&self, user: &str, namespace: &str) -> u64 {
        let which = match self.by {
            By::Nothing => "",
            By::User => user,
            By::Namespace => namespace,
        };
        BuildHasherDefault::<DefaultHasher>::default().hash_one((&self.name, which))
    }
}

fn is_subject(subject: &Subject, user: &UserInfo) -> bool {
    match &*subject.kind {
        "User" => subject.user.as_ref().is_some_and(|u| u.name == "*" || u.name == user.name),
        "Group" => subject.group.as_ref().is_some_and(|g| g.name == "*" || user.in_group(&g.name)),
        "ServiceAccount" => subject.service_account.as_ref().is_some_and(|account| {
            let named = user.name.strip_prefix("system:serviceaccount:").and_then(|n| n.split_once(':'));
            named.is_some_and(|(namespace, name)| {
                account.namespace == namespace && (account.name == "*" || account.name == name)
            })
        }),
        _ => false,
    }
}

fn contains(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

fn is_resource(rule: &ResourcePolicyRule, verb: &str, path: &ResourcePath) -> bool {
    let named = |item: &String| match (&*path.subresource, item.split_once('/')) {
        _ if item == "*" => true,
        ("", None) => *item == path.resource,
        (sub, Some((resource, named))) => resource == path.resource && named == sub,
        _ => false,
    };
    contains(&rule.verbs, verb)
        && contains(&rule.api_groups, &path.group)
        && rule.resources.iter().any(named)
        && match &*path.namespace {
            "" => rule.cluster_scope.unwrap_or(false),
            namespace => contains(rule.namespaces.as_deref().unwrap_or_default(), namespace),
        }
}

fn is_url(rule: &NonResourcePolicyRule, verb: &str, path: &str) -> bool {
    let named = |item: &String| match item.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => item == path,
    };
    contains(&rule.verbs, verb) && rule.non_resource_urls.iter().any(named)
}
