//! From an authorized call to the registry: which verb and subresource does what.

use apimachinery::Status;
use auth::Authorizer;
use k8s_openapi::api::core::v1::Binding;
use k8s_openapi::api::policy::v1::Eviction;
use registry::options::{DeleteOptions, ListOptions, Selection, WatchOptions};
use registry::{Deleted, Registry, Target, Written, delete_warning};
use resources::Resource;
use resources::strategy::Part;

use super::call::{Answer, Call, Outcome, Verb};
use super::{body, delete_options, options, subresources, write};

/// What answers: the objects, and who may create one by a write to a name that is not there.
#[derive(Clone, Copy)]
pub struct Backend<'a> {
    pub registry: &'a Registry,
    /// `None`: everybody may.
    pub authorizer: Option<&'a dyn Authorizer>,
}

/// Answers an authorized call.
pub async fn dispatch(backend: Backend<'_>, call: &Call) -> Result<Outcome, Status> {
    let registry = backend.registry;
    let path = &call.path;
    let Some(resource) = registry.resource(&path.group, &path.version, &path.resource) else {
        return Err(unknown_resource());
    };
    if !resource.namespaced() && !path.namespace.is_empty() && *resource.gvk.kind != *"Namespace" {
        return Err(unknown_resource());
    }
    if resource.namespaced() && path.namespace.is_empty() && !path.name.is_empty() {
        return Err(unknown_resource());
    }
    let namespace = if resource.namespaced() { &*path.namespace } else { "" };
    let target = Target { resource, namespace, name: &path.name };
    check_name(&path.name)?;
    match &*path.subresource {
        "" => main(backend, &target, call).await,
        name if subresources::find(resource, name).is_none() => Err(unknown_resource()),
        name => subresource(backend, &target, name, call).await,
    }
}

