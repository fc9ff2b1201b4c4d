//! A new node takes no pods before it is known to be ready.

use apimachinery::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Node, Taint};
use registry::admit::{Attributes, Operation};

use crate::ask;
use crate::chain::Plugin;

pub(crate) struct TaintNodesByCondition;

#[async_trait]
impl Plugin for TaintNodesByCondition {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<Node>(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(node) = ask::object_mut::<Node>(a) else { return Ok(()) };
        let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
        let taint = Taint {
            key: "node.kubernetes.io/not-ready".into(),
            effect: "NoSchedule".into(),
            ..Taint::default()
        };
        if !taints.iter().any(|t| t.key == taint.key && t.effect == taint.effect) {
            taints.push(taint);
        }
        Ok(())
    }
}
