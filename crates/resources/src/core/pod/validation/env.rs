//! Rules for environment variables and the values they take from elsewhere.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Quantity, names};
use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector,
};

use super::Context;
use crate::check::{each, one, required};

/// `env`
pub(super) fn vars(vars: &[EnvVar], context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, var) in vars.iter().enumerate() {
        let path = path.index(i);
        match &*var.name {
            "" => errs.push(Error::required(&path.child("name"), "")),
            name => errs.extend(each(&path.child("name"), name, names::env_var_name(name))),
        }
        if let Some(from) = &var.value_from {
            let value = var.value.as_deref().unwrap_or_default();
            errs.extend(value_from(from, value, context, &path.child("valueFrom")));
        }
    }
    errs
}

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

fn value_from(from: &EnvVarSource, value: &str, context: &Context<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut sources = 0;
    if let Some(field) = &from.field_ref {
        sources += 1;
        errs.extend(object_field(field, FIELDS, &path.child("fieldRef")));
    }
    if let Some(resource) = &from.resource_field_ref {
        sources += 1;
        errs.extend(resource_field(resource, false, &path.child("resourceFieldRef")));
    }
    if let Some(key) = &from.config_map_key_ref {
        sources += 1;
        errs.extend(key_ref(&key.name, &key.key, &path.child("configMapKeyRef")));
    }
    if let Some(key) = &from.secret_key_ref {
        sources += 1;
        errs.extend(key_ref(&key.name, &key.key, &path.child("secretKeyRef")));
    }
    if let Some(file) = &from.file_key_ref {
        sources += 1;
        errs.extend(file_key(file, context, &path.child("fileKeyRef")));
    }
    let detail = match sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !value.is_empty() => "may not be specified when `value` is not empty",
        1 => return errs,
        _ => "may not have more than one field specified at a time",
    };
    errs.push(Error::invalid(path, "", detail));
    errs
}

fn file_key(
    file: &k8s_openapi::api::core::v1::FileKeySelector,
    context: &Context<'_>,
    path: &Path,
) -> ErrorList {
    let mut errs = required(&path.child("key"), &file.key);
    if !file.key.is_empty() {
        errs.extend(each(&path.child("key"), &file.key, names::env_var_name(&file.key)));
    }
    errs.extend(required(&path.child("volumeName"), &file.volume_name));
    if !file.volume_name.is_empty() && !context.volumes.contains_key(&*file.volume_name) {
        errs.push(Error::not_found(&path.child("volumeName"), &file.volume_name));
    }
    errs.extend(required(&path.child("path"), &file.path));
    errs.extend(crate::check::local_path(&path.child("path"), &file.path));
    errs
}

/// A field of the pod: one of `known`, or one label or annotation.
pub(super) fn object_field(field: &ObjectFieldSelector, known: &[&str], path: &Path) -> ErrorList {
    let version = field.api_version.as_deref().unwrap_or_default();
    if version.is_empty() {
        return required(&path.child("apiVersion"), version);
    }
    if field.field_path.is_empty() {
        return required(&path.child("fieldPath"), "");
    }
    let at = path.child("fieldPath");
    let subscript = subscript(&field.field_path);
    let convertible = match subscript {
        Some((name, _)) => matches!(name, "metadata.annotations" | "metadata.labels"),
        None => CONVERTIBLE.contains(&&*field.field_path),
    };
    if version != "v1" || !convertible {
        let detail = match version {
            "v1" => format!("error converting fieldPath: field label not supported: {}", field.field_path),
            other => format!("error converting fieldPath: unsupported pod version: {other}"),
        };
        return one(true, || Error::invalid(&at, &field.field_path, detail));
    }
    match subscript {
        Some(("metadata.annotations", key)) => each(path, key, names::qualified_name(&key.to_lowercase())),
        Some((_, key)) => each(path, key, names::qualified_name(key)),
        None => {
            let mut sorted = known.to_vec();
            sorted.sort_unstable();
            crate::check::known(&at, &field.field_path, &sorted)
        }
    }
}

/// All fields that the downward API has heard of.
const CONVERTIBLE: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];

/// `path['key']`, taken apart.
fn subscript(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once("['")?;
    Some((name, rest.strip_suffix("']")?))
}

const AMOUNTS: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// An amount of a container; in a volume the container has to be named.
pub(super) fn resource_field(field: &ResourceFieldSelector, in_volume: bool, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let resource = &*field.resource;
    let huge = ["requests.hugepages-", "limits.hugepages-"].iter().any(|p| resource.starts_with(p));
    if in_volume && field.container_name.as_deref().unwrap_or_default().is_empty() {
        errs.push(Error::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errs.push(Error::required(&path.child("resource"), ""));
    } else if !AMOUNTS.contains(&resource) && !huge {
        errs.push(Error::not_supported(&path.child("resource"), resource, AMOUNTS));
    }
    let divisor = field.divisor.as_ref().and_then(|d| Quantity::parse(&d.0).ok());
    if let Some(divisor) = divisor.filter(|d| !d.is_zero())
        && let Some((what, units)) = divisors(resource)
        && !units.contains(&&*divisor.to_string())
    {
        let list = match units {
            ["1m", "1"] => "1m and 1".to_owned(),
            units => units.join(", "),
        };
        let detail = format!("only divisor's values {list} are supported with the {what} resource");
        errs.push(Error::invalid(&path.child("divisor"), resource, detail));
    }
    errs
}

/// What a resource is called in messages, and the divisors it may have.
fn divisors(resource: &str) -> Option<(&'static str, &'static [&'static str])> {
    const CPU: &[&str] = &["1m", "1"];
    const BYTES: &[&str] =
        &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let (_, name) = resource.split_once('.')?;
    Some(match name {
        "cpu" => ("cpu", CPU),
        "memory" => ("memory", BYTES),
        "ephemeral-storage" => ("local ephemeral storage", BYTES),
        name if name.starts_with("hugepages-") => ("hugepages", BYTES),
        _ => return None,
    })
}

fn key_ref(name: &str, key: &str, path: &Path) -> ErrorList {
    let mut errs = each(&path.child("name"), name, names::dns1123_subdomain(name));
    match key {
        "" => errs.push(Error::required(&path.child("key"), "")),
        key => errs.extend(each(&path.child("key"), key, names::config_key(key))),
    }
    errs
}

/// `envFrom`
pub(super) fn sources(list: &[EnvFromSource], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, source) in list.iter().enumerate() {
        let at = path.index(i);
        if let Some(prefix) = source.prefix.as_deref().filter(|p| !p.is_empty()) {
            errs.extend(each(&at.child("prefix"), prefix, names::env_var_name(prefix)));
        }
        let mut count = 0;
        let refs = [
            ("configMapRef", source.config_map_ref.as_ref().map(|r| &r.name)),
            ("secretRef", source.secret_ref.as_ref().map(|r| &r.name)),
        ];
        for (field, name) in refs.into_iter().filter_map(|(field, name)| Some((field, name?))) {
            count += 1;
            let path = at.child(field).child("name");
            match &**name {
                "" => errs.push(Error::required(&path, "")),
                name => {
                    let checked = names::mask_trailing_dash(name);
                    errs.extend(each(&path, name, names::dns1123_subdomain(&checked)));
                }
            }
        }
        let detail = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errs.push(Error::invalid(path, "", detail));
    }
    errs
}
