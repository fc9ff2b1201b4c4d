use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const REVISION: &str = r#"{
    "metadata": {"name": "r", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "data": {"spec": {"template": {}}}, "revision": 1
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        REVISION,
        r#"
        revision = 0

        revision = -1
        - data
        "#,
        expect![[r#"
            revision = 0
                fine
            revision = -1
            - data
                data: Required value: data is mandatory
                revision: Invalid value: -1: must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        REVISION,
        r#"
        revision = 7

        data = {"a": 1}
        "#,
        Part::Main,
        expect![[r#"
            revision = 7
                fine
            data = {"a": 1}
                data: Invalid value: {"a":1}: field is immutable
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        REVISION,
        r#"
        revision = 3

        metadata.ownerReferences = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true}]
        "#,
        expect![[r#"
            NAME  CONTROLLER  REVISION  AGE
            r  <none>  3  10m
            r  daemonset.apps/d  1  10m
        "#]],
    );
}
