use k8s_openapi::api::core::v1::PodCondition;

use super::patch::status_patch;
use super::*;

fn ip(ip: &str) -> PodIP {
    PodIP { ip: ip.into() }
}

#[test]
fn patches_hold_what_changed() {
    let condition = |kind: &str, status: &str, reason: Option<&str>| PodCondition {
        type_: kind.into(),
        status: status.into(),
        reason: reason.map(str::to_owned),
        ..PodCondition::default()
    };
    let old = PodStatus {
        phase: Some("Pending".into()),
        reason: Some("Why".into()),
        pod_ips: Some(vec![ip("10.0.0.1")]),
        conditions: Some(vec![
            condition("Ready", "False", Some("ContainersNotReady")),
            condition("PodScheduled", "True", None),
        ]),
        ..PodStatus::default()
    };
    assert_eq!(status_patch("u", &old, &old), None);
    let mut turned = old.clone();
    turned.conditions.as_mut().expect("conditions").reverse();
    assert_eq!(status_patch("u", &old, &turned), None);
    let new = PodStatus {
        phase: Some("Running".into()),
        reason: None,
        pod_ips: Some(vec![ip("10.0.0.2")]),
        conditions: Some(vec![condition("Ready", "True", None), condition("PodScheduled", "True", None)]),
        ..PodStatus::default()
    };
    let expected = serde_json::json!({
        "metadata": {"uid": "u"},
        "status": {
            "phase": "Running",
            "reason": null,
            "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": null}],
        },
    });
    assert_eq!(status_patch("u", &old, &new), Some(expected));
}
