//! What services are given.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

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
