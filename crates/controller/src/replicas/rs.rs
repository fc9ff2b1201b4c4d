//! Replica sets.

use apimachinery::Selector;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use resources::apps::replica_set::ReplicaSetExt;

use super::{Condition, Observed, Replicated, engine};
use crate::context::Component;

pub fn start(component: Component) {
    engine::start::<ReplicaSet>(component);
}

impl Replicated for ReplicaSet {
    const COMPONENT: &'static str = "replicaset-controller";

    fn pod_selector(&self) -> Result<Selector, String> {
        self.selector()
    }

    fn wanted(&self) -> i32 {
        self.replicas()
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref()
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    fn observed(&self) -> Observed {
        let s = self.status.clone().unwrap_or_default();
        let condition = |c: ReplicaSetCondition| Condition {
            kind: c.type_.unwrap_or_default(),
            status: c.status.unwrap_or_default(),
            reason: c.reason,
            message: c.message,
            since: c.last_transition_time,
        };
        Observed {
            generation: s.observed_generation.unwrap_or(0),
            replicas: s.replicas,
            fully_labeled: s.fully_labeled_replicas.unwrap_or(0),
            ready: s.ready_replicas.unwrap_or(0),
            available: s.available_replicas.unwrap_or(0),
            terminating: s.terminating_replicas.unwrap_or(0),
            conditions: s.conditions.unwrap_or_default().into_iter().map(condition).collect(),
        }
    }

    fn set_observed(&mut self, s: Observed) {
        let condition = |c: Condition| ReplicaSetCondition {
            type_: Some(c.kind),
            status: Some(c.status),
            reason: c.reason,
            message: c.message,
            last_transition_time: c.since,
        };
        let some = |n: i32| (n != 0).then_some(n);
        self.status = Some(ReplicaSetStatus {
            observed_generation: Some(s.generation),
            replicas: s.replicas,
            fully_labeled_replicas: some(s.fully_labeled),
            ready_replicas: some(s.ready),
            available_replicas: some(s.available),
            // Told even when there are none: absent means that nobody counts them.
            terminating_replicas: Some(s.terminating),
            conditions: (!s.conditions.is_empty()).then(|| s.conditions.into_iter().map(condition).collect()),
        });
    }
}
