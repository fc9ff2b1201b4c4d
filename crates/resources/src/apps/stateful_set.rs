//! Stateful sets.

use apimachinery::Selector;
use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetStatus,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::apps::deployment::{Round, scaled};
use crate::columns::{AGE, CONTAINERS, IMAGES, NAME, containers, text};
use crate::core::{persistent_volume_claim, pod};
use crate::desired;
use crate::fill;
use crate::selector::LabelSelectorExt;
use crate::strategy::{Column, Part, ScaleView, age};

mod validation;

#[cfg(test)]
mod tests;

/// The labels that tell a pod its own name and its place in the set.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// What stateful sets are asked.
pub trait StatefulSetExt {
    /// Which pods it counts. The error is upstream's text.
    fn selector(&self) -> Result<Selector, String>;
    /// How many pods it shall keep.
    fn replicas(&self) -> i32;
    /// The ordinals that shall have pods.
    fn ordinals(&self) -> std::ops::Range<i32>;
    /// Makes and removes pods all at once, not one after the other.
    fn is_parallel(&self) -> bool;
    /// Replaces pods by itself when the template changes.
    fn is_rolling(&self) -> bool;
    /// Pods with lower ordinals stay as they are when the template changes.
    fn partition(&self) -> i32;
    /// So many pods may be unavailable during an update; at least one.
    fn max_unavailable(&self) -> i32;
    /// Claims of pods that are scaled away go with them.
    fn deletes_claims_when_scaled(&self) -> bool;
    /// Claims go with the whole set.
    fn deletes_claims_when_deleted(&self) -> bool;
}

impl StatefulSetExt for StatefulSet {
    fn selector(&self) -> Result<Selector, String> {
        self.spec.selector.compile()
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn ordinals(&self) -> std::ops::Range<i32> {
        let start = self.spec.ordinals.as_ref().and_then(|o| o.start).unwrap_or(0);
        start..start.saturating_add(self.replicas().max(0))
    }

    fn is_parallel(&self) -> bool {
        self.spec.pod_management_policy.as_deref() == Some("Parallel")
    }

    fn is_rolling(&self) -> bool {
        let kind = self.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref());
        matches!(kind.unwrap_or_default(), "" | "RollingUpdate")
    }

    fn partition(&self) -> i32 {
        rolling(&self.spec).and_then(|r| r.partition).unwrap_or(0)
    }

    fn max_unavailable(&self) -> i32 {
        let value = rolling(&self.spec).and_then(|r| r.max_unavailable.as_ref());
        value.map_or(1, |v| scaled(v, self.replicas(), Round::Down)).max(1)
    }

    fn deletes_claims_when_scaled(&self) -> bool {
        let policy = self.spec.persistent_volume_claim_retention_policy.as_ref();
        policy.and_then(|p| p.when_scaled.as_deref()) == Some("Delete")
    }

    fn deletes_claims_when_deleted(&self) -> bool {
        let policy = self.spec.persistent_volume_claim_retention_policy.as_ref();
        policy.and_then(|p| p.when_deleted.as_deref()) == Some("Delete")
    }
}

fn rolling(spec: &StatefulSetSpec) -> Option<&RollingUpdateStatefulSetStrategy> {
    spec.update_strategy.as_ref()?.rolling_update.as_ref()
}

/// The rules of stateful sets.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = StatefulSet;

    fn default(&self, set: &mut StatefulSet) {
        let spec = &mut set.spec;
        fill::text(&mut spec.pod_management_policy, "OrderedReady");
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(10);
        update_strategy(spec);
        let policy = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
        fill::text(&mut policy.when_deleted, "Retain");
        fill::text(&mut policy.when_scaled, "Retain");
        for claim in spec.volume_claim_templates.iter_mut().flatten() {
            persistent_volume_claim::Strategy.default(claim);
        }
        pod::defaults::template(&mut spec.template);
    }

    fn prepare_create(&self, set: &mut StatefulSet) {
        set.status = Some(StatefulSetStatus::default());
        set.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut StatefulSet, old: &StatefulSet, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, set: &StatefulSet) -> ErrorList {
        validation::create(set)
    }

    fn validate_update(&self, new: &StatefulSet, old: &StatefulSet, part: Part) -> ErrorList {
        validation::update(new, old, part)
    }

    fn warnings(&self, set: &StatefulSet) -> Vec<String> {
        let mut texts = pod::warnings::of_template(set, Some(&set.spec.template));
        if set.spec.revision_history_limit.is_some_and(|limit| limit < 0) {
            texts.push("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended".into());
        }
        texts
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] =
            &[NAME, text("Ready", "Number of the pod with ready state"), AGE, CONTAINERS, IMAGES];
        COLUMNS
    }

    fn row(&self, set: &StatefulSet, now: Timestamp) -> Vec<Value> {
        let ready = set.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0);
        let (names, images) = containers(Some(&set.spec.template));
        vec![
            json!(set.name()),
            json!(format!("{ready}/{}", set.replicas())),
            json!(age(&set.metadata, now)),
            json!(names),
            json!(images),
        ]
    }

    fn scale(&self, set: &StatefulSet) -> Option<ScaleView> {
        Some(ScaleView {
            spec_replicas: set.replicas(),
            status_replicas: set.status.as_ref().map_or(0, |s| s.replicas),
            selector: set.selector().map(|s| s.to_string()).unwrap_or_default(),
        })
    }

    fn set_scale(&self, set: &mut StatefulSet, replicas: i32) {
        set.spec.replicas = Some(replicas);
    }
}

/// What a rolling update needs is filled in only where one is meant.
fn update_strategy(spec: &mut StatefulSetSpec) {
    let strategy = spec.update_strategy.get_or_insert_default();
    if strategy.type_.as_deref().unwrap_or_default().is_empty() {
        strategy.type_ = Some("RollingUpdate".into());
        strategy.rolling_update.get_or_insert_with(RollingUpdateStatefulSetStrategy::default);
    }
    if let (Some("RollingUpdate"), Some(rolling)) = (strategy.type_.as_deref(), &mut strategy.rolling_update)
    {
        rolling.partition.get_or_insert(0);
        rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
    }
}
