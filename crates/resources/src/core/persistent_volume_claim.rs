//! Claims of storage. Which volume one gets is the binding controller's matter.

use apimachinery::Quantity;
use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, TypedLocalObjectReference,
    TypedObjectReference,
};
use serde_json::{Value, json};

use super::storage::{CLASS_ANNOTATION, short_access};
use crate::columns::{AGE, NAME, text, wide};
use crate::fill;
use crate::owner::ObjectMetaExt;
use crate::quantity::{QuantityExt, canonicalize};
use crate::strategy::{Column, Part, age};

pub(crate) mod validation;

#[cfg(test)]
mod tests;

/// Keeps a claim until no pod uses it.
pub const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// What claims are asked.
pub trait PersistentVolumeClaimExt {
    fn phase(&self) -> &str;
    /// Bytes asked for.
    fn requested(&self) -> Quantity;
    /// The volume that it is, or is to be, bound to.
    fn volume_name(&self) -> Option<&str>;
}

impl PersistentVolumeClaimExt for PersistentVolumeClaim {
    fn phase(&self) -> &str {
        self.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
    }

    fn requested(&self) -> Quantity {
        let requests = self.spec.as_ref().and_then(|s| s.resources.as_ref()?.requests.as_ref());
        requests.and_then(|r| r.get("storage")).map(QuantityExt::amount).unwrap_or_default()
    }

    fn volume_name(&self) -> Option<&str> {
        self.spec.as_ref().and_then(|s| s.volume_name.as_deref()).filter(|n| !n.is_empty())
    }
}

/// The class, from the old annotation or the field; empty: deliberately none; absent: the default one.
pub fn class_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let field = || claim.spec.as_ref().and_then(|s| s.storage_class_name.as_deref());
    claim.metadata.annotation(CLASS_ANNOTATION).or_else(field)
}

/// The rules of claims.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PersistentVolumeClaim;

    fn default(&self, claim: &mut PersistentVolumeClaim) {
        fill::text(&mut claim.status.get_or_insert_default().phase, "Pending");
        let spec = claim.spec.get_or_insert_default();
        spec.volume_mode.get_or_insert_with(|| "Filesystem".into());
        if let Some(resources) = &mut spec.resources {
            canonicalize(resources.limits.as_mut());
            canonicalize(resources.requests.as_mut());
        }
        canonicalize(claim.status.as_mut().and_then(|s| s.capacity.as_mut()));
    }

    fn prepare_create(&self, claim: &mut PersistentVolumeClaim) {
        let status = PersistentVolumeClaimStatus { phase: Some("Pending".into()), ..Default::default() };
        claim.status = Some(status);
        same_sources(claim.spec.get_or_insert_default());
    }

    fn prepare_update(&self, new: &mut PersistentVolumeClaim, old: &PersistentVolumeClaim, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => {
                new.status.clone_from(&old.status);
                same_sources(new.spec.get_or_insert_default());
            }
        }
    }

    fn validate(&self, claim: &PersistentVolumeClaim) -> ErrorList {
        validation::create(claim)
    }

    fn validate_update(
        &self,
        new: &PersistentVolumeClaim,
        old: &PersistentVolumeClaim,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => validation::status(new),
            _ => validation::update(new, old),
        }
    }

    fn fields(&self, claim: &PersistentVolumeClaim) -> Vec<(&'static str, String)> {
        vec![("name", claim.name().into())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Status", "Whether it has a volume."),
            text("Volume", "The volume that it has."),
            text("Capacity", "The size of the volume."),
            text("Access Modes", "How the volume may be mounted."),
            text("StorageClass", "The class asked for."),
            text("VolumeAttributesClass", "The class of the volume's changeable attributes."),
            AGE,
            wide("VolumeMode", "Filesystem or Block."),
        ];
        COLUMNS
    }

    fn row(&self, claim: &PersistentVolumeClaim, now: Timestamp) -> Vec<Value> {
        let spec = claim.spec.clone().unwrap_or_default();
        let status = claim.status.clone().unwrap_or_default();
        let phase = if claim.metadata.is_deleting() { "Terminating" } else { claim.phase() };
        let volume = claim.volume_name().unwrap_or_default();
        let (capacity, modes) = match volume {
            "" => (String::new(), String::new()),
            _ => {
                let size = status.capacity.as_ref().and_then(|c| c.get("storage"));
                let size = size.map(QuantityExt::amount).unwrap_or_default();
                (size.to_string(), short_access(status.access_modes.as_ref()))
            }
        };
        vec![
            json!(claim.name()),
            json!(phase),
            json!(volume),
            json!(capacity),
            json!(modes),
            json!(class_of(claim).unwrap_or_default()),
            json!(spec.volume_attributes_class_name.unwrap_or_else(|| "<unset>".into())),
            json!(age(&claim.metadata, now)),
            json!(spec.volume_mode.unwrap_or_else(|| "<unset>".into())),
        ]
    }
}

/// `dataSource` and `dataSourceRef` say the same, whichever of them was given.
fn same_sources(spec: &mut PersistentVolumeClaimSpec) {
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(source), None) => {
            spec.data_source_ref = Some(TypedObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
                namespace: None,
            });
        }
        (None, Some(source)) if source.namespace.as_deref().unwrap_or_default().is_empty() => {
            spec.data_source = Some(TypedLocalObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
            });
        }
        _ => {}
    }
}
