//! The schemas of metrics.k8s.io: its kinds are made here, so that no table of types has them.

use apimachinery::Gvk;
use serde_json::{Map, Value, json};

use super::Version;
use super::schemas::{QUANTITY, TIME};

const GROUP: &str = "metrics.k8s.io";
const PACKAGE: &str = "io.k8s.metrics.pkg.apis.metrics.v1beta1";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const DURATION: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration";

const INTERVAL: &str = "The following fields define time interval from which metrics were collected from the interval \
                        [Timestamp-Window, Timestamp].";

/// The schema's name of a kind of the group.
pub(super) fn name(group: &str, kind: &str) -> Option<String> {
    (group == GROUP).then(|| format!("{PACKAGE}.{kind}"))
}

/// The schema of such a kind, and of what it holds beside the shared types [`LEAVES`] and [`TYPES`].
pub(super) fn schemas(version: Version, gvk: &Gvk) -> Map<String, Value> {
    let Some(name) = name(&gvk.group, &gvk.kind) else { return Map::new() };
    let mut found = Map::new();
    let (text, own, required, more) = match &*gvk.kind {
        "NodeMetrics" => {
            ("NodeMetrics sets resource usage metrics of a node.", "usage", "usage", usage(version))
        }
        _ => {
            let container = container(version);
            found.insert(format!("{PACKAGE}.ContainerMetrics"), container);
            (
                "PodMetrics sets resource usage metrics of a pod.",
                "containers",
                "containers",
                containers(version),
            )
        }
    };
    let schema = json!({
        "description": text,
        "type": "object",
        "required": ["timestamp", "window", required],
        "properties": {
            "apiVersion": {"type": "string", "description": "APIVersion defines the versioned schema of this representation of an object."},
            "kind": {"type": "string", "description": "Kind is a string value representing the REST resource this object represents."},
            "metadata": described(version, META, "Standard object's metadata."),
            "timestamp": described(version, TIME, INTERVAL),
            "window": described(version, DURATION, "How long the time interval is."),
            own: more,
        },
        "x-kubernetes-group-version-kind": [
            {"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind},
        ],
    });
    found.insert(name, schema);
    found.insert(
        DURATION.into(),
        json!({"type": "string", "description": "Duration is a length of time as Go writes it."}),
    );
    found
}

/// What the schemas refer to of the types that are no structs.
pub(super) const LEAVES: [&str; 2] = [QUANTITY, TIME];
/// And of the others.
pub(super) const TYPES: [&str; 1] = [META];

fn described(version: Version, of: &str, text: &str) -> Value {
    let reference = json!({"$ref": version.reference(of)});
    match version {
        // Next to a bare reference nothing else is read.
        Version::V3 => json!({"allOf": [reference], "description": text}),
        Version::V2 => json!({"$ref": version.reference(of), "description": text}),
    }
}

fn usage(version: Version) -> Value {
    json!({
        "type": "object",
        "description": "The memory usage is the memory working set.",
        "additionalProperties": {"$ref": version.reference(QUANTITY)},
    })
}

fn containers(version: Version) -> Value {
    let container = version.reference(&format!("{PACKAGE}.ContainerMetrics"));
    json!({
        "type": "array",
        "description": "Metrics for all containers are collected within the same time window.",
        "items": {"$ref": container},
    })
}

fn container(version: Version) -> Value {
    json!({
        "description": "ContainerMetrics sets resource usage metrics of a container.",
        "type": "object",
        "required": ["name", "usage"],
        "properties": {
            "name": {
                "type": "string",
                "description": "Container name corresponding to the one from pod.spec.containers.",
            },
            "usage": usage(version),
        },
    })
}
