//! The types, read from JSON schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value as Json;

use super::protobuf::{Message, Messages, plain};

/// Everything the tables say.
pub struct Model {
    /// Sorted by name.
    pub types: Vec<Type>,
    /// Group, version, kind and the index of its type; sorted.
    pub kinds: BTreeMap<(String, String, String), usize>,
}

pub struct Type {
    pub name: String,
    /// Owned as a whole in server-side apply.
    pub atomic: bool,
    /// Sorted by name.
    pub fields: Vec<Field>,
}

#[derive(Clone)]
pub struct Field {
    pub name: String,
    pub value: Value,
    pub required: bool,
    pub patch_merge: bool,
    pub retain_keys: bool,
    pub always_there: bool,
    /// Overrides what the type says: `Some(false)` for a granular use of an atomic type.
    pub atomic: Option<bool>,
    pub merge_key: String,
    /// JSON text; only for fields that are keys of lists.
    pub default: &'static str,
    /// Protobuf numbers from the outside in: several where JSON shows messages inlined; zeros for none.
    pub numbers: [u16; 3],
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Any,
    Bool,
    Int32,
    Int64,
    Double,
    String,
    Bytes,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Raw,
    Struct(String),
    Map { of: Box<Value>, atomic: bool },
    List { of: Box<Value>, kind: List },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// The schemas leave defaults out; these are the ones that lists are keyed by.
const KEY_DEFAULTS: &[(&str, &str, &str)] = &[
    ("io.k8s.api.core.v1.ContainerPort", "protocol", "\"TCP\""),
    ("io.k8s.api.core.v1.ServicePort", "protocol", "\"TCP\""),
];

/// Fields that hold a struct by value in Go, which cannot leave it out; `*` for every type. The schemas do not say.
const ALWAYS_THERE: &[(&str, &str)] = &[
    ("*", "metadata"),
    ("*", "jobTemplate"),
    ("apps.v1.DaemonSet", "spec"),
    ("apps.v1.DaemonSet", "status"),
    ("apps.v1.DaemonSetSpec", "template"),
    ("apps.v1.DaemonSetSpec", "updateStrategy"),
    ("apps.v1.Deployment", "spec"),
    ("apps.v1.Deployment", "status"),
    ("apps.v1.DeploymentSpec", "strategy"),
    ("apps.v1.DeploymentSpec", "template"),
    ("apps.v1.ReplicaSet", "spec"),
    ("apps.v1.ReplicaSet", "status"),
    ("apps.v1.ReplicaSetSpec", "template"),
    ("apps.v1.StatefulSet", "spec"),
    ("apps.v1.StatefulSet", "status"),
    ("apps.v1.StatefulSetSpec", "template"),
    ("apps.v1.StatefulSetSpec", "updateStrategy"),
    ("autoscaling.v2.HorizontalPodAutoscaler", "spec"),
    ("autoscaling.v2.HorizontalPodAutoscaler", "status"),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "scaleTargetRef"),
    ("batch.v1.CronJob", "spec"),
    ("batch.v1.CronJob", "status"),
    ("batch.v1.Job", "spec"),
    ("batch.v1.Job", "status"),
    ("batch.v1.JobSpec", "template"),
    ("batch.v1.JobTemplateSpec", "spec"),
    ("certificates.v1.CertificateSigningRequest", "spec"),
    ("certificates.v1.CertificateSigningRequest", "status"),
    ("coordination.v1.Lease", "spec"),
    ("core.v1.Binding", "target"),
    ("core.v1.Container", "resources"),
    ("core.v1.ContainerStatus", "lastState"),
    ("core.v1.ContainerStatus", "state"),
    ("core.v1.EphemeralContainer", "resources"),
    ("core.v1.Event", "involvedObject"),
    ("core.v1.Event", "source"),
    ("core.v1.LimitRange", "spec"),
    ("core.v1.Namespace", "spec"),
    ("core.v1.Namespace", "status"),
    ("core.v1.Node", "spec"),
    ("core.v1.Node", "status"),
    ("core.v1.NodeDaemonEndpoints", "kubeletEndpoint"),
    ("core.v1.NodeStatus", "daemonEndpoints"),
    ("core.v1.NodeStatus", "nodeInfo"),
    ("core.v1.PersistentVolume", "spec"),
    ("core.v1.PersistentVolume", "status"),
    ("core.v1.PersistentVolumeClaim", "spec"),
    ("core.v1.PersistentVolumeClaim", "status"),
    ("core.v1.PersistentVolumeClaimSpec", "resources"),
    ("core.v1.PersistentVolumeClaimTemplate", "spec"),
    ("core.v1.Pod", "spec"),
    ("core.v1.Pod", "status"),
    ("core.v1.PodTemplate", "template"),
    ("core.v1.PodTemplateSpec", "spec"),
    ("core.v1.ReplicationController", "spec"),
    ("core.v1.ReplicationController", "status"),
    ("core.v1.ResourceQuota", "spec"),
    ("core.v1.ResourceQuota", "status"),
    ("core.v1.Service", "spec"),
    ("core.v1.Service", "status"),
    ("core.v1.ServiceStatus", "loadBalancer"),
    ("discovery.v1.Endpoint", "conditions"),
    ("events.v1.Event", "regarding"),
    ("events.v1.Event", "deprecatedSource"),
    ("networking.v1.Ingress", "spec"),
    ("networking.v1.Ingress", "status"),
    ("networking.v1.IngressStatus", "loadBalancer"),
    ("networking.v1.IPAddress", "spec"),
    ("networking.v1.NetworkPolicy", "spec"),
    ("networking.v1.NetworkPolicySpec", "podSelector"),
    ("networking.v1.ServiceCIDR", "spec"),
    ("networking.v1.ServiceCIDR", "status"),
    ("policy.v1.PodDisruptionBudget", "spec"),
    ("policy.v1.PodDisruptionBudget", "status"),
    ("rbac.v1.ClusterRoleBinding", "roleRef"),
    ("rbac.v1.RoleBinding", "roleRef"),
];

