//! Rules of a definition.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names as rules;
use codec::Kind as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceConversion, CustomResourceDefinition,
    CustomResourceDefinitionNames, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
    CustomResourceSubresources,
};
use serde_json::json;

use super::{CustomResourceDefinitionExt as _, ESTABLISHED, schema, structural};
use crate::admissionregistration::client_config::{self, Reached, Service};
use crate::check::{each, one, one_of, required, shown_list};
use crate::owner::ObjectMetaExt as _;

const SCOPES: &[&str] = &["Cluster", "Namespaced"];
const COLUMN_TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: &[&str] =
    &["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];
const WARNING_MAX: usize = 256;
const SELECTABLE_MAX: usize = 8;
/// Groups that only Kubernetes itself defines kinds in need its approval.
const APPROVAL: &str = "api-approved.kubernetes.io";

/// A new definition.
pub fn create(definition: &CustomResourceDefinition) -> ErrorList {
    let (spec, name) = (&definition.spec, definition.name());
    let wanted = format!("{}.{}", spec.names.plural, spec.group);
    let mut errs = one(!name.is_empty() && name != wanted, || {
        let why = "must be spec.names.plural+\".\"+spec.group";
        Error::invalid(&Path::new("metadata").child("name"), name, why)
    });
    errs.extend(spec_errors(spec, &Path::new("spec")));
    errs.extend(status(definition));
    errs.extend(stored_errors(definition));
    errs.extend(approval_errors(definition));
    errs.extend(one(spec.preserve_unknown_fields.unwrap_or(false), || {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        Error::invalid(&Path::new("spec").child("preserveUnknownFields"), true, why)
    }));
    errs
}

/// A changed definition: names stay once objects may be stored under them.
pub fn update(new: &CustomResourceDefinition, old: &CustomResourceDefinition) -> ErrorList {
    let path = Path::new("spec");
    let mut errs = create(new);
    let (after, before) = (&new.spec, &old.spec);
    let fixed = |path: Path, new: &String, old: &String| {
        one(new != old, || Error::invalid(&path, new, "field is immutable"))
    };
    if old.is_true(ESTABLISHED) {
        errs.extend(fixed(path.child("scope"), &after.scope, &before.scope));
        errs.extend(fixed(path.child("names").child("kind"), &after.names.kind, &before.names.kind));
    }
    errs.extend(fixed(path.child("group"), &after.group, &before.group));
    errs.extend(fixed(path.child("names").child("plural"), &after.names.plural, &before.names.plural));
    errs
}

/// A status.
pub fn status(definition: &CustomResourceDefinition) -> ErrorList {
    let names = definition.status.as_ref().and_then(|s| s.accepted_names.clone()).unwrap_or_default();
    names_errors(&names, &Path::new("status").child("acceptedNames"))
}

/// Every version that objects were stored in is there still.
fn stored_errors(definition: &CustomResourceDefinition) -> ErrorList {
    let path = Path::new("status").child("storedVersions");
    let stored = definition.status.as_ref().and_then(|s| s.stored_versions.clone()).unwrap_or_default();
    if stored.is_empty() {
        return one(true, || {
            Error::invalid(&path, shown_list(&stored), "must have at least one stored version")
        });
    }
    let mut errs = ErrorList::new();
    let versions = &definition.spec.versions;
    for version in versions.iter().filter(|v| v.storage && !stored.contains(&v.name)) {
        let why = format!("must have the storage version {}", version.name);
        errs.push(Error::invalid(&path, Raw(json!(version).to_string()), why));
    }
    for (i, name) in stored.iter().enumerate().filter(|(_, s)| versions.iter().all(|v| v.name != **s)) {
        errs.push(Error::invalid(&path.index(i), name, "must appear in spec.versions"));
    }
    errs
}

fn approval_errors(definition: &CustomResourceDefinition) -> ErrorList {
    let group = &definition.spec.group;
    let protected =
        ["k8s.io", "kubernetes.io"].iter().any(|d| group == d || group.ends_with(&format!(".{d}")));
    let text = definition.metadata.annotation(APPROVAL).unwrap_or_default();
    let approved =
        text.starts_with("unapproved") || text.starts_with("https://") || text.starts_with("http://");
    let path = Path::new("metadata").child("annotations").key(APPROVAL);
    match (protected && !approved, text) {
        (false, _) => ErrorList::new(),
        (true, "") => one(true, || {
            Error::required(
                &path,
                "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
            )
        }),
        (true, text) => one(true, || {
            Error::invalid(
                &path,
                text,
                "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
            )
        }),
    }
}

fn joined(path: &Path, value: &str, messages: Vec<String>) -> ErrorList {
    one(!messages.is_empty(), || Error::invalid(path, value, messages.join(",")))
}

fn spec_errors(spec: &CustomResourceDefinitionSpec, path: &Path) -> ErrorList {
    let (group, at) = (&spec.group, path.child("group"));
    let wrong = rules::dns1123_subdomain(group);
    let mut errs = match &**group {
        "" => one(true, || Error::required(&at, "")),
        _ if !wrong.is_empty() => joined(&at, group, wrong),
        _ => one(!group.contains('.'), || {
            Error::invalid(&at, group, "should be a domain with at least one dot")
        }),
    };
    errs.extend(one_of(&path.child("scope"), &spec.scope, SCOPES));
    let versions = path.child("versions");
    for (i, version) in spec.versions.iter().enumerate() {
        let schema = version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref());
        errs.extend(one(schema.is_none(), || {
            let path = versions.index(i).child("schema").child("openAPIV3Schema");
            Error::required(&path, "schemas are required")
        }));
    }
    for (i, version) in spec.versions.iter().enumerate() {
        let path = versions.index(i);
        errs.extend(joined(&path.child("name"), &version.name, rules::dns1035_label(&version.name)));
        errs.extend(version_errors(version, &path));
    }
    let shown = || Raw(json!(spec.versions).to_string());
    let unique = (1..spec.versions.len())
        .all(|i| spec.versions[..i].iter().all(|before| before.name != spec.versions[i].name));
    errs.extend(one(!unique, || Error::invalid(&versions, shown(), "must contain unique version names")));
    let stored = spec.versions.iter().filter(|v| v.storage).count();
    errs.extend(one(stored != 1, || {
        Error::invalid(&versions, shown(), "must have exactly one version marked as storage version")
    }));
    let (names, at) = (&spec.names, path.child("names"));
    for (field, name) in [
        ("plural", names.plural.as_str()),
        ("singular", names.singular.as_deref().unwrap_or_default()),
        ("kind", names.kind.as_str()),
        ("listKind", names.list_kind.as_deref().unwrap_or_default()),
    ] {
        errs.extend(required(&at.child(field), name));
    }
    errs.extend(names_errors(names, &at));
    errs.extend(
        spec.conversion
            .as_ref()
            .map(|c| conversion_errors(c, spec, &path.child("conversion")))
            .unwrap_or_default(),
    );
    errs
}

