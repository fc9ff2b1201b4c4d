//! Pod disruption budgets. Who may be evicted: [`PodDisruptionBudgetExt::spend`].

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::check::{at_most_all, int_or_percent, known, non_negative};
use crate::columns::{AGE, NAME, number, text};
use crate::conditions;
use crate::desired;
use crate::selector;
use crate::strategy::{Column, Part, age};

#[cfg(test)]
mod tests;

/// The condition that says whether any pod may be evicted now.
pub const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";
/// Its reason when the budget could not be worked out.
pub const SYNC_FAILED: &str = "SyncFailed";
/// So many evicted pods may wait to be seen to go.
const DISRUPTED_MAX: usize = 2000;

/// Why a budget refuses an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 429: ask again later. The text is the cause.
    Later(String),
    /// 429: the budget is new or changed and not worked out yet.
    Unknown(String),
    /// 403: something is wrong with the budget itself.
    Broken(String),
}

/// What budgets are asked.
pub trait PodDisruptionBudgetExt {
    /// Which pods it guards; none without a selector. The error is upstream's text.
    fn selector(&self) -> Result<Selector, String>;
    /// Evicting a pod that is not ready costs nothing now.
    fn spares_unready(&self) -> bool;
    /// Takes one disruption off the status, for this pod; it counts as gone from `now` on.
    fn spend(&mut self, pod: &str, now: Timestamp) -> Result<(), Refusal>;
}

impl PodDisruptionBudgetExt for PodDisruptionBudget {
    fn selector(&self) -> Result<Selector, String> {
        selector::compile(self.spec.as_ref().and_then(|s| s.selector.as_ref()))
    }

    fn spares_unready(&self) -> bool {
        let policy = self.spec.as_ref().and_then(|s| s.unhealthy_pod_eviction_policy.as_deref());
        let status = self.status.clone().unwrap_or_default();
        let (healthy, wanted) = (status.current_healthy.unwrap_or(0), status.desired_healthy.unwrap_or(0));
        policy == Some("AlwaysAllow") || healthy >= wanted && wanted > 0
    }

    fn spend(&mut self, pod: &str, now: Timestamp) -> Result<(), Refusal> {
        let name = self.name().to_owned();
        let generation = self.metadata.generation.unwrap_or(0);
        let status = self.status.get_or_insert_default();
        if status.observed_generation.unwrap_or(0) < generation {
            let text = format!("The disruption budget {name} is still being processed by the server.");
            return Err(Refusal::Unknown(text));
        }
        let allowed = status.disruptions_allowed.unwrap_or(0);
        if allowed < 0 {
            return Err(Refusal::Broken("pdb disruptions allowed is negative".into()));
        }
        if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > DISRUPTED_MAX) {
            let text = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
            return Err(Refusal::Broken(text.into()));
        }
        if allowed == 0 {
            return Err(Refusal::Later(nothing_left(&name, status)));
        }
        status.disruptions_allowed = Some(allowed - 1);
        if allowed == 1 {
            set_allowed(status, now);
        }
        status.disrupted_pods.get_or_insert_default().insert(pod.to_owned(), Time(now));
        Ok(())
    }
}

fn nothing_left(name: &str, status: &PodDisruptionBudgetStatus) -> String {
    let condition = status.conditions.iter().flatten().find(|c| c.type_ == DISRUPTION_ALLOWED);
    match condition {
        Some(failed) if failed.reason == SYNC_FAILED => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
            failed.message
        ),
        _ => format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            status.desired_healthy.unwrap_or(0),
            status.current_healthy.unwrap_or(0)
        ),
    }
}

/// Sets the condition from the number of disruptions that are allowed.
pub fn set_allowed(status: &mut PodDisruptionBudgetStatus, now: Timestamp) {
    let (told, reason) = match status.disruptions_allowed.unwrap_or(0) > 0 {
        true => ("True", "SufficientPods"),
        false => ("False", "InsufficientPods"),
    };
    set_condition(status, told, reason, "", now);
}

