use codec::Kind;
use expect_test::{Expect, expect};

use super::*;
use crate::testing::edited;

const POD: &str = r#"{"metadata": {"name": "p", "namespace": "a"}, "spec": {"containers": [
    {"name": "c", "resources": {"requests": {"cpu": "100m", "memory": "1Mi", "example.com/dongle": "2"}, "limits": {"cpu": "1"}}},
    {"name": "d"}]}}"#;

fn shown(amounts: &Amounts) -> String {
    amounts.0.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check<K: Kind>(base: &str, edits: &str, expect: Expect) {
    let object = K::from_json(edited(base, edits).to_string().as_bytes()).unwrap();
    let now = "2026-01-01T00:10:00Z".parse().unwrap();
    expect.assert_eq(&shown(&of(&K::gvr(), &object, now).amounts));
}

#[test]
fn pods() {
    check::<Pod>(
        POD,
        "",
        expect![
            "count/pods=1 cpu=100m limits.cpu=1 memory=1Mi pods=1 requests.cpu=100m requests.example.com/dongle=2 requests.memory=1Mi"
        ],
    );
    check::<Pod>(POD, r#"status.phase = "Succeeded""#, expect!["count/pods=1"]);
    let late = r#"metadata.deletionTimestamp = "2026-01-01T00:09:00Z"
        metadata.deletionGracePeriodSeconds = 30"#;
    check::<Pod>(POD, late, expect!["count/pods=1"]);
}

#[test]
fn services_and_claims() {
    let service = r#"{"metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}, {"port": 2}]}}"#;
    check::<Service>(
        service,
        "",
        expect!["count/services=1 services=1 services.loadbalancers=0 services.nodeports=0"],
    );
    check::<Service>(
        service,
        r#"spec.type = "NodePort""#,
        expect!["count/services=1 services=1 services.loadbalancers=0 services.nodeports=2"],
    );
    check::<Service>(
        service,
        r#"spec.type = "LoadBalancer""#,
        expect!["count/services=1 services=1 services.loadbalancers=1 services.nodeports=2"],
    );
    check::<Service>(
        service,
        r#"spec.type = "LoadBalancer"
           spec.allocateLoadBalancerNodePorts = false"#,
        expect!["count/services=1 services=1 services.loadbalancers=1 services.nodeports=0"],
    );
    let claim = r#"{"metadata": {"name": "c"}, "spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}}"#;
    check::<PersistentVolumeClaim>(
        claim,
        "",
        expect![
            "count/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/requests.storage=1Gi persistentvolumeclaims=1 requests.storage=1Gi"
        ],
    );
    check::<PersistentVolumeClaim>(
        claim,
        r#"status.allocatedResources.storage = "2Gi""#,
        expect![
            "count/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/requests.storage=2Gi persistentvolumeclaims=1 requests.storage=2Gi"
        ],
    );
}

#[test]
fn whoever_bounds_cpu_wants_it_said() {
    let pod = Pod::from_json(POD.as_bytes()).unwrap();
    assert_eq!(missing(&pod, &["pods"]), Ok(()));
    assert_eq!(
        missing(&pod, &["limits.cpu", "memory"]),
        Err("must specify limits.cpu for: d; memory for: d".into())
    );
}

#[test]
fn scopes() {
    let quota = |spec: serde_json::Value| -> ResourceQuota {
        ResourceQuota::from_json(
            serde_json::json!({"metadata": {"name": "q"}, "spec": spec}).to_string().as_bytes(),
        )
        .unwrap()
    };
    let counts = |spec: serde_json::Value, edits: &str| {
        let pod = Pod::from_json(edited(POD, edits).to_string().as_bytes()).unwrap();
        scope::matches(&quota(spec), &Facts::of_pod(&pod))
    };
    let class = |operator: &str, values: &[&str]| {
        serde_json::json!({"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
    };
    let high = r#"spec.priorityClassName = "high""#;
    assert!(counts(serde_json::json!({}), ""));
    assert!(counts(serde_json::json!({"scopes": ["NotBestEffort", "NotTerminating"]}), ""));
    assert!(!counts(serde_json::json!({"scopes": ["BestEffort"]}), ""));
    assert!(counts(serde_json::json!({"scopes": ["Terminating"]}), "spec.activeDeadlineSeconds = 5"));
    assert!(counts(class("In", &["high"]), high) && !counts(class("In", &["low"]), high));
    assert!(!counts(class("NotIn", &["high"]), high) && counts(class("NotIn", &["high"]), ""));
    assert!(counts(class("Exists", &[]), high) && counts(class("DoesNotExist", &[]), ""));
    let far = r#"spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution = [{"topologyKey": "z", "namespaces": ["b"]}]"#;
    assert!(counts(serde_json::json!({"scopes": ["CrossNamespacePodAffinity"]}), far));
    assert!(!counts(serde_json::json!({"scopes": ["CrossNamespacePodAffinity"]}), ""));
}
