use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const SET: &str = r#"{
    "metadata": {"name": "s", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"replicas": 3, "serviceName": "s", "selector": {"matchLabels": {"app": "a"}}, "template": {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": "nginx:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "s"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": []}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}}"#,
        expect![[r#"
            {
              "apiVersion": "apps/v1",
              "kind": "StatefulSet",
              "metadata": {
                "name": "s"
              },
              "spec": {
                "persistentVolumeClaimRetentionPolicy": {
                  "whenDeleted": "Retain",
                  "whenScaled": "Retain"
                },
                "podManagementPolicy": "OrderedReady",
                "replicas": 1,
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
                    "maxUnavailable": 1,
                    "partition": 0
                  },
                  "type": "RollingUpdate"
                },
                "volumeClaimTemplates": [
                  {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {
                      "name": "data"
                    },
                    "spec": {
                      "accessModes": [
                        "ReadWriteOnce"
                      ],
                      "volumeMode": "Filesystem"
                    },
                    "status": {
                      "phase": "Pending"
                    }
                  }
                ]
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
        spec.podManagementPolicy = "Parallel"

        spec.replicas = -1
        spec.minReadySeconds = -1
        spec.ordinals.start = -1

        spec.podManagementPolicy = "Odd"

        spec.selector = {}

        spec.selector = {"matchLabels": {"app": "b"}}

        spec.selector = {"matchExpressions": [{"key": "app", "operator": "In"}]}

        spec.updateStrategy = {"type": "Odd"}

        spec.updateStrategy = {"type": "OnDelete", "rollingUpdate": {"partition": 1}}

        spec.updateStrategy.rollingUpdate = {"partition": -1, "maxUnavailable": 0}

        spec.updateStrategy.rollingUpdate = {"maxUnavailable": "101%"}

        spec.persistentVolumeClaimRetentionPolicy = {"whenDeleted": "Odd", "whenScaled": "Delete"}

        spec.serviceName = "a.b"

        spec.template.spec.restartPolicy = "Never"
        spec.template.spec.activeDeadlineSeconds = 5

        spec.volumeClaimTemplates = []

        spec.volumeClaimTemplates[0].metadata.name = "Data"
        spec.template.spec.containers[0].volumeMounts = []

        - spec.volumeClaimTemplates[0].spec.accessModes
        "#,
        expect![[r#"
            spec.updateStrategy = {"type": "OnDelete"}
            spec.podManagementPolicy = "Parallel"
                fine
            spec.replicas = -1
            spec.minReadySeconds = -1
            spec.ordinals.start = -1
                spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0
                spec.replicas: Invalid value: -1: must be greater than or equal to 0
                spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0
            spec.podManagementPolicy = "Odd"
                spec.podManagementPolicy: Invalid value: "Odd": must be 'OrderedReady' or 'Parallel'
            spec.selector = {}
                spec.selector: Required value
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchLabels": {"app": "b"}}
                spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`
            spec.selector = {"matchExpressions": [{"key": "app", "operator": "In"}]}
                spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
                spec.selector: Invalid value: {"matchExpressions":[{"key":"app","operator":"In"}]}
            spec.updateStrategy = {"type": "Odd"}
                spec.updateStrategy: Invalid value: {"Type":"Odd","RollingUpdate":null}: must be 'RollingUpdate' or 'OnDelete'
            spec.updateStrategy = {"type": "OnDelete", "rollingUpdate": {"partition": 1}}
                spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":1,"MaxUnavailable":null}: only allowed for updateStrategy 'RollingUpdate'
            spec.updateStrategy.rollingUpdate = {"partition": -1, "maxUnavailable": 0}
                spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0
                spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0
            spec.updateStrategy.rollingUpdate = {"maxUnavailable": "101%"}
                spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%
            spec.persistentVolumeClaimRetentionPolicy = {"whenDeleted": "Odd", "whenScaled": "Delete"}
                spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Odd": supported values: "Retain", "Delete"
            spec.serviceName = "a.b"
                spec.serviceName: Invalid value: "a.b": must not contain dots
            spec.template.spec.restartPolicy = "Never"
            spec.template.spec.activeDeadlineSeconds = 5
                spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"
                spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported
            spec.volumeClaimTemplates = []
                spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"
            spec.volumeClaimTemplates[0].metadata.name = "Data"
            spec.template.spec.containers[0].volumeMounts = []
                spec.template.spec.volumes[0].name: Invalid value: "Data": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
                spec.volumeClaimTemplates[0].metadata.name: Invalid value: "Data": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            - spec.volumeClaimTemplates[0].spec.accessModes
                spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        SET,
        r#"
        spec.replicas = 5
        spec.ordinals.start = 2
        spec.template.spec.containers[0].image = "nginx:2"
        spec.updateStrategy.rollingUpdate.partition = 2
        spec.revisionHistoryLimit = 3
        spec.minReadySeconds = 3
        spec.persistentVolumeClaimRetentionPolicy.whenScaled = "Delete"

        spec.replicas = -1

        spec.serviceName = "other"

        spec.podManagementPolicy = "Parallel"

        spec.volumeClaimTemplates[0].spec.resources.requests.storage = "2Gi"

        spec.selector.matchLabels.tier = "x"
        spec.template.metadata.labels.tier = "x"
        "#,
        Part::Main,
        expect![[r#"
            spec.replicas = 5
            spec.ordinals.start = 2
            spec.template.spec.containers[0].image = "nginx:2"
            spec.updateStrategy.rollingUpdate.partition = 2
            spec.revisionHistoryLimit = 3
            spec.minReadySeconds = 3
            spec.persistentVolumeClaimRetentionPolicy.whenScaled = "Delete"
                fine
            spec.replicas = -1
                spec.replicas: Invalid value: -1: must be greater than or equal to 0
            spec.serviceName = "other"
                spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden
            spec.podManagementPolicy = "Parallel"
                spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden
            spec.volumeClaimTemplates[0].spec.resources.requests.storage = "2Gi"
                spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden
            spec.selector.matchLabels.tier = "x"
            spec.template.metadata.labels.tier = "x"
                spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden
        "#]],
    );
    check_update(
        &Strategy,
        SET,
        r#"
        status = {"replicas": 1, "conditions": [{"type": "Odd", "status": "True"}]}

        status = {"replicas": 1, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2, "availableReplicas": 3}

        status = {"replicas": -1, "observedGeneration": -1, "collisionCount": -1}
        "#,
        Part::Status,
        expect![[r#"
            status = {"replicas": 1, "conditions": [{"type": "Odd", "status": "True"}]}
                fine
            status = {"replicas": 1, "readyReplicas": 2, "currentReplicas": 2, "updatedReplicas": 2, "availableReplicas": 3}
                status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 3: cannot be greater than status.readyReplicas
            status = {"replicas": -1, "observedGeneration": -1, "collisionCount": -1}
                status.replicas: Invalid value: -1: must be greater than or equal to 0
                status.observedGeneration: Invalid value: -1: must be greater than or equal to 0
                status.collisionCount: Invalid value: -1: must be greater than or equal to 0
                status.readyReplicas: Invalid value: 0: cannot be greater than status.replicas
                status.currentReplicas: Invalid value: 0: cannot be greater than status.replicas
                status.updatedReplicas: Invalid value: 0: cannot be greater than status.replicas
                status.availableReplicas: Invalid value: 0: cannot be greater than status.replicas
                status.collisionCount: Invalid value: -1: cannot be decremented
        "#]],
    );
}

#[test]
fn what_it_wants() {
    let of = |edits: &str| {
        let set = object(&Strategy, SET, edits);
        (set.ordinals(), set.partition(), set.max_unavailable())
    };
    assert_eq!(of(""), (0..3, 0, 1));
    assert_eq!(of("spec.ordinals.start = 5"), (5..8, 0, 1));
    assert_eq!(
        of("spec.updateStrategy.rollingUpdate = {\"partition\": 2, \"maxUnavailable\": \"70%\"}"),
        (0..3, 2, 2)
    );
    assert_eq!(of("spec.updateStrategy = {\"type\": \"OnDelete\"}"), (0..3, 0, 1));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SET,
        r#"
        status = {"replicas": 3, "readyReplicas": 2}

        spec.replicas = 0
        "#,
        expect![[r#"
            NAME  READY  AGE  CONTAINERS  IMAGES
            s  2/3  10m  app  nginx:1
            s  0/0  10m  app  nginx:1
        "#]],
    );
}
