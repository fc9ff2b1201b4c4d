//! Templates of the claims that are made for each pod.

use apimachinery::field::{ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::resource::v1::ResourceClaimTemplate;

use super::request;
use super::resource_claim::fixed_spec;
use crate::strategy::Part;

/// The rules of claim templates.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ResourceClaimTemplate;

    fn default(&self, template: &mut ResourceClaimTemplate) {
        template.spec.iter_mut().filter_map(|t| t.spec.as_mut()).for_each(request::fill);
    }

    fn validate(&self, template: &ResourceClaimTemplate) -> ErrorList {
        let path = Path::new("spec");
        let Some(spec) = &template.spec else { return ErrorList::new() };
        let mut errs = ErrorList::new();
        if let Some(meta) = &spec.metadata {
            let path = path.child("metadata");
            if let Some(annotations) = &meta.annotations {
                errs.extend(names::annotations(annotations, &path.child("annotations")));
            }
            if let Some(labels) = &meta.labels {
                errs.extend(names::labels(labels, &path.child("labels")));
            }
        }
        errs.extend(request::spec(spec.spec.as_ref(), &path.child("spec")));
        errs
    }

    fn validate_update(
        &self,
        new: &ResourceClaimTemplate,
        old: &ResourceClaimTemplate,
        _: Part,
    ) -> ErrorList {
        fixed_spec(new, old)
    }
}
