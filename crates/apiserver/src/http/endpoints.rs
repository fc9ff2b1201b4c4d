//! The paths that are no resources. [`ENDPOINTS`] lists them all.

use std::sync::Arc;

use apimachinery::Status;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use serde_json::json;

use super::body::{self, Body};
use super::health;
use super::negotiate::{self, Accepted, Format, Offer, Shape};
use super::openapi;
use super::present::Presenter;
use super::service::{Exchange, accept_header, header_text, method_not_allowed};
use super::table::IncludeObject;
use crate::api::{Api, Published};

/// How a path is answered.
type Endpoint = fn(&Arc<Api>, &Exchange, &str) -> Result<Response<Body>, Status>;

/// First path component (empty for the index) → answer. Asked in order; the first whose path is a prefix answers.
const ENDPOINTS: &[(&str, Endpoint)] = &[
    ("/api", discovery),
    ("/apis", discovery),
    ("/version", version),
    ("/healthz", health),
    ("/livez", health),
    ("/readyz", health),
    ("/metrics", metrics),
    ("/openapi/v2", openapi::v2),
    ("/openapi/v3", openapi::v3),
];

/// Answers a path that is no resource; 404 in text when it is nobody's.
pub async fn answer(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    if path == "/" {
        return index(api, exchange);
    }
    let found = ENDPOINTS.iter().find(|(prefix, _)| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let published = api.published(path);
    if found.is_none() && published.is_none() {
        return Ok(not_found());
    }
    if !matches!(*exchange.request.method(), Method::GET | Method::HEAD) {
        return Err(method_not_allowed());
    }
    match (published, found) {
        (Some(document), _) => Ok(public(document)),
        (None, Some((_, endpoint))) => endpoint(api, exchange, path),
        (None, None) => Ok(not_found()),
    }
}

fn public(document: Published) -> Response<Body> {
    let mut response = body::with_type(200, document.content_type, document.body);
    set(&mut response, header::CACHE_CONTROL, "public, max-age=3600");
    response
}

/// Upstream's text for paths that are nobody's.
pub fn not_found() -> Response<Body> {
    body::text(404, "404 page not found\n")
}

/// A whole document in the format that the client accepts.
pub fn document(api: &Api, exchange: &Exchange, format: Format, json: Bytes) -> Response<Body> {
    let presenter = Presenter {
        accepted: Accepted { format, shape: Shape::AsIs },
        pretty: exchange.params.pretty,
        include: IncludeObject::Metadata,
        clock: api.clock.clone(),
        encodings: api.encodings.clone(),
        shutdown: api.tasks.shutdown(),
        watching: None,
    };
    presenter.whole(200, json)
}

/// 304 when the client has this version already.
pub fn unchanged(exchange: &Exchange, etag: &str) -> Option<Response<Body>> {
    let known = header_text(exchange.request.headers(), header::IF_NONE_MATCH)?;
    if !known.split(',').any(|tag| tag.trim() == etag) {
        return None;
    }
    let mut response = Response::new(body::full(Bytes::new()));
    *response.status_mut() = http::StatusCode::NOT_MODIFIED;
    set(&mut response, header::ETAG, etag);
    Some(response)
}

/// Sets a header whose value we made ourselves.
pub fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn discovery(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    let aggregated = api.discovery.aggregated(path);
    let accepted = negotiate::accept(accept_header(&exchange.request), Offer::Discovery)?;
    let mut response = match aggregated {
        Some(found) if accepted.shape == Shape::AggregatedDiscovery => {
            if let Some(response) = unchanged(exchange, &found.etag) {
                return Ok(response);
            }
            let mut response = document(api, exchange, accepted.format, found.body.clone());
            set(&mut response, header::ETAG, &found.etag);
            let kind = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
            set(&mut response, header::CONTENT_TYPE, &format!("{};{kind}", accepted.format.content_type()));
            response
        }
        _ => match api.discovery.legacy(path) {
            Some(json) => document(api, exchange, accepted.format, json),
            None => return Ok(not_found()),
        },
    };
    set(&mut response, header::VARY, "Accept");
    Ok(response)
}

fn version(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    if path.trim_end_matches('/') != "/version" {
        return Ok(not_found());
    }
    let (major, minor) = (crate::version::MAJOR, crate::version::MINOR);
    let json = json!({
        "major": major, "minor": minor,
        "emulationMajor": major, "emulationMinor": minor,
        "minCompatibilityMajor": major, "minCompatibilityMinor": "36",
        "gitVersion": crate::version::GIT_VERSION,
        "gitCommit": crate::version::GIT_COMMIT,
        "gitTreeState": "clean",
        "buildDate": crate::version::BUILD_DATE,
        "goVersion": "none (Rust)",
        "compiler": "rustc",
        "platform": crate::version::platform(),
    });
    Ok(document(api, exchange, Format::Json, json.to_string().into()))
}

fn health(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    Ok(health::answer(&api.checks, path, &exchange.params))
}

fn metrics(api: &Arc<Api>, _: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    if path.trim_end_matches('/') != "/metrics" {
        return Ok(not_found());
    }
    Ok(body::with_type(200, "text/plain; version=0.0.4; charset=utf-8", api.metrics.render(&api.registry)))
}

fn index(api: &Arc<Api>, exchange: &Exchange) -> Result<Response<Body>, Status> {
    let mut paths: Vec<String> = api.discovery.paths().map(str::to_owned).collect();
    paths.extend(ENDPOINTS.iter().map(|(path, _)| (*path).to_owned()));
    paths.sort();
    paths.dedup();
    Ok(document(api, exchange, Format::Json, json!({ "paths": paths }).to_string().into()))
}
