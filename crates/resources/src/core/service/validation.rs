//! Rules for services.

use apimachinery::field::ErrorList;
use k8s_openapi::api::core::v1::Service;

/// A new service.
pub fn create(_service: &Service) -> ErrorList {
    ErrorList::new()
}

/// A changed service.
pub fn update(new: &Service, _old: &Service) -> ErrorList {
    create(new)
}

/// Its status.
pub fn status(_service: &Service) -> ErrorList {
    ErrorList::new()
}
