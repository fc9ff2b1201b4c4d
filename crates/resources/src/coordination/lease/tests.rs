use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows};

const LEASE: &str = r#"{
    "metadata": {"name": "l", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"holderIdentity": "me", "leaseDurationSeconds": 40}
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        LEASE,
        r#"
        - spec

        spec.leaseDurationSeconds = 0
        spec.leaseTransitions = -1
        "#,
        expect![[r#"
            - spec
                fine
            spec.leaseDurationSeconds = 0
            spec.leaseTransitions = -1
                spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0
                spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0
        "#]],
    );
    check_rows(
        &Strategy,
        LEASE,
        "",
        expect![[r#"
        NAME  HOLDER  AGE
        l  me  10m
    "#]],
    );
}
