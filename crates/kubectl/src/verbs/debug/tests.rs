//! What profiles make of pods, as stock kubectl 1.37.1 was seen to.

use expect_test::{Expect, expect};
use serde_json::json;

use super::profile::{Keep, Profile, Style};

fn check(name: &str, style: Style, expected: &Expect) {
    let mut pod = json!({
        "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } },
        "spec": {
            "initContainers": [{ "name": "i" }],
            "containers": [{ "name": "own", "livenessProbe": {} }, { "name": "debugger" }],
        },
    });
    let keep = Keep { init_containers: true, ..Keep::default() };
    Profile::named(name, keep).expect("known").apply(&mut pod, "containers", "debugger", style);
    expected.assert_eq(&pod.to_string());
}

#[test]
fn copies() {
    check(
        "general",
        Style::Copy,
        &expect![[
            r#"{"metadata":{},"spec":{"containers":[{"name":"own"},{"name":"debugger","securityContext":{"capabilities":{"add":["SYS_PTRACE"]}}}],"initContainers":[{"name":"i"}],"shareProcessNamespace":true}}"#
        ]],
    );
    check(
        "legacy",
        Style::Copy,
        &expect![[
            r#"{"metadata":{"annotations":{"c":"d"}},"spec":{"containers":[{"livenessProbe":{},"name":"own"},{"name":"debugger"}],"initContainers":[{"name":"i"}]}}"#
        ]],
    );
    check(
        "sysadmin",
        Style::Copy,
        &expect![[
            r#"{"metadata":{},"spec":{"containers":[{"name":"own"},{"name":"debugger","securityContext":{"privileged":true}}],"initContainers":[{"name":"i"}],"shareProcessNamespace":true}}"#
        ]],
    );
}

#[test]
fn nodes() {
    check(
        "general",
        Style::Node,
        &expect![[
            r#"{"metadata":{"annotations":{"c":"d"},"labels":{"a":"b"}},"spec":{"containers":[{"livenessProbe":{},"name":"own"},{"name":"debugger","volumeMounts":[{"mountPath":"/host","name":"host-root"}]}],"hostIPC":true,"hostNetwork":true,"hostPID":true,"initContainers":[{"name":"i"}],"volumes":[{"hostPath":{"path":"/"},"name":"host-root"}]}}"#
        ]],
    );
    check(
        "restricted",
        Style::Node,
        &expect![[
            r#"{"metadata":{"annotations":{"c":"d"},"labels":{"a":"b"}},"spec":{"containers":[{"livenessProbe":{},"name":"own"},{"name":"debugger","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}}],"initContainers":[{"name":"i"}]}}"#
        ]],
    );
}
