//! What services are given.

use std::collections::BTreeSet;
use std::sync::Arc;

use registry::{NODE_PORTS, Registry, ServiceConfig};
use serde_json::{Value, json};
use stdx::{Random, SystemClock, Tasks};
use storage::engine::{Durability, Engine as _, Op, Txn};
use storage::{MemoryEngine, Store, StoreConfig};

use super::server::start;

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn service(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["ports"] = json!([{"port": 80}]);
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn addresses_and_ports() {
    let server = start().await;
    let first = server.post(SERVICES, service("kubernetes", json!({}))).await.json();
    assert_eq!(first["spec"]["clusterIP"], json!("10.96.0.1"));
    let node_port = server.post(SERVICES, service("a", json!({"type": "NodePort"}))).await.json();
    let address = node_port["spec"]["clusterIP"].as_str().unwrap().to_owned();
    assert!(address.starts_with("10.96.0."), "{address}");
    assert!((30000..=32767).contains(&node_port["spec"]["ports"][0]["nodePort"].as_i64().unwrap()));
    let taken = server.post(SERVICES, service("b", json!({"clusterIP": address}))).await;
    assert_eq!(taken.code, 422);
    let words = format!(
        "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"{address}\"]: failed to allocate IP {address}: \
         provided IP is already allocated"
    );
    assert_eq!(taken.message(), words);
    let outside = server.post(SERVICES, service("b", json!({"clusterIP": "10.1.1.1"}))).await;
    assert!(outside.message().contains("The range of valid IPs is 10.96.0.0/24"), "{}", outside.text);
    let headless = server.post(SERVICES, service("h", json!({"clusterIP": "None"}))).await.json();
    assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    let labels = json!({"metadata": {"labels": {"x": "y"}}});
    let patched = server.patch(&format!("{SERVICES}/a"), "merge-patch", labels).await;
    assert_eq!(patched.json()["spec"]["clusterIP"], json!(address));
    server.delete(&format!("{SERVICES}/a")).await;
    let again = server.post(SERVICES, service("b", json!({"clusterIP": address}))).await;
    assert_eq!(again.code, 201, "{}", again.text);
}

/// No two writers get one address; a refused service keeps none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creates() {
    let server = Arc::new(start().await);
    let creates = (0..30).map(|n| {
        let server = server.clone();
        async move { server.post(SERVICES, service(&format!("s{n}"), json!({}))).await.json() }
    });
    let all = futures::future::join_all(creates).await;
    let addresses: BTreeSet<&str> = all.iter().map(|s| s["spec"]["clusterIP"].as_str().unwrap()).collect();
    assert_eq!(addresses.len(), 30);
    let address = all[0]["spec"]["clusterIP"].as_str().unwrap();
    server.delete(&format!("{SERVICES}/s0")).await;
    let refused = server.post(SERVICES, service("s1", json!({"clusterIP": address}))).await;
    assert_eq!(refused.code, 409, "{}", refused.text);
    assert_eq!(server.post(SERVICES, service("s0", json!({"clusterIP": address}))).await.code, 201);
}

const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
const RANGES: &str = "/apis/networking.k8s.io/v1/servicecidrs";

/// An address is taken by an IPAddress, whoever makes it.
#[tokio::test]
async fn addresses_are_objects() {
    let server = start().await;
    let service = server.post(SERVICES, self::service("a", json!({}))).await.json();
    let address = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let object = server.get(&format!("{ADDRESSES}/{address}")).await.json();
    let parent = json!({"group": "", "resource": "services", "namespace": "default", "name": "a"});
    assert_eq!(object["spec"]["parentRef"], parent);
    let labels = json!({
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    });
    assert_eq!(object["metadata"]["labels"], labels);
    assert!(object["metadata"]["uid"].is_string() && object["metadata"]["creationTimestamp"].is_string());
    server.delete(&format!("{SERVICES}/a")).await;
    assert_eq!(server.get(&format!("{ADDRESSES}/{address}")).await.code, 404);

    let mine = |name: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": name},
            "spec": {"parentRef": {"group": "example.com", "resource": "gateways", "name": "g"}}})
    };
    assert_eq!(server.post(ADDRESSES, mine("10.96.0.77")).await.code, 201);
    let wanted = json!({"clusterIP": "10.96.0.77"});
    let taken = server.post(SERVICES, self::service("b", wanted.clone())).await;
    assert!(taken.message().ends_with("provided IP is already allocated"), "{}", taken.text);
    server.delete(&format!("{ADDRESSES}/10.96.0.77")).await;
    assert_eq!(server.post(SERVICES, self::service("b", wanted)).await.code, 201);
    assert_eq!(server.post(ADDRESSES, mine("10.96.0.77")).await.code, 409);
    // Dry runs make none.
    server.post(&format!("{SERVICES}?dryRun=All"), self::service("c", json!({}))).await;
    let all = server.get(ADDRESSES).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
}

