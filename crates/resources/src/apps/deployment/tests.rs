use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const DEPLOYMENT: &str = r#"{
    "metadata": {"name": "d", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"replicas": 10, "selector": {"matchLabels": {"app": "a"}}, "template": {
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
              "kind": "Deployment",
              "metadata": {
                "name": "d"
              },
              "spec": {
                "progressDeadlineSeconds": 600,
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "selector": {
                  "matchLabels": {
                    "a": "b"
                  }
                },
                "strategy": {
                  "rollingUpdate": {
                    "maxSurge": "25%",
                    "maxUnavailable": "25%"
                  },
                  "type": "RollingUpdate"
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
        DEPLOYMENT,
        r#"
        spec.paused = true

        spec.replicas = -1
        spec.minReadySeconds = -1
        spec.revisionHistoryLimit = -1
        spec.progressDeadlineSeconds = -2

        spec.minReadySeconds = 600

        spec.selector = {}

        spec.selector = {"matchLabels": {"app": "b"}}

        spec.selector = {"matchExpressions": [{"key": "app", "operator": "In"}]}

        spec.strategy = {"type": "Odd"}

        spec.strategy = {"type": "Recreate", "rollingUpdate": {}}

        spec.strategy.rollingUpdate = {"maxSurge": 0, "maxUnavailable": "0%"}

        spec.strategy.rollingUpdate = {"maxSurge": "x%", "maxUnavailable": "101%"}

        spec.strategy.rollingUpdate = {"maxSurge": -1, "maxUnavailable": 1}

        spec.template.spec.restartPolicy = "Never"
        "#,
        expect![[r#"
            spec.paused = true
                fine
            spec.replicas = -1
            spec.minReadySeconds = -1
            spec.revisionHistoryLimit = -1
            spec.progressDeadlineSeconds = -2
                spec.replicas: Invalid value: -1: must be greater than or equal to 0
                spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0
                spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0
                spec.progressDeadlineSeconds: Invalid value: -2: must be greater than or equal to 0
                spec.progressDeadlineSeconds: Invalid value: -2: must be greater than minReadySeconds
            spec.minReadySeconds = 600
                spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds
            spec.selector = {}
                spec.selector: Required value
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchLabels": {"app": "b"}}
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchExpressions": [{"key": "app", "operator": "In"}]}
                spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
                spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"In"}]}: invalid label selector
            spec.strategy = {"type": "Odd"}
                spec.strategy: Unsupported value: "Odd": supported values: "Recreate", "RollingUpdate"
            spec.strategy = {"type": "Recreate", "rollingUpdate": {}}
                spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'
            spec.strategy.rollingUpdate = {"maxSurge": 0, "maxUnavailable": "0%"}
                spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0
            spec.strategy.rollingUpdate = {"maxSurge": "x%", "maxUnavailable": "101%"}
                spec.strategy.rollingUpdate.maxSurge: Invalid value: "x%": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
                spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%
            spec.strategy.rollingUpdate = {"maxSurge": -1, "maxUnavailable": 1}
                spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0
            spec.template.spec.restartPolicy = "Never"
                spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        DEPLOYMENT,
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
        DEPLOYMENT,
        r#"
        status = {"replicas": 1, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 2}

        status = {"unavailableReplicas": -1, "observedGeneration": -1, "collisionCount": -1}
        "#,
        Part::Status,
        expect![[r#"
            status = {"replicas": 1, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 2}
                status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas
            status = {"unavailableReplicas": -1, "observedGeneration": -1, "collisionCount": -1}
                status.observedGeneration: Invalid value: -1: must be greater than or equal to 0
                status.unavailableReplicas: Invalid value: -1: must be greater than or equal to 0
                status.collisionCount: Invalid value: -1: must be greater than or equal to 0
                status.collisionCount: Invalid value: -1: cannot be decremented
        "#]],
    );
}

#[test]
fn generations() {
    use crate::Strategy as _;
    let mut old = object(&Strategy, DEPLOYMENT, "");
    Strategy.prepare_create(&mut old);
    let after = |edits: &str, part| {
        let mut new = object(&Strategy, DEPLOYMENT, edits);
        Strategy.prepare_update(&mut new, &old, part);
        new.metadata.generation
    };
    assert_eq!(after("", Part::Main), Some(1));
    assert_eq!(after("metadata.labels.a = \"b\"", Part::Main), Some(1));
    assert_eq!(after("spec.replicas = 3", Part::Main), Some(2));
    assert_eq!(after("metadata.annotations.a = \"b\"", Part::Main), Some(2));
    assert_eq!(after("spec.replicas = 3\nmetadata.annotations.a = \"b\"", Part::Main), Some(2));
}

#[test]
fn shares_of_pods() {
    let of = |edits: &str| object(&Strategy, DEPLOYMENT, edits).surge_and_unavailable();
    assert_eq!(of(""), (3, 2));
    assert_eq!(of("spec.replicas = 1"), (1, 0));
    assert_eq!(of("spec.strategy.rollingUpdate = {\"maxSurge\": 0, \"maxUnavailable\": \"1%\"}"), (0, 1));
    assert_eq!(of("spec.strategy.rollingUpdate = {\"maxSurge\": 0, \"maxUnavailable\": 40}"), (0, 10));
    assert_eq!(of("spec.strategy = {\"type\": \"Recreate\"}"), (0, 0));
}

#[test]
fn conditions() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let later: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let condition = |status: &str, reason: &str| DeploymentCondition {
        type_: Some("Progressing".into()),
        status: Some(status.into()),
        reason: Some(reason.into()),
        ..Default::default()
    };
    let mut status = DeploymentStatus::default();
    assert!(set_condition(&mut status, condition("True", "New"), now));
    assert!(!set_condition(&mut status, condition("True", "New"), later));
    assert!(set_condition(&mut status, condition("True", "Done"), later));
    let times = |s: &DeploymentStatus| {
        let c = &s.conditions.as_ref().unwrap()[0];
        (c.last_transition_time.as_ref().unwrap().0, c.last_update_time.as_ref().unwrap().0)
    };
    assert_eq!(times(&status), (now, later));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        DEPLOYMENT,
        r#"
        status = {"replicas": 10, "updatedReplicas": 4, "readyReplicas": 9, "availableReplicas": 8}

        spec.selector.matchExpressions = [{"key": "tier", "operator": "NotIn", "values": ["b", "a"]}]
        "#,
        expect![[r#"
            NAME  READY  UP-TO-DATE  AVAILABLE  AGE  CONTAINERS  IMAGES  SELECTOR
            d  9/10  4  8  10m  app  nginx:1  app=a
            d  0/10  0  0  10m  app  nginx:1  app=a,tier notin (a,b)
        "#]],
    );
}

#[test]
fn warnings_of_the_template() {
    let edits = "metadata.name = \"a.b\"\nspec.template.spec.containers[0].env = [{\"name\": \"A\"}, {\"name\": \"A\"}]";
    let texts = crate::Strategy::warnings(&Strategy, &object(&Strategy, DEPLOYMENT, edits));
    expect![[r#"
        metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]
        spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply
    "#]].assert_eq(&(texts.join("\n") + "\n"));
}