/// Types that are no structs.
const SCALARS: &[(&str, Value)] = &[
    ("io.k8s.apimachinery.pkg.api.resource.Quantity", Value::Quantity),
    ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", Value::IntOrString),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", Value::Time),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", Value::MicroTime),
    ("io.k8s.apimachinery.pkg.runtime.RawExtension", Value::Raw),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", Value::Raw),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", Value::Raw),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", Value::Any),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", Value::Any),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", Value::Any),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray", Value::Any),
];

impl Model {
    /// Reads the file of definitions.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let json: Json = serde_json::from_slice(&text)?;
        let definitions: BTreeMap<&String, &Json> =
            json["$defs"].as_object().context("find $defs")?.iter().collect();
        let mut model = Model { types: Vec::new(), kinds: BTreeMap::new() };
        for (name, definition) in definitions {
            if SCALARS.iter().any(|(scalar, _)| scalar == name) {
                continue;
            }
            let at = model.types.len();
            model.types.push(Type::read(name, definition).with_context(|| name.clone())?);
            let kinds = definition["x-kubernetes-group-version-kind"].as_array();
            for gvk in kinds.into_iter().flatten() {
                let part = |key: &str| gvk[key].as_str().unwrap_or_default().to_owned();
                model.kinds.insert((part("group"), part("version"), part("kind")), at);
            }
        }
        Ok(model)
    }

    /// Gives every field its protobuf number; returns `type.field` of those that have none.
    pub fn number(&mut self, messages: &Messages) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for t in &mut self.types {
            let message = messages.get(&t.name);
            let shown: BTreeSet<String> = t.fields.iter().map(|f| plain(&f.name)).collect();
            // Type meta travels in the envelope, not in the message.
            let is_kind = |field: &str| field == "apiVersion" || field == "kind";
            for field in &mut t.fields {
                let found = message
                    .and_then(|m| numbers(m, &plain(&field.name), &shown, messages))
                    .unwrap_or_default();
                field.numbers[..found.len()].copy_from_slice(&found);
                if found.is_empty() && !is_kind(&field.name) {
                    missing.insert(format!("{}.{}", t.name, field.name));
                }
            }
        }
        missing
    }
}

