//! Claims and volumes: the default class, growth, and protection of what is in use.

use apimachinery::Status;
use async_trait::async_trait;
use client::Informer;
use codec::Kind;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use registry::admit::{Attributes, Operation};
use resources::core::{persistent_volume, persistent_volume_claim};
use resources::prelude::*;

use crate::ask;
use crate::chain::{Context, Plugin};

/// A claim that names no class gets the default one.
pub(crate) struct DefaultStorageClass {
    classes: Informer<StorageClass>,
}

impl DefaultStorageClass {
    pub(crate) fn new(context: &Context) -> Self {
        DefaultStorageClass { classes: Informer::all(&*context.transport) }
    }
}

#[async_trait]
impl Plugin for DefaultStorageClass {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<PersistentVolumeClaim>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(claim) = ask::object_mut::<PersistentVolumeClaim>(a) else { return Ok(()) };
        if persistent_volume_claim::class_of(claim).is_some() {
            return Ok(());
        }
        let all = self.classes.list("").into_iter().filter(StorageClassExt::is_default);
        if let Some(class) = newest(all) {
            claim.spec.get_or_insert_default().storage_class_name = Some(class.name().to_owned());
        }
        Ok(())
    }
}

/// Of several defaults the newest counts; of equally new ones the first by name.
pub(crate) fn newest<K: Kind>(all: impl Iterator<Item = K>) -> Option<K> {
    let created = |k: &K| k.meta().creation_timestamp.as_ref().map(|t| t.0);
    all.min_by(|a, b| created(b).cmp(&created(a)).then_with(|| a.name().cmp(b.name())))
}

/// Only claims whose class allows it grow, and only once they have a volume.
pub(crate) struct PersistentVolumeClaimResize {
    classes: Informer<StorageClass>,
}

impl PersistentVolumeClaimResize {
    pub(crate) fn new(context: &Context) -> Self {
        PersistentVolumeClaimResize { classes: Informer::all(&*context.transport) }
    }
}

#[async_trait]
impl Plugin for PersistentVolumeClaimResize {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<PersistentVolumeClaim>(a) || a.operation != Operation::Update {
            return Ok(());
        }
        let (new, old) = (ask::object::<PersistentVolumeClaim>(a), ask::old::<PersistentVolumeClaim>(a));
        let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
        if new.requested() <= old.requested() {
            return Ok(());
        }
        if old.phase() != "Bound" {
            return Err(ask::forbidden(a, "Only bound persistent volume claims can be expanded"));
        }
        let class = persistent_volume_claim::class_of(new).unwrap_or_default();
        let same = persistent_volume_claim::class_of(old).unwrap_or_default() == class;
        let found = self.classes.get(&apimachinery::ObjectKey::cluster(class));
        if class.is_empty() || !same || found.is_none_or(|c| c.allow_volume_expansion != Some(true)) {
            return Err(ask::forbidden(
                a,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
                 support resize",
            ));
        }
        Ok(())
    }
}

/// Claims and volumes are kept while they are used.
pub(crate) struct StorageObjectInUseProtection;

#[async_trait]
impl Plugin for StorageObjectInUseProtection {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if a.operation != Operation::Create || !a.subresource.is_empty() {
            return Ok(());
        }
        let finalizer = if ask::is::<PersistentVolumeClaim>(a) {
            persistent_volume_claim::PROTECTION
        } else if ask::is::<PersistentVolume>(a) {
            persistent_volume::PROTECTION
        } else {
            return Ok(());
        };
        if let Some(object) = a.object.as_deref_mut() {
            let finalizers = object.object_meta_mut().finalizers.get_or_insert_default();
            if !finalizers.iter().any(|f| f == finalizer) {
                finalizers.push(finalizer.into());
            }
        }
        Ok(())
    }
}
