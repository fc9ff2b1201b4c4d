//! `DeleteOptions` from query and body.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Gvk, Status};
use codec::decode::{Strictness, decode};
use registry::Requester;
use registry::options::{DeleteOptions, Propagation};
use serde::Deserialize;

use super::call::Call;
use super::options::{dry_run_errors, invalid};

/// The body, as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    grace_period_seconds: Option<i64>,
    preconditions: Option<Preconditions>,
    orphan_dependents: Option<bool>,
    propagation_policy: Option<String>,
    dry_run: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// A body's options win over the query's, as upstream reads only one of them.
pub fn parse(call: &Call, user: Requester) -> Result<DeleteOptions, Status> {
    let params = &call.params;
    let body = match &call.payload.bytes[..] {
        [] => Body {
            grace_period_seconds: params.grace_period_seconds,
            orphan_dependents: params.orphan_dependents,
            propagation_policy: params.propagation_policy.clone(),
            dry_run: Some(params.dry_run.clone()),
            ..Body::default()
        },
        bytes => {
            let json = decode(&kind(), bytes, call.payload.content, Strictness::Ignore)?.json;
            serde_json::from_slice(&json)
                .map_err(|e| Status::bad_request(format!("unable to decode DeleteOptions: {e}")))?
        }
    };
    let propagation = propagation(&body)?;
    let preconditions = body.preconditions.unwrap_or_default();
    Ok(DeleteOptions {
        user,
        dry_run: dry_run(&body.dry_run.unwrap_or_default())?,
        grace_period_seconds: body.grace_period_seconds,
        propagation,
        uid: preconditions.uid.filter(|u| !u.is_empty()),
        resource_version: preconditions.resource_version.filter(|v| !v.is_empty()),
    })
}

/// Any group's will do: it is the same in all.
fn kind() -> Gvk {
    Gvk::new("", "v1", "DeleteOptions")
}

fn propagation(body: &Body) -> Result<Option<Propagation>, Status> {
    let path = Path::new("propagationPolicy");
    let mut errors = ErrorList::new();
    let policy = body.propagation_policy.as_deref().filter(|p| !p.is_empty());
    if policy.is_some() && body.orphan_dependents.is_some() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(Error::invalid(&path, policy.unwrap_or_default(), why));
    }
    let wanted = match (policy, body.orphan_dependents) {
        (None, None) => None,
        (None, Some(true)) => Some(Propagation::Orphan),
        (None, Some(false)) => Some(Propagation::Background),
        (Some("Orphan"), _) => Some(Propagation::Orphan),
        (Some("Background"), _) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some(other), _) => {
            errors.push(Error::not_supported(&path, other, &["Foreground", "Background", "Orphan", "nil"]));
            None
        }
    };
    match errors.is_empty() {
        true => Ok(wanted),
        false => Err(invalid("DeleteOptions", &errors)),
    }
}

fn dry_run(values: &[String]) -> Result<bool, Status> {
    let errors = dry_run_errors(values);
    if errors.is_empty() { Ok(!values.is_empty()) } else { Err(invalid("DeleteOptions", &errors)) }
}
