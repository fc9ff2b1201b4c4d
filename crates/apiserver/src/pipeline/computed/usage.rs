//! What nodes and pods use, as metrics-server tells it: asked of the kubelets, but only when somebody asks. Rates are the mean
//! between this question and the one before; the first question takes two readings for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::quantity::{Format, Quantity};
use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use cache::Object;
use codec::{AnyObject, Kind as _};
use futures::future::join_all;
use http_body_util::{BodyExt as _, Limited};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use resources::metrics::{self, NodeMetrics, PodMetrics};
use serde_json::Value;

use super::{Asked, Maker};
use crate::api::Api;
use crate::http::body::RequestBody;

/// Whoever asks again so soon gets the same answer.
const FRESH: SignedDuration = SignedDuration::from_secs(5);
/// A rate over more than this says nothing of now.
const STALE: SignedDuration = SignedDuration::from_secs(90);
/// Between two readings when there was none before.
const FIRST_WINDOW: Duration = Duration::from_secs(2);
/// A container is measured from its start on when it has run so long.
const YOUNGEST: SignedDuration = SignedDuration::from_secs(10);
const SUMMARY_MAX: usize = 32 << 20;

/// What a kubelet said, and when.
#[derive(Clone, Debug)]
struct Reading {
    at: Timestamp,
    node: Measured,
    /// By pod and container.
    containers: HashMap<(ObjectKey, String), Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    since: Option<Timestamp>,
    cpu_nanoseconds: u64,
    memory: u64,
}

#[derive(Default)]
struct Readings {
    before: Option<Reading>,
    last: Option<Reading>,
}

/// Two readings of one node.
struct Pair {
    before: Reading,
    last: Reading,
}

/// What is known of each node. Shared by both kinds.
#[derive(Default)]
pub(super) struct Usage {
    nodes: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Readings>>>>,
}

impl Usage {
    pub fn new() -> Arc<Usage> {
        Arc::default()
    }

    /// `None`: the kubelet does not answer, and nobody can say what its node uses.
    async fn of(&self, api: &Api, name: &str) -> Option<Pair> {
        let readings = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.entry(name.to_owned()).or_default().clone()
        };
        // Those who ask at the same time share one question.
        let mut readings = readings.lock().await;
        let age = readings.last.as_ref().map(|last| api.clock.now().duration_since(last.at));
        if !age.is_some_and(|age| age < FRESH && readings.before.is_some()) {
            if age.is_none_or(|age| age > STALE) {
                readings.last = Some(read(api, name).await?);
                api.clock.sleep(FIRST_WINDOW).await;
            }
            let now = read(api, name).await?;
            readings.before = readings.last.replace(now);
        }
        Some(Pair { before: readings.before.clone()?, last: readings.last.clone()? })
    }

    /// Forgets nodes that are gone.
    fn keep(&self, known: impl Fn(&str) -> bool) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| known(name));
    }
}

async fn read(api: &Api, name: &str) -> Option<Reading> {
    match ask(api, name).await {
        Ok(summary) => Some(reading(&summary, api.clock.now())),
        Err(why) => {
            tracing::debug!(node = name, "no usage: {why}");
            None
        }
    }
}

async fn ask(api: &Api, name: &str) -> Result<Value, String> {
    const PATH: &str = "/stats/summary?only_cpu_and_memory=true";
    let object = api.registry.peek("", "nodes", &ObjectKey::cluster(name)).map_err(|s| s.message)?;
    let node = Node::from_json(object.json()).map_err(|e| e.to_string())?;
    let request = http::Request::get(PATH).body(RequestBody::empty()).map_err(|e| e.to_string())?;
    let response = api.node_proxy.forward(&node, PATH, request).await.map_err(|s| s.message)?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("the kubelet answers {}", response.status()));
    }
    let body = Limited::new(response.into_body(), SUMMARY_MAX).collect().await.map_err(|e| e.to_string())?;
    serde_json::from_slice(&body.to_bytes()).map_err(|e| e.to_string())
}

fn reading(summary: &Value, at: Timestamp) -> Reading {
    let mut containers = HashMap::new();
    for pod in summary["pods"].as_array().into_iter().flatten() {
        let text = |key: &str| pod["podRef"][key].as_str().unwrap_or_default();
        let key = ObjectKey::new(text("namespace"), text("name"));
        for container in pod["containers"].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            containers.extend(measured(container).map(|m| ((key.clone(), name), m)));
        }
    }
    let none = Measured { since: None, cpu_nanoseconds: 0, memory: 0 };
    Reading { at, node: measured(&summary["node"]).unwrap_or(none), containers }
}

