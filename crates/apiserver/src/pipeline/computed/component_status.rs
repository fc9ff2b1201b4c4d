//! `componentstatuses`: only of what this process can tell by itself, which is its store.

use apimachinery::Status;
use async_trait::async_trait;
use codec::{AnyObject, Kind as _};
use k8s_openapi::api::core::v1::{ComponentCondition, ComponentStatus};

use super::{Asked, Maker};
use crate::api::Api;

/// The health check of the store, and what upstream calls it here.
const STORE: (&str, &str) = ("etcd", "etcd-0");

pub(super) struct ComponentStatuses;

#[async_trait]
impl Maker for ComponentStatuses {
    async fn make(&self, api: &Api, asked: &Asked<'_>) -> Result<Vec<Box<dyn AnyObject>>, Status> {
        let (check, name) = STORE;
        let wanted = asked.name.is_empty() || asked.name == name;
        let Some(check) = api.checks.iter().find(|c| c.name == check).filter(|_| wanted) else {
            return Ok(Vec::new());
        };
        let health = (check.probe)();
        let condition = ComponentCondition {
            type_: "Healthy".into(),
            status: if health.is_ok() { "True" } else { "False" }.into(),
            message: Some(match &health {
                Ok(()) => "ok".into(),
                Err(why) => why.clone(),
            }),
            error: health.err(),
        };
        let mut status = ComponentStatus { conditions: Some(vec![condition]), ..ComponentStatus::default() };
        status.meta_mut().name = Some(name.into());
        let selected = asked.labels.is_empty();
        Ok(selected.then(|| Box::new(status) as Box<dyn AnyObject>).into_iter().collect())
    }

    fn warning(&self) -> Option<&'static str> {
        Some("v1 ComponentStatus is deprecated in v1.19+")
    }
}
