use expect_test::expect;
use k8s_openapi::api::core::v1::Event as CoreEvent;

use super::*;
use crate::testing::{causes, edited};
use codec::Kind;

const EVENT: &str = r#"{
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
    "reason": "Pulled", "message": "m", "type": "Normal", "action": "Pulling",
    "reportingComponent": "kubelet", "reportingInstance": "n1",
    "eventTime": "2026-01-01T00:00:00.000001Z",
    "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:05.000000Z"}
}"#;

fn event(edits: &str) -> CoreEvent {
    CoreEvent::from_json(edited(EVENT, edits).to_string().as_bytes()).unwrap()
}

#[test]
fn there_and_back() {
    let old = event("count = 3\nsource.component = \"x\"\nrelated.name = \"r\"");
    assert_eq!(to_core(from_core(old.clone())), old);
}

#[test]
fn strict_rules() {
    assert!(validate_create(&event("")).is_empty());
    let bad = event(
        "count = 3\nsource.host = \"x\"\ntype = \"Odd\"\nseries.count = 1\n- eventTime\nlastTimestamp = \"2026-01-01T00:00:00Z\"",
    );
    expect![[r#"
            series.count: Invalid value: "": should be at least 2
            eventTime: Required value
            type: Invalid value: "": has invalid value: Odd
            lastTimestamp: Invalid value: "": needs to be unset
            count: Invalid value: "": needs to be unset
            source: Invalid value: "": needs to be unset
    "#]]
    .assert_eq(&causes(&validate_create(&bad)));
    let changed = event("reason = \"Other\"\nseries.count = 3");
    expect![[r#"
        reason: Invalid value: "Other": field is immutable
    "#]]
    .assert_eq(&causes(&validate_update(&changed, &event(""))));
}
