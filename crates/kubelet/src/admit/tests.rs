use apimachinery::quantity::Quantity as Amount;
use serde_json::{Value, json};

use super::*;
use crate::testing::{World, pod};

fn check(new: Value, others: &[Value], expected: &str) {
    let named = |name: &str, spec: &Value| {
        let mut p = pod(name, spec.clone());
        p.metadata.uid = Some(name.into());
        p
    };
    let others: Vec<_> = others.iter().enumerate().map(|(i, s)| Arc::new(named(&i.to_string(), s))).collect();
    let amount = |text: &str| Amount::parse(text).unwrap();
    let allocatable = Amounts([("cpu".to_owned(), amount("2")), ("memory".to_owned(), amount("1Gi"))].into());
    let node = NodeCapacity { allocatable: &allocatable, max_pods: 3 };
    let verdict = rejection(&named("new", &new), &others, &node);
    assert_eq!(verdict.map_or("", |v| v.reason), expected, "{new}");
}

fn asks(resources: Value) -> Value {
    json!({"containers": [{"name": "c", "image": "a", "resources": {"requests": resources}}]})
}

fn on_port(port: i32, protocol: &str) -> Value {
    let ports = json!([{"containerPort": 1, "hostPort": port, "protocol": protocol}]);
    json!({"containers": [{"name": "c", "image": "a", "ports": ports}]})
}

#[test]
fn what_does_not_fit_is_rejected() {
    let small = asks(json!({"cpu": "500m"}));
    check(small.clone(), &[], "");
    check(asks(json!({"cpu": "2"})), &[], "");
    check(asks(json!({"cpu": "2"})), std::slice::from_ref(&small), "OutOfcpu");
    check(asks(json!({"memory": "2Gi"})), &[], "OutOfmemory");
    check(asks(json!({})), &[small.clone(), small.clone(), small], "OutOfpods");
    check(on_port(80, "TCP"), &[on_port(80, "TCP")], "NodePorts");
    check(on_port(80, "UDP"), &[on_port(80, "TCP")], "");
    check(json!({"containers": [], "os": {"name": "windows"}}), &[], "PodOSNotSupported");
    let armor = json!({"containers": [], "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}});
    check(armor, &[], "AppArmor");
}

#[tokio::test]
async fn a_rejected_pod_fails_and_stays_so() {
    let mut w = World::new().await;
    w.api.insert(&pod("p", asks(json!({"cpu": "100000"}))));
    w.until_pod("p", "Failed(OutOfcpu): c=ContainerCreating").await;
    w.until("event", |w| {
        w.events().contains("Warning OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu")
    })
    .await;
    w.stop().await;
    w.start().await;
    w.api.insert(&pod("q", asks(json!({}))));
    w.until_pod("q", "Running: c=running,ready").await;
    w.until_pod("p", "Failed(OutOfcpu): c=ContainerCreating").await;
}
