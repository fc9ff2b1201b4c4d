//! Rules for resizing a running pod: cpu and memory, nothing else, and not its class of service.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use super::whole;
use crate::core::pod::{ContainerExt, PodExt};
use crate::quantity::ResourceList;

/// The pods differ in resources and resize policies only: the strategy sees to that.
pub fn update(new: &Pod, old: &Pod) -> ErrorList {
    if let Some(detail) = refused(new, old) {
        return [Error::forbidden(&Path::new("[]"), detail)].into_iter().collect();
    }
    let path = Path::new("spec");
    let mut errs = whole(new);
    let class = old.pod_status().qos_class.clone().unwrap_or_else(|| old.qos_class().into());
    if class != new.qos_class() {
        let shown = new.pod_status().qos_class.as_deref().unwrap_or_default();
        errs.push(Error::invalid(&path, shown, "Pod QOS Class may not change as a result of resizing"));
    }
    let (init, old_init) = (&new.pod_spec().init_containers, &old.pod_spec().init_containers);
    let pairs = init.iter().flatten().zip(old_init.iter().flatten()).enumerate();
    for (i, (after, before)) in pairs {
        if before.is_restartable_init() {
            errs.extend(container(after, before, &path.child("initContainers").index(i)));
            if others(after) != others(before) {
                let detail = "only cpu and memory resources for sidecar containers are mutable";
                errs.push(Error::forbidden(&path, detail));
            }
        } else if after != before {
            let detail = "resources for non-sidecar init containers are immutable";
            errs.push(Error::forbidden(&path, detail));
        }
    }
    let pairs = new.pod_spec().containers.iter().zip(&old.pod_spec().containers).enumerate();
    for (i, (after, before)) in pairs {
        errs.extend(container(after, before, &path.child("containers").index(i)));
        if others(after) != others(before) {
            errs.push(Error::forbidden(&path, "only cpu and memory resources are mutable"));
        }
    }
    errs
}

/// Pods that cannot be resized at all.
fn refused(new: &Pod, old: &Pod) -> Option<&'static str> {
    let has = |list: &Option<ResourceList>| list.as_ref().is_some_and(|l| !l.is_empty());
    let pod_level =
        |pod: &Pod| pod.pod_spec().resources.as_ref().is_some_and(|r| has(&r.requests) || has(&r.limits));
    if pod_level(old) || pod_level(new) {
        Some("pods with pod-level resources cannot be resized")
    } else if old.is_mirror() {
        Some("static pods cannot be resized")
    } else if old.pod_spec().os.as_ref().is_some_and(|os| os.name == "windows") {
        Some("windows pods cannot be resized")
    } else {
        None
    }
}

fn container(new: &Container, old: &Container, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = path.child("resources");
    let none = ResourceRequirements::default();
    let (after, before) = (new.resources.as_ref().unwrap_or(&none), old.resources.as_ref().unwrap_or(&none));
    if removed(&after.requests, &before.requests) {
        errs.push(Error::forbidden(&path.child("requests"), "resource requests cannot be removed"));
    }
    if removed(&after.limits, &before.limits) {
        errs.push(Error::forbidden(&path.child("limits"), "resource limits cannot be removed"));
    }
    errs
}

fn removed(new: &Option<ResourceList>, old: &Option<ResourceList>) -> bool {
    let still = |name: &String| new.as_ref().is_some_and(|l| l.contains_key(name));
    old.iter().flatten().any(|(name, _)| !still(name))
}

/// The container with everything that may change taken out.
fn others(container: &Container) -> Container {
    let mut container = container.clone();
    if let Some(resources) = &mut container.resources {
        for list in [&mut resources.limits, &mut resources.requests].into_iter().flatten() {
            list.retain(|name, _| !matches!(&**name, "cpu" | "memory"));
        }
        for list in [&mut resources.limits, &mut resources.requests] {
            *list = list.take().filter(|l| !l.is_empty());
        }
    }
    container
}
