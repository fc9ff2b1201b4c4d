//! Replication controllers.

use apimachinery::Selector;
use k8s_openapi::api::core::v1::{
    PodTemplateSpec, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use resources::core::replication_controller::ReplicationControllerExt;

use super::{Condition, Observed, Replicated, engine};
use crate::context::Component;

pub fn start(component: Component) {
    engine::start::<ReplicationController>(component);
}

impl Replicated for ReplicationController {
    const COMPONENT: &'static str = "replication-controller";

    fn pod_selector(&self) -> Result<Selector, String> {
        Ok(self.selector())
    }

    fn wanted(&self) -> i32 {
        self.replicas()
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|s| s.min_ready_seconds).unwrap_or(0)
    }

    fn observed(&self) -> Observed {
        let s = self.status.clone().unwrap_or_default();
        let condition = |c: ReplicationControllerCondition| Condition {
            kind: c.type_,
            status: c.status,
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
            terminating: 0,
            conditions: s.conditions.unwrap_or_default().into_iter().map(condition).collect(),
        }
    }

    fn set_observed(&mut self, s: Observed) {
        let condition = |c: Condition| ReplicationControllerCondition {
            type_: c.kind,
            status: c.status,
            reason: c.reason,
            message: c.message,
            last_transition_time: c.since,
        };
        let some = |n: i32| (n != 0).then_some(n);
        self.status = Some(ReplicationControllerStatus {
            observed_generation: Some(s.generation),
            replicas: s.replicas,
            fully_labeled_replicas: some(s.fully_labeled),
            ready_replicas: some(s.ready),
            available_replicas: some(s.available),
            conditions: (!s.conditions.is_empty()).then(|| s.conditions.into_iter().map(condition).collect()),
        });
    }
}
