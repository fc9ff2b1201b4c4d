//! Who belongs to whom: objects whose labels match and that nobody controls are adopted, those that no longer match are
//! released.

use apimachinery::{Selector, Status};
use client::{Api, Informer, PatchType};
use codec::Kind;
use resources::owner::{ObjectMetaExt, controller_ref};
use serde_json::json;

/// What to do with an object that a controller looks at.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

fn decide<O: Kind>(object: &O, owner_uid: &str, owner_deleting: bool, selector: &Selector) -> Claim {
    let matches = selector.matches(&object.meta().labels);
    match object.meta().controller() {
        Some(controller) if controller.uid != owner_uid => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner_deleting => Claim::Ignore,
        Some(_) => Claim::Release,
        None if !matches || owner_deleting || object.meta().is_deleting() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// Candidates for [`claim`]: what `owner` controls already, and what nobody controls and `selector` takes. Decodes nothing else.
pub(crate) fn candidates<W: Kind, O: Kind>(objects: &Informer<O>, owner: &W, selector: &Selector) -> Vec<O> {
    let uid = owner.uid();
    objects.list_where(owner.namespace(), |meta| match meta.controller() {
        Some(controller) => *controller.uid == *uid,
        None => selector.matches(meta),
    })
}

/// Adopts and releases; the objects that `owner` controls now. An object that vanished or changed hands meanwhile is left out.
pub(crate) async fn claim<W: Kind, O: Kind>(
    owners: &Api<W>,
    objects: &Api<O>,
    owner: &W,
    selector: &Selector,
    candidates: Vec<O>,
) -> Result<Vec<O>, Status> {
    claim_finalized(owners, objects, owner, selector, candidates, None).await
}

/// As [`claim`]; what is adopted gets the finalizer, what is released loses it.
pub(crate) async fn claim_finalized<W: Kind, O: Kind>(
    owners: &Api<W>,
    objects: &Api<O>,
    owner: &W,
    selector: &Selector,
    candidates: Vec<O>,
    finalizer: Option<&str>,
) -> Result<Vec<O>, Status> {
    let mut claimed = Vec::with_capacity(candidates.len());
    let mut may_adopt = None;
    let mut failure = None;
    for object in candidates {
        match decide(&object, owner.uid(), owner.meta().is_deleting(), selector) {
            Claim::Keep => claimed.push(object),
            Claim::Ignore => {}
            Claim::Adopt => {
                if may_adopt.is_none() {
                    may_adopt = Some(still_there(owners, owner).await);
                }
                match &may_adopt {
                    Some(Err(status)) => failure = Some(status.clone()),
                    _ => match adopt(objects, owner, &object, finalizer).await {
                        Ok(adopted) => claimed.extend(adopted),
                        Err(status) => failure = Some(status),
                    },
                }
            }
            Claim::Release => {
                if let Err(status) = release(objects, owner, &object, finalizer).await {
                    failure = Some(status);
                }
            }
        }
    }
    match failure {
        Some(status) => Err(status),
        None => Ok(claimed),
    }
}

/// Asks the API itself: the view may show an owner that is gone, and what a dead owner adopts the garbage collector deletes.
async fn still_there<W: Kind>(owners: &Api<W>, owner: &W) -> Result<(), Status> {
    let fresh = owners.get(owner.namespace(), owner.name()).await?;
    if fresh.uid() != owner.uid() {
        let (got, want) = (fresh.uid(), owner.uid());
        return Err(Status::internal(format!("original {} is gone: got uid {got}, wanted {want}", W::KIND)));
    }
    if fresh.meta().is_deleting() {
        return Err(Status::internal(format!("{} {} has just been deleted", W::KIND, owner.name())));
    }
    Ok(())
}

async fn adopt<W: Kind, O: Kind>(
    objects: &Api<O>,
    owner: &W,
    object: &O,
    finalizer: Option<&str>,
) -> Result<Option<O>, Status> {
    let mut patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": [controller_ref(owner)]}});
    if let Some(finalizer) = finalizer {
        patch["metadata"]["finalizers"] = json!([finalizer]);
    }
    let adopted = objects.patch(object.namespace(), object.name(), PatchType::Strategic, &patch).await;
    match adopted {
        Ok(adopted) => Ok(Some(adopted)),
        // Gone, or another of the same name, or somebody else was faster: not ours.
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

async fn release<W: Kind, O: Kind>(
    objects: &Api<O>,
    owner: &W,
    object: &O,
    finalizer: Option<&str>,
) -> Result<(), Status> {
    let gone = json!({"$patch": "delete", "uid": owner.uid()});
    let mut patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": [gone]}});
    if let Some(finalizer) = finalizer {
        patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
    }
    match objects.patch(object.namespace(), object.name(), PatchType::Strategic, &patch).await {
        // 422: another object of the same name, which is not ours to release.
        Err(e) if !e.is_not_found() && e.code != 422 => Err(e),
        _ => Ok(()),
    }
}
