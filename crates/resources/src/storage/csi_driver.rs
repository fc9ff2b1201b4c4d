//! CSI drivers: what Kubernetes does for the volumes of each.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::{CSIDriver, TokenRequest};
use serde_json::{Value, json};

use super::driver_name;
use crate::columns::{AGE, NAME, text};
use crate::desired;
use crate::strategy::{Column, Part, age};

/// The rules of CSI drivers.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = CSIDriver;

    fn default(&self, driver: &mut CSIDriver) {
        let spec = &mut driver.spec;
        spec.attach_required.get_or_insert(true);
        spec.pod_info_on_mount.get_or_insert(false);
        spec.storage_capacity.get_or_insert(false);
        spec.requires_republish.get_or_insert(false);
        spec.se_linux_mount.get_or_insert(false);
        spec.fs_group_policy.get_or_insert_with(|| "ReadWriteOnceWithFSType".into());
        if spec.volume_lifecycle_modes.as_ref().is_none_or(|m| m.is_empty()) {
            spec.volume_lifecycle_modes = Some(vec!["Persistent".into()]);
        }
    }

    fn prepare_update(&self, new: &mut CSIDriver, old: &CSIDriver, _: Part) {
        desired::bump_generation(new, old, "spec");
        new.metadata.generation = new.metadata.generation.filter(|g| *g > 0);
    }

    fn validate(&self, driver: &CSIDriver) -> ErrorList {
        let path = Path::new("spec");
        let spec = &driver.spec;
        let mut errs = ErrorList::new();
        if !driver.name().is_empty() {
            errs.extend(driver_name(driver.name(), &Path::new("metadata").child("name")));
        }
        const POLICIES: &[&str] = &["File", "None", "ReadWriteOnceWithFSType"];
        let policy = spec.fs_group_policy.as_deref().unwrap_or_default();
        if !POLICIES.contains(&policy) {
            errs.push(Error::not_supported(&path.child("fsGroupPolicy"), policy, POLICIES));
        }
        let tokens = spec.token_requests.as_deref().unwrap_or_default();
        errs.extend(token_errors(tokens, &path.child("tokenRequests")));
        const MODES: &[&str] = &["Ephemeral", "Persistent"];
        for mode in spec.volume_lifecycle_modes.iter().flatten().filter(|m| !MODES.contains(&m.as_str())) {
            errs.push(Error::not_supported(&path.child("volumeLifecycleModes"), mode, MODES));
        }
        if spec.node_allocatable_update_period_seconds.is_some_and(|s| s < 10) {
            let shown = spec.node_allocatable_update_period_seconds.unwrap_or_default();
            let path = path.child("nodeAllocatableUpdatePeriodSeconds");
            errs.push(Error::invalid(&path, shown, "must be greater than or equal to 10 seconds"));
        }
        errs
    }

    fn validate_update(&self, new: &CSIDriver, old: &CSIDriver, _: Part) -> ErrorList {
        let path = Path::new("spec");
        let mut errs = self.validate(new);
        if new.spec.attach_required != old.spec.attach_required {
            let shown = new.spec.attach_required.unwrap_or_default();
            errs.push(Error::invalid(&path.child("attachedRequired"), shown, "field is immutable"));
        }
        if new.spec.volume_lifecycle_modes != old.spec.volume_lifecycle_modes {
            let shown = Raw(json!(new.spec.volume_lifecycle_modes).to_string());
            errs.push(Error::invalid(&path.child("volumeLifecycleModes"), shown, "field is immutable"));
        }
        errs
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            Column { kind: "boolean", ..text("AttachRequired", "Whether volumes are attached to nodes.") },
            Column { kind: "boolean", ..text("PodInfoOnMount", "Whether mounts are told of their pods.") },
            Column {
                kind: "boolean",
                ..text("StorageCapacity", "Whether the driver tells how much is free.")
            },
            text("TokenRequests", "Audiences of the tokens that mounts get."),
            Column { kind: "boolean", ..text("RequiresRepublish", "Whether mounts are renewed.") },
            text("Modes", "Kinds of volumes."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, driver: &CSIDriver, now: Timestamp) -> Vec<Value> {
        let spec = &driver.spec;
        let joined = |list: Vec<&str>, none: &str| match list.is_empty() {
            true => none.to_owned(),
            false => list.join(","),
        };
        let tokens = spec.token_requests.iter().flatten().map(|t| t.audience.as_str()).collect();
        let modes = spec.volume_lifecycle_modes.iter().flatten().map(String::as_str).collect();
        vec![
            json!(driver.name()),
            json!(spec.attach_required.unwrap_or(true)),
            json!(spec.pod_info_on_mount.unwrap_or(false)),
            json!(spec.storage_capacity.unwrap_or(false)),
            json!(joined(tokens, "<unset>")),
            json!(spec.requires_republish.unwrap_or(false)),
            json!(joined(modes, "<none>")),
            json!(age(&driver.metadata, now)),
        ]
    }
}

fn token_errors(tokens: &[TokenRequest], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, token) in tokens.iter().enumerate() {
        let path = path.index(i);
        if !seen.insert(&token.audience) {
            errs.push(Error::duplicate(&path.child("audience"), &token.audience));
        }
        let Some(seconds) = token.expiration_seconds else { continue };
        let at = path.child("expirationSeconds");
        if seconds < 600 {
            errs.push(Error::invalid(&at, seconds, "may not specify a duration less than 10 minutes"));
        }
        if seconds > 1 << 32 {
            errs.push(Error::invalid(&at, seconds, "may not specify a duration larger than 2^32 seconds"));
        }
    }
    errs
}
