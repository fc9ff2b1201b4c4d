//! Rules for resource lists.

use apimachinery::Quantity;
use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

/// An amount of `resource`: a quantity, not negative, and whole where halves make no sense.
pub fn quantity_errors(resource: &str, amount: &Text, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let quantity = match Quantity::parse(&amount.0) {
        Ok(quantity) => quantity,
        Err(error) => {
            errs.push(Error::invalid(path, &amount.0, error.to_string()));
            return errs;
        }
    };
    if quantity.signum() < 0 {
        errs.push(Error::invalid(path, &amount.0, "must be greater than or equal to 0"));
    }
    if is_whole(resource) && quantity.milli_value() % 1000 != 0 {
        errs.push(Error::invalid(path, &amount.0, "must be an integer"));
    }
    errs
}

/// Resources that are counted, not measured.
fn is_whole(resource: &str) -> bool {
    const COUNTED: &[&str] = &[
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    COUNTED.contains(&resource) || is_extended(resource)
}

/// A resource with a domain that is not Kubernetes' own.
pub fn is_extended(resource: &str) -> bool {
    let native = !resource.contains('/') || resource.contains("kubernetes.io/");
    !native && !resource.starts_with("requests.")
}
