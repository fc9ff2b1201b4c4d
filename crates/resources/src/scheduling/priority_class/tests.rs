use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const CLASS: &str =
    r#"{"metadata": {"name": "high", "creationTimestamp": "2026-01-01T00:00:00Z"}, "value": 1000}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        CLASS,
        r#"
        value = 1000000001

        preemptionPolicy = "Sometimes"

        metadata.name = "system-mine"

        metadata.name = "system-node-critical"

        metadata.name = "system-node-critical"
        value = 2000001000
        "#,
        expect![[r#"
            value = 1000000001
                value: Forbidden: maximum allowed value of a user defined priority is 1000000000
            preemptionPolicy = "Sometimes"
                preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"
            metadata.name = "system-mine"
                metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class
            metadata.name = "system-node-critical"
                metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: value of system-node-critical PriorityClass must be 2000001000
            metadata.name = "system-node-critical"
            value = 2000001000
                fine
        "#]],
    );
    check_update(
        &Strategy,
        CLASS,
        r#"
        description = "d"

        value = 5
        preemptionPolicy = "Never"
        "#,
        Part::Main,
        expect![[r#"
            description = "d"
                fine
            value = 5
            preemptionPolicy = "Never"
                value: Forbidden: may not be changed in an update.
                preemptionPolicy: Invalid value: "Never": field is immutable
        "#]],
    );
    check_rows(
        &Strategy,
        CLASS,
        "",
        expect![[r#"
        NAME  VALUE  GLOBAL-DEFAULT  AGE  PREEMPTIONPOLICY
        high  1000  false  10m  PreemptLowerPriority
    "#]],
    );
}
