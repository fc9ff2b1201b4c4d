//! Rules that validating and mutating policies share.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::admissionregistration::v1::{MatchResources, ParamKind, Variable};

use super::matching::{self, FAILURE_POLICIES};
use crate::check::{each, known, one};

/// Words that CEL has taken.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// What becomes of a request when the policy cannot be evaluated.
pub(super) fn failure_policy(policy: Option<&str>, path: &Path) -> ErrorList {
    match policy {
        None => one(true, || Error::required(path, "")),
        Some(policy) => known(path, policy, FAILURE_POLICIES),
    }
}

/// What the policy is about: something.
pub(super) fn constraints(constraints: Option<&MatchResources>, path: &Path) -> ErrorList {
    let Some(constraints) = constraints else { return one(true, || Error::required(path, "")) };
    let mut errs = matching::resources(constraints, path);
    let none = constraints.resource_rules.as_ref().is_none_or(|rules| rules.is_empty());
    errs.extend(one(none, || Error::required(&path.child("resourceRules"), "")));
    errs
}

/// Version and kind of parameters.
pub(super) fn param_kind(kind: &ParamKind, path: &Path) -> ErrorList {
    let at = path.child("apiVersion");
    let text = kind.api_version.as_deref().unwrap_or_default();
    let mut errs = match text.split('/').collect::<Vec<_>>()[..] {
        [""] => one(true, || Error::required(&at, "")),
        [version] => version_errors("", version, text, &at),
        [group, version] => version_errors(group, version, text, &at),
        _ => one(true, || Error::invalid(&at, text, format!("unexpected GroupVersion string: {text}"))),
    };
    let at = path.child("kind");
    match kind.kind.as_deref().unwrap_or_default() {
        "" => errs.push(Error::required(&at, "")),
        kind => {
            let wrong = names::dns1035_label(&kind.to_lowercase());
            errs.extend(one(!wrong.is_empty(), || {
                let why = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
                Error::invalid(&at, kind, why)
            }));
        }
    }
    errs
}

fn version_errors(group: &str, version: &str, text: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let joined = |messages: Vec<String>| match messages.is_empty() {
        true => messages,
        false => vec![messages.join(",")],
    };
    if !group.is_empty() {
        errs.extend(each(path, group, joined(names::dns1123_subdomain(group))));
    }
    match version {
        "" => errs.push(Error::invalid(path, text, "version must be specified")),
        version => errs.extend(each(path, version, joined(names::dns1035_label(version)))),
    }
    errs
}

/// Named expressions that others may use.
pub(super) fn variables(variables: Option<&[Variable]>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, variable) in variables.unwrap_or_default().iter().enumerate() {
        let path = path.index(i);
        let (name, at) = (&variable.name, path.child("name"));
        match name.trim().is_empty() {
            true => errs.push(Error::required(&at, "name is not specified")),
            false => errs.extend(one(!is_identifier(name), || {
                Error::invalid(&at, name, "name is not a valid CEL identifier")
            })),
        }
        errs.extend(expression(&variable.expression, &path.child("expression")));
    }
    errs
}

/// An expression is there.
pub(super) fn expression(text: &str, path: &Path) -> ErrorList {
    one(text.trim().is_empty(), || Error::required(path, "expression is not specified"))
}

fn is_identifier(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit()) && !RESERVED.contains(&name)
}

/// As tables show what parameters a policy takes.
pub(super) fn shown_param_kind(kind: Option<&ParamKind>) -> String {
    let Some(kind) = kind else { return "<unset>".into() };
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    format!("{}/{}", text(&kind.api_version), text(&kind.kind))
}