/// A ServiceCIDR is a range once it is ready, until it is deleted.
#[tokio::test]
async fn further_ranges() {
    let server = start().await;
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "more", "finalizers": ["example.com/wait"]}, "spec": {"cidrs": ["10.97.0.0/24"]}});
    assert_eq!(server.post(RANGES, range).await.code, 201);
    let wanted = json!({"clusterIP": "10.97.0.5"});
    let refused = server.post(SERVICES, service("a", wanted.clone())).await;
    assert!(refused.message().contains("The range of valid IPs is 10.96.0.0/24"), "{}", refused.text);
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let path = format!("{RANGES}/more/status");
    assert_eq!(server.patch(&path, "merge-patch", ready).await.code, 200);
    assert_eq!(server.post(SERVICES, service("a", wanted)).await.code, 201);
    server.delete(&format!("{RANGES}/more")).await;
    let refused = server.post(SERVICES, service("b", json!({"clusterIP": "10.97.0.6"}))).await;
    assert_eq!(refused.code, 422, "{}", refused.text);
}

/// What a crash, or a version before there were IPAddresses, left behind is put right before the first request.
#[tokio::test]
async fn repaired_at_start() {
    let owned = |resource: &str, name: &str, managed: bool| {
        let labels = if managed {
            json!({"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"})
        } else {
            json!({})
        };
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "x", "labels": labels},
            "spec": {"parentRef": {"resource": resource, "namespace": "default", "name": name}}})
    };
    let mut a = service("a", json!({"clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"]}));
    a["metadata"]["namespace"] = "default".into();
    let mut b = service("b", json!({"clusterIP": "10.96.0.6", "clusterIPs": ["10.96.0.6"]}));
    b["metadata"]["namespace"] = "default".into();
    let left = [
        ("services/specs/default/a", a.to_string()),
        ("services/specs/default/b", b.to_string()),
        ("ranges/serviceips/10.96.0.5", "default/a".to_owned()),
        ("ipaddresses/10.96.0.6", owned("gateways", "g", false).to_string()),
        ("ipaddresses/10.96.0.7", owned("services", "gone", true).to_string()),
        ("ipaddresses/10.96.0.8", owned("gateways", "g", false).to_string()),
    ];
    let put = |(key, value): (&str, String)| Op::Put {
        key: format!("/registry/{key}").into(),
        value: value.into(),
    };
    let ops = left.map(put).into();
    let engine = Arc::new(MemoryEngine::new());
    engine.commit(Txn { ops, durability: Durability::Durable, ..Txn::default() }).await.unwrap();

    let (clock, tasks) = (SystemClock::shared(), Tasks::new());
    let store = Store::open(engine.clone(), StoreConfig::new(clock.clone()), &tasks).await.unwrap();
    let services = ServiceConfig { cidrs: vec!["10.96.0.0/24".parse().unwrap()], node_ports: NODE_PORTS };
    let all = resources::table::served(&[]);
    let registry = Registry::open(&store, all, Some(services), clock, Random::seeded(7)).await.unwrap();
    let addresses = registry.cache("networking.k8s.io", "v1", "ipaddresses").unwrap();
    let snapshot = addresses.snapshot();
    let shown = |o: &cache::Object| {
        let object: Value = serde_json::from_slice(o.json()).unwrap();
        format!("{} {}", o.key.name, object["spec"]["parentRef"]["name"].as_str().unwrap())
    };
    let left: Vec<String> = snapshot.iter(None, None).map(|o| shown(o)).collect();
    assert_eq!(left, ["10.96.0.5 a", "10.96.0.6 b", "10.96.0.8 g"]);
    assert!(engine.get("/registry/ranges/serviceips/10.96.0.5").await.unwrap().is_none());
    tasks.stop().await;
}