/// The numbers that lead to `field` in `message`, through messages that JSON inlines, that is: does not show.
fn numbers(
    message: &Message,
    field: &str,
    shown: &BTreeSet<String>,
    messages: &Messages,
) -> Option<Vec<u16>> {
    if let Some(found) = message.0.get(field) {
        return Some(vec![found.number]);
    }
    message.0.iter().filter(|(name, _)| !shown.contains(*name)).find_map(|(_, outer)| {
        let inner = messages.get(outer.message.as_ref()?)?;
        let mut path = numbers(inner, field, shown, messages)?;
        path.insert(0, outer.number);
        Some(path)
    })
}

impl Type {
    fn read(name: &str, definition: &Json) -> Result<Self> {
        let required: BTreeSet<&str> =
            definition["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let properties = definition["properties"].as_object();
        let mut fields = properties
            .into_iter()
            .flatten()
            .map(|(field, property)| {
                let mut read = Field::read(field, property).with_context(|| field.clone())?;
                read.required = required.contains(field.as_str());
                let default = KEY_DEFAULTS.iter().find(|(t, f, _)| *t == name && f == field);
                read.default = default.map_or("", |(.., default)| default);
                let short = name.trim_start_matches("io.k8s.api.");
                read.always_there = matches!(read.value, Value::Struct(_))
                    && ALWAYS_THERE.iter().any(|(t, f)| (*t == "*" || *t == short) && f == field);
                Ok(read)
            })
            .collect::<Result<Vec<_>>>()?;
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Type { name: name.into(), atomic: definition["x-kubernetes-map-type"] == "atomic", fields })
    }
}

impl Field {
    fn read(name: &str, property: &Json) -> Result<Self> {
        let strategy = property["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
        let has = |word: &str| strategy.split(',').any(|s| s == word);
        Ok(Field {
            name: name.into(),
            value: Value::read(property)?,
            required: false,
            patch_merge: has("merge"),
            retain_keys: has("retainKeys"),
            always_there: false,
            atomic: match (property.get("$ref"), property["x-kubernetes-map-type"].as_str()) {
                (Some(_), Some(kind)) => Some(kind == "atomic"),
                _ => None,
            },
            merge_key: property["x-kubernetes-patch-merge-key"].as_str().unwrap_or_default().into(),
            default: "",
            numbers: [0; 3],
        })
    }
}

impl Value {
    fn read(property: &Json) -> Result<Self> {
        if let Some(reference) = property["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let scalar = SCALARS.iter().find(|(scalar, _)| *scalar == name);
            return Ok(scalar.map_or_else(|| Value::Struct(name.into()), |(_, value)| value.clone()));
        }
        // `"string"` or `["string", "null"]`
        let of = property["type"].as_str().or_else(|| property["type"][0].as_str()).unwrap_or_default();
        Ok(match (of, property["format"].as_str()) {
            ("boolean", _) => Value::Bool,
            ("integer", Some("int32")) => Value::Int32,
            ("integer", Some("int64")) => Value::Int64,
            ("number", Some("double")) => Value::Double,
            ("string", Some("byte")) => Value::Bytes,
            ("string", None) => Value::String,
            ("array", _) => {
                Value::List { of: Box::new(Value::read(&property["items"])?), kind: List::read(property)? }
            }
            ("object", _) => Value::Map {
                of: Box::new(Value::read(&property["additionalProperties"])?),
                atomic: property["x-kubernetes-map-type"] == "atomic",
            },
            other => bail!("what is a {other:?}?"),
        })
    }
}

impl List {
    fn read(property: &Json) -> Result<Self> {
        let keys = property["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
        let keys: Vec<String> = keys.filter_map(Json::as_str).map(str::to_owned).collect();
        Ok(match property["x-kubernetes-list-type"].as_str() {
            None | Some("atomic") => List::Atomic,
            Some("set") => List::Set,
            Some("map") if !keys.is_empty() => List::Map(keys),
            Some(other) => bail!("what is a list of type {other}?"),
        })
    }
}
