//! From an authorized call to the registry: which verb and subresource does what.

use apimachinery::Status;
use codec::decode::Strictness;
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::Binding;
use k8s_openapi::api::policy::v1::Eviction;
use registry::options::{DeleteOptions, ListOptions, Selection, WatchOptions, WriteOptions};
use registry::{ChangeKind, Changed, Deleted, Registry, Requester, Target, Written};
use resources::Resource;
use resources::strategy::Part;

use super::call::{Answer, Call, Outcome, Payload, Shown, Verb};
use super::delete_options;
use super::patch::Patch;
use super::{body, subresources};

/// Answers an authorized call.
pub async fn dispatch(registry: &Registry, call: &Call) -> Result<Outcome, Status> {
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
    match &*path.subresource {
        "" => main(registry, &target, call).await,
        name if subresources::find(resource, name).is_none() => Err(unknown_resource()),
        name => subresource(registry, &target, name, call).await,
    }
}

/// 404 for what is not served, in upstream's words.
pub fn unknown_resource() -> Status {
    let mut status = Status::failure(404, "NotFound", "the server could not find the requested resource");
    status.details = Some(Box::default());
    status
}

fn method_not_allowed() -> Status {
    crate::http::service::method_not_allowed()
}

async fn main(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
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
        Verb::Update | Verb::Patch => write(registry, target, Part::Main, call).await,
        Verb::Delete => {
            let options = delete_options::parse(call, requester(call))?;
            Ok(deleted(resource, registry.delete(target, &options).await?, &options, call))
        }
        Verb::DeleteCollection => {
            let options = delete_options::parse(call, requester(call))?;
            let listing = registry.delete_collection(target, &selection(call), &options).await?;
            Ok(Answer::List { resource: resource.clone(), listing }.into())
        }
    }
}

async fn create(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    if target.resource.namespaced() && target.namespace.is_empty() {
        return Err(method_not_allowed());
    }
    let options = write_options(call)?;
    let decoded = body::decode(target.resource, &call.payload, strictness(call)?)?;
    let target = Target { name: "", ..target.clone() };
    let mut written = registry.create(&target, decoded.object, &options).await?;
    written.warnings.splice(0..0, decoded.warnings);
    Ok(shown(target.resource, written))
}

/// PUT and PATCH of a part of an object.
async fn write(registry: &Registry, target: &Target<'_>, part: Part, call: &Call) -> Result<Outcome, Status> {
    let options = write_options(call)?;
    let subresource = &*call.path.subresource;
    let resource = target.resource;
    let written = match (call.verb, call.payload.patch) {
        (Verb::Update, _) => {
            let decoded = body::decode(resource, &call.payload, strictness(call)?)?;
            let mut written = registry.update(target, decoded.object, part, subresource, &options).await?;
            written.warnings.splice(0..0, decoded.warnings);
            written
        }
        (Verb::Patch, Some(patch)) => {
            let patch = Patch::new(patch, &call.payload.bytes, &resource.gvk);
            let strictness = strictness(call)?;
            let change = |old: &dyn AnyObject| {
                let patched = patch.apply(&old.encode())?;
                let decoded = body::decode_patched(resource, &patched, strictness)?;
                Ok(Changed { object: decoded.object, warnings: decoded.warnings })
            };
            let kind = ChangeKind { part, subresource, checked: true };
            registry.change(target, kind, &change, &options).await?
        }
        _ => return Err(method_not_allowed()),
    };
    Ok(shown(resource, written))
}

async fn subresource(
    registry: &Registry,
    target: &Target<'_>,
    name: &str,
    call: &Call,
) -> Result<Outcome, Status> {
    let part = match name {
        "status" => Part::Status,
        "ephemeralcontainers" => Part::EphemeralContainers,
        "resize" => Part::Resize,
        "finalize" => Part::Finalize,
        "approval" => Part::Approval,
        "scale" => return scale(registry, target, call).await,
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
        _ => write(registry, target, part, call).await,
    }
}

async fn scale(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    let json = match call.verb {
        Verb::Get => registry.scale(target).await?,
        Verb::Update => {
            let options = write_options(call)?;
            let (wanted, _) = body::decode_kind::<Scale>(&call.payload, strictness(call)?)?;
            let change = |_: &Scale| Ok(wanted.clone());
            registry.change_scale(target, &change, &options).await?.json
        }
        Verb::Patch => {
            let options = write_options(call)?;
            let Some(patch) = call.payload.patch else { return Err(method_not_allowed()) };
            let patch = Patch::new(patch, &call.payload.bytes, &Scale::gvk());
            let strictness = strictness(call)?;
            let change = |old: &Scale| {
                let patched = Payload::json(patch.apply(&old.to_json())?.into());
                Ok(body::decode_kind(&patched, strictness)?.0)
            };
            registry.change_scale(target, &change, &options).await?.json
        }
        _ => return Err(method_not_allowed()),
    };
    Ok(Answer::Object { code: 200, object: Shown { resource: None, json } }.into())
}

async fn bind(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    if call.verb != Verb::Create {
        return Err(method_not_allowed());
    }
    let options = write_options(call)?;
    let (binding, warnings) = body::decode_kind::<Binding>(&call.payload, strictness(call)?)?;
    let answer = Answer::Status(registry.bind(target, binding, &options).await?);
    Ok(Outcome { answer, warnings })
}

async fn evict(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    if call.verb != Verb::Create {
        return Err(method_not_allowed());
    }
    let options = write_options(call)?;
    let (eviction, warnings) = body::decode_kind::<Eviction>(&call.payload, strictness(call)?)?;
    let answer = Answer::Status(registry.evict(target, eviction, &options).await?);
    Ok(Outcome { answer, warnings })
}

fn shown(resource: &Resource, written: Written) -> Outcome {
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

pub(super) fn requester(call: &Call) -> Requester {
    let user = &call.user;
    Requester {
        name: user.name.clone(),
        uid: user.uid.clone(),
        groups: user.groups.clone(),
        extra: user.extra.clone(),
    }
}

/// The options of a write; 400 or 422 for those that cannot be.
pub(super) fn write_options(call: &Call) -> Result<WriteOptions, Status> {
    let params = &call.params;
    let manager = match &*params.field_manager {
        "" => call.default_manager.clone(),
        manager => manager.to_owned(),
    };
    delete_options::check_field_manager(&params.field_manager)?;
    Ok(WriteOptions {
        user: requester(call),
        dry_run: delete_options::dry_run(&params.dry_run)?,
        field_manager: manager,
        force: params.force.unwrap_or(false),
    })
}

pub(super) fn strictness(call: &Call) -> Result<Strictness, Status> {
    body::strictness(&call.params.field_validation)
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
    }
}

fn watch_options(call: &Call) -> WatchOptions {
    WatchOptions {
        selection: selection(call),
        resource_version: call.params.resource_version.clone(),
        resource_version_match: call.params.resource_version_match.clone(),
        bookmarks: call.params.allow_watch_bookmarks,
        send_initial_events: call.params.send_initial_events,
        timeout: call.params.timeout,
    }
}
