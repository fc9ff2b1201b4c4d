use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update};

const RS: &str = r#"{
    "metadata": {"name": "rs", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": "nginx:1"}]}}}
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        RS,
        r#"
        spec.replicas = 0

        spec.replicas = -1

        spec.selector = {}

        spec.selector = {"matchLabels": {"app": "b"}}

        - spec.template

        spec.template.spec.activeDeadlineSeconds = 2
        "#,
        expect![[r#"
            spec.replicas = 0
                fine
            spec.replicas = -1
                spec.replicas: Invalid value: -1: must be greater than or equal to 0
            spec.selector = {}
                spec.selector: Required value
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchLabels": {"app": "b"}}
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            - spec.template
                spec.template: Required value
            spec.template.spec.activeDeadlineSeconds = 2
                spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported
        "#]],
    );
    check_update(
        &Strategy,
        RS,
        r#"spec.selector.matchLabels.b = "c""#,
        Part::Main,
        expect![[r#"
        spec.selector.matchLabels.b = "c"
            spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector: Invalid value: {"matchLabels":{"app":"a","b":"c"}}: field is immutable
    "#]],
    );
    check_update(
        &Strategy,
        RS,
        r#"
        status = {"replicas": 1, "readyReplicas": 2, "terminatingReplicas": -1}
        "#,
        Part::Status,
        expect![[r#"
            status = {"replicas": 1, "readyReplicas": 2, "terminatingReplicas": -1}
                status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.terminatingReplicas: Invalid value: -1: must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        RS,
        r#"status = {"replicas": 2, "readyReplicas": 1}"#,
        expect![[r#"
        NAME  DESIRED  CURRENT  READY  AGE  CONTAINERS  IMAGES  SELECTOR
        rs  2  2  1  10m  app  nginx:1  app=a
    "#]],
    );
}
