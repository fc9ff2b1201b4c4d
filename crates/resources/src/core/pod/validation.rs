//! Rules for pods. Start at [`create`] and [`update`].

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use super::PodExt;

pub mod resources;

/// A new pod.
pub fn create(pod: &Pod) -> ErrorList {
    let mut errs = ErrorList::new();
    let path = Path::new("spec");
    if pod.pod_spec().containers.is_empty() {
        errs.push(Error::required(&path.child("containers"), ""));
    }
    for (i, container) in pod.pod_spec().containers.iter().enumerate() {
        let path = path.child("containers").index(i);
        if container.image.as_deref().unwrap_or_default().is_empty() {
            errs.push(Error::required(&path.child("image"), ""));
        }
    }
    errs
}

/// A pod template.
pub fn template(_template: &PodTemplateSpec, _path: &Path) -> ErrorList {
    ErrorList::new()
}

/// The pod itself.
pub fn update(new: &Pod, _old: &Pod) -> ErrorList {
    create(new)
}

pub fn status_update(_new: &Pod, _old: &Pod) -> ErrorList {
    ErrorList::new()
}

pub fn ephemeral_update(_new: &Pod, _old: &Pod) -> ErrorList {
    ErrorList::new()
}

pub fn resize_update(_new: &Pod, _old: &Pod) -> ErrorList {
    ErrorList::new()
}
