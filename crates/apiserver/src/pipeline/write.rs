//! Updates, patches of all sorts and scales.

use apimachinery::Status;
use apimachinery::managed::{Writer, nowhere};
use client::transport::PatchType;
use codec::managed::Apply;
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::autoscaling::v1::Scale;
use registry::options::WriteOptions;
use registry::{ChangeKind, Changed, Registry, Target, Written};
use resources::strategy::Part;

use super::authorize::{authorize, resource_attributes};
use super::call::{Answer, Call, Outcome, Shown, Verb};
use super::dispatch::{Backend, method_not_allowed, shown};
use super::patch::Patch;
use super::{body, options};

/// Attempts while others create and delete what a write would create.
const CREATE_ATTEMPTS: usize = 8;

/// PUT and PATCH of a part of an object.
pub async fn write(
    backend: Backend<'_>,
    target: &Target<'_>,
    part: Part,
    call: &Call,
) -> Result<Outcome, Status> {
    let mut options = options::write(call)?;
    let applies = call.payload.patch == Some(PatchType::Apply);
    let creates = part == Part::Main && (applies || target.resource.strategy.allow_create_on_update());
    let mut done = once(backend.registry, target, part, call, &options).await;
    for _ in 0..CREATE_ATTEMPTS {
        match &done {
            Err(status) if creates && status.is_not_found() && !options.may_create => {
                may_create(backend, call).await?;
                options.may_create = true;
            }
            Err(status) if options.may_create && status.is_already_exists() => {}
            _ => break,
        }
        done = once(backend.registry, target, part, call, &options).await;
    }
    Ok(shown(target.resource, done?))
}

/// A write that creates is a create to authorization, too.
async fn may_create(backend: Backend<'_>, call: &Call) -> Result<(), Status> {
    match backend.authorizer {
        Some(authorizer) => {
            authorize(authorizer, &resource_attributes(&call.user, Verb::Create.name(), &call.path, "")).await
        }
        None => Ok(()),
    }
}

async fn once(
    registry: &Registry,
    target: &Target<'_>,
    part: Part,
    call: &Call,
    options: &WriteOptions,
) -> Result<Written, Status> {
    let subresource = &*call.path.subresource;
    let resource = target.resource;
    let strictness = options::strictness(call);
    let kind = ChangeKind { part, subresource, checked: true };
    match (call.verb, call.payload.patch) {
        (Verb::Update, _) => {
            let decoded = body::decode(resource, &call.payload, strictness)?;
            let mut written = registry.update(target, decoded.object, part, subresource, options).await?;
            written.warnings.splice(0..0, decoded.warnings);
            Ok(written)
        }
        (Verb::Patch, Some(PatchType::Apply)) => {
            let apply = Apply {
                gvk: &resource.gvk,
                body: &call.payload.bytes,
                strictness,
                force: call.params.force.unwrap_or(false),
            };
            registry.apply(target, kind, &apply, options).await
        }
        (Verb::Patch, Some(patch)) => {
            let patch = Patch::new(patch, &call.payload.bytes, &resource.gvk, strictness);
            let change = |old: &dyn AnyObject| {
                let patched = patch.apply(&resource.view(old).encode())?;
                let object = resource.read(&patched.json);
                let object = object.map_err(|e| patch.refused(&patched.json, e.to_string()))?;
                Ok(Changed { object, warnings: patched.warnings })
            };
            registry.change(target, kind, &change, options).await
        }
        _ => Err(method_not_allowed()),
    }
}

/// The scale of an object, read or changed.
pub async fn scale(registry: &Registry, target: &Target<'_>, call: &Call) -> Result<Outcome, Status> {
    let strictness = options::strictness(call);
    let (json, warnings) = match (call.verb, call.payload.patch) {
        (Verb::Get, _) => (registry.scale(target).await?, Vec::new()),
        (Verb::Update, _) => {
            let options = options::write(call)?;
            let (wanted, warnings) = body::decode_kind::<Scale>(&call.payload, strictness)?;
            let change = |_: &Scale| Ok(wanted.clone());
            (registry.change_scale(target, &change, &options).await?.json, warnings)
        }
        (Verb::Patch, Some(PatchType::Apply)) => {
            let options = WriteOptions { applied: true, ..options::write(call)? };
            let change = |old: &Scale| apply_scale(registry, call, &options, old);
            (registry.change_scale(target, &change, &options).await?.json, Vec::new())
        }
        (Verb::Patch, Some(patch)) => {
            let options = options::write(call)?;
            let patch = Patch::new(patch, &call.payload.bytes, &Scale::gvk(), strictness);
            let change = |old: &Scale| {
                let patched = patch.apply(&old.to_json())?;
                Scale::from_json(&patched.json).map_err(|e| patch.refused(&patched.json, e.to_string()))
            };
            (registry.change_scale(target, &change, &options).await?.json, Vec::new())
        }
        _ => return Err(method_not_allowed()),
    };
    let answer = Answer::Object { code: 200, object: Shown { resource: None, json } };
    Ok(Outcome { answer, warnings })
}

fn apply_scale(
    registry: &Registry,
    call: &Call,
    options: &WriteOptions,
    old: &Scale,
) -> Result<Scale, Status> {
    let apply = Apply {
        gvk: &Scale::gvk(),
        body: &call.payload.bytes,
        strictness: options::strictness(call),
        force: call.params.force.unwrap_or(false),
    };
    let writer = Writer {
        manager: &options.field_manager,
        api_version: Scale::API_VERSION,
        subresource: "scale",
        ignored: &["status"],
        now: registry.now(),
    };
    let done = codec::managed::apply(&apply, Some(old), &writer, &nowhere)?;
    Scale::from_json(&done.json).map_err(|e| Status::bad_request(e.to_string()))
}
