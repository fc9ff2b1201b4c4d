//! Rules for the metadata of every object. The registry calls [`validate_create`] and [`validate_update`]; kinds only
//! say how their names look ([`NameRule`]).

use std::net::IpAddr;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::strategy::{NameRule, Scope};

#[cfg(test)]
mod tests;

const IMMUTABLE: &str = "field is immutable";

/// The metadata of a new object, its name already generated.
pub fn validate_create(meta: &ObjectMeta, scope: Scope, rule: NameRule) -> ErrorList {
    validate(meta, scope, rule, &Path::new("metadata"))
}

/// As [`validate_create`], for metadata at `path`.
pub fn validate(meta: &ObjectMeta, scope: Scope, rule: NameRule, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(prefix) = meta.generate_name.as_deref().filter(|p| !p.is_empty()) {
        for message in rule.check_prefix(prefix) {
            errs.push(Error::invalid(&path.child("generateName"), prefix, message));
        }
    }
    match meta.name.as_deref().unwrap_or_default() {
        "" => errs.push(Error::required(&path.child("name"), "name or generateName is required")),
        name => {
            for message in rule.check(name) {
                errs.push(Error::invalid(&path.child("name"), name, message));
            }
        }
    }
    errs.extend(namespace_errors(meta, scope, &path.child("namespace")));
    errs.extend(accessors(meta, path));
    errs
}

/// The metadata of a changed object.
pub fn validate_update(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let path = Path::new("metadata");
    let mut errs = ErrorList::new();
    if old.deletion_timestamp.is_some() {
        errs.extend(no_new_finalizers(new, old, &path.child("finalizers")));
    }
    if new.resource_version.as_deref().unwrap_or_default().is_empty() {
        errs.push(Error::invalid(
            &path.child("resourceVersion"),
            new.resource_version.as_deref().unwrap_or_default(),
            "must be specified for an update",
        ));
    }
    if new.generation.unwrap_or(0) < old.generation.unwrap_or(0) {
        let shown = new.generation.unwrap_or(0);
        errs.push(Error::invalid(&path.child("generation"), shown, "must not be decremented"));
    }
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let mut fixed = |field: &str, new: String, old: String| {
        if new != old {
            errs.push(Error::invalid(&path.child(field), &new, IMMUTABLE));
        }
    };
    fixed("name", text(&new.name), text(&old.name));
    fixed("namespace", text(&new.namespace), text(&old.namespace));
    fixed("uid", text(&new.uid), text(&old.uid));
    let created = |m: &ObjectMeta| m.creation_timestamp.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
    fixed("creationTimestamp", created(new), created(old));
    errs.extend(deletion_fixed(new, old, &path));
    errs.extend(accessors(new, &path));
    errs
}

/// A deletion, once begun, cannot be taken back by an update, nor lengthened or shortened.
fn deletion_fixed(new: &ObjectMeta, old: &ObjectMeta, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if new.deletion_timestamp != old.deletion_timestamp {
        let shown = new.deletion_timestamp.as_ref().map_or_else(|| "null".into(), |t| t.0.to_string());
        errs.push(Error::invalid(&path.child("deletionTimestamp"), &shown, IMMUTABLE));
    }
    if new.deletion_grace_period_seconds != old.deletion_grace_period_seconds {
        let shown = new.deletion_grace_period_seconds.map_or_else(|| "\"null\"".into(), |s| s.to_string());
        errs.push(Error::invalid(&path.child("deletionGracePeriodSeconds"), Raw(shown), IMMUTABLE));
    }
    errs
}

fn namespace_errors(meta: &ObjectMeta, scope: Scope, path: &Path) -> ErrorList {
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    match (scope, namespace) {
        (Scope::Namespaced, "") => [Error::required(path, "")].into_iter().collect(),
        (Scope::Namespaced, name) => {
            names::dns1123_label(name).into_iter().map(|m| Error::invalid(path, name, m)).collect()
        }
        (Scope::Cluster, "") => ErrorList::new(),
        (Scope::Cluster, _) => [Error::forbidden(path, "not allowed on this type")].into_iter().collect(),
    }
}