fn names_errors(names: &CustomResourceDefinitionNames, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let label = |path: Path, name: &str| match name {
        "" => ErrorList::new(),
        name => joined(&path, name, rules::dns1035_label(name)),
    };
    let kind = |path: Path, name: &str| {
        let wrong = rules::dns1035_label(&name.to_lowercase());
        one(!name.is_empty() && !wrong.is_empty(), || {
            let why = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
            Error::invalid(&path, name, why)
        })
    };
    let list_kind = names.list_kind.as_deref().unwrap_or_default();
    errs.extend(label(path.child("plural"), &names.plural));
    errs.extend(label(path.child("singular"), names.singular.as_deref().unwrap_or_default()));
    errs.extend(kind(path.child("kind"), &names.kind));
    errs.extend(kind(path.child("listKind"), list_kind));
    for (i, name) in names.short_names.iter().flatten().enumerate() {
        errs.extend(joined(&path.child("shortNames").index(i), name, rules::dns1035_label(name)));
    }
    errs.extend(one(!names.kind.is_empty() && names.kind == list_kind, || {
        Error::invalid(&path.child("listKind"), list_kind, "kind and listKind may not be the same")
    }));
    for (i, name) in names.categories.iter().flatten().enumerate() {
        errs.extend(joined(&path.child("categories").index(i), name, rules::dns1035_label(name)));
    }
    errs
}

fn version_errors(version: &CustomResourceDefinitionVersion, path: &Path) -> ErrorList {
    let at = path.child("deprecationWarning");
    let mut errs = match &version.deprecation_warning {
        None => ErrorList::new(),
        Some(text) => each(&at, text, warning_errors(text, version.deprecated.unwrap_or(false))),
    };
    if let Some(root) = version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()) {
        let path = path.child("schema").child("openAPIV3Schema");
        let status = version.subresources.as_ref().is_some_and(|s| s.status.is_some());
        errs.extend(schema::root_errors(root, status, &path));
        errs.extend(structural::errors(root, &path));
        errs.extend(schema::errors(root, &path));
    }
    errs.extend(
        version
            .subresources
            .as_ref()
            .map(|s| subresource_errors(s, &path.child("subresources")))
            .unwrap_or_default(),
    );
    for (i, column) in version.additional_printer_columns.iter().flatten().enumerate() {
        errs.extend(column_errors(column, &path.child("additionalPrinterColumns").index(i)));
    }
    let selectable = version.selectable_fields.as_deref().unwrap_or_default();
    let at = path.child("selectableFields");
    errs.extend(one(selectable.len() > SELECTABLE_MAX, || {
        Error::too_many(&at, selectable.len(), SELECTABLE_MAX)
    }));
    for (i, field) in selectable.iter().enumerate() {
        let (path, text) = (at.index(i).child("jsonPath"), &field.json_path);
        errs.extend(json_path(text, &path));
        errs.extend(one(selectable[..i].contains(field), || Error::duplicate(&path, text)));
        errs.extend(one(text.starts_with(".metadata"), || {
            Error::invalid(&path, text, "must not point to fields in metadata")
        }));
    }
    errs
}

