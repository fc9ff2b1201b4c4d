//! The rules of ObjectMeta, as the kind's strategy names them.

use apimachinery::field::ErrorList;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::{Resource, meta};

pub(crate) fn validate(resource: &Resource, meta: &ObjectMeta) -> ErrorList {
    meta::validate_create(meta, resource.scope, resource.strategy.name_rule())
}

pub(crate) fn validate_update(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    meta::validate_update(new, old)
}
