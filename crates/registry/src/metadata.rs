//! The rules of ObjectMeta.

use apimachinery::field::ErrorList;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::Resource;

pub(crate) fn validate(_resource: &Resource, _meta: &ObjectMeta) -> ErrorList {
    ErrorList::new()
}

pub(crate) fn validate_update(_resource: &Resource, _new: &ObjectMeta, _old: &ObjectMeta) -> ErrorList {
    ErrorList::new()
}