fn warning_errors(text: &str, deprecated: bool) -> Vec<String> {
    if !deprecated {
        return vec!["can only be set for deprecated versions".into()];
    }
    let mut errs = Vec::new();
    if text.len() > WARNING_MAX {
        errs.push(format!("must be <= {WARNING_MAX} characters long"));
    }
    if text.is_empty() {
        errs.push("must not be an empty string".into());
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
        errs.push(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {at}"
        ));
    }
    errs
}

fn column_errors(column: &CustomResourceColumnDefinition, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("name"), &column.name);
    let of = |list: &[&str]| format!("must be one of {}", list.join(","));
    let at = path.child("type");
    if column.type_.is_empty() {
        errs.push(Error::required(&at, of(COLUMN_TYPES)));
    } else if !COLUMN_TYPES.contains(&column.type_.as_str()) {
        errs.push(Error::invalid(&at, &column.type_, of(COLUMN_TYPES)));
    }
    let format = column.format.as_deref().unwrap_or_default();
    errs.extend(one(!format.is_empty() && !COLUMN_FORMATS.contains(&format), || {
        Error::invalid(&path.child("format"), format, of(COLUMN_FORMATS))
    }));
    let at = path.child("jsonPath");
    errs.extend(match column.json_path.is_empty() {
        true => required(&at, ""),
        false => json_path(&column.json_path, &at),
    });
    errs
}

fn json_path(text: &str, path: &Path) -> ErrorList {
    match text {
        "" => one(true, || Error::invalid(path, text, "must not be empty")),
        text => one(!text.starts_with('.'), || {
            Error::invalid(path, text, "must be a simple json path starting with .")
        }),
    }
}

fn subresource_errors(subresources: &CustomResourceSubresources, path: &Path) -> ErrorList {
    let Some(scale) = &subresources.scale else { return ErrorList::new() };
    let mut errs = ErrorList::new();
    let mut below = |field: &str, text: &str, roots: &[&str], what: &str| {
        let path = path.child("scale").child(field);
        let wrong = json_path(text, &path);
        if !wrong.is_empty() {
            errs.extend(wrong);
        } else if !roots.iter().any(|root| text.starts_with(root)) {
            errs.push(Error::invalid(&path, text, format!("should be a json path under {what}")));
        }
    };
    let mut missing = Vec::new();
    for (field, text, root) in [
        ("specReplicasPath", &scale.spec_replicas_path, ".spec"),
        ("statusReplicasPath", &scale.status_replicas_path, ".status"),
    ] {
        match text.is_empty() {
            true => missing.push(field),
            false => below(field, text, &[&format!("{root}.")], root),
        }
    }
    if let Some(text) = scale.label_selector_path.as_deref().filter(|t| !t.is_empty()) {
        below("labelSelectorPath", text, &[".spec.", ".status."], "either .spec or .status");
    }
    for field in missing {
        errs.push(Error::required(&path.child("scale").child(field), ""));
    }
    errs
}

fn conversion_errors(
    conversion: &CustomResourceConversion,
    spec: &CustomResourceDefinitionSpec,
    path: &Path,
) -> ErrorList {
    let at = path.child("strategy");
    let mut errs =
        one(conversion.strategy != "None" && spec.preserve_unknown_fields.unwrap_or(false), || {
            Error::invalid(&at, &conversion.strategy, "must be None if spec.preserveUnknownFields is true")
        });
    errs.extend(one_of(&at, &conversion.strategy, &["None", "Webhook"]));
    let (webhook, config_at) = (path.child("webhook"), path.child("webhook").child("clientConfig"));
    let given = conversion.webhook.as_ref();
    if conversion.strategy != "Webhook" {
        errs.extend(one(given.is_some(), || {
            Error::forbidden(&webhook, "should not be set when strategy is not set to Webhook")
        }));
        return errs;
    }
    match given.and_then(|w| w.client_config.as_ref()) {
        None => errs.push(Error::required(&config_at, "required when strategy is set to Webhook")),
        Some(config) => {
            let service = config.service.as_ref().map(|s| Service {
                namespace: &s.namespace,
                name: &s.name,
                path: s.path.as_deref(),
                port: s.port,
            });
            errs.extend(client_config::errors(&Reached { url: config.url.as_deref(), service }, &config_at));
        }
    }
    let versions = given.map(|w| w.conversion_review_versions.as_slice()).unwrap_or_default();
    errs.extend(review_errors(versions, &webhook.child("conversionReviewVersions")));
    errs
}

fn review_errors(versions: &[String], path: &Path) -> ErrorList {
    if versions.is_empty() {
        return required(path, "");
    }
    let mut errs = ErrorList::new();
    for (i, version) in versions.iter().enumerate() {
        let path = path.index(i);
        match versions[..i].contains(version) {
            true => errs.push(Error::invalid(&path, version, "duplicate version")),
            false => errs.extend(each(&path, version, rules::dns1035_label(version))),
        }
    }
    let known = versions.iter().any(|v| REVIEW_VERSIONS.contains(&v.as_str()));
    errs.extend(one(!known, || {
        let why = format!("must include at least one of {}", REVIEW_VERSIONS.join(", "));
        Error::invalid(path, shown_list(versions), why)
    }));
    errs
}