fn measured(of: &Value) -> Option<Measured> {
    Some(Measured {
        since: of["startTime"].as_str().and_then(|t| t.parse().ok()),
        cpu_nanoseconds: of["cpu"]["usageCoreNanoSeconds"].as_u64()?,
        memory: of["memory"]["workingSetBytes"].as_u64()?,
    })
}

impl Pair {
    fn window(&self) -> SignedDuration {
        self.last.at.duration_since(self.before.at)
    }

    fn node(&self) -> Option<metrics::Usage> {
        usage(Some(self.before.node), self.last.node, self.before.at, self.last.at)
    }

    /// `None`: not all of its containers could be measured.
    fn pod(&self, key: &ObjectKey) -> Option<Vec<(String, metrics::Usage)>> {
        let of_pod: BTreeMap<&String, &Measured> =
            self.last.containers.iter().filter(|((k, _), _)| k == key).map(|((_, c), m)| (c, m)).collect();
        let of = |(name, last): (&String, &Measured)| {
            let before = self.before.containers.get(&(key.clone(), name.clone())).copied();
            Some((name.clone(), usage(before, *last, self.before.at, self.last.at)?))
        };
        let all: Option<Vec<_>> = of_pod.into_iter().map(of).collect();
        all.filter(|all| !all.is_empty())
    }
}

/// From two readings, or from the start on if it began between them.
fn usage(
    before: Option<Measured>,
    last: Measured,
    before_at: Timestamp,
    last_at: Timestamp,
) -> Option<metrics::Usage> {
    let (from, spent) = match before {
        // A counter that went back is of another life of the container.
        Some(before) if last.cpu_nanoseconds >= before.cpu_nanoseconds && last.since == before.since => {
            (before_at, last.cpu_nanoseconds - before.cpu_nanoseconds)
        }
        _ => {
            let since = last.since.filter(|since| last_at.duration_since(*since) >= YOUNGEST)?;
            (since, last.cpu_nanoseconds)
        }
    };
    let window = u128::try_from(last_at.duration_since(from).as_nanos()).ok().filter(|w| *w > 0)?;
    let rate = u128::from(spent) * 1_000_000_000 / window;
    let cpu = Quantity::parse(&format!("{rate}n")).ok()?.to_string();
    let memory = Quantity::new(i64::try_from(last.memory).ok()?, Format::BinarySi).to_string();
    Some(BTreeMap::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]))
}

fn window(window: SignedDuration) -> String {
    let millis = window.as_millis();
    format!("{}.{:03}s", millis / 1000, millis % 1000)
}

/// The object's own name and labels; when it was measured.
fn metadata(object: &Object, now: Timestamp) -> ObjectMeta {
    let meta = serde_json::from_slice::<Value>(object.json()).map(|mut o| o["metadata"]["labels"].take());
    let labels = meta.ok().and_then(|labels| serde_json::from_value(labels).ok());
    ObjectMeta {
        name: Some(object.key.name.to_string()),
        namespace: Some(object.key.namespace.to_string()).filter(|n| !n.is_empty()),
        creation_timestamp: Some(Time(whole(now))),
        labels,
        ..ObjectMeta::default()
    }
}

fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The objects that are asked for.
fn chosen(api: &Api, resource: &str, asked: &Asked<'_>) -> Result<Vec<Arc<Object>>, Status> {
    if !asked.name.is_empty() {
        let key = ObjectKey::new(asked.namespace, asked.name);
        let found = api.registry.peek("", resource, &key).map_err(|_| {
            let group =
                apimachinery::GroupResource { group: "metrics.k8s.io".into(), resource: resource.into() };
            Status::not_found(&group, asked.name)
        })?;
        return Ok(vec![found]);
    }
    let snapshot = api.registry.cache("", "v1", resource)?.snapshot();
    let namespace = Some(asked.namespace).filter(|n| !n.is_empty());
    let all = snapshot.iter(namespace, None);
    Ok(all.filter(|o| asked.labels.matches(&o.meta)).cloned().collect())
}

