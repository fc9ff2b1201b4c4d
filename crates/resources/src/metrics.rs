//! The metrics.k8s.io group: what nodes and pods use. Nothing of it is stored; these are its forms and columns.

use std::collections::BTreeMap;

use codec::Kind;
use codec::kind::DecodeError;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::columns::{NAME, text};
use crate::strategy::{Column, Resource, Scope, Strategy};

/// Amounts by resource, as quantities.
pub type Usage = BTreeMap<String, String>;

/// What a node uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeMetrics {
    pub metadata: ObjectMeta,
    /// RFC 3339: when the window ended.
    pub timestamp: String,
    /// A duration as Go writes it: what rates are the mean of.
    pub window: String,
    pub usage: Usage,
}

/// What the containers of a pod use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodMetrics {
    pub metadata: ObjectMeta,
    pub timestamp: String,
    pub window: String,
    pub containers: Vec<(String, Usage)>,
}

/// The group's table. These rows are computed by the API server, so that no store knows them.
pub fn computed() -> Vec<Resource> {
    const READ: &[&str] = &["get", "list"];
    vec![
        Resource::new(Scope::Cluster, "", NodeStrategy).verbs(READ),
        Resource::new(Scope::Namespaced, "", PodStrategy).verbs(READ),
    ]
}

fn fields(json: &[u8]) -> Result<Map<String, Value>, DecodeError> {
    serde_json::from_slice(json).map_err(|e| DecodeError(e.to_string()))
}

fn part<T: for<'a> serde::Deserialize<'a> + Default>(
    fields: &mut Map<String, Value>,
    key: &str,
) -> Result<T, DecodeError> {
    match fields.remove(key) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => serde_json::from_value(value).map_err(|e| DecodeError(format!("{key}: {e}"))),
    }
}

/// `apiVersion`, `kind` and `metadata` first, as everywhere.
fn object<K: Kind>(meta: &ObjectMeta, rest: &[(&str, Value)]) -> Vec<u8> {
    let mut out =
        format!(r#"{{"apiVersion":"{}","kind":"{}","metadata":{}"#, K::API_VERSION, K::KIND, json!(meta));
    for (key, value) in rest {
        out += &format!(",{}:{value}", json!(key));
    }
    (out + "}").into_bytes()
}

impl Kind for NodeMetrics {
    const GROUP: &'static str = "metrics.k8s.io";
    const VERSION: &'static str = "v1beta1";
    const KIND: &'static str = "NodeMetrics";
    const API_VERSION: &'static str = "metrics.k8s.io/v1beta1";
    const RESOURCE: &'static str = "nodes";

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn from_json(json: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = fields(json)?;
        Ok(NodeMetrics {
            metadata: part(&mut fields, "metadata")?,
            timestamp: part(&mut fields, "timestamp")?,
            window: part(&mut fields, "window")?,
            usage: part(&mut fields, "usage")?,
        })
    }

    fn to_json(&self) -> Vec<u8> {
        let rest = [
            ("timestamp", json!(self.timestamp)),
            ("window", json!(self.window)),
            ("usage", json!(self.usage)),
        ];
        object::<Self>(&self.metadata, &rest)
    }
}

impl Kind for PodMetrics {
    const GROUP: &'static str = "metrics.k8s.io";
    const VERSION: &'static str = "v1beta1";
    const KIND: &'static str = "PodMetrics";
    const API_VERSION: &'static str = "metrics.k8s.io/v1beta1";
    const RESOURCE: &'static str = "pods";

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn from_json(json: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = fields(json)?;
        let containers: Vec<Map<String, Value>> = part(&mut fields, "containers")?;
        let containers =
            containers.into_iter().map(|mut c| Ok((part(&mut c, "name")?, part(&mut c, "usage")?)));
        Ok(PodMetrics {
            metadata: part(&mut fields, "metadata")?,
            timestamp: part(&mut fields, "timestamp")?,
            window: part(&mut fields, "window")?,
            containers: containers.collect::<Result<_, DecodeError>>()?,
        })
    }

    fn to_json(&self) -> Vec<u8> {
        let containers: Value =
            self.containers.iter().map(|(name, usage)| json!({"name": name, "usage": usage})).collect();
        let rest = [
            ("timestamp", json!(self.timestamp)),
            ("window", json!(self.window)),
            ("containers", containers),
        ];
        object::<Self>(&self.metadata, &rest)
    }
}

const COLUMNS: &[Column] = &[
    NAME,
    text("cpu", "How much of a processor was used."),
    text("memory", "How much memory is used."),
    text("Window", "How long that was measured."),
];

fn sum<'a>(usages: impl Iterator<Item = &'a Usage>, resource: &str) -> String {
    let amounts =
        usages.filter_map(|u| u.get(resource)).filter_map(|q| apimachinery::Quantity::parse(q).ok());
    amounts.reduce(|a, b| a + b).map_or_else(|| "0".into(), |q| q.to_string())
}

struct NodeStrategy;

impl Strategy for NodeStrategy {
    type Kind = NodeMetrics;

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, node: &NodeMetrics, _: Timestamp) -> Vec<Value> {
        let of = |resource| json!(sum(std::iter::once(&node.usage), resource));
        vec![json!(node.name()), of("cpu"), of("memory"), json!(node.window)]
    }
}

struct PodStrategy;

impl Strategy for PodStrategy {
    type Kind = PodMetrics;

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, pod: &PodMetrics, _: Timestamp) -> Vec<Value> {
        let of = |resource| json!(sum(pod.containers.iter().map(|(_, usage)| usage), resource));
        vec![json!(pod.name()), of("cpu"), of("memory"), json!(pod.window)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let json = br#"{"apiVersion":"metrics.k8s.io/v1beta1","kind":"PodMetrics","metadata":{"name":"p"},"timestamp":"2026-01-01T00:00:00Z","window":"15s","containers":[{"name":"c","usage":{"cpu":"250m","memory":"1Mi"}},{"name":"d","usage":{"cpu":"1"}}]}"#;
        let pod = PodMetrics::from_json(json).unwrap();
        assert_eq!(pod.to_json(), json);
        let row = Strategy::row(&PodStrategy, &pod, Timestamp::UNIX_EPOCH);
        assert_eq!(json!(row), json!(["p", "1250m", "1Mi", "15s"]));
        let json = br#"{"apiVersion":"metrics.k8s.io/v1beta1","kind":"NodeMetrics","metadata":{"name":"n"},"timestamp":"2026-01-01T00:00:00Z","window":"15s","usage":{"cpu":"1"}}"#;
        assert_eq!(NodeMetrics::from_json(json).unwrap().to_json(), json);
    }
}