/// What create and update have in common.
fn accessors(meta: &ObjectMeta, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(generation) = meta.generation.filter(|g| *g < 0) {
        errs.push(Error::invalid(
            &path.child("generation"),
            generation,
            "must be greater than or equal to 0",
        ));
    }
    if let Some(labels) = &meta.labels {
        errs.extend(names::labels(labels, &path.child("labels")));
    }
    if let Some(annotations) = &meta.annotations {
        errs.extend(names::annotations(annotations, &path.child("annotations")));
    }
    errs.extend(owner_errors(
        meta.owner_references.as_deref().unwrap_or_default(),
        &path.child("ownerReferences"),
    ));
    errs.extend(all_finalizer_errors(
        meta.finalizers.as_deref().unwrap_or_default(),
        &path.child("finalizers"),
    ));
    errs.extend(managed_fields_errors(meta, &path.child("managedFields")));
    errs
}

fn owner_errors(owners: &[OwnerReference], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for owner in owners {
        errs.extend(one_owner(owner, path));
    }
    let mut controllers = owners.iter().filter(|o| o.controller == Some(true));
    if let (Some(first), Some(second)) = (controllers.next(), controllers.next()) {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
            first.kind, first.name, second.kind, second.name
        );
        errs.push(Error::invalid(path, Raw(shown_owners(owners)), detail));
    }
    errs
}

fn one_owner(owner: &OwnerReference, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
    if version.is_empty() || version.contains('/') {
        errs.push(Error::invalid(&path.child("apiVersion"), &owner.api_version, "version must not be empty"));
    }
    for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
        if value.is_empty() {
            errs.push(Error::invalid(&path.child(field), value, "must not be empty"));
        }
    }
    // Events come and go by themselves; nothing may hang on one.
    if group.is_empty() && version == "v1" && owner.kind == "Event" {
        let detail = format!("{} is disallowed from being an owner", shown_kind(group, version, &owner.kind));
        errs.push(Error::invalid(path, Raw(shown_owners(std::slice::from_ref(owner))), detail));
    }
    errs
}

/// As Go prints a GroupVersionKind.
fn shown_kind(group: &str, version: &str, kind: &str) -> String {
    format!("{group}/{version}, Kind={kind}")
}

fn shown_owners(owners: &[OwnerReference]) -> String {
    let show = |o: &OwnerReference| {
        let mut fields = serde_json::Map::new();
        for (name, value) in
            [("apiVersion", &o.api_version), ("kind", &o.kind), ("name", &o.name), ("uid", &o.uid)]
        {
            fields.insert(name.into(), value.as_str().into());
        }
        for (name, value) in [("controller", o.controller), ("blockOwnerDeletion", o.block_owner_deletion)] {
            if let Some(value) = value {
                fields.insert(name.into(), value.into());
            }
        }
        serde_json::Value::Object(fields)
    };
    serde_json::Value::Array(owners.iter().map(show).collect()).to_string()
}

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

