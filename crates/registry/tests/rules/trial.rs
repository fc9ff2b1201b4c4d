//! One registry for all trials, and what it says.

use std::sync::Arc;

use apimachinery::Status;
use codec::AnyObject;
use codec::decode::{Content, Strictness, decode};
use registry::options::{DeleteOptions, WriteOptions};
use registry::{NODE_PORTS, Registry, ServiceConfig, Target};
use resources::Resource;
use resources::strategy::Part;
use serde_json::{Value, json};
use stdx::{Random, SystemClock, Tasks};
use storage::{MemoryEngine, Store, StoreConfig};

use crate::spoil::Spoilt;

pub const NAMESPACE: &str = "default";

/// Every kind over the memory engine, without admission, and with the namespace `default`.
pub async fn registry() -> Arc<Registry> {
    let (clock, tasks) = (SystemClock::shared(), Tasks::new());
    let store =
        Store::open(Arc::new(MemoryEngine::new()), StoreConfig::new(clock.clone()), &tasks).await.unwrap();
    let services = ServiceConfig { cidrs: vec!["10.96.0.0/24".parse().unwrap()], node_ports: NODE_PORTS };
    let resources = resources::table::all();
    let registry = Registry::open(&store, resources, Some(services), clock, Random::seeded(7)).await.unwrap();
    let namespaces = registry.resource("", "v1", "namespaces").unwrap();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}, "spec": {}});
    create(&registry, namespaces, &namespace, false).await.unwrap();
    registry
}

/// What came of a spoilt object.
#[derive(Debug)]
pub enum Outcome {
    /// It was taken as it is.
    Accepted,
    /// It was taken, and what was spoilt is not in it.
    Ignored,
    /// 422: field, reason, message of each cause.
    Refused(Vec<(String, String, String)>),
    /// Refused in another way.
    Other(Status),
}

pub async fn create(
    registry: &Registry,
    resource: &Resource,
    object: &Value,
    dry_run: bool,
) -> Result<Value, Status> {
    let object = read(resource, object)?;
    let target = target(resource, "");
    let options = WriteOptions { dry_run, field_manager: "test".into(), ..WriteOptions::default() };
    let written = registry.create(&target, object, &options).await?;
    Ok(shown(resource, &written.json))
}

/// A dry update of `part`.
pub async fn update(
    registry: &Registry,
    resource: &Resource,
    part: Part,
    object: &Value,
) -> Result<Value, Status> {
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let object = read(resource, object)?;
    let target = target(resource, &name);
    let options = WriteOptions { dry_run: true, field_manager: "test".into(), ..WriteOptions::default() };
    let subresource = if part == Part::Status { "status" } else { "" };
    let written = registry.update(&target, object, part, subresource, &options).await?;
    Ok(shown(resource, &written.json))
}

pub async fn delete(registry: &Registry, resource: &Resource, name: &str) {
    let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    registry.delete(&target(resource, name), &options).await.unwrap();
}

fn target<'a>(resource: &'a Resource, name: &'a str) -> Target<'a> {
    Target { resource, namespace: if resource.namespaced() { NAMESPACE } else { "" }, name }
}

/// As the API reads a body, unknown fields refused.
fn read(resource: &Resource, object: &Value) -> Result<Box<dyn AnyObject>, Status> {
    let body = object.to_string();
    let decoded = decode(&resource.gvk, body.as_bytes(), Content::Json, Strictness::Strict)?;
    resource.read(&decoded.json).map_err(|e| Status::bad_request(e.to_string()))
}

fn shown(resource: &Resource, json: &[u8]) -> Value {
    let own = resource.shown(json).transpose().unwrap();
    serde_json::from_slice(own.as_deref().unwrap_or(json)).unwrap()
}

impl Outcome {
    pub fn of(result: Result<Value, Status>, spoilt: &Spoilt) -> Outcome {
        match result {
            Ok(written) => match written.pointer(&spoilt.pointer) == spoilt.object.pointer(&spoilt.pointer) {
                true => Outcome::Accepted,
                false => Outcome::Ignored,
            },
            Err(status) if status.code == 422 => {
                let causes = status.details.map(|d| d.causes).unwrap_or_default();
                Outcome::Refused(causes.into_iter().map(|c| (c.field, c.reason, c.message)).collect())
            }
            Err(status) => Outcome::Other(status),
        }
    }
}
