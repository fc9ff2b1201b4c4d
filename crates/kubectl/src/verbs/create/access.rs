//! Roles and bindings.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::session::Session;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Verbs that resources know; others are told, and taken.
const VERBS: &[&str] = &[
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
    "*",
    "approve",
    "sign",
    "attest",
    "serve-unapproved",
    "associated-node:get",
];

fn verbs(session: &Session) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for verb in session.call.list("verb") {
        if verb == "*" {
            return Ok(vec![verb]);
        }
        if !found.contains(&verb) {
            found.push(verb);
        }
    }
    Ok(found)
}

pub fn role(session: &Session, name: &str) -> Result<Value> {
    let rules = resource_rules(session, true)?;
    Ok(
        json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "Role", "metadata": { "name": name }, "rules": rules }),
    )
}

/// A rule for each API group, in the order in which the groups come.
fn resource_rules(session: &Session, required: bool) -> Result<Vec<Value>> {
    let call = &session.call;
    let verbs = verbs(session)?;
    let names = call.list("resource-name");
    if verbs.is_empty() {
        return Err(Error::text("at least one verb must be specified"));
    }
    let asked = call.list("resource");
    if asked.is_empty() && required {
        return Err(Error::text("at least one resource must be specified"));
    }
    for verb in verbs.iter().filter(|v| !VERBS.contains(&v.as_str())) {
        session.note(&format!("'{verb}' is not a standard resource verb"));
    }
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for one in &asked {
        let (word, sub) = one.split_once('/').unwrap_or((one, ""));
        let (group, plural) = match word {
            "*" => (String::new(), "*".to_owned()),
            word if word.starts_with("*.") => (word[2..].to_owned(), "*".to_owned()),
            word => {
                let found =
                    session.discovery()?.find(session, word).map_err(|e| Error::Plain(e.to_string()))?;
                (found.group.clone(), found.name.clone())
            }
        };
        let resource = if sub.is_empty() { plural } else { format!("{plural}/{sub}") };
        match groups.iter_mut().find(|(g, _)| *g == group) {
            Some((_, all)) if all.contains(&resource) => {}
            Some((_, all)) => all.push(resource),
            None => groups.push((group, vec![resource])),
        }
    }
    if !names.is_empty() && asked.is_empty() {
        return Err(Error::text("resourceNames can not be applied to nonResourceURLs"));
    }
    let rule = |(group, resources): (String, Vec<String>)| {
        let mut rule = json!({ "verbs": verbs, "apiGroups": [group], "resources": resources });
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rule
    };
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(groups.into_iter().map(rule).collect())
}

pub fn cluster_role(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (urls, aggregation) = (call.list("non-resource-url"), call.text("aggregation-rule"));
    let metadata = json!({ "name": name });
    if !aggregation.is_empty() {
        if !(urls.is_empty()
            && call.list("verb").is_empty()
            && call.list("resource").is_empty()
            && call.list("resource-name").is_empty())
        {
            return Err(Error::text(
                "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
            ));
        }
        let mut labels = json!({});
        for pair in aggregation.split(',') {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Error::text(format!("{pair} must be formatted as key=value")));
            };
            labels[key] = json!(value);
        }
        return Ok(json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": metadata, "rules": null,
            "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": labels }] },
        }));
    }
    if verbs(session)?.is_empty() {
        return Err(Error::text("at least one verb must be specified"));
    }
    if call.list("resource").is_empty() && urls.is_empty() {
        return Err(Error::text("one of resource or nonResourceURL must be specified"));
    }
    let mut rules =
        if call.list("resource").is_empty() { Vec::new() } else { resource_rules(session, true)? };
    if !urls.is_empty() {
        if call.list("resource").is_empty() && !call.list("resource-name").is_empty() {
            return Err(Error::text("resourceNames can not be applied to nonResourceURLs"));
        }
        if let Some(verb) = verbs(session)?.iter().find(|v| {
            !["*", "get", "put", "post", "head", "options", "delete", "patch"].contains(&v.as_str())
        }) {
            return Err(Error::text(format!("invalid verb: '{verb}' for nonResourceURL")));
        }
        if let Some(url) = urls.iter().find(|u| {
            u.as_str() != "*" && (u.is_empty() || !u.starts_with('/') || u[..u.len() - 1].contains('*'))
        }) {
            return Err(Error::text(format!("invalid nonResourceURL: '{url}'")));
        }
        rules.push(json!({ "verbs": verbs(session)?, "nonResourceURLs": urls }));
    }
    Ok(
        json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": metadata, "rules": rules }),
    )
}

pub fn cluster_role_binding(session: &Session, name: &str) -> Result<Value> {
    binding(session, name, "ClusterRoleBinding", ("ClusterRole", session.call.text("clusterrole")))
}

pub fn role_binding(session: &Session, name: &str) -> Result<Value> {
    let (cluster, role) = (session.call.text("clusterrole"), session.call.text("role"));
    match (cluster.is_empty(), role.is_empty()) {
        (false, true) => binding(session, name, "RoleBinding", ("ClusterRole", cluster)),
        (true, false) => binding(session, name, "RoleBinding", ("Role", role)),
        _ => Err(Error::text("exactly one of clusterrole or role must be specified")),
    }
}

fn binding(session: &Session, name: &str, kind: &str, (role_kind, role): (&str, &str)) -> Result<Value> {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": { "name": name },
        "roleRef": { "apiGroup": GROUP, "kind": role_kind, "name": role },
    });
    let subjects = subjects(session)?;
    if !subjects.is_empty() {
        object["subjects"] = json!(subjects);
    }
    Ok(object)
}

/// Users, groups and service accounts of the flags.
pub fn subjects(session: &Session) -> Result<Vec<Value>> {
    let call = &session.call;
    let mut found = Vec::new();
    let named = |kind: &str, name: &String| json!({ "apiGroup": GROUP, "kind": kind, "name": name });
    found.extend(call.list("user").iter().map(|u| named("User", u)));
    found.extend(call.list("group").iter().map(|g| named("Group", g)));
    for account in call.list("serviceaccount") {
        match account.split(':').collect::<Vec<_>>()[..] {
            [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                found.push(json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace }));
            }
            _ => return Err(Error::text("serviceaccount must be <namespace>:<name>")),
        }
    }
    Ok(found)
}
