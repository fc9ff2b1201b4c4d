//! Whether a running container has to be given other resources, and how.

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};

use crate::allocation::equal;
use crate::amounts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    InPlace,
    /// Its resizePolicy asks for it.
    Restart,
}

/// From what it runs with (`None`: what it was given) to what it is given now.
pub fn change(container: &Container, actuated: Option<&ResourceRequirements>) -> Change {
    let Some(actuated) = actuated.filter(|a| !equal(Some(a), container.resources.as_ref())) else {
        return Change::None;
    };
    let of = |r: Option<&ResourceRequirements>, name: &str| {
        let get = |map: Option<&amounts::QuantityMap>| amounts::get(map, name);
        (get(r.and_then(|r| r.requests.as_ref())), get(r.and_then(|r| r.limits.as_ref())))
    };
    let restarts =
        container.resize_policy.iter().flatten().filter(|p| p.restart_policy == "RestartContainer").any(
            |p| of(Some(actuated), &p.resource_name) != of(container.resources.as_ref(), &p.resource_name),
        );
    if restarts { Change::Restart } else { Change::InPlace }
}
