//! `/openapi/v3` and `/openapi/v2`, made at the first request from the tables of types and the resources served, and
//! kept as bytes. Left out so far: the descriptions of fields.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use apimachinery::Status;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use resources::Resource;
use serde_json::{Map, Value, json};

use super::body::{self, Body};
use super::discovery::{etag, fingerprint};
use super::endpoints::{document, not_found, set, unchanged};
use super::negotiate::{self, Format, Offer};
use super::service::{Exchange, accept_header};
use crate::api::Api;

mod paths;
mod protobuf;
mod schemas;

/// The documents, each made when it is first asked for.
#[derive(Debug, Default)]
pub struct OpenApi {
    v3: OnceLock<V3>,
    v2: OnceLock<Bytes>,
    v2_protobuf: OnceLock<Bytes>,
}

#[derive(Debug)]
struct V3 {
    index: Bytes,
    /// By `api/v1`, `apis/apps/v1`, …
    documents: BTreeMap<String, Bytes>,
}

/// Which of the two forms of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V2,
    V3,
}

impl Version {
    /// Where schemas are referred to.
    fn reference(self, name: &str) -> String {
        match self {
            Version::V2 => format!("#/definitions/{name}"),
            Version::V3 => format!("#/components/schemas/{name}"),
        }
    }
}

impl OpenApi {
    fn v3(&self, resources: &[Resource]) -> &V3 {
        self.v3.get_or_init(|| {
            let mut documents: BTreeMap<String, Bytes> = BTreeMap::new();
            for (path, rows) in by_version(resources) {
                documents.insert(path, Bytes::from(v3_document(&rows).to_string()));
            }
            let index: Map<String, Value> = documents
                .iter()
                .map(|(path, bytes)| {
                    let url = format!("/openapi/v3/{path}?hash={}", fingerprint(bytes));
                    (path.clone(), json!({"serverRelativeURL": url}))
                })
                .collect();
            V3 { index: Bytes::from(json!({ "paths": index }).to_string()), documents }
        })
    }

    fn v2(&self, resources: &[Resource]) -> &Bytes {
        self.v2.get_or_init(|| Bytes::from(v2_document(resources).to_string()))
    }

    fn v2_protobuf(&self, resources: &[Resource]) -> &Bytes {
        self.v2_protobuf.get_or_init(|| Bytes::from(protobuf::document(&v2_document(resources))))
    }
}

fn v2_document(resources: &[Resource]) -> Value {
    let mut all = Map::new();
    for (_, rows) in by_version(resources) {
        all.extend(paths::paths(Version::V2, &rows));
    }
    let rows: Vec<&Resource> = resources.iter().collect();
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": all,
        "definitions": schemas::reachable(Version::V2, &rows),
    })
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": crate::version::GIT_VERSION})
}

fn v3_document(rows: &[&Resource]) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths::paths(Version::V3, rows),
        "components": {"schemas": schemas::reachable(Version::V3, rows)},
    })
}

fn by_version(resources: &[Resource]) -> BTreeMap<String, Vec<&Resource>> {
    let mut versions: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
    for resource in resources {
        let path = paths::base(resource).trim_start_matches('/').to_owned();
        versions.entry(path).or_default().push(resource);
    }
    versions
}

/// `/openapi/v2`, in JSON or protobuf.
pub fn v2(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    if path != "/openapi/v2" {
        return Ok(not_found());
    }
    let wanted = accept_header(&exchange.request);
    if protobuf::TYPES.iter().any(|t| wanted.is_some_and(|w| w.contains(t))) {
        let bytes = api.openapi.v2_protobuf(api.registry.resources());
        let tag = etag(bytes);
        let mut response = match unchanged(exchange, &tag) {
            Some(response) => return Ok(response),
            None => body::with_type(200, protobuf::TYPES[0], bytes.clone()),
        };
        set(&mut response, header::ETAG, &tag);
        set(&mut response, header::VARY, "Accept");
        return Ok(response);
    }
    let accepted = negotiate::accept(wanted, Offer::Plain)?;
    let bytes = api.openapi.v2(api.registry.resources());
    Ok(cached(api, exchange, accepted.format, bytes))
}

/// `/openapi/v3`, and `/openapi/v3/PATH` for each group and version.
pub fn v3(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    let accepted = negotiate::accept(accept_header(&exchange.request), Offer::Plain)?;
    let documents = api.openapi.v3(api.registry.resources());
    let name = path.trim_start_matches("/openapi/v3").trim_matches('/');
    if name.is_empty() {
        return Ok(cached(api, exchange, accepted.format, &documents.index));
    }
    let Some(bytes) = documents.documents.get(name) else { return Ok(not_found()) };
    let hash = fingerprint(bytes);
    match exchange.params.get("hash") {
        Some(asked) if asked != hash => Ok(moved(&format!("/openapi/v3/{name}?hash={hash}"))),
        Some(_) => {
            let mut response = cached(api, exchange, accepted.format, bytes);
            set(&mut response, header::CACHE_CONTROL, "public, immutable");
            Ok(response)
        }
        None => Ok(cached(api, exchange, accepted.format, bytes)),
    }
}

fn cached(api: &Api, exchange: &Exchange, format: Format, bytes: &Bytes) -> Response<Body> {
    let tag = etag(bytes);
    if let Some(response) = unchanged(exchange, &tag) {
        return response;
    }
    let mut response = document(api, exchange, format, bytes.clone());
    set(&mut response, header::ETAG, &tag);
    set(&mut response, header::VARY, "Accept");
    response
}

fn moved(to: &str) -> Response<Body> {
    let mut response = body::text(301, String::new());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
