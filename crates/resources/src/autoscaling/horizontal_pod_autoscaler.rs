//! Autoscalers: how many pods something is to have, by what is measured of them.

use apimachinery::Quantity;
use apimachinery::field::ErrorList;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, MetricSpec,
    MetricTarget, ResourceMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde_json::{Value, json};

use crate::columns::{AGE, NAME, text};
use crate::desired;
use crate::strategy::{Column, Part, age};

mod targets;
pub mod v1;
mod validation;

#[cfg(test)]
mod tests;

/// Measured when nothing else is said: this share of the requested CPU, in percent.
const DEFAULT_CPU_UTILIZATION: i32 = 80;

/// What autoscalers are asked.
pub trait HorizontalPodAutoscalerExt {
    /// Never fewer pods than this.
    fn min_replicas(&self) -> i32;
}

impl HorizontalPodAutoscalerExt for HorizontalPodAutoscaler {
    fn min_replicas(&self) -> i32 {
        self.spec.min_replicas.unwrap_or(1)
    }
}

/// The rules of autoscalers.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = HorizontalPodAutoscaler;

    fn default(&self, scaler: &mut HorizontalPodAutoscaler) {
        v1::drop_annotations(&mut scaler.metadata);
        let spec = &mut scaler.spec;
        spec.min_replicas.get_or_insert(1);
        let metrics = spec.metrics.get_or_insert_default();
        if metrics.is_empty() {
            metrics.push(default_metric());
        }
        for target in metrics.iter_mut().filter_map(target_of) {
            canonical(target.value.as_mut());
            canonical(target.average_value.as_mut());
        }
        if let Some(behavior) = &mut spec.behavior {
            fill(behavior.scale_up.get_or_insert_default(), Some(0), &[("Pods", 4), ("Percent", 100)]);
            // How long a scale down waits when nothing is said is the controller's setting.
            fill(behavior.scale_down.get_or_insert_default(), None, &[("Percent", 100)]);
        }
    }

    fn prepare_create(&self, scaler: &mut HorizontalPodAutoscaler) {
        scaler.status = Some(HorizontalPodAutoscalerStatus::default());
        scaler.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, scaler: &HorizontalPodAutoscaler) -> ErrorList {
        validation::create(scaler)
    }

    fn validate_update(
        &self,
        new: &HorizontalPodAutoscaler,
        old: &HorizontalPodAutoscaler,
        part: Part,
    ) -> ErrorList {
        match part {
            Part::Status => validation::status(new),
            _ => validation::update(new, old),
        }
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Reference", "What is scaled."),
            text("Targets", "What is measured, and what it is to be."),
            text("MinPods", "Never fewer pods."),
            text("MaxPods", "Never more pods."),
            text("Replicas", "How many pods there are."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, scaler: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
        let spec = &scaler.spec;
        let status = scaler.status.clone().unwrap_or_default();
        let measured = status.current_metrics.unwrap_or_default();
        vec![
            json!(scaler.name()),
            json!(format!("{}/{}", spec.scale_target_ref.kind, spec.scale_target_ref.name)),
            json!(targets::show(spec.metrics.as_deref().unwrap_or_default(), &measured)),
            json!(spec.min_replicas.map_or_else(|| "<unset>".into(), |min| min.to_string())),
            json!(spec.max_replicas),
            json!(status.current_replicas.unwrap_or(0)),
            json!(age(&scaler.metadata, now)),
        ]
    }
}

fn default_metric() -> MetricSpec {
    let target = MetricTarget {
        type_: "Utilization".into(),
        average_utilization: Some(DEFAULT_CPU_UTILIZATION),
        ..MetricTarget::default()
    };
    MetricSpec {
        type_: "Resource".into(),
        resource: Some(ResourceMetricSource { name: "cpu".into(), target }),
        ..MetricSpec::default()
    }
}

/// The target of the source that is given, whatever the type says.
fn target_of(metric: &mut MetricSpec) -> Option<&mut MetricTarget> {
    let MetricSpec { container_resource, external, object, pods, resource, .. } = metric;
    object
        .as_mut()
        .map(|s| &mut s.target)
        .or(pods.as_mut().map(|s| &mut s.target))
        .or(resource.as_mut().map(|s| &mut s.target))
        .or(container_resource.as_mut().map(|s| &mut s.target))
        .or(external.as_mut().map(|s| &mut s.target))
}

/// Rewrites a quantity as upstream's decoder does. What is none stays for validation to name.
fn canonical(quantity: Option<&mut Text>) {
    if let Some(text) = quantity
        && let Ok(amount) = Quantity::parse(&text.0)
    {
        text.0 = amount.to_string();
    }
}

/// What absent rules of a direction mean: the fastest of these policies, each over 15 seconds.
fn fill(rules: &mut HPAScalingRules, window: Option<i32>, policies: &[(&str, i32)]) {
    rules.stabilization_window_seconds = rules.stabilization_window_seconds.or(window);
    rules.select_policy.get_or_insert_with(|| "Max".into());
    let policy = |(kind, value): &(&str, i32)| HPAScalingPolicy {
        type_: (*kind).into(),
        value: *value,
        period_seconds: 15,
    };
    rules.policies.get_or_insert_with(|| policies.iter().map(policy).collect());
    canonical(rules.tolerance.as_mut());
}
