use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_update};

const MIGRATION: &str = r#"{
    "metadata": {"name": "m", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"resource": {"group": "", "resource": "secrets"}}
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        MIGRATION,
        r#"
        spec.resource.group = "apps"

        spec.resource.resource = ""
        "#,
        expect![[r#"
            spec.resource.group = "apps"
                fine
            spec.resource.resource = ""
                spec.resource.resource: Required value: resource is required
        "#]],
    );
    check_update(
        &Strategy,
        MIGRATION,
        r#"
        spec.resource.resource = "pods"
        spec.resource.group = "x"
        "#,
        Part::Main,
        expect![[r#"
            spec.resource.resource = "pods"
            spec.resource.group = "x"
                group: Invalid value: "x": field is immutable
                resource: Invalid value: "pods": field is immutable
        "#]],
    );
    check_update(
        &Strategy,
        MIGRATION,
        r#"
        status.resourceVersion = "a"

        status.resourceVersion = "-5"

        status.conditions = [{"type": "Succeeded", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}, {"type": "Failed", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}, {"type": "Running", "status": "True", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        "#,
        Part::Status,
        expect![[r#"
            status.resourceVersion = "a"
                status.resourceVersion: Invalid value: "a": failed to parse resource version "a": strconv.ParseInt: parsing "a": invalid syntax
            status.resourceVersion = "-5"
                status.resourceVersion: Invalid value: -5: must be greater than or equal to 0
            status.conditions = [{"type": "Succeeded", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}, {"type": "Failed", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}, {"type": "Running", "status": "True", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
                status.conditions[2].reason: Required value: must be set
                status.conditions: Invalid value: [{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"x","status":"True","type":"Succeeded"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"x","status":"True","type":"Failed"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"","status":"True","type":"Running"}]: Both success and failed conditions cannot be true at the same time
                status.conditions: Invalid value: [{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"x","status":"True","type":"Succeeded"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"x","status":"True","type":"Failed"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"","status":"True","type":"Running"}]: Running condition cannot be true when success condition is true
                status.conditions: Invalid value: [{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"x","status":"True","type":"Succeeded"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"x","status":"True","type":"Failed"},{"lastTransitionTime":"2026-01-01T00:00:00Z","message":"","reason":"","status":"True","type":"Running"}]: Running condition cannot be true when failed condition is true
        "#]],
    );
}
