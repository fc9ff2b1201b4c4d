//! Options of writes, from the query, by upstream's rules.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Gvk, Status};
use client::transport::PatchType;
use codec::decode::Strictness;
use registry::Requester;
use registry::options::WriteOptions;

use super::call::{Call, Verb};

const MANAGER_MAX: usize = 128;

/// The options of a create, update or patch; 422 for those that cannot be.
pub fn write(call: &Call) -> Result<WriteOptions, Status> {
    let params = &call.params;
    let mut errors = ErrorList::new();
    if call.payload.patch == Some(PatchType::Apply) {
        if params.field_manager.is_empty() {
            errors.push(Error::required(&Path::new("fieldManager"), "is required for apply patch"));
        }
    } else if call.verb == Verb::Patch && params.force.is_some() {
        errors.push(Error::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
    }
    errors.extend(field_manager(&params.field_manager));
    errors.extend(dry_run_errors(&params.dry_run));
    if Strictness::parse(&params.field_validation).is_none() {
        let path = Path::new("fieldValidation");
        let known = ["", "Ignore", "Strict", "Warn"];
        errors.push(Error::not_supported(&path, &params.field_validation, &known));
    }
    if !errors.is_empty() {
        return Err(invalid(kind(call.verb), &errors));
    }
    let manager = match &*params.field_manager {
        "" => call.default_manager.clone(),
        manager => manager.to_owned(),
    };
    Ok(WriteOptions {
        user: requester(call),
        dry_run: !params.dry_run.is_empty(),
        field_manager: manager,
        may_create: false,
        applied: false,
    })
}

fn kind(verb: Verb) -> &'static str {
    match verb {
        Verb::Patch => "PatchOptions",
        Verb::Update => "UpdateOptions",
        _ => "CreateOptions",
    }
}

/// Who asks, as admission sees it.
pub fn requester(call: &Call) -> Requester {
    let user = &call.user;
    Requester {
        name: user.name.clone(),
        uid: user.uid.clone(),
        groups: user.groups.clone(),
        extra: user.extra.clone(),
    }
}

/// What becomes of unknown and repeated fields.
pub fn strictness(call: &Call) -> Strictness {
    // Unknown values are refused with the other options.
    Strictness::parse(&call.params.field_validation).unwrap_or_default()
}

/// `All` is the only kind of dry run there is.
pub fn dry_run_errors(values: &[String]) -> ErrorList {
    match values.iter().find(|v| *v != "All") {
        None => ErrorList::new(),
        Some(other) => [Error::not_supported(&Path::new("dryRun"), other, &["All"])].into_iter().collect(),
    }
}

/// Printable, and not too long.
fn field_manager(manager: &str) -> ErrorList {
    let path = Path::new("fieldManager");
    let mut errors = ErrorList::new();
    if manager.len() > MANAGER_MAX {
        errors.push(Error::too_long(&path, MANAGER_MAX));
    }
    for (at, bad) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {at})", u32::from(bad));
        errors.push(Error::invalid(&path, manager, why));
    }
    errors
}

/// 422 about options of a request.
pub fn invalid(kind: &str, errors: &ErrorList) -> Status {
    Status::invalid(&Gvk::new("meta.k8s.io", "v1", kind), "", errors)
}
