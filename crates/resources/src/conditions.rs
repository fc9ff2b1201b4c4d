//! Conditions of a status: found by type, stamped with the time of their last transition.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSetCondition;
use k8s_openapi::api::core::v1::{
    NamespaceCondition, NodeCondition, PodCondition, ReplicationControllerCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What conditions of all kinds have.
pub trait Condition: PartialEq {
    fn kind(&self) -> &str;
    fn status(&self) -> &str;
    fn last_transition_time(&mut self) -> &mut Option<Time>;
}

/// The condition of a type.
pub fn find<'a, C: Condition>(conditions: &'a Option<Vec<C>>, kind: &str) -> Option<&'a C> {
    conditions.iter().flatten().find(|c| c.kind() == kind)
}

/// Sets a condition. The transition time moves only when the status does. True when anything changed.
pub fn set<C: Condition>(conditions: &mut Option<Vec<C>>, mut condition: C, now: Timestamp) -> bool {
    let conditions = conditions.get_or_insert_default();
    *condition.last_transition_time() = Some(Time(now));
    let Some(old) = conditions.iter_mut().find(|c| c.kind() == condition.kind()) else {
        conditions.push(condition);
        return true;
    };
    if old.status() == condition.status() {
        condition.last_transition_time().clone_from(old.last_transition_time());
    }
    let changed = *old != condition;
    *old = condition;
    changed
}

macro_rules! condition {
    ($kind:ty, |$c:ident| $type:expr, $status:expr) => {
        impl Condition for $kind {
            fn kind(&self) -> &str {
                let $c = self;
                $type
            }
            fn status(&self) -> &str {
                let $c = self;
                $status
            }
            fn last_transition_time(&mut self) -> &mut Option<Time> {
                &mut self.last_transition_time
            }
        }
    };
}
condition!(PodCondition, |c| &c.type_, &c.status);
condition!(NodeCondition, |c| &c.type_, &c.status);
condition!(NamespaceCondition, |c| &c.type_, &c.status);
condition!(ReplicationControllerCondition, |c| &c.type_, &c.status);
condition!(
    ReplicaSetCondition,
    |c| c.type_.as_deref().unwrap_or_default(),
    c.status.as_deref().unwrap_or_default()
);