/// A name in a path has to be one that a store can have.
fn check_name(name: &str) -> Result<(), Status> {
    let mut why: Vec<String> =
        [".", ".."].iter().filter(|n| **n == name).map(|n| format!("may not be '{n}'")).collect();
    why.extend(["/", "%"].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")));
    match why.is_empty() {
        true => Ok(()),
        false => Err(Status::bad_request(format!("Name parameter invalid: {name:?}: {}", why.join(";")))),
    }
}

/// 404 for what is not served, in upstream's words.
pub fn unknown_resource() -> Status {
    let mut status = Status::failure(404, "NotFound", "the server could not find the requested resource");
    status.details = Some(Box::default());
    status
}

pub(super) fn method_not_allowed() -> Status {
    crate::http::service::method_not_allowed()
}

async fn main(backend: Backend<'_>, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    let registry = backend.registry;
    let resource = target.resource;
    if !resource.verbs.contains(&call.verb.name()) {
        return Err(method_not_allowed());
    }
    match call.verb {
        Verb::Get => {
            let object = registry.get(target, &call.params.resource_version).await?;
            Ok(Outcome::object(200, resource, object.json().clone()))
        }
        Verb::List => {
            let listing = registry.list(target, &list_options(call)).await?;
            Ok(Answer::List { resource: resource.clone(), listing }.into())
        }
        Verb::Watch => {
            let stream = registry.watch(target, &watch_options(call)).await?;
            Ok(Answer::Watch { resource: resource.clone(), stream }.into())
        }
        Verb::Create => create(registry, target, call).await,
        Verb::Update | Verb::Patch => write::write(backend, target, Part::Main, call).await,
        Verb::Delete => {
            let options = delete_options::parse(call, options::requester(call))?;
            let outcome = deleted(resource, registry.delete(target, &options).await?, &options, call);
            Ok(warned(outcome, delete_warning(resource, &options)))
        }
        Verb::DeleteCollection => {
            let options = delete_options::parse(call, options::requester(call))?;
            let listing = registry.delete_collection(target, &list_options(call), &options).await?;
            let outcome = Answer::List { resource: resource.clone(), listing }.into();
            Ok(warned(outcome, delete_warning(resource, &options)))
        }
    }
}

fn warned(mut outcome: Outcome, warning: Option<&str>) -> Outcome {
    outcome.warnings.extend(warning.map(str::to_owned));
    outcome
}

async fn create(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    if target.resource.namespaced() && target.namespace.is_empty() {
        return Err(method_not_allowed());
    }
    let options = options::write(call)?;
    let decoded = body::decode(target.resource, &call.payload, options::strictness(call))?;
    let target = Target { name: "", ..target.clone() };
    let mut written = registry.create(&target, decoded.object, &options).await?;
    written.warnings.splice(0..0, decoded.warnings);
    Ok(shown(target.resource, written))
}

async fn subresource(
    backend: Backend<'_>,
    target: &Target<'_>,
    name: &str,
    call: &Call,
) -> Result<Outcome, Status> {
    let registry = backend.registry;
    let part = match name {
        "status" => Part::Status,
        "ephemeralcontainers" => Part::EphemeralContainers,
        "resize" => Part::Resize,
        "finalize" => Part::Finalize,
        "approval" => Part::Approval,
        "scale" => return write::scale(registry, target, call).await,
        "binding" => return bind(registry, target, call).await,
        "eviction" => return evict(registry, target, call).await,
        _ => return Err(unknown_resource()),
    };
    match call.verb {
        Verb::Get if name != "finalize" => {
            let object = registry.get(target, &call.params.resource_version).await?;
            Ok(Outcome::object(200, target.resource, object.json().clone()))
        }
        Verb::Patch if name == "finalize" => Err(method_not_allowed()),
        _ => write::write(backend, target, part, call).await,
    }
}

async fn bind(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    if call.verb != Verb::Create {
        return Err(method_not_allowed());
    }
    let options = options::write(call)?;
    let (binding, warnings) = body::decode_kind::<Binding>(&call.payload, options::strictness(call))?;
    let answer = Answer::Status(registry.bind(target, binding, &options).await?);
    Ok(Outcome { answer, warnings })
}

async fn evict(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    if call.verb != Verb::Create {
        return Err(method_not_allowed());
    }
    let options = options::write(call)?;
    let (eviction, warnings) = body::decode_kind::<Eviction>(&call.payload, options::strictness(call))?;
    let answer = Answer::Status(registry.evict(target, eviction, &options).await?);
    Ok(Outcome { answer, warnings })
}

pub(super) fn shown(resource: &Resource, written: Written) -> Outcome {
    let code = if written.created { 201 } else { 200 };
    Outcome { warnings: written.warnings, ..Outcome::object(code, resource, written.json) }
}

fn deleted(resource: &Resource, deleted: Deleted, options: &DeleteOptions, call: &Call) -> Outcome {
    match deleted {
        Deleted::Done(status) => Answer::Status(status).into(),
        Deleted::Gone(json) => Outcome::object(200, resource, json),
        // Upstream says 202 only to those who ask in the old way not to orphan.
        Deleted::Pending(json) => {
            let accepted = call.params.orphan_dependents == Some(false) && options.propagation.is_some();
            Outcome::object(if accepted { 202 } else { 200 }, resource, json)
        }
    }
}

fn selection(call: &Call) -> Selection {
    Selection {
        label_selector: call.params.label_selector.clone(),
        field_selector: call.params.field_selector.clone(),
    }
}

fn list_options(call: &Call) -> ListOptions {
    ListOptions {
        selection: selection(call),
        resource_version: call.params.resource_version.clone(),
        resource_version_match: call.params.resource_version_match.clone(),
        limit: call.params.limit,
        continue_token: call.params.continue_token.clone(),
        send_initial_events: call.params.send_initial_events,
    }
}

fn watch_options(call: &Call) -> WatchOptions {
    WatchOptions {
        selection: selection(call),
        resource_version: call.params.resource_version.clone(),
        resource_version_match: call.params.resource_version_match.clone(),
        continued: !call.params.continue_token.is_empty(),
        bookmarks: call.params.allow_watch_bookmarks,
        send_initial_events: call.params.send_initial_events,
        timeout: call.params.timeout,
    }
}
