//! Daemon sets.

use apimachinery::Selector;
use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetStatus, DaemonSetUpdateStrategy, RollingUpdateDaemonSet,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::apps::deployment::{Round, scaled};
use crate::columns::{AGE, CONTAINERS, IMAGES, NAME, containers, number, text, wide};
use crate::core::pod;
use crate::desired;
use crate::fill;
use crate::owner::ObjectMetaExt;
use crate::selector::{self, LabelSelectorExt, show_labels};
use crate::strategy::{Column, Part, age};

mod validation;

#[cfg(test)]
mod tests;

/// The annotation that counts the templates which a daemon set has had.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// What daemon sets are asked.
pub trait DaemonSetExt {
    /// Which pods it counts. The error is upstream's text.
    fn selector(&self) -> Result<Selector, String>;
    /// Replaces pods by itself when the template changes.
    fn is_rolling(&self) -> bool;
    /// Of `nodes`, how many may have a second pod during an update, and how many may have none that works.
    fn surge_and_unavailable(&self, nodes: i32) -> (i32, i32);
    /// How many templates it has had; `None` when nobody has counted.
    fn template_generation(&self) -> Option<i64>;
}

impl DaemonSetExt for DaemonSet {
    fn selector(&self) -> Result<Selector, String> {
        self.spec.selector.compile()
    }

    fn is_rolling(&self) -> bool {
        let kind = self.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref());
        matches!(kind.unwrap_or_default(), "" | "RollingUpdate")
    }

    fn surge_and_unavailable(&self, nodes: i32) -> (i32, i32) {
        if !self.is_rolling() {
            return (0, 0);
        }
        let rolling = self.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
        let share = |value: Option<&IntOrString>| value.map_or(0, |v| scaled(v, nodes, Round::Up));
        let surge = share(rolling.and_then(|r| r.max_surge.as_ref()));
        let unavailable = share(rolling.and_then(|r| r.max_unavailable.as_ref()));
        // With both at zero nothing could ever move; percentages of few nodes round to that.
        let stuck = nodes > 0 && surge == 0 && unavailable == 0;
        (surge, if stuck { 1 } else { unavailable })
    }

    fn template_generation(&self) -> Option<i64> {
        self.metadata.annotation(TEMPLATE_GENERATION)?.parse().ok()
    }
}

/// The rules of daemon sets.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = DaemonSet;

    fn default(&self, set: &mut DaemonSet) {
        let spec = &mut set.spec;
        spec.revision_history_limit.get_or_insert(10);
        strategy(spec.update_strategy.get_or_insert_default());
        pod::defaults::template(&mut spec.template);
    }

    fn prepare_create(&self, set: &mut DaemonSet) {
        set.status = Some(DaemonSetStatus::default());
        set.metadata.generation = Some(1);
        let generation = set.template_generation().unwrap_or(0).max(1);
        count_templates(set, generation);
    }

    fn prepare_update(&self, new: &mut DaemonSet, old: &DaemonSet, part: Part) {
        let before = old.template_generation().unwrap_or(0);
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            count_templates(new, before);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
        let raise = i64::from(new.spec.template != old.spec.template);
        count_templates(new, before.saturating_add(raise));
    }

    fn validate(&self, set: &DaemonSet) -> ErrorList {
        validation::create(set)
    }

    fn validate_update(&self, new: &DaemonSet, old: &DaemonSet, part: Part) -> ErrorList {
        validation::update(new, old, part)
    }

    fn warnings(&self, set: &DaemonSet) -> Vec<String> {
        pod::warnings::of_template(set, Some(&set.spec.template))
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            number("Desired", "How many nodes should run the pod."),
            number("Current", "How many of them run it."),
            number("Ready", "How many of them have one that is ready."),
            number("Up-to-date", "How many of them run the current template."),
            number("Available", "How many of them have one that is available."),
            text("Node Selector", "Labels of the nodes that should run it."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "Which pods are counted."),
        ];
        COLUMNS
    }

    fn row(&self, set: &DaemonSet, now: Timestamp) -> Vec<Value> {
        let status = set.status.clone().unwrap_or_default();
        let (names, images) = containers(Some(&set.spec.template));
        let nodes = set.spec.template.spec.as_ref().and_then(|s| s.node_selector.as_ref());
        vec![
            json!(set.name()),
            json!(status.desired_number_scheduled),
            json!(status.current_number_scheduled),
            json!(status.number_ready),
            json!(status.updated_number_scheduled.unwrap_or(0)),
            json!(status.number_available.unwrap_or(0)),
            json!(show_labels(nodes)),
            json!(age(&set.metadata, now)),
            json!(names),
            json!(images),
            json!(selector::show(&set.spec.selector)),
        ]
    }
}

fn strategy(strategy: &mut DaemonSetUpdateStrategy) {
    fill::text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() == Some("RollingUpdate") {
        let rolling = strategy.rolling_update.get_or_insert_with(RollingUpdateDaemonSet::default);
        rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        rolling.max_surge.get_or_insert(IntOrString::Int(0));
    }
}

fn count_templates(set: &mut DaemonSet, generation: i64) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(TEMPLATE_GENERATION.into(), generation.to_string());
}
