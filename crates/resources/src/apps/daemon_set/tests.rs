use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const SET: &str = r#"{
    "metadata": {"name": "d", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": "nginx:1"}]}}}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": []}}}}"#,
        expect![[r#"
            {
              "apiVersion": "apps/v1",
              "kind": "DaemonSet",
              "metadata": {
                "name": "d"
              },
              "spec": {
                "revisionHistoryLimit": 10,
                "selector": {
                  "matchLabels": {
                    "a": "b"
                  }
                },
                "template": {
                  "spec": {
                    "containers": [],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                },
                "updateStrategy": {
                  "rollingUpdate": {
                    "maxSurge": 0,
                    "maxUnavailable": 1
                  },
                  "type": "RollingUpdate"
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
        SET,
        r#"
        spec.updateStrategy = {"type": "OnDelete"}

        spec.minReadySeconds = -1
        spec.revisionHistoryLimit = -1

        spec.selector = {}

        spec.selector = {"matchLabels": {"app": "b"}}

        spec.selector = {"matchExpressions": [{"key": "app", "operator": "In"}]}

        spec.updateStrategy = {"type": "Odd"}

        spec.updateStrategy.rollingUpdate = {"maxSurge": 0, "maxUnavailable": "0%"}

        spec.updateStrategy.rollingUpdate = {"maxSurge": 1, "maxUnavailable": 1}

        spec.updateStrategy.rollingUpdate = {"maxSurge": "101%", "maxUnavailable": 0}

        spec.updateStrategy.rollingUpdate = {"maxSurge": "x", "maxUnavailable": -1}

        spec.template.spec.restartPolicy = "Never"
        spec.template.spec.activeDeadlineSeconds = 5
        "#,
        expect![[r#"
            spec.updateStrategy = {"type": "OnDelete"}
                fine
            spec.minReadySeconds = -1
            spec.revisionHistoryLimit = -1
                spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0
                spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0
            spec.selector = {}
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchLabels": {"app": "b"}}
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchExpressions": [{"key": "app", "operator": "In"}]}
                spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
            spec.updateStrategy = {"type": "Odd"}
                spec.updateStrategy: Unsupported value: {"Type":"Odd","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"
            spec.updateStrategy.rollingUpdate = {"maxSurge": 0, "maxUnavailable": "0%"}
                spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0
            spec.updateStrategy.rollingUpdate = {"maxSurge": 1, "maxUnavailable": 1}
                spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero
            spec.updateStrategy.rollingUpdate = {"maxSurge": "101%", "maxUnavailable": 0}
                spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "101%": must not be greater than 100%
            spec.updateStrategy.rollingUpdate = {"maxSurge": "x", "maxUnavailable": -1}
                spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: -1: must be greater than or equal to 0
                spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
            spec.template.spec.restartPolicy = "Never"
            spec.template.spec.activeDeadlineSeconds = 5
                spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
                spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        SET,
        r#"
        spec.template.spec.containers[0].image = "nginx:2"

        spec.selector.matchLabels.tier = "x"
        spec.template.metadata.labels.tier = "x"
        "#,
        Part::Main,
        expect![[r#"
            spec.template.spec.containers[0].image = "nginx:2"
                fine
            spec.selector.matchLabels.tier = "x"
            spec.template.metadata.labels.tier = "x"
                spec.selector: Invalid value: {"matchLabels":{"app":"a","tier":"x"}}: field is immutable
        "#]],
    );
    check_update(
        &Strategy,
        SET,
        r#"
        status.conditions = [{"type": "Odd", "status": "True"}]

        status = {"currentNumberScheduled": -1, "numberMisscheduled": -1, "desiredNumberScheduled": -1, "numberReady": -1}

        status = {"updatedNumberScheduled": -1, "numberAvailable": -1, "numberUnavailable": -1, "observedGeneration": -1, "collisionCount": -1}
        "#,
        Part::Status,
        expect![[r#"
            status.conditions = [{"type": "Odd", "status": "True"}]
                fine
            status = {"currentNumberScheduled": -1, "numberMisscheduled": -1, "desiredNumberScheduled": -1, "numberReady": -1}
                status.currentNumberScheduled: Invalid value: -1: must be greater than or equal to 0
                status.numberMisscheduled: Invalid value: -1: must be greater than or equal to 0
                status.desiredNumberScheduled: Invalid value: -1: must be greater than or equal to 0
                status.numberReady: Invalid value: -1: must be greater than or equal to 0
            status = {"updatedNumberScheduled": -1, "numberAvailable": -1, "numberUnavailable": -1, "observedGeneration": -1, "collisionCount": -1}
                status.observedGeneration: Invalid value: -1: must be greater than or equal to 0
                status.updatedNumberScheduled: Invalid value: -1: must be greater than or equal to 0
                status.numberAvailable: Invalid value: -1: must be greater than or equal to 0
                status.numberUnavailable: Invalid value: -1: must be greater than or equal to 0
                status.collisionCount: Invalid value: -1: must be greater than or equal to 0
                status.collisionCount: Invalid value: -1: cannot be decremented
        "#]],
    );
}

#[test]
fn generations() {
    use crate::Strategy as _;
    let mut old = object(&Strategy, SET, "");
    Strategy.prepare_create(&mut old);
    let after = |edits: &str| {
        let mut new = object(&Strategy, SET, edits);
        Strategy.prepare_update(&mut new, &old, Part::Main);
        (new.metadata.generation, new.template_generation())
    };
    assert_eq!(after(""), (Some(1), Some(1)));
    assert_eq!(after("spec.minReadySeconds = 3"), (Some(2), Some(1)));
    assert_eq!(after("spec.template.metadata.labels.b = \"c\""), (Some(2), Some(2)));
}

#[test]
fn shares_of_nodes() {
    let of = |edits: &str, nodes| object(&Strategy, SET, edits).surge_and_unavailable(nodes);
    assert_eq!(of("", 10), (0, 1));
    assert_eq!(of("spec.updateStrategy.rollingUpdate = {\"maxUnavailable\": \"25%\"}", 10), (0, 3));
    assert_eq!(
        of("spec.updateStrategy.rollingUpdate = {\"maxUnavailable\": 0, \"maxSurge\": \"1%\"}", 10),
        (1, 0)
    );
    assert_eq!(of("spec.updateStrategy = {\"type\": \"OnDelete\"}", 10), (0, 0));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SET,
        r#"
        status = {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2, "numberAvailable": 1}

        spec.template.spec.nodeSelector = {"disk": "ssd"}
        "#,
        expect![[r#"
            NAME  DESIRED  CURRENT  READY  UP-TO-DATE  AVAILABLE  NODE SELECTOR  AGE  CONTAINERS  IMAGES  SELECTOR
            d  5  4  3  2  1  <none>  10m  app  nginx:1  app=a
            d  0  0  0  0  0  disk=ssd  10m  app  nginx:1  app=a
        "#]],
    );
}
