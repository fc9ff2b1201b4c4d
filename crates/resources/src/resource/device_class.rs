//! Device classes: which devices a name stands for, and how they are set up.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::resource::v1::DeviceClass;

use super::request::{MAX, opaque, selectors};
use super::rules::list;
use crate::core::pod::validation::resources::is_extended;
use crate::desired;
use crate::strategy::Part;

/// The rules of device classes.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = DeviceClass;

    fn prepare_create(&self, class: &mut DeviceClass) {
        class.metadata.generation = Some(1);
    }

    fn prepare_update(&self, new: &mut DeviceClass, old: &DeviceClass, _: Part) {
        desired::bump_generation(new, old, "spec");
    }

    fn validate(&self, class: &DeviceClass) -> ErrorList {
        rules(class, false)
    }

    fn validate_update(&self, new: &DeviceClass, old: &DeviceClass, _: Part) -> ErrorList {
        let config = |c: &DeviceClass| c.spec.as_ref().and_then(|s| s.config.clone());
        rules(new, config(new) == config(old))
    }
}

/// `stored`: its configuration was there before.
fn rules(class: &DeviceClass, stored: bool) -> ErrorList {
    let path = Path::new("spec");
    let Some(spec) = &class.spec else { return ErrorList::new() };
    let mut errs = selectors(spec.selectors.as_deref(), &path.child("selectors"));
    let configs = spec.config.as_deref().unwrap_or_default();
    let rule = |c: &k8s_openapi::api::resource::v1::DeviceClassConfiguration, path: &Path| {
        opaque(c.opaque.as_ref(), path, stored)
    };
    errs.extend(list(configs, MAX, &path.child("config"), rule));
    if let Some(name) = spec.extended_resource_name.as_ref().filter(|name| !is_extended(name)) {
        let detail = "must be a valid extended resource name";
        errs.push(Error::invalid(&path.child("extendedResourceName"), name, detail));
    }
    errs
}
