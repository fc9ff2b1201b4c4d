use serde_json::{Value, json};

use super::*;
use crate::testing::pod_json;

fn pod(containers: Value, init: Value) -> Pod {
    pod_json(json!({"spec": {"containers": containers, "initContainers": init}}))
}

fn c(requests: Value, limits: Value) -> Value {
    json!({"name": "c", "resources": {"requests": requests, "limits": limits}})
}

#[test]
fn quality_of_service() {
    let of = |containers: Value| qos(&pod(containers, json!([]))).as_str();
    let full = json!({"cpu": "1", "memory": "1Gi"});
    assert_eq!(of(json!([c(json!({}), json!({}))])), "BestEffort");
    assert_eq!(of(json!([c(full.clone(), full.clone())])), "Guaranteed");
    assert_eq!(of(json!([c(full.clone(), full), c(json!({}), json!({}))])), "Burstable");
}

#[test]
fn sums_are_peaks_and_limits_are_of_all() {
    let cpu = |n: &str| json!({"cpu": n});
    let sidecar = json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": cpu("100m")}});
    let init = json!({"name": "i", "resources": {"requests": cpu("1")}});
    let p = pod(json!([c(cpu("200m"), json!({})), c(cpu("300m"), json!({}))]), json!([sidecar, init]));
    // The init container beside the sidecar is more than everything later.
    assert_eq!(p.requests().milli_cpu(), 1100);
    let limited = pod(json!([c(json!({}), cpu("1")), c(json!({}), cpu("500m"))]), json!([]));
    assert_eq!(pod_limits(&limited).milli_cpu(), 1500);
    let half = pod(json!([c(json!({}), cpu("1")), c(json!({}), json!({}))]), json!([]));
    assert_eq!(pod_limits(&half).milli_cpu(), 0);
}

#[test]
fn cgroup_values() {
    assert_eq!([0, 1, 100, 1000, 10_000_000].map(cpu_shares), [2, 2, 102, 1024, 262_144]);
    assert_eq!([0, 1, 100, 1500].map(cpu_quota), [0, 1000, 10_000, 150_000]);
}
