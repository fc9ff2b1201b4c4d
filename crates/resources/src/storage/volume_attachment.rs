//! Volume attachments: a volume is to be, or is, at a node.

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentStatus};
use serde_json::{Value, json};

use super::driver_name;
use crate::check::{each, required};
use crate::columns::{AGE, NAME, text};
use crate::desired;
use crate::strategy::{Column, Part, age};

/// The rules of volume attachments.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = VolumeAttachment;

    fn prepare_create(&self, attachment: &mut VolumeAttachment) {
        attachment.status = Some(VolumeAttachmentStatus::default());
    }

    fn prepare_update(&self, new: &mut VolumeAttachment, old: &VolumeAttachment, part: Part) {
        match part {
            Part::Status => {
                new.spec.clone_from(&old.spec);
                let managed_fields = new.metadata.managed_fields.take();
                new.metadata.clone_from(&old.metadata);
                new.metadata.managed_fields = managed_fields;
            }
            _ => new.status.clone_from(&old.status),
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata"],
        }
    }

    fn validate(&self, attachment: &VolumeAttachment) -> ErrorList {
        let path = Path::new("spec");
        let spec = &attachment.spec;
        let mut errs = driver_name(&spec.attacher, &path.child("attacher"));
        let source = path.child("source");
        const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        match (&spec.source.inline_volume_spec, spec.source.persistent_volume_name.as_deref()) {
            (None, None) => errs.push(Error::required(&source, ONE)),
            (Some(_), Some(_)) => errs.push(Error::forbidden(&source, ONE)),
            (None, Some(name)) => {
                let at = source.child("persistentVolumeName");
                errs.extend(required(&at, name));
                if !name.is_empty() {
                    errs.extend(each(&at, name, names::dns1123_subdomain(name)));
                }
            }
            (Some(volume), None) => {
                let at = source.child("inlineVolumeSpec");
                errs.extend(crate::core::persistent_volume::spec_errors(volume, &at));
            }
        }
        errs.extend(each(
            &path.child("nodeName"),
            &spec.node_name,
            names::dns1123_subdomain(&spec.node_name),
        ));
        errs
    }

    fn validate_update(&self, new: &VolumeAttachment, old: &VolumeAttachment, part: Part) -> ErrorList {
        if part == Part::Status {
            return ErrorList::new();
        }
        let mut errs = self.validate(new);
        if desired::changed(new, old, "spec") {
            let shown = Raw(json!(new.spec).to_string());
            errs.push(Error::invalid(&Path::new("spec"), shown, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Attacher", "The driver."),
            text("PV", "The volume."),
            text("Node", "The node."),
            Column { kind: "boolean", ..text("Attached", "Whether it is there.") },
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, attachment: &VolumeAttachment, now: Timestamp) -> Vec<Value> {
        let spec = &attachment.spec;
        vec![
            json!(attachment.name()),
            json!(spec.attacher),
            json!(spec.source.persistent_volume_name.as_deref().unwrap_or_default()),
            json!(spec.node_name),
            json!(attachment.status.as_ref().is_some_and(|s| s.attached)),
            json!(age(&attachment.metadata, now)),
        ]
    }
}
