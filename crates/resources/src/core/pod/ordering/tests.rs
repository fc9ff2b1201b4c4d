use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::*;
use crate::testing::edited;

const POD: &str = r#"{
    "metadata": {"name": "p", "uid": "m", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"nodeName": "n", "containers": []},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
}"#;

/// The pod with the edits is given up before the plain one.
#[track_caller]
fn goes_first(edits: &str, rank: usize) {
    let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    let pod = |edits: &str| Pod::from_json(edited(POD, edits).to_string().as_bytes()).unwrap();
    let (changed, plain) = (pod(edits), pod(""));
    let (a, b) = (Ranked { pod: &changed, rank }, Ranked { pod: &plain, rank: 1 });
    assert_eq!(deletion_order(a, b, now), Less, "{edits}");
    assert_eq!(deletion_order(b, a, now), Greater, "{edits}");
}

#[test]
fn each_rule() {
    goes_first("- spec.nodeName", 1);
    goes_first("status.phase = \"Pending\"", 1);
    goes_first("status.conditions[0].status = \"False\"", 1);
    goes_first("metadata.annotations.\"controller.kubernetes.io/pod-deletion-cost\" = \"-1\"", 1);
    goes_first("metadata.uid = \"z\"", 2);
    goes_first("status.conditions[0].lastTransitionTime = \"2026-01-01T23:00:00Z\"", 1);
    goes_first(
        "status.containerStatuses = [{\"name\": \"a\", \"image\": \"\", \"imageID\": \"\", \"ready\": true, \"restartCount\": 2}]",
        1,
    );
    goes_first("metadata.creationTimestamp = \"2026-01-01T23:59:00Z\"", 1);
    // Nearly the same age counts as the same: then the uid decides.
    goes_first("metadata.uid = \"a\"\nmetadata.creationTimestamp = \"2025-12-31T23:59:00Z\"", 1);
}
