use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};

use super::eviction::leaves_at;
use super::ipam::{Range, next_free};
use super::taints;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn check_taints(spec: &str, conditions: &[(&str, &str)], evict: bool, expected: Option<&[&str]>) {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(kind, status)| format!(r#"{{"type":"{kind}","status":"{status}"}}"#))
        .collect();
    let json =
        format!(r#"{{"metadata":{{}},"spec":{spec},"status":{{"conditions":[{}]}}}}"#, conditions.join(","));
    let node = Node::from_json(json.as_bytes()).expect("a node");
    let shown = taints::wanted(&node, evict, at(0)).map(|taints| {
        taints
            .iter()
            .map(|t| format!("{}:{}", t.key.trim_start_matches("node.kubernetes.io/"), t.effect))
            .collect::<Vec<_>>()
    });
    assert_eq!(
        shown.as_deref(),
        expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref()
    );
}

#[test]
fn taints_follow_conditions() {
    check_taints("{}", &[("Ready", "True")], true, None);
    check_taints("{}", &[("Ready", "False")], true, Some(&["not-ready:NoSchedule", "not-ready:NoExecute"]));
    check_taints("{}", &[("Ready", "Unknown")], false, Some(&["unreachable:NoSchedule"]));
    check_taints(
        "{}",
        &[("Ready", "True"), ("DiskPressure", "True")],
        true,
        Some(&["disk-pressure:NoSchedule"]),
    );
    check_taints(
        r#"{"unschedulable":true}"#,
        &[("Ready", "True")],
        true,
        Some(&["unschedulable:NoSchedule"]),
    );
    let tainted = r#"{"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"},
        {"key":"mine","effect":"NoExecute"}]}"#;
    check_taints(tainted, &[("Ready", "True")], true, Some(&["mine:NoExecute"]));
}

/// When a pod made at second 10 leaves a node tainted at second 100.
fn check_leaves(tolerations: &str, expected: Option<i64>) {
    let json = format!(
        r#"{{"metadata":{{"creationTimestamp":"1970-01-01T00:00:10Z"}},"spec":{{"containers":[],"tolerations":{tolerations}}}}}"#
    );
    let pod = Pod::from_json(json.as_bytes()).expect("a pod");
    let taint = Taint {
        key: taints::UNREACHABLE.into(),
        effect: taints::NO_EXECUTE.into(),
        time_added: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(100))),
        value: None,
    };
    assert_eq!(leaves_at(&pod, &[taint], at(120)).map(|t| t.as_second()), expected);
}

#[test]
fn pods_stay_as_long_as_they_tolerate() {
    check_leaves("[]", Some(120));
    check_leaves(r#"[{"operator":"Exists"}]"#, None);
    let unreachable = |seconds: &str| {
        format!(
            r#"{{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute"{seconds}}}"#
        )
    };
    check_leaves(&format!("[{}]", unreachable(r#","tolerationSeconds":300"#)), Some(400));
    let both = [unreachable(r#","tolerationSeconds":300"#), unreachable(r#","tolerationSeconds":5"#)];
    check_leaves(&format!("[{}]", both.join(",")), Some(105));
    check_leaves(r#"[{"key":"other","operator":"Exists"}]"#, Some(120));
}

#[test]
fn ranges_are_given_out_once() {
    let range = Range { whole: "10.42.0.0/22".parse().expect("a range"), prefix: 24 };
    let mut used = vec!["10.42.1.0/24".parse().expect("a range"), "192.168.0.0/16".parse().expect("a range")];
    for expected in [Some("10.42.0.0/24"), Some("10.42.2.0/24"), Some("10.42.3.0/24"), None] {
        let next = next_free(range, &used);
        assert_eq!(next.map(|n| n.to_string()).as_deref(), expected);
        used.extend(next);
    }
    assert_eq!(next_free(range, &["10.0.0.0/8".parse().expect("a range")]), None);
}
