//! The autoscaling group. Autoscalers are stored as v2; v1 is the older view of the same objects.

pub mod horizontal_pod_autoscaler;

use k8s_openapi::api::autoscaling::{v1, v2};

use crate::strategy::{Resource, Scope};
use horizontal_pod_autoscaler::{Strategy, v1 as older};

/// The group's table, in discovery's order: the preferred version first.
pub(crate) fn resources() -> Vec<Resource> {
    let row = Resource::new(Scope::Namespaced, "horizontalpodautoscaler", Strategy)
        .short(&["hpa"])
        .in_categories(&["all"])
        .with(&["status"]);
    vec![
        row.clone(),
        row.as_version::<v1::HorizontalPodAutoscaler, v2::HorizontalPodAutoscaler>(
            older::to_hub,
            older::from_hub,
        ),
    ]
}
