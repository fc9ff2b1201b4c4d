//! Persistent volumes. Which claim one is bound to is the binding controller's matter.

use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus};
use serde_json::{Value, json};

use super::storage::{CLASS_ANNOTATION, short_access};
use crate::columns::{AGE, NAME, text, wide};
use crate::desired;
use crate::fill;
use crate::owner::ObjectMetaExt;
use crate::quantity::{QuantityExt, canonicalize};
use crate::strategy::{Column, Part, age};

pub mod matching;
mod source;
mod validation;

pub(crate) use validation::spec as spec_errors;

#[cfg(test)]
mod tests;

/// Keeps a volume until no claim is bound to it.
pub const PROTECTION: &str = "kubernetes.io/pv-protection";

/// What persistent volumes are asked.
pub trait PersistentVolumeExt {
    /// The class, from the old annotation or the field; empty: none.
    fn class(&self) -> &str;
    fn phase(&self) -> &str;
    /// Bytes.
    fn capacity(&self) -> apimachinery::Quantity;
    fn is_block(&self) -> bool;
}

impl PersistentVolumeExt for PersistentVolume {
    fn class(&self) -> &str {
        let field = || self.spec.as_ref().and_then(|s| s.storage_class_name.as_deref());
        self.metadata.annotation(CLASS_ANNOTATION).or_else(field).unwrap_or_default()
    }

    fn phase(&self) -> &str {
        self.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
    }

    fn capacity(&self) -> apimachinery::Quantity {
        let size = self.spec.as_ref().and_then(|s| s.capacity.as_ref()?.get("storage"));
        size.map(QuantityExt::amount).unwrap_or_default()
    }

    fn is_block(&self) -> bool {
        self.spec.as_ref().and_then(|s| s.volume_mode.as_deref()) == Some("Block")
    }
}

/// The rules of persistent volumes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PersistentVolume;

    fn default(&self, volume: &mut PersistentVolume) {
        fill::text(&mut volume.status.get_or_insert_default().phase, "Pending");
        let spec = volume.spec.get_or_insert_default();
        canonicalize(spec.capacity.as_mut());
        fill::text(&mut spec.persistent_volume_reclaim_policy, "Retain");
        spec.volume_mode.get_or_insert_with(|| "Filesystem".into());
        if let Some(path) = &mut spec.host_path {
            path.type_.get_or_insert_default();
        }
        if let Some(claim) = &mut spec.claim_ref {
            fill::text(&mut claim.api_version, "v1");
            fill::text(&mut claim.kind, "PersistentVolumeClaim");
        }
        source::defaults(spec);
    }

    fn prepare_create(&self, volume: &mut PersistentVolume) {
        let status = PersistentVolumeStatus { phase: Some("Pending".into()), ..Default::default() };
        volume.status = Some(status);
    }

    fn prepare_update(&self, new: &mut PersistentVolume, old: &PersistentVolume, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => new.status.clone_from(&old.status),
        }
    }

    fn validate(&self, volume: &PersistentVolume) -> ErrorList {
        validation::spec(&spec_of(volume), &Path::new("spec"))
    }

    fn validate_update(&self, new: &PersistentVolume, old: &PersistentVolume, part: Part) -> ErrorList {
        if part == Part::Status {
            return ErrorList::new();
        }
        let mut errs = self.validate(new);
        errs.extend(fixed(new, old));
        errs
    }

    fn fields(&self, volume: &PersistentVolume) -> Vec<(&'static str, String)> {
        vec![("name", volume.name().into())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Capacity", "The size of the volume."),
            text("Access Modes", "How it may be mounted."),
            text("Reclaim Policy", "What becomes of it when its claim is gone."),
            text("Status", "Whether a claim has it."),
            text("Claim", "The claim that has it."),
            text("StorageClass", "Its class."),
            text("VolumeAttributesClass", "The class of its changeable attributes."),
            text("Reason", "Why it is in this state."),
            AGE,
            wide("VolumeMode", "Filesystem or Block."),
        ];
        COLUMNS
    }

    fn row(&self, volume: &PersistentVolume, now: Timestamp) -> Vec<Value> {
        let spec = spec_of(volume);
        let claim = spec.claim_ref.as_ref().map(|c| {
            format!(
                "{}/{}",
                c.namespace.as_deref().unwrap_or_default(),
                c.name.as_deref().unwrap_or_default()
            )
        });
        let phase = if volume.metadata.is_deleting() { "Terminating" } else { volume.phase() };
        let reason = volume.status.as_ref().and_then(|s| s.reason.clone()).unwrap_or_default();
        vec![
            json!(volume.name()),
            json!(volume.capacity().to_string()),
            json!(short_access(spec.access_modes.as_ref())),
            json!(spec.persistent_volume_reclaim_policy.unwrap_or_default()),
            json!(phase),
            json!(claim.unwrap_or_default()),
            json!(volume.class()),
            json!(spec.volume_attributes_class_name.unwrap_or_else(|| "<unset>".into())),
            json!(reason),
            json!(age(&volume.metadata, now)),
            json!(spec.volume_mode.unwrap_or_else(|| "<unset>".into())),
        ]
    }
}

fn spec_of(volume: &PersistentVolume) -> PersistentVolumeSpec {
    volume.spec.clone().unwrap_or_default()
}

/// What stays as it was made: where the data is, how it is seen, and from which nodes.
fn fixed(new: &PersistentVolume, old: &PersistentVolume) -> ErrorList {
    let mut errs = ErrorList::new();
    let (bare_new, bare_old) = (source::only(new), source::only(old));
    if desired::changed(&bare_new, &bare_old, "spec") {
        let changes = desired::differences(&bare_new, &bare_old, "spec").join("\n");
        let why = format!("spec.persistentvolumesource is immutable after creation\n{changes}");
        errs.push(Error::forbidden(&Path::new("spec").child("persistentvolumesource"), why));
    }
    let (now, before) = (spec_of(new), spec_of(old));
    if now.volume_mode != before.volume_mode {
        let shown = now.volume_mode.as_deref().unwrap_or_default();
        errs.push(Error::invalid(&Path::new("volumeMode"), shown, "field is immutable"));
    }
    if before.node_affinity.is_some() && now.node_affinity != before.node_affinity {
        let shown = apimachinery::field::Raw(serde_json::json!(now.node_affinity).to_string());
        let why = "field is immutable, except for updating from beta label to GA";
        errs.push(Error::invalid(&Path::new("nodeAffinity"), shown, why));
    }
    errs
}
