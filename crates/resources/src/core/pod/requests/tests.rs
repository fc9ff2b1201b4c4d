use codec::Kind;
use k8s_openapi::api::core::v1::Pod;

use crate::prelude::*;

fn pod(spec: &str) -> Pod {
    Pod::from_json(format!(r#"{{"spec": {spec}}}"#).as_bytes()).unwrap()
}

fn container(name: &str, requests: &str, limits: &str) -> String {
    format!(r#"{{"name": "{name}", "resources": {{"requests": {requests}, "limits": {limits}}}}}"#)
}

/// Requests and the class of a pod with these containers.
#[track_caller]
fn check(spec: &str, requests: &str, class: &str) {
    let pod = pod(spec);
    let shown: Vec<String> = pod.requests().0.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!((shown.join(" ").as_str(), pod.qos_class()), (requests, class));
}

#[test]
fn containers_add_up() {
    let a = container("a", r#"{"cpu": "1"}"#, "{}");
    let b = container("b", r#"{"cpu": "500m", "memory": "1Gi"}"#, "{}");
    check(&format!(r#"{{"containers": [{a}, {b}]}}"#), "cpu=1500m memory=1Gi", "Burstable");
    check(
        &format!(r#"{{"containers": [{a}, {b}], "overhead": {{"cpu": "100m"}}}}"#),
        "cpu=1600m memory=1Gi",
        "Burstable",
    );
}

#[test]
fn the_largest_init_container_counts() {
    let a = container("a", r#"{"cpu": "1", "memory": "1Gi"}"#, "{}");
    let i = container("i", r#"{"cpu": "3"}"#, "{}");
    let j = container("j", r#"{"cpu": "2"}"#, "{}");
    check(
        &format!(r#"{{"containers": [{a}], "initContainers": [{i}, {j}]}}"#),
        "cpu=3 memory=1Gi",
        "Burstable",
    );
}

#[test]
fn a_sidecar_runs_beside_what_follows() {
    let a = container("a", r#"{"cpu": "1"}"#, "{}");
    let side = r#"{"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}"#;
    let i = container("i", r#"{"cpu": "4"}"#, "{}");
    check(&format!(r#"{{"containers": [{a}], "initContainers": [{side}, {i}]}}"#), "cpu=5", "Burstable");
    check(&format!(r#"{{"containers": [{a}], "initContainers": [{i}, {side}]}}"#), "cpu=4", "Burstable");
}

#[test]
fn classes() {
    let both = r#"{"cpu": "1", "memory": "1Gi"}"#;
    let guaranteed = container("a", both, both);
    check(&format!(r#"{{"containers": [{guaranteed}]}}"#), "cpu=1 memory=1Gi", "Guaranteed");
    let half = container("b", r#"{"cpu": "1"}"#, r#"{"cpu": "1"}"#);
    check(&format!(r#"{{"containers": [{guaranteed}, {half}]}}"#), "cpu=2 memory=1Gi", "Burstable");
    check(r#"{"containers": [{"name": "a"}]}"#, "", "BestEffort");
    let gpu = container("a", r#"{"example.com/gpu": "1"}"#, "{}");
    check(&format!(r#"{{"containers": [{gpu}]}}"#), "example.com/gpu=1", "BestEffort");
}

#[test]
fn the_pod_level_stands_instead() {
    let a = container("a", r#"{"cpu": "1", "example.com/gpu": "1"}"#, "{}");
    let own = r#"{"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}"#;
    check(
        &format!(r#"{{"containers": [{a}], "resources": {own}}}"#),
        "cpu=2 example.com/gpu=1 memory=1Gi",
        "Guaranteed",
    );
}

#[test]
fn limits() {
    let a = container("a", "{}", r#"{"cpu": "1"}"#);
    let b = container("b", "{}", r#"{"cpu": "1"}"#);
    let pod = pod(&format!(r#"{{"containers": [{a}, {b}], "overhead": {{"cpu": "1", "memory": "1Mi"}}}}"#));
    assert_eq!(pod.limits().milli_cpu(), 3000);
    assert_eq!(pod.limits().memory(), 0);
}
