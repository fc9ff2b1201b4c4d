//! `/openapi/v3` and `/openapi/v2`, made at the first request from the tables of types, the descriptions of their fields and
//! the resources served, and kept compressed: clients read them that way, and rarely.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use apimachinery::Status;
use http::{HeaderValue, Response, StatusCode, header};
use resources::Resource;
use serde_json::{Map, Value, json};

use super::body::{self, Body};
use super::endpoints::{document, not_found, set, unchanged};
use super::negotiate::{self, Format, Offer};
use super::service::{Exchange, accept_header};
use crate::api::Api;

mod descriptions;
mod measured;
mod packed;
mod paths;
mod protobuf;
mod schemas;

use descriptions::Descriptions;
use packed::Packed;

/// The documents, each made when it is first asked for.
#[derive(Debug, Default)]
pub struct OpenApi {
    v3: OnceLock<V3>,
    v2: OnceLock<Packed>,
    v2_protobuf: OnceLock<Packed>,
}

#[derive(Debug)]
struct V3 {
    index: Packed,
    /// By `api/v1`, `apis/apps/v1`, …
    documents: BTreeMap<String, Packed>,
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
    fn v3(&self, api: &Api) -> &V3 {
        self.v3.get_or_init(|| {
            aside(|| {
                let texts = Descriptions::load();
                let served = served(api);
                let versions = by_version(&served);
                let documents: BTreeMap<String, Packed> = versions
                    .into_iter()
                    .map(|(path, rows)| {
                        (path, Packed::new(v3_document(&rows, &texts).to_string().as_bytes()))
                    })
                    .collect();
                let index: Map<String, Value> = documents
                    .iter()
                    .map(|(path, document)| {
                        let url = format!("/openapi/v3/{path}?hash={}", document.hash());
                        (path.clone(), json!({"serverRelativeURL": url}))
                    })
                    .collect();
                V3 { index: Packed::new(json!({ "paths": index }).to_string().as_bytes()), documents }
            })
        })
    }

    fn v2(&self, api: &Api) -> &Packed {
        self.v2.get_or_init(|| aside(|| Packed::new(v2_document(&served(api)).to_string().as_bytes())))
    }

    fn v2_protobuf(&self, api: &Api) -> &Packed {
        self.v2_protobuf
            .get_or_init(|| aside(|| Packed::new(&protobuf::document(&v2_document(&served(api))))))
    }
}

/// What is stored, and what is made when somebody asks.
fn served(api: &Api) -> Vec<&Resource> {
    api.registry.resources().iter().chain(api.computed.iter().map(|c| &c.resource)).collect()
}

/// Long work that must not hold up the tasks of this thread.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn v2_document(resources: &[&Resource]) -> Value {
    let mut all = Map::new();
    for (_, rows) in by_version(resources) {
        all.extend(paths::paths(Version::V2, &rows));
    }
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": all,
        "definitions": schemas::reachable(Version::V2, resources, &Descriptions::load()),
    })
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": crate::version::GIT_VERSION})
}

fn v3_document(rows: &[&Resource], texts: &Descriptions) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths::paths(Version::V3, rows),
        "components": {"schemas": schemas::reachable(Version::V3, rows, texts)},
    })
}

fn by_version<'r>(resources: &[&'r Resource]) -> BTreeMap<String, Vec<&'r Resource>> {
    let mut versions: BTreeMap<String, Vec<&Resource>> = BTreeMap::new();
    for resource in resources.iter().copied() {
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
        let document = api.openapi.v2_protobuf(api);
        let mut response = match unchanged(exchange, &document.etag()) {
            Some(response) => return Ok(response),
            None => document.response(exchange, protobuf::TYPES[0])?,
        };
        set(&mut response, header::ETAG, &document.etag());
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        return Ok(response);
    }
    let accepted = negotiate::accept(wanted, Offer::Plain)?;
    cached(api, exchange, accepted.format, api.openapi.v2(api))
}

/// `/openapi/v3`, and `/openapi/v3/PATH` for each group and version.
pub fn v3(api: &Arc<Api>, exchange: &Exchange, path: &str) -> Result<Response<Body>, Status> {
    let accepted = negotiate::accept(accept_header(&exchange.request), Offer::Plain)?;
    let documents = api.openapi.v3(api);
    let name = path.trim_start_matches("/openapi/v3").trim_matches('/');
    if name.is_empty() {
        return cached(api, exchange, accepted.format, &documents.index);
    }
    let Some(found) = documents.documents.get(name) else { return Ok(not_found()) };
    let hash = found.hash();
    match exchange.params.get("hash") {
        Some(asked) if asked != hash => Ok(moved(&format!("/openapi/v3/{name}?hash={hash}"))),
        Some(_) => {
            let mut response = cached(api, exchange, accepted.format, found)?;
            set(&mut response, header::CACHE_CONTROL, "public, immutable");
            Ok(response)
        }
        None => cached(api, exchange, accepted.format, found),
    }
}

fn cached(api: &Api, exchange: &Exchange, format: Format, found: &Packed) -> Result<Response<Body>, Status> {
    let tag = found.etag();
    if let Some(response) = unchanged(exchange, &tag) {
        return Ok(response);
    }
    let mut response = match format {
        Format::Json if !exchange.params.pretty => found.response(exchange, Format::Json.content_type())?,
        format => document(api, exchange, format, found.unpack()?),
    };
    set(&mut response, header::ETAG, &tag);
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

fn moved(to: &str) -> Response<Body> {
    let mut response = body::text(301, String::new());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