fn all_finalizer_errors(finalizers: &[String], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for finalizer in finalizers {
        for message in names::qualified_name(finalizer) {
            errs.push(Error::invalid(path, finalizer, message));
        }
    }
    for (i, finalizer) in finalizers.iter().enumerate() {
        errs.extend(standard_or_qualified(finalizer, &path.index(i)));
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has(ORPHAN) && has(FOREGROUND) {
        let shown = serde_json::Value::from(finalizers.to_vec()).to_string();
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errs.push(Error::invalid(path, Raw(shown), detail));
    }
    errs
}

/// A finalizer of a namespace's spec: one of the known ones, or with a domain.
pub(crate) fn finalizer_errors(finalizer: &str, path: &Path) -> ErrorList {
    let mut errs: ErrorList =
        names::qualified_name(finalizer).into_iter().map(|m| Error::invalid(path, finalizer, m)).collect();
    errs.extend(standard_or_qualified(finalizer, path));
    errs
}

fn standard_or_qualified(finalizer: &str, path: &Path) -> ErrorList {
    let known = matches!(finalizer, "kubernetes" | ORPHAN | FOREGROUND);
    crate::check::one(!finalizer.contains('/') && !known, || {
        Error::invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")
    })
}

/// A deletion under way waits for those who asked before it began, for nobody else.
fn no_new_finalizers(new: &ObjectMeta, old: &ObjectMeta, path: &Path) -> ErrorList {
    let before = old.finalizers.as_deref().unwrap_or_default();
    let added: Vec<&String> = new.finalizers.iter().flatten().filter(|f| !before.contains(f)).collect();
    if added.is_empty() {
        return ErrorList::new();
    }
    let shown: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        shown.join(", ")
    );
    [Error::forbidden(path, detail)].into_iter().collect()
}

fn managed_fields_errors(meta: &ObjectMeta, path: &Path) -> ErrorList {
    const MANAGER_MAX: usize = 128;
    let mut errs = ErrorList::new();
    for (i, entry) in meta.managed_fields.iter().flatten().enumerate() {
        let path = path.index(i);
        match entry.operation.as_deref().unwrap_or_default() {
            "Apply" | "Update" => {}
            other => {
                errs.push(Error::invalid(&path.child("operation"), other, "must be `Apply` or `Update`"))
            }
        }
        match entry.fields_type.as_deref().unwrap_or_default() {
            "" | "FieldsV1" => {}
            other => errs.push(Error::invalid(&path.child("fieldsType"), other, "must be `FieldsV1`")),
        }
        errs.extend(manager_errors(entry.manager.as_deref().unwrap_or_default(), MANAGER_MAX, &path));
        if entry.subresource.as_ref().is_some_and(|s| s.len() > 256) {
            errs.push(Error::too_long(&path.child("subresource"), 256));
        }
    }
    errs
}

fn manager_errors(manager: &str, max: usize, path: &Path) -> ErrorList {
    let path = path.child("manager");
    let mut errs = ErrorList::new();
    if manager.len() > max {
        errs.push(Error::too_long(&path, max));
    }
    if let Some((i, c)) = manager.chars().enumerate().find(|(_, c)| c.is_control()) {
        let detail = format!("should only contain printable characters, found {c:?} at {i}");
        errs.push(Error::invalid(&path, manager, detail));
    }
    errs
}

impl NameRule {
    /// What is wrong with a whole name.
    pub fn check(self, name: &str) -> Vec<String> {
        match self {
            NameRule::DnsSubdomain => names::dns1123_subdomain(name),
            NameRule::DnsLabel => names::dns1123_label(name),
            NameRule::Dns1035Label => names::dns1035_label(name),
            NameRule::PathSegment => names::path_segment(name),
            NameRule::IpAddress => canonical_ip(name),
        }
    }

    /// What is wrong with a `generateName`; a dash at its end is no fault, as something follows.
    pub fn check_prefix(self, prefix: &str) -> Vec<String> {
        match self {
            NameRule::PathSegment => names::path_segment_prefix(prefix),
            rule => rule.check(&names::mask_trailing_dash(prefix)),
        }
    }
}

fn canonical_ip(name: &str) -> Vec<String> {
    match name.parse::<IpAddr>() {
        Err(_) => names::ip(name),
        Ok(IpAddr::V6(six)) if six.to_ipv4_mapped().is_some() => {
            vec!["must not be an IPv4-mapped IPv6 address".into()]
        }
        Ok(ip) if ip.to_string() != name => vec![format!("must be in canonical form (\"{ip}\")")],
        Ok(_) => Vec::new(),
    }
}