/// Sets the condition as told.
pub fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    told: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let condition = Condition {
        type_: DISRUPTION_ALLOWED.into(),
        status: told.into(),
        reason: reason.into(),
        message: message.into(),
        observed_generation: status.observed_generation,
        last_transition_time: Time(now),
    };
    conditions::set_standard(&mut status.conditions, condition);
}

/// The rules of budgets.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = PodDisruptionBudget;

    fn prepare_create(&self, budget: &mut PodDisruptionBudget) {
        budget.status = Some(PodDisruptionBudgetStatus::default());
        budget.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut PodDisruptionBudget, old: &PodDisruptionBudget, part: Part) {
        if part == Part::Status {
            new.spec.clone_from(&old.spec);
            return;
        }
        new.status.clone_from(&old.status);
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, budget: &PodDisruptionBudget) -> ErrorList {
        let none = PodDisruptionBudgetSpec::default();
        spec_errors(budget.spec.as_ref().unwrap_or(&none), &Path::new("spec"))
    }

    fn validate_update(&self, new: &PodDisruptionBudget, _: &PodDisruptionBudget, part: Part) -> ErrorList {
        match part {
            Part::Status => status_errors(&new.status.clone().unwrap_or_default(), &Path::new("status")),
            _ => self.validate(new),
        }
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Min Available", "So many pods must stay available."),
            text("Max Unavailable", "So many pods may be unavailable."),
            number("Allowed Disruptions", "So many pods may be evicted now."),
            AGE,
        ];
        COLUMNS
    }

    fn row(&self, budget: &PodDisruptionBudget, now: Timestamp) -> Vec<Value> {
        let shown = |value: Option<&IntOrString>| match value {
            None => "N/A".to_owned(),
            Some(IntOrString::Int(number)) => number.to_string(),
            Some(IntOrString::String(text)) => text.clone(),
        };
        let spec = budget.spec.as_ref();
        let allowed = budget.status.as_ref().and_then(|s| s.disruptions_allowed).unwrap_or(0);
        vec![
            json!(budget.name()),
            json!(shown(spec.and_then(|s| s.min_available.as_ref()))),
            json!(shown(spec.and_then(|s| s.max_unavailable.as_ref()))),
            json!(allowed),
            json!(age(&budget.metadata, now)),
        ]
    }
}

fn spec_errors(spec: &PodDisruptionBudgetSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        let shown = Raw(shown(spec));
        errs.push(Error::invalid(path, shown, "minAvailable and maxUnavailable cannot be both set"));
    }
    for (field, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        if let Some(value) = value {
            errs.extend(int_or_percent(value, &path.child(field)));
            errs.extend(at_most_all(value, &path.child(field)));
        }
    }
    if let Some(wanted) = &spec.selector {
        errs.extend(selector::validate(wanted, &path.child("selector")));
    }
    if let Some(policy) = &spec.unhealthy_pod_eviction_policy {
        let path = path.child("unhealthyPodEvictionPolicy");
        errs.extend(known(&path, policy, &["AlwaysAllow", "IfHealthyBudget"]));
    }
    errs
}

/// With the names of upstream's internal form, which has no JSON names.
fn shown(spec: &PodDisruptionBudgetSpec) -> String {
    format!(
        r#"{{"MinAvailable":{},"Selector":{},"MaxUnavailable":{},"UnhealthyPodEvictionPolicy":{}}}"#,
        json!(spec.min_available),
        spec.selector.as_ref().map_or("null".into(), crate::apps::replica_set::selector_json),
        json!(spec.max_unavailable),
        json!(spec.unhealthy_pod_eviction_policy)
    )
}

fn status_errors(status: &PodDisruptionBudgetStatus, path: &Path) -> ErrorList {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let mut errs = conditions::validate(conditions, &path.child("conditions"));
    for (field, value) in [
        ("disruptionsAllowed", status.disruptions_allowed),
        ("currentHealthy", status.current_healthy),
        ("desiredHealthy", status.desired_healthy),
        ("expectedPods", status.expected_pods),
    ] {
        errs.extend(non_negative(&path.child(field), value.unwrap_or(0)));
    }
    errs
}
