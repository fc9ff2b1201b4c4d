//! `/openapi/v2` and `/openapi/v3`.

use std::sync::Arc;

use apimachinery::Status;
use http::Response;

use super::body::Body;
use super::endpoints::not_found;
use super::service::Exchange;
use crate::api::Api;

/// Not served yet.
pub fn v2(_: &Arc<Api>, _: &Exchange, _: &str) -> Result<Response<Body>, Status> {
    Ok(not_found())
}

/// Not served yet.
pub fn v3(_: &Arc<Api>, _: &Exchange, _: &str) -> Result<Response<Body>, Status> {
    Ok(not_found())
}
