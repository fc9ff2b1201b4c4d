//! Deployments.

use apimachinery::Selector;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::columns::{AGE, CONTAINERS, IMAGES, NAME, containers, number, text, wide};
use crate::core::pod;
use crate::desired;
use crate::fill;
use crate::selector::LabelSelectorExt;
use crate::strategy::{Column, Part, ScaleView, age};

mod validation;

#[cfg(test)]
mod tests;

/// The annotation that counts a deployment's revisions, also on its replica sets.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// What deployments are asked.
pub trait DeploymentExt {
    /// Which pods it counts. The error is upstream's text.
    fn selector(&self) -> Result<Selector, String>;
    /// How many pods it shall keep.
    fn replicas(&self) -> i32;
    fn condition(&self, kind: &str) -> Option<&DeploymentCondition>;
    /// Replaces pods a few at a time, rather than all at once.
    fn is_rolling(&self) -> bool;
    /// Pods above and below the wanted number that a rolling update may have for a while.
    fn surge_and_unavailable(&self) -> (i32, i32);
}

impl DeploymentExt for Deployment {
    fn selector(&self) -> Result<Selector, String> {
        self.spec.selector.compile()
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn condition(&self, kind: &str) -> Option<&DeploymentCondition> {
        self.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_.as_deref() == Some(kind))
    }

    fn is_rolling(&self) -> bool {
        let kind = self.spec.strategy.as_ref().and_then(|s| s.type_.as_deref());
        matches!(kind.unwrap_or_default(), "" | "RollingUpdate")
    }

    fn surge_and_unavailable(&self) -> (i32, i32) {
        if !self.is_rolling() {
            return (0, 0);
        }
        let rolling = self.spec.strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
        let surge = rolling.and_then(|r| r.max_surge.as_ref());
        let unavailable = rolling.and_then(|r| r.max_unavailable.as_ref());
        let surge = surge.map_or(0, |v| scaled(v, self.replicas(), Round::Up));
        let unavailable = unavailable.map_or(0, |v| scaled(v, self.replicas(), Round::Down));
        // With both at zero nothing could ever move; percentages of few pods round to that.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        (surge, unavailable.min(self.replicas()))
    }
}

/// How a share of pods that is no whole number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    Up,
    Down,
}

/// A number, or a percentage of `total`. 0 for a text that is no percentage, which validation refuses.
pub fn scaled(value: &IntOrString, total: i32, round: Round) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|p| p.parse().ok()).unwrap_or(0);
            let hundredths = percent.saturating_mul(total.into());
            let up = i64::from(round == Round::Up && hundredths % 100 != 0);
            i32::try_from(hundredths / 100 + up).unwrap_or(i32::MAX)
        }
    }
}

/// Sets a condition. The transition time moves only when the status does; nothing changes when status and reason are
/// as before. True when anything changed.
pub fn set_condition(
    status: &mut DeploymentStatus,
    mut condition: DeploymentCondition,
    now: Timestamp,
) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    condition.last_transition_time = Some(Time(now));
    condition.last_update_time = Some(Time(now));
    if let Some(at) = conditions.iter().position(|c| c.type_ == condition.type_) {
        let old = conditions.remove(at);
        if old.status == condition.status {
            if old.reason == condition.reason {
                conditions.insert(at, old);
                return false;
            }
            condition.last_transition_time = old.last_transition_time;
        }
    }
    conditions.push(condition);
    true
}

/// The rules of deployments.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Deployment;

    fn default(&self, deployment: &mut Deployment) {
        let spec = &mut deployment.spec;
        spec.replicas.get_or_insert(1);
        spec.revision_history_limit.get_or_insert(10);
        spec.progress_deadline_seconds.get_or_insert(600);
        strategy(spec.strategy.get_or_insert_default());
        pod::defaults::template(&mut spec.template);
    }

    fn prepare_create(&self, deployment: &mut Deployment) {
        deployment.status = Some(DeploymentStatus::default());
        deployment.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut Deployment, old: &Deployment, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            new.metadata.labels.clone_from(&old.metadata.labels);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
        // Controllers read revisions from annotations, so these count as desired state too.
        let same = new.metadata.annotations == old.metadata.annotations;
        if !same && new.metadata.generation == old.metadata.generation {
            new.metadata.generation = Some(old.metadata.generation.unwrap_or(0).saturating_add(1));
        }
    }

    fn reset_fields(&self, part: Part) -> &'static [&'static str] {
        match part {
            Part::Main => &["status"],
            _ => &["spec", "metadata.labels"],
        }
    }

    fn validate(&self, deployment: &Deployment) -> apimachinery::field::ErrorList {
        validation::create(deployment)
    }

    fn validate_update(
        &self,
        new: &Deployment,
        old: &Deployment,
        part: Part,
    ) -> apimachinery::field::ErrorList {
        validation::update(new, old, part)
    }

    fn warnings(&self, deployment: &Deployment) -> Vec<String> {
        pod::warnings::of_template(deployment, Some(&deployment.spec.template))
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Ready", "Number of the pod with ready state"),
            number("Up-to-date", "How many pods have the current template."),
            number("Available", "How many pods are available."),
            AGE,
            CONTAINERS,
            IMAGES,
            wide("Selector", "Which pods are counted."),
        ];
        COLUMNS
    }

    fn row(&self, deployment: &Deployment, now: Timestamp) -> Vec<Value> {
        let status = deployment.status.clone().unwrap_or_default();
        let (names, images) = containers(Some(&deployment.spec.template));
        let selector = deployment.selector().map_or_else(|_| "<invalid>".into(), |s| s.to_string());
        vec![
            json!(deployment.name()),
            json!(format!("{}/{}", status.ready_replicas.unwrap_or(0), deployment.replicas())),
            json!(status.updated_replicas.unwrap_or(0)),
            json!(status.available_replicas.unwrap_or(0)),
            json!(age(&deployment.metadata, now)),
            json!(names),
            json!(images),
            json!(selector),
        ]
    }

    fn scale(&self, deployment: &Deployment) -> Option<ScaleView> {
        Some(ScaleView {
            spec_replicas: deployment.replicas(),
            status_replicas: deployment.status.as_ref().and_then(|s| s.replicas).unwrap_or(0),
            selector: deployment.selector().map(|s| s.to_string()).unwrap_or_default(),
        })
    }

    fn set_scale(&self, deployment: &mut Deployment, replicas: i32) {
        deployment.spec.replicas = Some(replicas);
    }
}

fn strategy(strategy: &mut DeploymentStrategy) {
    fill::text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() == Some("RollingUpdate") {
        let rolling = strategy.rolling_update.get_or_insert_with(RollingUpdateDeployment::default);
        rolling.max_unavailable.get_or_insert_with(|| IntOrString::String("25%".into()));
        rolling.max_surge.get_or_insert_with(|| IntOrString::String("25%".into()));
    }
}
