//! The scale subresource: a Scale made of an object, and back.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Gvk, Status};
use bytes::Bytes;
use codec::managed::{of_scale, of_scaled};
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::strategy::Part;

use crate::options::WriteOptions;
use crate::registry::{Registry, Target, Written};
use crate::update::{Changed, Kind};

/// Makes the wanted Scale of the present one.
pub type ScaleChange<'a> = dyn Fn(&Scale) -> Result<Scale, Status> + Send + Sync + 'a;

impl Registry {
    /// The object's scale.
    pub async fn scale(&self, target: &Target<'_>) -> Result<Bytes, Status> {
        let object = self.get(target, "").await?;
        let object = target.decode(&object)?;
        Ok(view(target, &*object)?.to_json().into())
    }

    /// Changes the object's replicas through its scale. With `options.applied` the scale's managed fields are taken as
    /// `change` made them, else recorded.
    pub async fn change_scale(
        &self,
        target: &Target<'_>,
        change: &ScaleChange<'_>,
        options: &WriteOptions,
    ) -> Result<Written, Status> {
        let strategy = target.strategy();
        let on_object = |old: &dyn AnyObject| {
            let parent = old.object_meta().managed_fields.as_deref().unwrap_or_default();
            let mut before = view(target, old)?;
            before.metadata.managed_fields = of_scale(parent);
            let wanted = change(&before)?;
            check(target, &wanted, &before)?;
            let mut object = old.clone_box();
            if options.applied {
                let own = wanted.metadata.managed_fields.as_deref().unwrap_or_default();
                let api_version = target.resource.gvk.api_version();
                object.object_meta_mut().managed_fields = of_scaled(parent, own, &api_version);
            }
            strategy.set_scale(&mut *object, wanted.spec.and_then(|s| s.replicas).unwrap_or(0));
            let version = wanted.metadata.resource_version.filter(|v| !v.is_empty());
            object.object_meta_mut().resource_version =
                version.or_else(|| old.object_meta().resource_version.clone());
            Ok(Changed { object, warnings: Vec::new() })
        };
        let kind = Kind { part: Part::Scale, subresource: "scale", checked: true };
        let written = self.change(target, kind, &on_object, options).await?;
        let object = strategy.decode(&written.json).map_err(Status::internal)?;
        Ok(Written { json: view(target, &*object)?.to_json().into(), ..written })
    }
}

fn view(target: &Target<'_>, object: &dyn AnyObject) -> Result<Scale, Status> {
    let scale = target.strategy().scale(object).ok_or_else(|| target.not_found())?;
    let meta = object.object_meta();
    Ok(Scale {
        metadata: ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            creation_timestamp: meta.creation_timestamp.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(ScaleSpec { replicas: Some(scale.spec_replicas) }),
        status: Some(ScaleStatus {
            replicas: scale.status_replicas,
            selector: Some(scale.selector).filter(|s| !s.is_empty()),
        }),
    })
}

fn check(target: &Target<'_>, wanted: &Scale, before: &Scale) -> Result<(), Status> {
    let name = wanted.metadata.name.as_deref().unwrap_or_default();
    if name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    let uid = wanted.metadata.uid.as_deref().filter(|u| !u.is_empty());
    if let Some(uid) = uid.filter(|uid| before.metadata.uid.as_deref() != Some(*uid)) {
        return Err(target.other_uid(uid, before.metadata.uid.as_deref().unwrap_or_default()));
    }
    let replicas = wanted.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0);
    if replicas >= 0 {
        return Ok(());
    }
    let path = Path::new("spec").child("replicas");
    let errors: ErrorList =
        [Error::invalid(&path, replicas, "must be greater than or equal to 0")].into_iter().collect();
    Err(Status::invalid(&Gvk::new("autoscaling", "v1", "Scale"), name, &errors))
}
