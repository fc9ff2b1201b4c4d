use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const RC: &str = r#"{
    "metadata": {"name": "rc", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"replicas": 2, "selector": {"app": "a"}, "template": {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": "nginx"}, {"name": "b", "image": "b:1"}]}}}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "rc"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "ReplicationController",
              "metadata": {
                "labels": {
                  "a": "b"
                },
                "name": "rc"
              },
              "spec": {
                "replicas": 1,
                "selector": {
                  "a": "b"
                },
                "template": {
                  "metadata": {
                    "labels": {
                      "a": "b"
                    }
                  },
                  "spec": {
                    "containers": [
                      {
                        "image": "a",
                        "imagePullPolicy": "Always",
                        "name": "a",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File"
                      }
                    ],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                }
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        RC,
        r#"
        spec.replicas = -1
        spec.minReadySeconds = -1

        - spec.selector
        - spec.template

        spec.selector = {"app": "b"}

        spec.template.spec.restartPolicy = "Never"
        spec.template.spec.activeDeadlineSeconds = 3

        spec.template.spec.containers[0].name = ""
        "#,
        expect![[r#"
            spec.replicas = -1
            spec.minReadySeconds = -1
                spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0
                spec.replicas: Invalid value: -1: must be greater than or equal to 0
            - spec.selector
            - spec.template
                spec.selector: Required value
                spec.template: Required value
            spec.selector = {"app": "b"}
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.template.spec.restartPolicy = "Never"
            spec.template.spec.activeDeadlineSeconds = 3
                spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
                spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported
            spec.template.spec.containers[0].name = ""
                spec.template.spec.containers[0].name: Required value
        "#]],
    );
    check_update(
        &Strategy,
        RC,
        r#"
        status = {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3, "fullyLabeledReplicas": 2}

        status = {"replicas": -1, "observedGeneration": -1}
        "#,
        Part::Status,
        expect![[r#"
            status = {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3, "fullyLabeledReplicas": 2}
                status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas
            status = {"replicas": -1, "observedGeneration": -1}
                status.replicas: Invalid value: -1: must be greater than or equal to 0
                status.observedGeneration: Invalid value: -1: must be greater than or equal to 0
                status.fullyLabeledReplicas: Invalid value: 0: cannot be greater than status.replicas
                status.readyReplicas: Invalid value: 0: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 0: cannot be greater than status.replicas
        "#]],
    );
}

#[test]
fn scale_and_columns() {
    use crate::Strategy as _;
    let mut rc = crate::testing::object(&Strategy, RC, "");
    Strategy.set_scale(&mut rc, 7);
    let scale = Strategy.scale(&rc).unwrap();
    assert_eq!((scale.spec_replicas, scale.status_replicas, &*scale.selector), (7, 0, "app=a"));
    check_rows(
        &Strategy,
        RC,
        r#"status = {"replicas": 2, "readyReplicas": 1}"#,
        expect![[r#"
        NAME  DESIRED  CURRENT  READY  AGE  CONTAINERS  IMAGES  SELECTOR
        rc  2  2  1  10m  app,b  nginx,b:1  app=a
    "#]],
    );
}