/// `metrics.k8s.io` nodes.
pub(super) struct Nodes(pub Arc<Usage>);

#[async_trait]
impl Maker for Nodes {
    async fn make(&self, api: &Api, asked: &Asked<'_>) -> Result<Vec<Box<dyn AnyObject>>, Status> {
        let nodes = chosen(api, "nodes", asked)?;
        if asked.name.is_empty() && asked.labels.is_empty() {
            self.0.keep(|name| nodes.iter().any(|n| &*n.key.name == name));
        }
        let pairs = join_all(nodes.iter().map(|n| self.0.of(api, &n.key.name))).await;
        let made = nodes.iter().zip(pairs).filter_map(|(node, pair)| {
            let pair = pair?;
            let metrics = NodeMetrics {
                metadata: metadata(node, api.clock.now()),
                timestamp: whole(pair.last.at).to_string(),
                window: window(pair.window()),
                usage: pair.node()?,
            };
            Some(Box::new(metrics) as Box<dyn AnyObject>)
        });
        Ok(made.collect())
    }
}

/// `metrics.k8s.io` pods.
pub(super) struct Pods(pub Arc<Usage>);

#[async_trait]
impl Maker for Pods {
    async fn make(&self, api: &Api, asked: &Asked<'_>) -> Result<Vec<Box<dyn AnyObject>>, Status> {
        let mut pods = chosen(api, "pods", asked)?;
        pods.retain(|pod| pod.field("status.phase") == Some("Running"));
        let node = |pod: &Object| pod.field("spec.nodeName").unwrap_or_default().to_owned();
        let names: std::collections::BTreeSet<String> =
            pods.iter().map(|pod| node(pod)).filter(|n| !n.is_empty()).collect();
        let pairs = join_all(names.iter().map(|name| self.0.of(api, name))).await;
        let pairs: HashMap<&String, Pair> =
            names.iter().zip(pairs).filter_map(|(name, pair)| Some((name, pair?))).collect();
        let made = pods.iter().filter_map(|pod| {
            let pair = pairs.get(&node(pod))?;
            let metrics = PodMetrics {
                metadata: metadata(pod, api.clock.now()),
                timestamp: whole(pair.last.at).to_string(),
                window: window(pair.window()),
                containers: pair.pod(&pod.key)?,
            };
            Some(Box::new(metrics) as Box<dyn AnyObject>)
        });
        Ok(made.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn measured(since: i64, cpu_nanoseconds: u64) -> Measured {
        Measured { since: Some(at(since)), cpu_nanoseconds, memory: 3 << 20 }
    }

    #[test]
    fn rates() {
        let of = |before, last| {
            usage(before, last, at(100), at(110)).map(|u| format!("{} {}", u["cpu"], u["memory"]))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(Some(measured(0, 1_000)), measured(0, 2_500_001_000)), some("250m 3Mi"));
        assert_eq!(of(Some(measured(0, 0)), measured(0, 1_234_560)), some("123456n 3Mi"));
        // Begun anew meanwhile: too short ago, or long enough.
        assert_eq!(of(Some(measured(0, 9_000_000_000)), measured(105, 1_000_000_000)), None);
        assert_eq!(of(None, measured(100, 5_000_000_000)), some("500m 3Mi"));
        assert_eq!(window(SignedDuration::from_millis(15_032)), "15.032s");
    }

    #[test]
    fn summaries() {
        let summary = serde_json::json!({
            "node": {"cpu": {"usageCoreNanoSeconds": 7}, "memory": {"workingSetBytes": 8}},
            "pods": [{"podRef": {"namespace": "ns", "name": "p"}, "containers": [
                {"name": "c", "startTime": "1970-01-01T00:00:05Z", "cpu": {"usageCoreNanoSeconds": 1}, "memory": {"workingSetBytes": 2}},
                {"name": "new", "cpu": {}},
            ]}],
        });
        let reading = reading(&summary, at(10));
        assert_eq!(reading.node, Measured { since: None, cpu_nanoseconds: 7, memory: 8 });
        let key = (ObjectKey::new("ns", "p"), "c".to_owned());
        let expected = Measured { since: Some(at(5)), cpu_nanoseconds: 1, memory: 2 };
        assert_eq!(reading.containers.into_iter().collect::<Vec<_>>(), [(key, expected)]);
    }
}
