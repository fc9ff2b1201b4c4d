use codec::Kind;

use super::*;
use crate::testing::edited;

const POD: &str = r#"{
    "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
    "spec": {"nodeName": "", "containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]}]},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
}"#;

fn pod(edits: &str) -> Pod {
    Pod::from_json(edited(POD, edits).to_string().as_bytes()).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn life() {
    let running = pod("");
    assert!(running.is_active() && running.is_ready() && !running.is_terminal());
    assert!(pod("status.phase = \"Failed\"").is_terminal());
    let deleting = pod("metadata.deletionTimestamp = \"2026-01-01T00:00:00Z\"");
    assert!(!deleting.is_active() && !deleting.is_terminal());
    assert!(!pod("- status").is_ready());
    assert_eq!(running.node_name(), None);
    assert_eq!(running.grace_period_seconds(), 30);
    assert_eq!(describe(&running), "p_ns(u)");
}

#[test]
fn available_after_a_while() {
    let pod = pod("");
    assert!(pod.is_available(0, time("2026-01-01T00:00:00Z")));
    assert!(!pod.is_available(10, time("2026-01-01T00:00:09Z")));
    assert!(pod.is_available(10, time("2026-01-01T00:00:10Z")));
}

#[test]
fn ports_on_the_node() {
    assert_eq!(pod("").host_ports().len(), 1);
    let port = "{\"name\": \"i\", \"ports\": [{\"containerPort\": 1, \"hostPort\": 1}]";
    assert_eq!(pod(&format!("spec.initContainers = [{port}}}]")).host_ports().len(), 1);
    let sidecar = format!("spec.initContainers = [{port}, \"restartPolicy\": \"Always\"}}]");
    assert_eq!(pod(&sidecar).host_ports().len(), 2);
}

#[test]
fn addresses() {
    assert_eq!(pod("status.podIP = \"10.0.0.1\"").ips(), ["10.0.0.1"]);
    let both = "status.podIP = \"10.0.0.1\"\nstatus.podIPs = [{\"ip\": \"10.0.0.1\"}, {\"ip\": \"fd::1\"}]";
    assert_eq!(pod(both).ips(), ["10.0.0.1", "fd::1"]);
    assert!(pod("").ips().is_empty());
}

/// Does a pod with the toleration put up with the taint `key=value:effect`?
fn tolerates(toleration: &str, key: &str, value: &str, effect: &str) -> bool {
    let taint =
        Taint { key: key.into(), value: Some(value.into()), effect: effect.into(), ..Taint::default() };
    pod(&format!("spec.tolerations = [{toleration}]")).tolerates(&taint)
}

#[test]
fn tolerations() {
    assert!(tolerates(r#"{"operator": "Exists"}"#, "a", "b", "NoExecute"));
    assert!(tolerates(r#"{"key": "a", "operator": "Exists"}"#, "a", "b", "NoExecute"));
    assert!(!tolerates(r#"{"key": "b", "operator": "Exists"}"#, "a", "b", "NoExecute"));
    assert!(!tolerates(
        r#"{"key": "a", "operator": "Exists", "effect": "NoSchedule"}"#,
        "a",
        "b",
        "NoExecute"
    ));
    assert!(tolerates(r#"{"key": "a", "value": "b"}"#, "a", "b", "NoSchedule"));
    assert!(tolerates(r#"{"key": "a"}"#, "a", "", "NoSchedule"));
    assert!(!tolerates(r#"{"key": "a", "operator": "Equal", "value": "c"}"#, "a", "b", "NoSchedule"));
    assert!(!tolerates("{\"key\": \"a\", \"operator\": \"Gt\", \"value\": \"1\"}", "a", "2", "NoSchedule"));
}

#[test]
fn conditions() {
    let (now, later) = (time("2026-01-01T00:00:00Z"), time("2026-01-01T00:01:00Z"));
    let condition = |status: &str, reason: &str| PodCondition {
        type_: "Ready".into(),
        status: status.into(),
        reason: Some(reason.into()),
        ..PodCondition::default()
    };
    let mut status = PodStatus::default();
    let since = |s: &PodStatus| s.conditions.as_ref().unwrap()[0].last_transition_time.as_ref().unwrap().0;
    assert!(set_condition(&mut status, condition("False", "a"), now));
    assert!(!set_condition(&mut status, condition("False", "a"), later));
    assert!(set_condition(&mut status, condition("False", "b"), later));
    assert_eq!(since(&status), now);
    assert!(set_condition(&mut status, condition("True", ""), later));
    assert_eq!(since(&status), later);
}
